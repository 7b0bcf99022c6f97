"""`dmp policy` as its users meet it: output, exit codes, and messages for what is wrong."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import orjson
import pytest
from typer.testing import CliRunner

from authz.policies import default_folder
from authz.workbench.commands import app
from tests.authz.workbench.test_scenarios import CAST
from tests.authz.workbench.world import POLICIES, TRY, bundle, files, rule, small
from tests.shared import ROOT

RULES = "rules/30-consultation.yaml"
SCENARIO = "scenarios/10-reading.yaml"
SCENARIOS = """theme: {fr: "Lire", en: "Reading"}
scenarios:
  - it: "La pharmacienne autorisée lit."
    given: {authorised: [pharmacist]}
    when: {who: pharmacist, does: document.read, document: report}
    then: allow
    because: AUTHORISED

  - it: "La pharmacienne inconnue ne lit pas."
    when: {who: pharmacist, does: document.read, document: report}
    then: deny
    because: NOT_AUTHORISED
"""
PROPERTIES = """properties:
  - id: no-reading-without-authorisation
    fr: "Sans autorisation valide, un professionnel ne lit que ses documents."
    en: "Without valid authorisation a professional reads only documents of their own."
    source: "CSP L.1111-15"
    kind: never
    effect: allow
    actions: [document.read]
    when:
      subject:
        $.kind: {condition: Equals, value: professional}
        $.authorisation: {condition: IsIn, values: [none, expired]}
        $.id: {condition: IsNotInAttribute, ace: resource, path: "$.authors"}
      context:
        $.mode: {condition: Equals, value: normal}
"""
FALSE = PROPERTIES.replace(
    "        $.authorisation: {condition: IsIn, values: [none, expired]}\n", ""
)


def write(folder, contents):
    """Writes files into a folder."""
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.fixture
def policies(tmp_path):
    """A small policy folder: one theme, two scenarios, one property."""
    folder = tmp_path / "policies"
    checks = {"scenarios/people.yaml": CAST, SCENARIO: SCENARIOS, "properties.yaml": PROPERTIES}
    write(folder, {**small(), RULES: files()[RULES], **checks})
    return folder


def dmp_policy(*arguments):
    """Runs `dmp policy`."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


# check


def test_check_the_project():
    """The project's policies are sound, without a warning, and the counts and the digest are told."""
    done = dmp_policy("check", POLICIES)

    *_, verdict, counts, digest = done.output.splitlines()
    assert done.exit_code == 0
    assert verdict.startswith("sound in ")
    assert f"{len(bundle().rules)} rules" in counts
    assert f"{len(bundle().habilitations.cells)} matrix cells" in counts
    assert digest == f"digest {bundle().digest}"


def test_check_shows_a_mistake(policies):
    """A mistake is shown with its place, its line, a caret and what would be right."""
    text = rule("{subject: {$.kind: {condition: Equalz, value: patient}}}")
    write(policies, {TRY: text})

    done = dmp_policy("check", policies)

    assert done.exit_code == 1
    assert done.output == (
        f"{policies}/{TRY}:11:43: error: rule try: unknown condition: `Equalz`\n"
        '   10 |     source: "test"\n'
        "   11 |     rules: {subject: {$.kind: {condition: Equalz, value: patient}}}\n"
        "      |                                           ^^^^^^ did you mean `Equals`?\n"
        "1 error in 12 files\n"
    )


def test_check_shows_all_mistakes(policies):
    """Mistakes of several files are all shown, scenarios and properties included."""
    write(
        policies,
        {
            SCENARIO: SCENARIOS.replace("who: pharmacist", "who: pharmcist", 1),
            "properties.yaml": PROPERTIES.replace("never", "nevr", 1),
        },
    )

    done = dmp_policy("check", policies, "--json")

    document = orjson.loads(done.output)
    assert done.exit_code == 1
    assert not document["sound"]
    assert [(m["path"], m["line"], m["hint"]) for m in document["mistakes"]] == [
        ("properties.yaml", 6, "did you mean `never`?"),
        (SCENARIO, 5, "did you mean `pharmacist`?"),
    ]
    assert "bundle" not in document


def test_check_json(policies):
    """The same for programs: counts, digest, no mistake."""
    document = orjson.loads(dmp_policy("check", policies, "--json").output)

    assert (document["sound"], document["files"], document["mistakes"]) == (True, 11, [])
    assert document["bundle"].keys() == {
        "digest",
        "facts",
        "rules",
        "inactive",
        "matrix_cells",
        "services",
        "scenarios",
        "properties",
    }
    assert (document["bundle"]["scenarios"], document["bundle"]["properties"]) == (2, 1)


def test_check_counts_inactive_rules(policies):
    """Rules that a parameter switches off are counted apart."""
    before = orjson.loads(dmp_policy("check", policies, "--json").output)["bundle"]
    path = policies / "parameters.yaml"
    text = path.read_text(encoding="utf-8")
    assert "value: [read, replace, delete]" in text
    path.write_text(text.replace("value: [read, replace, delete]", "value: [replace, delete]"))

    after = orjson.loads(dmp_policy("check", policies, "--json").output)["bundle"]

    assert before["rules"] > after["rules"]
    assert after["rules"] + after["inactive"] == before["rules"] + before["inactive"]
    assert after["digest"] != before["digest"]


def test_check_warns(policies):
    """What has no effect is a warning, and no mistake: an unnamed fact, an overridden rule, a lost file."""
    never = rule("{subject: {$.kind: {condition: Equals, value: structure}}}", uid="never")
    void = never.replace("uid: never", "uid: void").replace("effect: deny", "effect: allow")
    write(
        policies, {TRY: never, "rules/98-void.yaml": void, "rules/97-lost.yml": "", ".hidden": ""}
    )

    done = dmp_policy("check", policies, "--json")

    document = orjson.loads(done.output)
    warnings = [(w["path"], w["where"], w["message"]) for w in document["warnings"]]
    assert done.exit_code == 0
    assert document["sound"]
    assert ("rules/97-lost.yml", "file", "nobody reads this file") in warnings
    overridden = "never decides: always overridden by `never`"
    assert ("rules/98-void.yaml", "rule void", overridden) in warnings
    assert ("vocabulary.yaml", "fact resource.feeding", "no active rule names it") in warnings
    assert not any("hidden" in path and where == "file" for path, where, _ in warnings)


def test_a_fact_that_waits_for_a_parameter_is_no_warning():
    """Whatever the project's rules name is of use, even where a parameter switches the rule off."""
    found = dmp_policy("check", POLICIES, "--json")

    assert orjson.loads(found.output)["warnings"] == []


def test_check_shows_warnings(policies):
    """A warning is shown like a mistake, in the line that declares the fact."""
    shown = dmp_policy("check", policies).output

    assert ": warning: fact resource.feeding: no active rule names it\n" in shown
    assert "  - name: resource.feeding\n" in shown
    assert "^^^^^^^^^^^^^^^^ it changes no decision\n" in shown
    assert "\nsound, " in shown


def test_check_a_file_that_is_missing(policies):
    """A file that is missing or can't be read is named."""
    (policies / "parameters.yaml").unlink()
    (policies / "matrix/matrix.csv").unlink()
    (policies / "matrix/matrix.csv").mkdir()
    (policies / "rules/40-folder.yaml").mkdir()

    document = orjson.loads(dmp_policy("check", policies, "--json").output)

    assert [(m["path"], m["message"]) for m in document["mistakes"]] == [
        ("matrix/matrix.csv", "can't be read: Is a directory"),
        ("parameters.yaml", "can't be read: No such file or directory"),
        ("rules/40-folder.yaml", "can't be read: Is a directory"),
    ]


def test_check_too_many_files(policies, monkeypatch):
    """A folder with more files than are accepted is refused."""
    monkeypatch.setattr("authz.workbench.folder.MAX_FILES", 9)

    done = dmp_policy("check", policies)

    assert done.exit_code == 1
    assert "too many files: 11, at most 9" in done.output


def test_check_no_folder(tmp_path):
    """A folder that does not exist is wrong usage."""
    done = dmp_policy("check", tmp_path / "nothing")

    assert done.exit_code == 2
    assert done.stderr == (
        f"error: no such folder: `{tmp_path}/nothing`: name the folder that holds vocabulary.yaml\n"
    )


def test_check_hostile_text(policies):
    """What a file says never commands the terminal."""
    write(policies, {TRY: rule("{}") + "# \x1b[31m\u202e\n", RULES: "a: \x1b]0;x\x07\n"})

    shown = dmp_policy("check", policies).output

    assert "invisible character U+001B" in shown
    assert not set(shown) & {"\x1b", "\x07", "\u202e"}


def test_check_long_lines(policies):
    """Of a very long line only the part around the mistake is shown."""
    pad = "x" * 5_000
    text = rule("{}").replace('"Essai."', f'"{pad}"', 1).replace("deny", f"{pad}", 1)
    write(policies, {TRY: text})

    shown = dmp_policy("check", policies).output

    assert max(map(len, shown.splitlines()[1:])) < 400


# test


def test_test_the_project():
    """All that the project's policies promise is so."""
    done = dmp_policy("test", POLICIES)

    assert done.exit_code == 0
    assert done.output.splitlines()[-1].endswith(" passed, 0 failed")
    assert "FAIL" not in done.output


def test_test(policies):
    """A report has a line a theme, one for properties, and the sums."""
    done = dmp_policy("test", policies)

    assert done.exit_code == 0
    assert done.output.splitlines() == [
        "Lire  2 passed",
        "Propriétés  1 passed",
        "3 passed, 0 failed",
    ]


def test_test_verbose(policies):
    """All that passed is listed on demand, in either language, and how far a property was checked."""
    shown = dmp_policy("test", policies, "--verbose", "--lang", "en").output

    assert shown.splitlines() == [
        "Reading  2 passed",
        f"  ok   {policies}/{SCENARIO}:3 La pharmacienne autorisée lit.",
        f"  ok   {policies}/{SCENARIO}:9 La pharmacienne inconnue ne lit pas.",
        "Properties  1 passed",
        (
            f"  ok   {policies}/properties.yaml:2 no-reading-without-authorisation: Without valid "
            "authorisation a professional reads only documents of their own. "
            "(every request, in 2 cases)"
        ),
        "3 passed, 0 failed",
    ]


def test_test_shows_a_failed_scenario(policies):
    """A failed scenario shows what was expected, what came, who decided, and the facts."""
    write(policies, {SCENARIO: SCENARIOS.replace("NOT_AUTHORISED", "BLOCKED")})

    done = dmp_policy("test", policies)

    shown = done.output.splitlines()
    assert done.exit_code == 1
    assert shown[:3] == [
        "Lire  1 passed, 1 failed",
        f"  FAIL {policies}/{SCENARIO}:9 La pharmacienne inconnue ne lit pas.",
        "         expected deny BLOCKED, got deny NOT_AUTHORISED",
    ]
    assert shown[3].startswith(f"         decided by not-authorised ({RULES}:")
    assert shown[4].startswith("         facts: action.name = document.read, subject.kind = ")
    assert "subject.authorisation = none" in shown[4]
    assert shown[-1] == "2 passed, 1 failed"


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (
            "fr",
            [
                "l'acte demandé: consulter un document",
                "la qualité de la personne qui demande: professionnel",
            ],
        ),
        (
            "en",
            ["the action asked for: read a document", "what the person who asks is: professional"],
        ),
    ],
    ids=["fr", "en"],
)
def test_test_shows_a_counterexample(policies, language, words):
    """A property that does not hold shows a request that contradicts it, in words."""
    write(policies, {"properties.yaml": FALSE})

    done = dmp_policy("test", policies, "--lang", language)

    assert done.exit_code == 1
    assert "         this request gets allow (" in done.output
    assert "         decided by read-" in done.output
    assert all(f"           {line}\n" in done.output for line in words)
    assert "∉ " in done.output


def test_test_shows_what_is_vacuous(policies):
    """A property that says nothing fails, and says why."""
    text = PROPERTIES.replace("document.read", "document.hide_from_patient")
    write(policies, {"properties.yaml": text})

    done = dmp_policy("test", policies)

    assert done.exit_code == 1
    assert "no rule comes near to allowing this" in done.output


def test_test_only(policies):
    """A part of the scenarios and properties may be tested alone, by file, sentence or id."""
    counts = {
        text: dmp_policy("test", policies, "--only", text).output.splitlines()[-1]
        for text in ("10-reading", "inconnue", "no-reading", "professional reads")
    }

    assert counts == {
        "10-reading": "2 passed, 0 failed",
        "inconnue": "1 passed, 0 failed",
        "no-reading": "1 passed, 0 failed",
        "professional reads": "1 passed, 0 failed",
    }


def test_test_nothing(policies):
    """A run that tests nothing fails, and says so."""
    done = dmp_policy("test", policies, "--only", "no such thing")

    assert done.exit_code == 1
    assert done.stderr == "nothing was tested: `no such thing` is in no scenario and no property\n"


def test_test_without_scenarios(policies):
    """A folder with neither scenarios nor properties is not thereby tested."""
    for name in ("scenarios/people.yaml", SCENARIO, "properties.yaml"):
        (policies / name).unlink()

    done = dmp_policy("test", policies)

    assert done.exit_code == 1
    assert done.output.splitlines()[0] == "0 passed, 0 failed"


def test_test_with_a_mistake_in_a_scenario(policies):
    """A scenario that can't be read is told and counts as failed; the others are tested."""
    write(policies, {SCENARIO: SCENARIOS.replace("who: pharmacist", "who: pharmcist", 1)})

    done = dmp_policy("test", policies)

    assert done.exit_code == 1
    assert "unknown person: `pharmcist`" in done.output
    assert done.output.splitlines()[-1] == "2 passed, 1 failed"


def test_test_with_a_mistake_in_a_rule(policies):
    """Policies that are no bundle are not tested: their mistakes are shown."""
    write(policies, {TRY: rule("{subjct: {}}")})

    done = dmp_policy("test", policies)

    assert done.exit_code == 1
    assert "unknown key: `subjct`" in done.output
    assert done.output.splitlines()[-1] == "1 error in 12 files"


def test_test_json(policies):
    """The same for programs."""
    write(policies, {"properties.yaml": FALSE})

    done = dmp_policy("test", policies, "--json")

    document = orjson.loads(done.output)
    assert done.exit_code == 1
    assert (document["passed"], document["failed"], document["sound"]) == (2, 1, True)
    assert [s["passed"] for s in document["scenarios"]] == [True, True]
    assert document["scenarios"][1]["expected"] == {
        "effect": "deny",
        "reason": "NOT_AUTHORISED",
        "obligations": [],
    }
    assert document["scenarios"][1]["got"]["rules"] == ["not-authorised"]
    stated = document["properties"][0]
    assert (stated["id"], stated["holds"], stated["exact"]) == (
        "no-reading-without-authorisation",
        False,
        True,
    )
    assert stated["counterexample"]["subject.authorisation"] == "valid"
    assert stated["got"]["effect"] == "allow"


def test_test_json_of_no_bundle(policies):
    """Programs are told the mistakes of policies that can't be tested."""
    write(policies, {TRY: rule("{subjct: {}}")})

    document = orjson.loads(dmp_policy("test", policies, "--json").output)

    assert (document["passed"], document["failed"], document["sound"]) == (0, 1, False)
    assert document["mistakes"][0]["hint"] == "did you mean `subject`?"


def test_test_junit(policies, tmp_path):
    """A JUnit report has a suite a file, a case a scenario or property, and each failure in words."""
    write(policies, {SCENARIO: SCENARIOS.replace("NOT_AUTHORISED", "BLOCKED")})
    report = tmp_path / "report.xml"

    done = dmp_policy("test", policies, "--junit", report)

    root = ET.fromstring(report.read_bytes())
    assert done.exit_code == 1
    assert root.attrib == {"tests": "3", "failures": "1", "errors": "0", "skipped": "0"}
    assert [(s.get("name"), s.get("tests")) for s in root] == [
        (SCENARIO, "2"),
        ("properties.yaml", "1"),
    ]
    failure = root.find("./testsuite/testcase/failure")
    assert failure.get("message") == "expected deny BLOCKED, got deny NOT_AUTHORISED"
    assert "decided by not-authorised" in failure.text
    assert (
        root.find("./testsuite/testcase[2]").get("name") == "La pharmacienne inconnue ne lit pas."
    )


def test_test_junit_of_no_bundle(policies, tmp_path):
    """A JUnit report of policies that can't be tested has a failure a mistake, and is still XML."""
    write(policies, {TRY: rule("{subjct: {}, \x1b: <&]]>}")})
    report = tmp_path / "report.xml"

    done = dmp_policy("test", policies, "--junit", report)

    root = ET.fromstring(report.read_bytes())
    assert done.exit_code == 1
    assert root.get("failures") == root.get("tests") == "1"
    assert root.find("./testsuite/testcase").get("name") == "file: invisible character U+001B"


def test_test_junit_that_cannot_be_written(policies, tmp_path):
    """A report that can't be written is wrong usage."""
    done = dmp_policy("test", policies, "--junit", tmp_path / "no" / "report.xml")

    assert done.exit_code == 2
    assert done.stderr.endswith("report.xml`: No such file or directory\n")


@pytest.mark.parametrize("samples", ["0", "-1", "many"])
def test_test_samples(policies, samples):
    """A sample has at least one request."""
    assert dmp_policy("test", policies, "--samples", samples).exit_code == 2


# rules


def test_rules(policies):
    """The rules that can apply to an action are listed, those of highest priority first."""
    done = dmp_policy("rules", policies, "--action", "dossier.update", "--lang", "en")

    rows = [line.split("\t") for line in done.output.splitlines()]
    assert done.exit_code == 0
    assert [len(row) for row in rows] == [5] * len(rows)
    assert rows[0][:3] == ["mode-unknown", "deny", "MODE_UNKNOWN"]
    assert ["read-authorised", "allow", "AUTHORISED"] in [row[:3] for row in rows]
    assert not any(row[0] == "read-author" for row in rows)


def test_rules_json(policies):
    """The same for programs, with all that a rule has."""
    listed = orjson.loads(dmp_policy("rules", policies, "--json").output)

    one = next(rule for rule in listed if rule["uid"] == "warn-hidden-from-patient")
    assert one.keys() == {
        "uid",
        "effect",
        "priority",
        "reason",
        "told",
        "source",
        "obligations",
        "actions",
        "place",
    }
    assert (one["obligations"], one["actions"]) == (["warn_hidden_from_patient"], ["document.read"])
    assert one["place"].startswith(f"{RULES}:")


def test_rules_unknown_action(policies):
    """An action that does not exist is wrong usage, with a suggestion."""
    done = dmp_policy("rules", policies, "--action", "document.reads")

    assert done.exit_code == 2
    assert done.stderr == "error: unknown action: `document.reads`: did you mean `document.read`?\n"


def test_rules_of_no_bundle(policies):
    """Rules of policies with mistakes are not listed: the mistakes are."""
    write(policies, {TRY: rule("{subjct: {}}")})

    done = dmp_policy("rules", policies)

    assert done.exit_code == 1
    assert "did you mean `subject`?" in done.output


# Around the commands.


def test_default_folder(tmp_path, monkeypatch):
    """The policies are those of DMP_POLICIES, else those here, else those that came with the program."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DMP_POLICIES", raising=False)
    packaged = default_folder()
    (tmp_path / "policies").mkdir()
    here = default_folder()
    monkeypatch.setenv("DMP_POLICIES", "/etc/dmp")
    named = default_folder()

    assert (named, here) == (Path("/etc/dmp"), Path("policies"))
    assert packaged == Path(sys.prefix, "share", "dmp-acces", "policies")


def test_default_folder_is_used(policies, monkeypatch):
    """Without a folder on the command line the default one is checked."""
    monkeypatch.setenv("DMP_POLICIES", str(policies))

    done = dmp_policy("test")

    assert done.output.splitlines()[-1] == "3 passed, 0 failed"


@pytest.mark.parametrize("command", [[], ["check"], ["test"], ["rules"]])
def test_help(command):
    """Each command says what it does, with examples and exit codes."""
    shown = dmp_policy(*command, "--help").output

    assert "Usage" in shown
    assert not command or ("dmp policy " + command[0] in shown and "Exit: 0" in shown)


@pytest.mark.parametrize(
    ("no_color", "coloured"), [("", True), ("1", False)], ids=["colour", "none"]
)
def test_colour(policies, no_color, coloured):
    """On a terminal there is colour, unless NO_COLOR is set."""
    master, slave = os.openpty()
    environment = {**os.environ, "NO_COLOR": no_color, "TERM": "xterm", "COLUMNS": "200"}
    if not no_color:
        del environment["NO_COLOR"]

    done = subprocess.run(
        [sys.executable, "-m", "authz.workbench", "test", str(policies)],
        cwd=ROOT,
        env=environment,
        stdout=slave,
        stderr=slave,
        check=False,
    )
    os.close(slave)
    shown = os.read(master, 65_536).decode()
    os.close(master)

    assert done.returncode == 0
    assert "3 passed, 0 failed" in shown
    assert ("\x1b[32m" in shown) is coloured


def test_rules_on_a_terminal(policies):
    """On a terminal the rules are a table with a heading."""
    master, slave = os.openpty()

    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "authz.workbench",
            "rules",
            str(policies),
            "--action",
            "dossier.update",
        ],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1", "TERM": "xterm", "COLUMNS": "200"},
        stdout=slave,
        stderr=slave,
        check=False,
    )
    os.close(slave)
    shown = os.read(master, 65_536).decode()
    os.close(master)

    assert done.returncode == 0
    assert "uid" in shown.splitlines()[0]
    assert "read-authorised" in shown
