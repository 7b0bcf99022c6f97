"""The archive as a program, before a decision point in a process of its own."""

import json
import re
import select
import signal
import subprocess
import sys
from contextlib import contextmanager

import grpc
import pytest

from clients.archive.store import Store
from clients.archive.v1 import archive_pb2 as pb
from clients.archive.v1 import archive_pb2_grpc as rpc
from clients.sdk.testing import Pdp, allow
from tests.authz.tls import World
from tests.clients.archive.test_archive import SCAN
from tests.service import ANASTA, CHANNEL, POLICIES, doctor, process
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
    """With certificates it speaks mutual TLS to both ends, also where it could not without."""
    world = World.make(tmp_path / "pki", "authz", "archive", "portal")
    key, chain = world.files("authz")
    pair = [(key.read_bytes(), chain.read_bytes())]
    ours = grpc.ssl_server_credentials(pair, world.roots(), require_client_auth=True)
    options = [*CHANNEL, ("grpc.ssl_target_name_override", "archive")]
    request = pb.ReadImageRequest(subject=doctor(), patient=ANASTA, image="scan-1")
    Store(tmp_path).add(SCAN, b"pixels")
    pdp = Pdp(allow())
    given = ("--pki", str(world.folder.path), "--test", "--listen", "127.0.0.2:0")
    with (
        pdp.serving(credentials=ours) as point,
        archive(*given, "--authz", point, "--folder", str(tmp_path)) as (popen, address),
        grpc.secure_channel(address, world.credentials("portal"), options) as channel,
    ):
        answer = rpc.ArchiveServiceStub(channel).ReadImage(request, timeout=10)
        popen.send_signal(signal.SIGINT)
        code = popen.wait(20)

    assert answer.content == b"pixels"
    assert [asked.document.id for asked in pdp.asked] == ["scan-1"]
    assert code == 0


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
