"""The commands `dmp pki`."""

import json
import re
import stat
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from typer.testing import CliRunner

from authz import token
from authz.errors import TokenError
from authz.query import Subject
from clients.cli.pki import app
from clients.pki import authority, files
from clients.pki.folder import Folder
from serving.certificate import parse, serial
from serving.trust import load

DAY = timedelta(days=1)
DOCTOR = ["professional", "--id", "00B1038575", "--name", "MEDECIN3857"]
DOCTOR += ["--given-name", "PAUL", "--profession-label", "Médecin"]
CENTRE = ["structure", "--id", "10B0167011", "--name", "CENTRE DE SANTE RPPS12718"]


@pytest.fixture
def run(tmp_path):
    """Runs `dmp pki` with these arguments on an authority of its own."""
    env = {"NO_COLOR": "1", "TERMINAL_WIDTH": "200", "DMP_PKI": str(tmp_path / "pki")}
    runner = CliRunner(env=env)
    return lambda *arguments: runner.invoke(app, arguments)


@pytest.fixture
def pki(run, tmp_path):
    """The folder of an authority that is made."""
    assert run("init").exit_code == 0
    return tmp_path / "pki"


def listed(run):
    """What `list --json` prints."""
    return [json.loads(line) for line in run("list", "--json").stdout.splitlines()]


def content(folder):
    """Every file below a folder with its bytes."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_init(pki):
    """`init` makes a folder that a service can trust, with a list of each authority."""
    trust = load(pki)

    assert (1, 1, 1, 3) == tuple(map(len, (trust.roots, trust.services, trust.persons, trust.crls)))


def test_keys_are_their_owners(run, pki):
    """Every key has mode 0600, and the folder of the authorities' keys 0700."""
    for command in (["service", "dossier"], DOCTOR, CENTRE, ["signer", "portal"]):
        assert run(*command).exit_code == 0

    keys = [path for path in pki.rglob("*") if path.is_file() and b"PRIVATE" in path.read_bytes()]
    assert len(keys) == 7
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}
    assert stat.S_IMODE((pki / "keys").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "command", [["init"], ["service", "dossier"], DOCTOR, CENTRE, ["signer", "portal"]]
)
def test_the_same_again_changes_nothing(run, pki, command):
    """A command that is repeated says so, succeeds, and leaves every file as it is."""
    first = run(*command)
    before = content(pki)

    again = run(*command)

    assert (0, 0) == (first.exit_code, again.exit_code)
    assert again.stdout.startswith("unchanged")
    assert before == content(pki)


def test_service(run, pki):
    """A service's certificate names it, its hosts and both uses."""
    result = run("service", "authz", "--host", "authz.internal", "--host", "127.0.0.1")

    leaf = parse((pki / "services" / "authz.pem").read_bytes())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert result.exit_code == 0
    assert ["authz", "authz.internal"] == names.get_values_for_type(x509.DNSName)
    assert ["127.0.0.1"] == [str(its) for its in names.get_values_for_type(x509.IPAddress)]
    assert set(uses) == {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH}


def test_professional(run, pki):
    """A card is as in the deck: one RDN with CN, SN and givenName, and no alternative name."""
    result = run(*DOCTOR)

    leaf = parse((pki / "persons" / "00B1038575.pem").read_bytes())
    *others, card = (
        {attribute.rfc4514_attribute_name: attribute.value for attribute in rdn}
        for rdn in leaf.subject.rdns
    )
    assert result.exit_code == 0
    assert [{"C": "FR"}, {"O": "TEST"}, {"OU": "Médecin"}] == others
    assert {"CN": "00B1038575", "2.5.4.4": "MEDECIN3857", "2.5.4.42": "PAUL"} == card
    with pytest.raises(x509.ExtensionNotFound):
        leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)


@pytest.mark.usefixtures("pki")
def test_real_and_test_cards(run):
    """A number of the test range makes a test card, another one a real card unless it can't tell."""
    for number, *flag in (
        ("899700218896",),
        ("810001234567",),
        ("4123456789/A1",),
        ("4123456789/A2", "--test"),
    ):
        assert run(*DOCTOR[:1], "--id", number, *DOCTOR[3:], *flag).exit_code == 0

    found = {row["subject_id"]: (row["kind"], row["test"]) for row in listed(run)}
    assert found == {
        "899700218896": ("professional", True),
        "810001234567": ("professional", False),
        "4123456789/A1": ("employee", False),
        "4123456789/A2": ("employee", True),
    }


@pytest.mark.usefixtures("pki")
def test_number_shared_by_a_person_and_a_structure(run):
    """A cabinet's number may be its doctor's: both get a certificate."""
    cabinet = ["structure", "--id", "00B1038575", "--name", "CABINET"]

    assert [run(*DOCTOR).exit_code, run(*cabinet).exit_code] == [0, 0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["service", "Dossier"], "no name of a service"),
        (["service", "../x"], "no name of a service"),
        (["service", "dossier", "--host", "a b"], "`a b` is no host"),
        (["service", "dossier", "--host", "127.0.0.1:7443"], "without a port"),
        (["professional", "--id", "1", *DOCTOR[3:]], "no idNat_PS"),
        (["professional", "--id", "../../x", *DOCTOR[3:]], "no idNat_PS"),
        (
            ["professional", "--id", "810001234567", *DOCTOR[3:], "--test"],
            "number of the test range",
        ),
        ([*DOCTOR[:3], "--name", " ", *DOCTOR[5:]], "can't stand in a name"),
        ([*DOCTOR[:3], "--name", "X" * 99, *DOCTOR[5:]], "can't stand in a name"),
        (["structure", "--id", "5", "--name", "X"], "no idNat_Struct"),
        (["signer", "Por tal"], "no name of a service"),
        (["revoke", "no-such-file"], "neither a file nor the serial number"),
        (["revoke", "FFFF"], "neither a file nor the serial number"),
        (["show", "FFFF"], "neither a file nor the serial number"),
    ],
)
def test_input_that_cannot_be_used(run, pki, arguments, words):
    """What can't be used is named, nothing is made, and the exit code is 2."""
    before = content(pki)

    result = run(*arguments)

    assert (2, "") == (result.exit_code, result.stdout)
    assert words in result.stderr
    assert before == content(pki)


@pytest.mark.parametrize(
    "arguments",
    [["service", "dossier"], DOCTOR, CENTRE, ["signer", "x"], ["crl"], ["list"], ["revoke", "1"]],
)
def test_without_an_authority(run, arguments):
    """Where there is no authority, each command says how to make one."""
    result = run(*arguments)

    assert (2, "") == (result.exit_code, result.stdout)
    assert "dmp pki init" in result.stderr


def test_init_in_a_folder_that_is_used(run, tmp_path):
    """A folder with something else in it is left alone."""
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "thesis.txt").write_text("all I have")

    result = run("init")

    assert result.exit_code == 1
    assert "not empty" in result.stderr
    assert ["thesis.txt"] == [path.name for path in (tmp_path / "pki").iterdir()]
    assert ["pki"] == [path.name for path in tmp_path.iterdir()]


def test_another_certificate_needs_a_word(run, pki):
    """A certificate for other hosts replaces the one that is there only when told to."""
    run("service", "dossier")
    before = content(pki)

    refused = run("service", "dossier", "--host", "127.0.0.1")

    assert refused.exit_code == 1
    assert "for other hosts: add --renew" in refused.stderr
    assert before == content(pki)


def test_renew_keeps_the_old_key(run, pki):
    """Renewed, a service has a new key and certificate, and the old key is kept beside them."""
    run("service", "dossier")
    old = content(pki / "services")

    result = run("service", "dossier", "--renew")

    new = content(pki / "services")
    assert result.exit_code == 0
    assert old[pki / "services" / "dossier.key"] in new.values()
    assert not set(old.items()) & set(new.items())
    assert ["dossier", "dossier"] == [row["service"] for row in listed(run)]


def test_stopped_between_key_and_certificate(run, pki):
    """A key that was left without a certificate gets one, and is not replaced."""
    run("service", "dossier")
    (pki / "services" / "dossier.pem").unlink()
    key = (pki / "services" / "dossier.key").read_bytes()

    result = run("service", "dossier")

    assert result.exit_code == 0
    assert key == (pki / "services" / "dossier.key").read_bytes()


def test_lost_key(run, pki):
    """A certificate whose key is lost, or another's, does not pass for a good one."""
    run("service", "dossier")
    run("service", "audit")
    key = pki / "services" / "dossier.key"

    key.unlink()
    lost = run("service", "dossier")
    key.write_bytes((pki / "services" / "audit.key").read_bytes())
    mixed = run("service", "dossier")

    assert (1, 1) == (lost.exit_code, mixed.exit_code)
    assert "its key is missing" in lost.stderr
    assert "its key is another's" in mixed.stderr


@pytest.mark.parametrize("by", ["file", "serial", "colons"])
def test_revoke(run, pki, by):
    """A certificate is revoked by its file or serial number, and only that one."""
    run("service", "dossier")
    run("service", "audit")
    path = pki / "services" / "dossier.pem"
    number = serial(parse(path.read_bytes()))
    what = {
        "file": str(path),
        "serial": number.lower(),
        "colons": ":".join(re.findall("..", number)),
    }

    result = run("revoke", what[by])

    assert (0, f"revoked: {number}\n") == (result.exit_code, result.stdout)
    assert {"dossier": "REVOKED", "audit": "GOOD"} == {
        row["service"]: row["state"] for row in listed(run)
    }


def test_revoke_twice(run, pki):
    """What is revoked already stays so, and the list is not made anew."""
    run(*DOCTOR)
    run("revoke", str(pki / "persons" / "00B1038575.pem"))
    before = content(pki)

    result = run("revoke", str(pki / "persons" / "00B1038575.pem"))

    assert result.exit_code == 0
    assert result.stdout.startswith("unchanged, revoked before")
    assert before == content(pki)


def test_revoked_certificate_is_not_good_any_more(run, pki):
    """A service whose certificate was revoked gets a new one only when told to."""
    run("service", "dossier")
    run("revoke", str(pki / "services" / "dossier.pem"))

    refused, renewed = run("service", "dossier"), run("service", "dossier", "--renew")

    assert (1, 0) == (refused.exit_code, renewed.exit_code)
    assert "REVOKED" in refused.stderr
    assert ["REVOKED", "GOOD"] == sorted((row["state"] for row in listed(run)), reverse=True)


def test_revoke_an_authority(run, pki):
    """A revoked authority takes with it all that it issued; the root can't be revoked."""
    run(*DOCTOR)
    run("service", "dossier")

    result = run("revoke", str(pki / "authorities" / "persons.pem"))
    root = run("revoke", str(pki / "authorities" / "roots.pem"))

    assert (0, 2) == (result.exit_code, root.exit_code)
    assert {"professional": "REVOKED", "service": "GOOD"} == {
        row["kind"]: row["state"] for row in listed(run)
    }


@pytest.mark.usefixtures("pki")
def test_revoke_a_stranger(run, tmp_path):
    """A certificate of another authority can't be revoked here."""
    other = Folder(tmp_path / "other")
    other.create(datetime.now(UTC))
    issued = other.issue(
        authority.service("dossier"),
        place="services",
        name="dossier",
        at=datetime.now(UTC),
        lifetime=DAY,
    )

    result = run("revoke", str(issued.certificate))

    assert result.exit_code == 2
    assert "not issued by an authority of this folder" in result.stderr


def test_damaged_list_is_not_replaced(run, pki):
    """When a list can't be read nobody knows what was on it: no new one takes its place."""
    run("service", "dossier")
    damaged = pki / "crls" / "services.pem"
    damaged.write_bytes(b"")

    results = [run("crl"), run("revoke", str(pki / "services" / "dossier.pem"))]

    assert [1, 1] == [result.exit_code for result in results]
    assert damaged.read_bytes() == b""


def test_crl(run, pki):
    """The lists are renewed with all that was revoked, a higher number and the end that is asked for."""
    run("service", "dossier")
    run("revoke", str(pki / "services" / "dossier.pem"))
    path = pki / "crls" / "services.pem"
    before = files.revocation_list(path)

    result = run("crl", "--days", "7")

    after = files.revocation_list(path)
    numbers = [
        crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        for crl in (before, after)
    ]
    assert result.exit_code == 0
    assert [2, 3] == numbers
    assert [e.serial_number for e in before] == [e.serial_number for e in after]
    assert timedelta(days=7) == after.next_update_utc - after.last_update_utc


def test_stale_lists(run, tmp_path):
    """When the lists have ended nothing is good any more, until they are renewed."""
    folder = Folder(tmp_path / "pki")
    past = datetime.now(UTC) - 40 * DAY
    folder.create(past)
    folder.issue(
        authority.service("dossier"), place="services", name="dossier", at=past, lifetime=90 * DAY
    )

    stale = listed(run)
    run("crl")

    assert (["CRL_STALE"], ["GOOD"]) == (
        [row["state"] for row in stale],
        [row["state"] for row in listed(run)],
    )


def test_nothing_revoked_is_lost(pki):
    """Of revocations at the same time none is lost, and no number of a list is given twice."""
    folder = Folder(pki)
    now = datetime.now(UTC)
    paths = [
        folder.issue(
            authority.service(f"s{n}"), place="services", name=f"s{n}", at=now, lifetime=DAY
        ).certificate
        for n in range(12)
    ]
    threads = [
        threading.Thread(target=lambda path=path: Folder(pki).revoke(str(path), now))
        for path in paths
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    crl = files.revocation_list(pki / "crls" / "services.pem")
    assert len(list(crl)) == len(paths)
    assert 13 == crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


@pytest.mark.usefixtures("pki")
def test_list_as_a_table(run):
    """`list` prints a line for each certificate that was issued, the oldest first."""
    for command in (["service", "dossier"], DOCTOR, CENTRE):
        run(*command)

    result = run("list")

    head, *lines = result.stdout.splitlines()
    assert ["serial", "state", "kind", "who", "until"] == head.split()
    assert {"dossier", "00B1038575 PAUL MEDECIN3857", "10B0167011 CENTRE DE SANTE RPPS12718"} == {
        re.split(r"\s{2,}", line)[3] for line in lines
    }


def test_show(run, pki):
    """`show` prints whom a certificate names, and succeeds when it is trusted."""
    run(*DOCTOR)
    path = str(pki / "persons" / "00B1038575.pem")

    good, data = run("show", path), run("show", path, "--json")
    run("revoke", path)
    revoked = run("show", path)

    assert (0, 0, 1) == (good.exit_code, data.exit_code, revoked.exit_code)
    assert re.search(r"^profession_label: +Médecin$", good.stdout, re.MULTILINE)
    assert re.search(r"^state: +REVOKED$", revoked.stdout, re.MULTILINE)
    assert ("professional", "PAUL MEDECIN3857", True) == tuple(
        json.loads(data.stdout)[name] for name in ("kind", "name", "test")
    )


def test_signer(run, pki):
    """Tokens of a signer are accepted; renewed twice, those of its first key are not any more."""
    now = datetime.now(UTC)

    def issued():
        key = files.signing_key(pki / "keys" / "signers" / "portal.key")
        subject = Subject(kind="patient", id="1113109067725142806651")
        return token.issue(subject, key=key, issuer="portal", audience="authz", at=now, id="1")

    def accepted(its):
        try:
            token.verify(its, token.load(pki / "signers"), audience="authz", at=now)
        except TokenError as exc:
            return exc.reason
        return "accepted"

    run("signer", "portal")
    first = issued()
    states = [accepted(first)]
    for _ in range(2):
        assert run("signer", "portal", "--renew").exit_code == 0
        states += [accepted(first), accepted(issued())]

    assert ["accepted"] * 3 + ["UNKNOWN_KEY", "accepted"] == states


@pytest.mark.parametrize(
    "command",
    ["init", "service", "professional", "structure", "signer", "revoke", "crl", "list", "show"],
)
def test_help_has_examples(run, command):
    """The help of each command shows how it is called and what its exit codes mean."""
    result = run(command, "--help")

    assert result.exit_code == 0
    assert f"dmp pki {command}" in result.stdout
    assert "Exit: 0" in result.stdout


@pytest.mark.parametrize(
    "arguments", [(), ("service",), ("professional",), ("trust",), ("crl", "--days", "0")]
)
def test_wrong_usage(run, arguments):
    """Missing arguments, unknown commands and numbers out of range are wrong usage."""
    result = run(*arguments)

    assert result.exit_code == 2
