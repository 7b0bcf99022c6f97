"""The commands `dmp ins`."""

import json

import pytest
from typer.testing import CliRunner

from clients.cli.ins import app

TRAITS = ["--first-name", "JEAN", "--birth", "500801", "--nir", "1500815051040"]


@pytest.fixture
def run():
    """Runs `dmp ins` with these arguments."""
    runner = CliRunner(env={"NO_COLOR": "1", "COLUMNS": "200"})
    return lambda *arguments: runner.invoke(app, arguments)


def test_compute_prints_the_number_alone(run):
    """`compute` prints nothing but the INS-C, so that a script can take it as it is."""
    result = run("compute", *TRAITS)

    assert (result.exit_code, result.stdout) == (0, "1541187387477485562488\n")


def test_compute_as_json(run):
    """`compute --json` prints the number, its body and its key."""
    result = run("compute", *TRAITS, "--json")

    expected = {
        "valid": True,
        "kind": "INS-C",
        "number": "1541187387477485562488",
        "body": "15411873874774855624",
        "key": "88",
    }
    assert (0, expected) == (result.exit_code, json.loads(result.stdout))


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--first-name", "LŒTITIA", "write the name as on the card"),
        ("--birth", "1950-08-01", "yymmdd"),
        ("--nir", "7500815051040", "wait for the definitive one"),
        ("--nir", "150081505104099", "the digits before it give"),
    ],
)
def test_compute_names_the_bad_option(run, option, value, words):
    """A trait that cannot be used is wrong input: the option is named and nothing is printed."""
    result = run("compute", *TRAITS, option, value)

    assert (result.exit_code, result.stdout) == (2, "")
    assert option in result.stderr
    assert words in result.stderr


@pytest.mark.parametrize(
    ("number", "line"),
    [
        ("1541187387477485562488", "valid INS-C, key 88\n"),
        ("279035121518989", "valid INS-NIR, key 89\n"),
    ],
)
def test_verify_accepts(run, number, line):
    """`verify` says of which kind a valid number is."""
    result = run("verify", number)

    assert (0, line) == (result.exit_code, result.stdout)


def test_verify_gives_the_reasons(run):
    """The deck's number is not valid, for two reasons, and no other number is proposed."""
    result = run("verify", "3418935386100576927851")

    assert result.exit_code == 1
    assert [line[: line.find(":") + 1] or line for line in result.stdout.splitlines()] == [
        "not valid",
        "  range:",
        "  key:",
    ]


def test_verify_gives_the_reasons_as_json(run):
    """`verify --json` prints the broken rules as data."""
    result = run("verify", "3418935386100576927851", "--json")

    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["valid"]) == (1, False)
    assert [failure["rule"] for failure in answer["failures"]] == ["range", "key"]


@pytest.mark.parametrize("arguments", [(), ("verify",), ("compute",), ("correct", "1")])
def test_wrong_usage(run, arguments):
    """Missing arguments and unknown commands are wrong usage."""
    result = run(*arguments)

    assert result.exit_code == 2


@pytest.mark.parametrize("command", ["compute", "verify"])
def test_help_has_examples(run, command):
    """The help of each command shows how it is called and what its exit codes mean."""
    result = run(command, "--help")

    assert result.exit_code == 0
    assert f"dmp ins {command} " in result.stdout
    assert "Exit: 0" in result.stdout
