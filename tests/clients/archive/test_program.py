"""The archive as a program, before a decision point in a process of its own."""

import json
import re
import select
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from tests.authz.tls import World
from tests.service import POLICIES, process
from tests.shared import ROOT

STORY = re.compile(r"^```\n(the patient is told.*?)^```", re.MULTILINE | re.DOTALL)


@contextmanager
def archive(*arguments):
    """The program; gives the process and its address."""
    command = [sys.executable, "-P", "-m", "clients.archive", "--listen", "127.0.0.1:0", *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as popen:
        try:
            ready, _, _ = select.select([popen.stdout], [], [], 30)
            assert ready, "not ready in time"
            yield popen, popen.stdout.readline().removeprefix("serving on ").strip()
        finally:
            popen.kill()


def test_story(tmp_path):
    """The story that the page shows is what happens, and the notices are in the outbox."""
    behind = ("--listen", "127.0.0.1:0=archive", "--policies", str(POLICIES))
    with process(tmp_path, *behind) as point:
        assert point.address
        operator, own = point.out[0].removeprefix("serving on ").strip().split(", ")
        with archive("--authz", own, "--folder", str(tmp_path / "images")) as (popen, address):
            tour = [sys.executable, "-P", "-m", "clients.archive.tour"]
            told = subprocess.run(
                [*tour, "--authz", operator, "--archive", address],
                capture_output=True,
                text=True,
                check=False,
            )
            popen.send_signal(signal.SIGTERM)
            code = popen.wait(20)

    (story,) = STORY.findall((ROOT / "docs" / "sdk.md").read_text(encoding="utf-8"))
    assert (told.stdout, told.stderr) == (story, "")
    notices = (tmp_path / "images" / "outbox.jsonl").read_text().splitlines()
    assert [json.loads(line)["obligation"] for line in notices] == [
        "notify_holder",
        "notify_holder",
        "notify_treating_doctor",
        "review",
    ]
    assert code == 0


def test_with_certificates(tmp_path):
    """With certificates it serves where it could not without, and stops when it is told to."""
    pki = World.make(tmp_path / "pki", "archive").folder.path
    arguments = ("--pki", str(pki), "--test", "--listen", "127.0.0.2:0")
    with archive(*arguments, "--folder", str(tmp_path)) as (popen, address):
        popen.send_signal(signal.SIGINT)

        assert address.startswith("127.0.0.2:")
        assert popen.wait(20) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--listen", "0.0.0.0:0"), "without TLS only 127.0.0.1"),
        (("--authz", "dmp.example:7443"), "without TLS only loopback"),
        (("--pki", "nowhere"), "nowhere"),
    ],
    ids=["listens elsewhere", "asks elsewhere", "no certificates"],
)
def test_wrong_settings(tmp_path, arguments, said):
    """What can't be is told in one line."""
    command = [sys.executable, "-P", "-m", "clients.archive", "--folder", str(tmp_path)]

    ended = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == 1
    assert ended.stderr.startswith("error: ")
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
