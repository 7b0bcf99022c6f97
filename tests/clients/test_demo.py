"""`dmp demo`: the story is played on real documents, by two real services, and goes as it says."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from audit.database import reader, snapshot
from audit.reader import batches
from authz import ins
from authz.errors import InsError
from clients.cli import cast
from clients.cli.app import app
from clients.cli.scenes.review import REVIEW
from clients.cli.story import OBLIGATIONS, SCENES
from clients.cli.tell import Ending
from tests.shared import ROOT

DMP = [sys.executable, "-m", "clients.cli"]
LINES = [line for scene in SCENES for line in scene.lines]


def environment(policies=ROOT / "policies", **more):
    """What the command finds around it."""
    return {**os.environ, "COLUMNS": "100", "DMP_POLICIES": str(policies), **more}


def dmp(*arguments, **more):
    """Runs `dmp` in a process of its own."""
    return subprocess.run(
        [*DMP, *arguments],
        cwd=ROOT,
        env=environment(**more),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def told():
    """The story as people read it, in English."""
    return dmp("demo", "--once")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the story's database is kept."""
    return tmp_path_factory.mktemp("kept") / "story"


@pytest.fixture(scope="module")
def data(folder):
    """The story as programs read it."""
    return dmp("demo", "--once", "--json", "--keep", str(folder))


def test_all_goes_as_the_story_says(told):
    """The tour ends with 0, having said that every decision is the story's and is in the log."""
    assert (told.returncode, told.stderr) == (0, "")
    assert f"{len(LINES)} decisions" in told.stdout
    assert "all as the story says" in told.stdout
    assert "no decision is missing; chain verified" in told.stdout
    assert "acts in the record, each with its one decision" in told.stdout


def test_every_scene_is_told(told):
    """Each scene has its title, and each line its effect and its reason code, in their order."""
    rest = told.stdout
    for scene in SCENES:
        _, found, rest = rest.partition(scene.title.en)
        assert found
        for line in scene.lines:
            _, found, rest = rest.partition(line.then)
            assert found
            _, found, rest = rest.partition(line.because)
            assert found


def test_the_tour_is_plain_text(told):
    """Where the output is no terminal there are no colours, and no line is too wide but commands."""
    lines = [
        line for line in told.stdout.splitlines() if ".venv/" not in line and "dmp " not in line
    ]

    assert "\x1b" not in told.stdout
    assert max(map(len, lines)) <= 100


def test_documents_are_shown(told):
    """People see what they read, that no byte changed, and an emergency marked from top to bottom."""
    for words in ("CRP : 4 mg/L", "bytes, as they were deposited", "▌ ", " BREAK-GLASS  emergency"):
        assert words in told.stdout


def test_who_may_not_know_is_told_nothing(told):
    """Who may not see a document is told the same as if there were none; the log tells the two apart."""
    _, _, rest = told.stdout.partition("asks for the summary by its id")

    assert "HABILITATION_DENIED" in rest[:400]
    assert "is told only: DOCUMENT_UNAVAILABLE" in rest[:600]


def test_messages_are_shown(told):
    """The messages that would have gone to a mobile phone are counted, and one is shown."""
    _, found, rest = told.stdout.partition("SMS in the outbox file, for example:")

    assert found
    assert rest.strip().startswith("DMP : ")


def test_no_password_is_shown(told, data, folder):
    """The password of the new account stands in the letter, and nowhere on the screen."""
    letter = (folder / "letter.txt").read_text(encoding="utf-8")
    password = letter.partition("Mot de passe temporaire : ")[2].split()[0]

    assert len(password) > 8
    assert password not in data.stdout
    assert "login " in told.stdout
    assert (folder / "letter.txt").stat().st_mode & 0o077 == 0


def test_the_refusal_is_explained(told):
    """The stranger is told which rule came nearest and what would have made it yes."""
    for words in ("nearest to yes", "✗ ", "It would be yes if: the patient authorises"):
        assert words in told.stdout


def test_the_printed_number_is_refused(told):
    """The number of the slides is shown, refused with its reasons, and not used."""
    with pytest.raises(InsError):
        ins.verify(cast.PRINTED)
    assert "1113109067725142806651" == cast.INS
    assert cast.PRINTED in told.stdout
    assert "refused: its first 20 digits are above 2^64 - 1" in told.stdout


def test_it_says_how_to_go_on(told):
    """The tour ends with commands to try."""
    for command in ("dmp serve authz", "dmp serve dossier", "dmp dossier find", "dmp demo"):
        assert command in told.stdout


def test_story_as_data(data):
    """`--json` prints a line of JSON for each decision, with what the story wanted."""
    lines = [json.loads(line) for line in data.stdout.splitlines()]
    decisions = [line["decision"] for line in lines if "decision" in line]

    assert data.returncode == 0
    wanted = [(line.then.lower(), line.because) for line in LINES]
    assert wanted == [(one["effect"], one["reason_code"]) for one in decisions]
    assert lines[-1]["not_as_told"] == 0
    assert lines[-1]["log"]["verified"]
    assert lines[-1]["log"]["missing"] == 0
    assert lines[-1]["record"]["faults"] == 0
    assert lines[-1]["record"]["acts"] >= len(LINES) - len(REVIEW.lines)


def test_obligations_have_words(data):
    """Each obligation that the story meets can be said in words."""
    lines = [json.loads(line) for line in data.stdout.splitlines()]
    met = {name for line in lines for name in line.get("decision", {}).get("obligations", ())}

    assert set(OBLIGATIONS) == met


def test_the_log_is_kept(data, folder):
    """With `--keep` the log can be read and verified after the services have stopped; it may have grown."""
    url = f"sqlite:///{folder}/dmp.db"

    verified = dmp("log", "verify", "--json", "--database", url)
    held = dmp(
        *("audit", "completeness", "--json", "--database", url),
        *("--dossier", f"sqlite:///{folder}/dossier.db"),
    )

    expected = json.loads(data.stdout.splitlines()[-1])
    found = json.loads(verified.stdout)
    assert found["intact"]
    assert expected["log"]["entries"] <= found["count"]
    with snapshot(reader(url)) as conn:
        links = {batch.end: batch.hash.hex() for batch in batches(conn, "authz-1")}
    assert expected["log"]["hash"] == links[expected["log"]["entries"]]
    assert json.loads(held.stdout)["holds"]
    assert json.loads(held.stdout)["acts"] == expected["record"]["acts"]


def test_a_kept_folder_is_not_used_again(data, folder):
    """A folder that holds a database already is refused, as the story would not begin at its beginning."""
    assert data.returncode == 0
    runner = CliRunner(env={"NO_COLOR": "1", "COLUMNS": "200"})

    again = runner.invoke(app, ["demo", "--once", "--keep", str(folder)])

    assert again.exit_code == 2
    assert "holds a database already" in again.stderr


def test_another_policy_tells_another_story(tmp_path):
    """Where a decision is not the story's, the tour says what was wanted, and ends with 1."""
    policies = shutil.copytree(ROOT / "policies", tmp_path / "policies")
    parameters = policies / "parameters.yaml"
    before = parameters.read_text(encoding="utf-8")
    head, name, tail = before.partition("- name: block.stops.bris_de_glace")
    parameters.write_text(head + name + tail.replace("value: true", "value: false", 1), "utf-8")

    played = dmp("demo", "--once", "--lang", "fr", policies=policies)

    assert played.returncode == 1
    assert "✗ l'histoire voulait DENY BLOCKED" in played.stdout
    assert f"1 des {len(LINES)} décisions ne sont pas ce que l'histoire veut" in played.stdout


def test_policies_that_do_not_load(tmp_path):
    """Policies that are refused end the tour with 3, and every mistake is shown."""
    policies = shutil.copytree(ROOT / "policies", tmp_path / "policies")
    (policies / "rules" / "99-mine.yaml").write_text("rules: 1\n", encoding="utf-8")

    played = dmp("demo", "--once", policies=policies)

    assert (played.returncode, played.stdout) == (3, "")
    assert "the service did not start" in played.stderr
    assert "rules/99-mine.yaml:1" in played.stderr


@pytest.mark.parametrize(
    "ending", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_the_service_stays(ending):
    """Without `--once` the printed commands reach the service; when the tour ends, so does the service."""
    tour = subprocess.Popen(
        [*DMP, "demo"], cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        lines = []
        for line in tour.stdout:
            lines.append(line.strip())
            if line.endswith("policy test\n"):
                break
        (settings,) = (line for line in lines if line.startswith("export "))
        given = dict(pair.split("=", 1) for pair in settings.split()[1:])
        (question,) = (line for line in lines if "check --id" in line)
        (listing,) = (line for line in lines if "dossier list" in line)

        asked = dmp(*question.split()[1:], **given)
        logged = dmp("log", "tail", "-n", "5", "--json", **given)
        listed = dmp(*listing.split()[1:], **given)
        tour.send_signal(ending)
        ended = tour.wait(20)
        gone = [dmp(*line.split()[1:], **given).returncode for line in (question, listing)]

        assert (asked.returncode, asked.stdout.split()[:2]) == (1, ["DENY", "NOT_AUTHORISED"])
        last = {json.loads(line)["reason_code"] for line in logged.stdout.splitlines()}
        assert "NOT_AUTHORISED" in last
        assert (listed.returncode, "(corrigé)" in listed.stdout) == (0, True)
        assert (ended, gone) == (0, [3, 3])
    finally:
        tour.terminate()
        tour.wait()
        tour.stdout.close()


@pytest.mark.parametrize(
    ("damage", "missing", "faults", "holds"),
    [("", 0, 0, True), ("altered", 0, 0, False), ("", 1, 0, False), ("", 0, 1, False)],
)
def test_ending_holds(damage, missing, faults, holds):
    """The ending holds only when the log is verified, nothing is missing, and the record agrees."""
    ending = Ending(entries=(), count=0, damage=damage, missing=missing, hash="", faults=faults)

    assert ending.holds is holds


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.title.en)
def test_everything_is_said_twice(scene):
    """Each title, lead and deed is told in French and in English, not in one of them twice."""
    said = [scene.title, scene.lead, *(line.does for line in scene.lines)]

    assert all(one.fr and one.en and one.fr != one.en for one in said)
