"""`dmp watch`, against a stand-in over a real socket."""

import json
import os
import signal
import subprocess
import sys

import grpc
import pytest
from typer import Typer
from typer.testing import CliRunner

from clients.cli.watch import watch as command
from clients.sdk.testing import Pdp, allow, deny
from tests.authz.tls import World
from tests.clients.sdk.samples import INS
from tests.shared import ROOT


@pytest.fixture
def pdp():
    """A decision point in whose registry two things have happened."""
    pdp = Pdp({"registry.watch": allow()})
    pdp.happens("policy.activate")
    pdp.happens("authorisation.revoke", INS)
    return pdp


@pytest.fixture
def watch():
    """Watches at an address."""
    app = Typer()
    app.command()(command)
    runner = CliRunner(env={"NO_COLOR": "1", "COLUMNS": "100"})
    return lambda address, *arguments: runner.invoke(app, ["--address", address, *arguments])


def test_one_line_an_event(watch, pdp):
    """Each event is a line: revision, instant, act and patient; new policies concern nobody alone."""
    with pdp.serving() as address:
        result = watch(address, "--once")

    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["1", "2026-05-04", "10:00:00", "policy.activate", "-"],
        ["2", "2026-05-04", "10:00:00", "authorisation.revoke", INS],
    ]


def test_after_a_revision(watch, pdp):
    """`--after` leaves out what is known."""
    with pdp.serving() as address:
        some, none = watch(address, "--once", "--after", "1"), watch(address, "--once", "--after=2")

    assert some.stdout.split()[0] == "2"
    assert (none.exit_code, none.stdout) == (0, "")


def test_json(watch, pdp):
    """`--json` prints one object a line, with the decision."""
    with pdp.serving() as address:
        result = watch(address, "--once", "--json")

    policies, event = map(json.loads, result.stdout.splitlines())
    assert policies["patient"] == ""
    assert event == {
        "revision": 2,
        "at": "2026-05-04T10:00:00+00:00",
        "action": "authorisation.revoke",
        "patient": INS,
        "decision_id": event["decision_id"],
    }
    assert event["decision_id"]


def test_mutual_tls(watch, pdp, tmp_path):
    """The registry is followed by mutual TLS, too, and by no other way where that is asked for."""
    world = World.make(tmp_path / "pki", "authz", "dossier")
    pair = [tuple(path.read_bytes() for path in world.files("authz"))]
    credentials = grpc.ssl_server_credentials(pair, world.roots(), require_client_auth=True)
    key, chain = map(str, world.files("dossier"))
    roots = str(world.folder.path / "authorities")

    with pdp.serving(credentials=credentials) as address:
        arguments = ("--tls-key", key, "--tls-chain", chain, "--roots", roots)
        by_tls = watch(address, "--once", *arguments)
        plainly = watch(address, "--once", "--timeout", "0.2")

    assert (by_tls.exit_code, len(by_tls.stdout.splitlines())) == (0, 2)
    assert (plainly.exit_code, plainly.stdout) == (3, "")


def test_denied(watch):
    """Who may not watch exits with 1, and is told why."""
    with Pdp(deny("CALLER_REFUSED")).serving() as address:
        result = watch(address)

    assert (result.exit_code, result.stdout) == (1, "")
    assert "CALLER_REFUSED" in result.stderr


def test_no_such_revision(watch, pdp):
    """A revision that the registry has not reached exits with 2 and the remedy."""
    with pdp.serving() as address:
        result = watch(address, "--after", "3")

    assert result.exit_code == 2
    assert "watch again from 0" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [("10.0.0.1:7443",), ("nowhere",), ("127.0.0.1:1", "--tls-key", "key.pem")],
    ids=["without TLS", "no address", "half of TLS"],
)
def test_wrong_usage(watch, arguments):
    """What can't be used exits with 2, without a question."""
    result = watch(*arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")


def test_nobody_there(watch):
    """Where no service is, the command exits with 3 and says how to start one."""
    result = watch("127.0.0.1:1", "--timeout", "0.3")
    as_json = watch("127.0.0.1:1", "--timeout", "0.3", "--json")

    assert (result.exit_code, as_json.exit_code) == (3, 3)
    assert "no service at `127.0.0.1:1`: start one with `dmp serve authz`" in result.stderr
    assert "no service" in json.loads(as_json.stdout)["error"]


def test_service_that_goes_and_comes(pdp):
    """A service that goes is waited for; when it does not come back, one is told where to go on."""
    with pdp.serving() as address, following(address, "--timeout", "1") as process:
        assert process.stdout.readline().split()[0] == "1"
        pdp.hang_up()
        pdp.happens("block.set", INS)
        assert [process.stdout.readline().split()[0] for _ in range(2)] == ["2", "3"]
        pdp.down()
        _, err = process.communicate(timeout=30)

    assert process.returncode == 3
    assert "dmp watch --after 3" in err


def test_stopped_by_ctrl_c(pdp):
    """Ctrl-C ends it at once, without a traceback."""
    with pdp.serving() as address, following(address) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)

    assert (process.returncode, err) == (130, "")


def following(address, *arguments):
    """The command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "clients.cli", "watch", "--address", address, *arguments],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
