"""The digest names what decides: nothing else changes it, and a bundle comes back from its content."""

import orjson
import pytest

from authz.bundle import build, restore
from authz.errors import BundleError
from authz.product import DMP
from authz.workbench.scenarios import read_scenarios, run
from tests.authz.workbench.world import TRY, added, bundle, edited, files, rule, small

KIND = "{subject: {$.kind: {condition: Equals, value: patient}}}"


def digest(contents):
    """The digest of a bundle of these contents."""
    return build(contents, DMP).digest


def test_comments():
    """Comments and blank lines change no digest, in YAML, in CSV or in a model."""
    spoken = {
        name: b"\n# a comment\n\n" + data + b"\n# another\n\n" for name, data in small().items()
    }

    assert digest(spoken) == digest(small())


TURNED = """rules:
  - rules:
      subject:
        $.kind:
          value: 'patient'
          condition: "Equals"
    source: test
    told:
      en: "Try."
      fr: 'Essai.'
    reason: TRY
    targets: {action_id: ["document.read"]}
    priority: 1
    effect: "deny"
    description: Essai.
    uid: try
theme: {en: Try, fr: Essai}
"""


def test_layout():
    """The order of keys, quotes and the way a mapping is written change no digest."""
    assert digest(added(TRY, TURNED)) == digest(added(TRY, rule(KIND)))


def test_blanks_in_tables():
    """Blanks around the commas of a table change no digest."""
    path = "services/services.csv"
    close = files()[path].decode().replace(", ", ",").encode()

    assert digest({**small(), path: close}) == digest(small())


def test_what_does_not_decide():
    """Scenarios and properties are no part of a bundle, and change no digest."""
    beside = {name: data for name, data in files().items() if "scenarios" in name or "prop" in name}

    assert len(beside) > 2
    assert digest({**small(), **beside}) == digest(small())


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("parameters.yaml", "value: PT4H", "value: PT5H"),
        ("parameters.yaml", "value: true", "value: false"),
        ("matrix/matrix.csv", "g, 21, officine\n", ""),
        (
            "services/services.csv",
            "p, portal, decide, user, allow",
            "p, portal, decide, user, deny",
        ),
        ("vocabulary.yaml", '    default: "yes"', '    default: "no"'),
        ("vocabulary.yaml", 'fr: "la profession"', 'fr: "le métier"'),
    ],
)
def test_what_decides(path, old, new):
    """Each value that decides, or is told, is in the digest."""
    assert digest(edited(path, old, new)) != digest(small())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("effect: deny", "effect: allow"),
        ("priority: 1", "priority: 2"),
        ("reason: TRY", "reason: TRIED"),
        ("value: patient", "value: auditor"),
        ("document.read", "document.list"),
        ('en: "Try."', 'en: "Tried."'),
        ("uid: try", "uid: tried"),
    ],
)
def test_what_decides_in_rules(old, new):
    """Each part of a rule is in the digest."""
    text = rule(KIND)

    assert digest(added(TRY, text.replace(old, new, 1))) != digest(added(TRY, text))


def test_restored():
    """A bundle built again from its content has the same digest, and decides every scenario alike."""
    again = restore(bundle().content, DMP)
    found, _ = read_scenarios(files(), bundle().vocabulary)

    verdicts = [(run(bundle(), one).verdict, run(again, one).verdict) for one in found]

    assert (again.digest, again.content) == (bundle().digest, bundle().content)
    assert len(verdicts) >= 150
    assert all(before == after for before, after in verdicts)


SPOILT = {
    "cut short": lambda content: content[:-1],
    "empty": lambda _: b"",
    "a list": lambda _: b"[]",
    "without parts": lambda _: b"{}",
    "with a list of documents": lambda _: b'{"documents": [], "tables": {}}',
    "without documents": lambda _: b'{"documents": {}, "tables": {}}',
    "with a number for a document": lambda _: (
        b'{"documents": {"vocabulary.yaml": 1.5}, "tables": {}}'
    ),
    "with a mistake": lambda content: content.replace(b'"value":"PT4H"', b'"value":"PT4X"'),
    "with a blank more": lambda content: b" " + content,
    "indented": lambda content: orjson.dumps(orjson.loads(content), option=orjson.OPT_INDENT_2),
}


@pytest.mark.parametrize("how", SPOILT)
def test_damaged(how):
    """Content that is damaged, incomplete or not canonical is no bundle."""
    content = build(small(), DMP).content

    with pytest.raises(BundleError) as caught:
        restore(SPOILT[how](content), DMP)

    assert caught.value.mistakes


@pytest.mark.parametrize("path", ["parameters.yaml", "matrix/matrix.csv", "services/model.conf"])
def test_incomplete(path):
    """Content without one of the files is no bundle, and the message names it."""
    document = orjson.loads(build(small(), DMP).content)
    part = document["documents" if path.endswith(".yaml") else "tables"]
    del part[path]

    with pytest.raises(BundleError) as caught:
        restore(orjson.dumps(document, option=orjson.OPT_SORT_KEYS), DMP)

    assert [m.path for m in caught.value.mistakes] == [path]
