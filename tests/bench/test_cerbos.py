"""Our rules in the words of Cerbos mean the same, and its server agrees where it can be had."""

import base64
import hashlib
import json
import re
import tarfile

import pytest

from authz.model import ACTION, Effect
from bench import contestants, download, processes, samples
from bench.peers import cerbos, words
from bench.report import DisagreementError


@pytest.fixture(scope="module")
def bundle():
    return samples.shipped()


class Attributes(dict):
    """The attributes of a principal or resource, as an expression names them."""

    __getattr__ = dict.__getitem__


class Party:
    """`P` or `R` in an expression."""

    def __init__(self, attributes):
        self.attr = attributes


def decided(policies, asked):
    """What Cerbos documents of its resource policies, slowly: a denial wins, nothing is no."""
    principal = {name: plain(value) for name, value in asked.principal.attr.items()}
    (entry,) = asked.resources
    resource = {name: plain(value) for name, value in entry.resource.attr.items()}
    names = {"P": Party(Attributes(principal)), "R": Party(Attributes(resource))}
    effects = set()
    for rule in json.loads(policies[f"{entry.resource.kind}.json"])["resourcePolicy"]["rules"]:
        if entry.actions[0] not in rule["actions"]:
            continue
        if not {"*", *asked.principal.roles} & set(rule["roles"]):
            continue
        expression = rule.get("condition", {"match": {"expr": "True"}})["match"]["expr"]
        if eval(python(expression), {}, names):  # our own expressions
            effects.add(rule["effect"])
    return "EFFECT_DENY" not in effects and "EFFECT_ALLOW" in effects


def plain(value):
    kind = value.WhichOneof("kind")
    return list(value.list_value) if kind == "list_value" else value.string_value


def python(expression):
    return re.sub(r"!(?!=)", " not ", expression).replace("&&", "and")


def test_policies_mean_the_same(bundle):
    """The policies for Cerbos, read as it documents them, give the verdicts of our rules."""
    rules = samples.policies(bundle)
    policies, asking = cerbos.policies(rules), cerbos.Asking(rules)
    vectors = [v for v in samples.vectors(bundle, 200) if known(bundle, v)]

    answers = [
        decided(policies, cerbos.messages.Request.FromString(asking.vector(v))) for v in vectors
    ]

    expected = [bundle.decide(v).effect is Effect.ALLOW for v in vectors]
    assert set(expected) == {True, False}
    assert expected == answers


def known(bundle, vector):
    return bundle.vocabulary.decode(vector)[ACTION] in bundle.vocabulary.actions


def test_only_what_is_looked_at_is_sent(bundle):
    """A request for Cerbos holds the subject's facts once, and none that no rule about the action names."""
    rules = samples.policies(bundle)
    vector = next(
        v
        for v in samples.vectors(bundle, 200)
        if bundle.vocabulary.decode(v)[ACTION] == "document.read"
    )
    asking = cerbos.Asking(rules)

    asked = cerbos.messages.Request.FromString(
        asking.request([words(bundle.vocabulary, vector)] * 2)
    )

    assert "subject_authorisation" in asked.principal.attr
    assert [set(entry.resource.attr) for entry in asked.resources] == [
        set(asked.resources[0].resource.attr)
    ] * 2
    named = {*asked.principal.attr, *asked.resources[0].resource.attr}
    assert named < {fact.name.replace(".", "_") for fact in bundle.vocabulary.facts}


def test_another_package_is_refused(tmp_path, monkeypatch):
    """A package with another hash than the one we know is not unpacked."""
    package = tmp_path / "other.tgz"
    with tarfile.open(package, "w:gz") as archive:
        archive.add(__file__, "package/cerbos-linux-x64")
    monkeypatch.setattr(download, "_fetch", lambda _: package)

    with pytest.raises(download.MissingError, match="another hash"):
        download.cerbos(tmp_path)

    assert [] == list(tmp_path.iterdir())


def test_the_package_that_we_know(tmp_path, monkeypatch):
    """The package with the known hash is unpacked once, and can be run."""
    package = tmp_path / "known.tgz"
    with tarfile.open(package, "w:gz") as archive:
        archive.add(__file__, "package/cerbos-linux-x64")
    digest = hashlib.sha512(package.read_bytes()).digest()
    monkeypatch.setattr(download, "SHA512", base64.b64encode(digest).decode())
    fetched = []
    monkeypatch.setattr(download, "_fetch", lambda _: fetched.append(package) or package)

    program = [download.cerbos(tmp_path), download.cerbos(tmp_path)][1]

    assert 1 == len(fetched)
    assert program.stat().st_mode & 0o111
    assert [program] == list(tmp_path.iterdir())


def test_without_npm(tmp_path, monkeypatch):
    """Where there is no npm, Cerbos is missing, and the message says why."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(download.MissingError, match="npm is not installed"):
        download.cerbos(tmp_path)


@pytest.mark.slow
def test_the_server_agrees(bundle, tmp_path):
    """The real server decides as we do; policies that say something else are found out."""
    try:
        program = download.cerbos()
    except download.MissingError as exc:
        pytest.skip(str(exc))
    rules = samples.policies(bundle)
    asking, policies = cerbos.Asking(rules), cerbos.policies(rules)
    opposite = {
        name: text.replace("EFFECT_DENY", "EFFECT_ALLOW") for name, text in policies.items()
    }

    with processes.cerbos(program, tmp_path / "right", policies) as running:
        agreed = contestants.agree(bundle, asking, running.address, 500)
    with (
        processes.cerbos(program, tmp_path / "wrong", opposite) as running,
        pytest.raises(DisagreementError, match="Cerbos disagrees"),
    ):
        contestants.agree(bundle, asking, running.address, 500)

    assert agreed > 400
