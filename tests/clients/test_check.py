"""`dmp check`, against a service of its own over a real socket."""

import json
import os
import socket
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from authz.v1 import authz_pb2 as pb
from clients.cli import cast, child
from clients.cli.app import app
from clients.cli.point import Point
from clients.cli.show import Language, spoken
from tests.shared import ROOT

DOCTOR = ["--id", cast.DOCTOR.subject.id, "--profession", "10"]
STRANGER = ["--id", cast.STRANGER.subject.id, "--profession", "10"]
NOTE = ["--patient", cast.INS, "--document-type", "11488-4"]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A service that knows the dossier of Anasta, opened by Dr MEDECIN3857."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DMP_POLICIES", str(ROOT / "policies"))
        with child.serving(tmp_path_factory.mktemp("service")) as service:
            opened = pb.OpenDossier(birth_date="1979-03-28", authorise=True, break_glass=True)
            with Point(service.address) as point:
                point.change(cast.change(cast.DOCTOR, cast.AGREED, open_dossier=opened))
            yield service.address


@pytest.fixture
def check(address):
    """Asks that service."""
    runner = CliRunner(env={"NO_COLOR": "1", "COLUMNS": "100", "DMP_AUTHZ": address, "LC_ALL": "C"})
    return lambda *arguments: runner.invoke(app, ["check", *arguments])


def test_allowed(check):
    """What is allowed exits with 0 and tells the effect, the code, the sentence and the rule."""
    result = check(*DOCTOR, *NOTE)

    assert result.exit_code == 0
    assert result.stdout.startswith("ALLOW AUTHORISED\nThe patient has authorised")
    assert "read-authorised" in result.stdout
    assert "✗" not in result.stdout


def test_denied(check):
    """What is denied exits with 1 and tells the deciding rule, the nearest, and what would make it yes."""
    result = check(*STRANGER, *NOTE)

    assert result.exit_code == 1
    assert result.stdout.startswith("DENY  NOT_AUTHORISED\nThe patient has not authorised")
    for told in ("not-authorised", "CSP L.1111-19", "nearest to yes", "✗", "✓", "would be yes if"):
        assert told in result.stdout


def test_decision_is_told(check):
    """A decision is told with its id, the policies and the revision, so that it can be found again."""
    (last, policies) = check(*STRANGER, *NOTE).stdout.splitlines()[-2:]

    assert last.split()[0] == "decision"
    assert len(last.split()[1]) == 36
    assert policies.split()[0] == "policies"
    assert len(policies.split()[1]) == 12


def test_french(check):
    """`--lang fr` tells everything in French."""
    result = check(*STRANGER, *NOTE, "--lang", "fr")

    for told in (
        "Le patient n'a pas autorisé",
        "décidé par",
        "au plus près du oui",
        "Ce serait oui",
    ):
        assert told in result.stdout
    assert "decided by" not in result.stdout


def test_obligations_are_told(check):
    """What whoever is allowed must do is told with the decision."""
    reason = ["--mode", "bris_de_glace", "--reason-code", "risque_vital", "--reason", "Inconscient"]

    result = check(*STRANGER, *NOTE, *reason)

    assert result.exit_code == 0
    assert "obligations: show_mode, notify_holder, notify_treating_doctor, review" in result.stdout


def test_facts(check):
    """`--facts` shows the facts as they were judged; else they are left out."""
    with_facts, without = check(*DOCTOR, *NOTE, "--facts"), check(*DOCTOR, *NOTE)

    assert "subject.authorisation" in with_facts.stdout
    assert "subject.authorisation" not in without.stdout


def test_json(check):
    """`--json` prints the whole explanation as one object, with effects as in the log."""
    result = check(*STRANGER, *NOTE, "--json")

    answer = json.loads(result.stdout)
    assert result.exit_code == 1
    assert answer["decision"]["effect"] == "deny"
    assert answer["decision"]["reason_code"] == "NOT_AUTHORISED"
    assert answer["facts"]["resource.dossier"] == "open"
    assert answer["remedies"][0]["changes"][0]["fact"] == "subject.authorisation"


@pytest.mark.parametrize(
    ("who", "facts"),
    [
        (("professional", "--id", "1"), ("individual_card", "care", "1")),
        (("employee", "--id", "1"), ("employee_card", "care", "1")),
        (("structure", "--id", "1"), ("structure_certificate", "care", "1")),
        (("structure", "--structure", "2"), ("structure_certificate", "care", "2")),
        (("patient",), ("patient_code", "self", cast.INS)),
        (("representative", "--id", "1"), ("patient_code", "self", "1")),
        (("patient", "--authentication", "password"), ("password", "self", cast.INS)),
        (("professional", "--id", "1", "--capacity", "bank"), ("individual_card", "bank", "1")),
    ],
)
def test_what_is_left_out(check, who, facts):
    """Whoever asks is taken to be authenticated and to act as their kind does, unless told otherwise."""
    result = check("--as", *who, "--patient", cast.INS, "--action", "dossier.find", "--json")

    judged = json.loads(result.stdout)["facts"]
    names = ("subject.authentication", "subject.capacity", "subject.id")
    assert facts == tuple(judged[name] for name in names)


def test_malformed(check):
    """A malformed request exits with 2 and names each option, what is wrong with it and the remedy."""
    wrong = ["--as", "medic", "--id", "1", "--action", "document.reed", "--visibility", "X"]

    result = check(*wrong, "--patient", "3418935386100576927851")

    assert (result.exit_code, result.stdout) == (2, "")
    lines = [line.partition(" ") for line in result.stderr.splitlines()]
    problems = {option: rest.strip() for option, _, rest in lines if option.startswith("--")}
    assert "did you mean" in problems["--action"]
    assert problems["--as"].startswith("unknown value: `medic`")
    assert problems["--patient"].startswith("not an INS")
    assert problems["--visibility"].startswith("unknown code: `X`")


def test_malformed_as_json(check):
    """`--json` prints what is malformed as data, too."""
    result = check("--id", "1", "--action", "document.reed", "--json")

    (violation,) = json.loads(result.stdout)["violations"]
    assert result.exit_code == 2
    assert violation["option"] == "--action"
    assert "did you mean `document.read`" in violation["problem"]


def test_document_is_missing(check):
    """Without a word on the document none is sent, and the option that would send one is named."""
    result = check(*DOCTOR, "--patient", cast.INS)

    assert result.exit_code == 2
    assert "--document-type" in result.stderr


def test_nobody_there(check):
    """Where no service is, the command exits with 3 and says how to start one."""
    result = check("--address", "127.0.0.1:1", *DOCTOR, *NOTE)

    assert (result.exit_code, result.stdout) == (3, "")
    assert "no service at `127.0.0.1:1`: start one with `dmp serve authz`" in result.stderr


def test_nobody_answers(check):
    """A deadline is always set: who never answers is given up after --timeout."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]

        result = check("--address", f"127.0.0.1:{port}", "--timeout", "0.3", *DOCTOR, *NOTE)

    assert result.exit_code == 3
    assert "within 0.3 s" in result.stderr


def test_no_proxy_is_asked(check, monkeypatch):
    """A proxy of the environment is never put between the command and the service."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("grpc_proxy", "http://127.0.0.1:1")

    result = check(*DOCTOR, *NOTE)

    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("10.0.0.1:7443", "without TLS only loopback"),
        ("dmp.example:7443", "without TLS only loopback"),
        ("127.0.0.1", "is no address"),
        ("", "is no address"),
    ],
)
def test_other_address(check, address, problem):
    """No address but of this machine is spoken to: it is wrong usage."""
    result = check("--address", address, *DOCTOR, *NOTE)

    assert result.exit_code == 2
    assert problem in result.stderr


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "fr_FR.UTF-8"}, Language.FR),
        ({"LANG": "en_GB.UTF-8"}, Language.EN),
        ({"LANG": "fr_FR.UTF-8", "LC_ALL": "C"}, Language.EN),
        ({"LANG": "de_DE", "LC_MESSAGES": "fr_BE"}, Language.FR),
        ({"LC_ALL": "", "LANG": "fr"}, Language.FR),
        ({}, Language.EN),
    ],
)
def test_language_of_the_terminal(environment, language):
    """The language is French where the locale is French, and English elsewhere."""
    assert spoken(environment) is language


def test_narrow_encoding(address):
    """A terminal that cannot show a mark shows a `?` in its place, not an error."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "DMP_AUTHZ": address}

    asked = subprocess.run(
        [sys.executable, "-m", "clients.cli", "check", *DOCTOR, *NOTE, "--lang", "fr"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=False,
    )

    assert (asked.returncode, asked.stderr) == (0, b"")
    assert b"Le patient a autoris? ce professionnel" in asked.stdout
    assert b"\x1b" not in asked.stdout
