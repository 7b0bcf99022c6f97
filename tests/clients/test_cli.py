"""The command `dmp` as a whole: what it lists, tells, passes on, and how it ends."""

import os
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from clients.cli import __main__, serve
from clients.cli.app import app
from tests.shared import ROOT

DMP = [sys.executable, "-m", "clients.cli"]
PLAIN = {"NO_COLOR": "1", "COLUMNS": "100", "DMP_POLICIES": str(ROOT / "policies")}


@pytest.fixture
def run():
    """Runs `dmp` with these arguments, in this process."""
    runner = CliRunner(env=PLAIN)
    return lambda *arguments: runner.invoke(app, arguments, prog_name="dmp")


def test_version(run):
    """`--version` prints the name and the version alone."""
    result = run("--version")

    assert result.exit_code == 0
    assert result.stdout.split() == ["dmp", "0.1.0"]


def test_help_lists_every_command(run):
    """The help names every command and where the exit codes are told."""
    result = run("--help")

    assert result.exit_code == 0
    for command in ("demo", "check", "serve", "policy", "log", "ins", "dmp help exit-codes"):
        assert command in result.stdout


def test_exit_codes_are_told(run):
    """`help exit-codes` tells what 0, 1, 2 and 3 mean."""
    result = run("help", "exit-codes")

    assert result.exit_code == 0
    assert [line[0] for line in result.stdout.splitlines()[:4]] == ["0", "1", "2", "3"]


@pytest.mark.parametrize("command", [("check",), ("log", "tail"), ("ins", "verify")])
def test_help_about_a_command(run, command):
    """`help COMMAND` says what `COMMAND --help` says."""
    result = run("help", *command)

    assert (0, run(*command, "--help").stdout) == (result.exit_code, result.stdout)


@pytest.mark.parametrize("command", ["demo", "check"])
def test_help_has_examples(run, command):
    """The help of each command shows how it is called and what its exit codes mean."""
    result = run(command, "--help")

    assert result.exit_code == 0
    assert f"dmp {command} " in result.stdout
    assert "Exit: 0" in result.stdout


@pytest.mark.parametrize(
    "arguments", [("chek_",), ("help", "cheque"), ("check", "--foo"), ("demo", "extra"), ("log",)]
)
def test_wrong_usage(run, arguments):
    """What is no command, option or argument is wrong usage."""
    result = run(*arguments)

    assert result.exit_code == 2


def test_suggestion(run):
    """A command with a slip is answered with the one that was meant."""
    result = run("chek_")

    assert "Did you mean 'check'?" in result.stderr


def test_serve_passes_everything_on(run, monkeypatch):
    """`serve authz` becomes the server, with all its arguments and in the same interpreter."""
    became = []
    monkeypatch.setattr(serve.os, "execv", lambda path, words: became.append((path, words)))
    arguments = ["--listen", "127.0.0.1:1=dossier", "--help"]

    run("serve", "authz", *arguments)

    server = [sys.executable, "-P", "-m", "authz", *arguments]
    assert became == [(sys.executable, server)]


def test_serve_and_ask(tmp_path):
    """A service started with `serve authz` on a unix socket is asked there, and stops when told to."""
    environment = {**os.environ, **PLAIN}
    address = f"unix:{tmp_path}/authz"
    arguments = ["--listen", f"{address}=operator", "--database", f"sqlite:///{tmp_path}/dmp.db"]
    server = subprocess.Popen(
        [*DMP, "serve", "authz", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        ready = server.stdout.readline()
        question = ["--as", "auditor", "--id", "AUD-1", "--action", "log.query"]

        asked = subprocess.run(
            [*DMP, "check", "--address", address, *question],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

        server.send_signal(signal.SIGTERM)
        assert ready == f"serving on {address}\n"
        assert (asked.returncode, asked.stdout.split()[:2]) == (0, ["ALLOW", "AUDITOR"])
        assert server.wait(20) == 0
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def test_interrupted_while_loading(monkeypatch):
    """A Ctrl-C at any time, even while modules are loaded, ends with 130 and no traceback."""
    ended = []

    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("clients.cli.app.app", interrupted)
    monkeypatch.setattr(__main__.os, "_exit", ended.append)

    __main__.main()

    assert ended == [130]
