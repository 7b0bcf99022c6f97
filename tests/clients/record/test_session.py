"""What all commands of `dmp dossier` share: who speaks, to which service, and how failures are told."""

import json
import re
import socket

import pytest

from clients import sdk
from clients.cli import child
from clients.cli.app import app as everything
from clients.cli.link import Error, security
from clients.cli.record.app import app
from clients.cli.record.speaker import CAST, read, speaker
from tests.shared import ROOT

INS = "1541187387477485562488"


def _commands():
    names = [command.name for command in app.registered_commands]
    rights = app.registered_groups[0].typer_instance
    return names + [f"rights {command.name}" for command in rights.registered_commands]


@pytest.mark.parametrize("command", _commands())
def test_help_has_examples(terminal, command):
    """The help of each command shows how it is called, and what its exit codes mean."""
    shown = terminal.run(*command.split(), "--help")

    words = " ".join(re.sub("[│╭╰─╮╯]", " ", shown.stdout).split())
    assert shown.exit_code == 0
    assert f"dmp dossier {command}" in words
    assert "Exit: 0" in words


def test_commands_of_the_docs_are_there():
    """Each command that the page on the record names is one."""
    page = (ROOT / "docs" / "dossier.md").read_text(encoding="utf-8")
    groups = {group.name for group in app.registered_groups}

    named = set(re.findall(r"dmp dossier ([a-z-]+)", page))

    assert {"card", "create", "deposit", "list", "read", "pathway", "trace", "keys"} <= named
    assert named <= {*_commands(), *groups}


def test_it_is_listed(terminal):
    """`dmp --help` names the record, and how to fill it."""
    shown = terminal._runner.invoke(everything, ["--help"])

    assert "dossier" in shown.stdout
    assert "populate" in shown.stdout


def test_nobody_there(terminal):
    """An address where nothing listens exits with 3 and says how to start a service."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"

        failed = terminal.run("find", INS, "--address", address)
        data = terminal.run("find", INS, "--address", address, "--json")

    assert (failed.exit_code, failed.stdout) == (3, "")
    assert "dmp serve dossier" in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1
    assert (data.exit_code, "no service" in json.loads(data.stdout)["error"]) == (3, True)


def test_another_service(terminal, tmp_path):
    """A decision point in place of the record is told apart, with exit code 3."""
    with child.serving(tmp_path) as point:
        failed = terminal.run("find", INS, "--address", point.address)

    assert (failed.exit_code, "is another service" in failed.stderr) == (3, True)


@pytest.mark.parametrize("address", ["nowhere", "127.0.0.1:0", "192.0.2.1:7444"])
def test_no_address(terminal, address):
    """What is no address, or is one of another machine without TLS, is wrong usage."""
    refused = terminal.run("find", INS, "--address", address)

    assert (refused.exit_code, address in refused.stderr) == (2, True)


def test_tls_is_whole_or_not_at_all(terminal):
    """One file of three is not enough for TLS."""
    refused = terminal.run("find", INS, "--tls-key", "key.pem")

    assert (refused.exit_code, "give the three, or none" in refused.stderr) == (2, True)


def test_a_number_that_is_none(terminal):
    """A number with a wrong key is refused by the field, never corrected, and not repeated in full."""
    refused = terminal.run("find", "3418935386100576927851")

    assert refused.exit_code == 2
    assert "not an INS" in refused.stderr


def test_nobody_of_the_story_speaks_over_tls():
    """Over TLS somebody real speaks: the people of the demo are refused, and nobody by default."""
    for named in ("", "doctor", "patient"):
        with pytest.raises(Error, match="say who speaks"):
            speaker(named, proven=True)


def test_the_doctor_speaks_first():
    """Without --as it is the doctor of the demo; others of it by their short names."""
    assert speaker("", proven=False) == CAST["doctor"].subject
    assert speaker("pharmacist", proven=False).profession == "21"


def test_a_file_that_is_not_there():
    """A name with a slip is answered with the one that was meant."""
    with pytest.raises(Error, match="did you mean `pharmacist`"):
        speaker("pharmacst", proven=False)


def test_speaker_from_a_file(tmp_path):
    """A file needs kind and id; authentication and capacity follow from the kind."""
    path = tmp_path / "nurse.yaml"
    path.write_text('kind: professional\nid: "899700301924"\nprofession: "60"\n', encoding="utf-8")

    subject = speaker(str(path), proven=True)

    assert (subject.id, subject.profession) == ("899700301924", "60")
    assert (subject.authentication, subject.capacity) == ("individual_card", "care")


def test_structures_and_patients_speak_for_themselves():
    """A structure acts for itself, a patient for him- or herself, if a file does not say otherwise."""
    structure = read(b'{"kind": "structure", "id": "10B0411208"}', name="lab.json")
    patient = read(f'kind: patient\nid: "{INS}"'.encode(), name="patient.yaml")

    assert (structure.structure, structure.authentication) == (
        "10B0411208",
        "structure_certificate",
    )
    assert (patient.capacity, patient.authentication) == ("self", "patient_code")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: professional", "missing key: `id`"),
        ("kind: doctor\nid: x", "unknown kind: `doctor`"),
        ("kind: patient\nid: x\nidd: y", "did you mean `id`"),
        ("kind: professional\nid: x\nregulator: oui", "`regulator` is `true` or `false`"),
        ("kind: professional\nid: 12", "`id` must be a text"),
        ("- a", "a mapping of `key: value` is expected"),
        ("{", "x.yaml"),
    ],
)
def test_files_that_say_nobody(text, words):
    """A file that can't be used is told by line, with the remedy."""
    with pytest.raises(Error, match=re.escape(words)):
        read(text.encode(), name="x.yaml")


def test_plain_is_plain():
    """Without files there is no TLS."""
    assert security(None, None, None) is sdk.PLAIN
