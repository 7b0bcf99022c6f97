"""The clock jumps: nothing is lost, nothing crashes, and an authorisation ends at its instant."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from audit.database import reader, snapshot
from audit.entry import rfc3339, uuid7_ms
from audit.reader import find
from authz.v1 import authz_pb2 as pb
from tests.faults.figures import Figures
from tests.faults.served import served
from tests.faults.storm import Fault, storm
from tests.service import (
    ANASTA,
    NOW,
    POLICIES,
    change,
    copied,
    holder,
    opening,
    reading,
    running,
    stranger,
)

HOUR = timedelta(hours=1)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


async def test_an_authorisation_ends_at_its_instant(tmp_path):
    """It counts until the last microsecond before it expires, however the clock jumps meanwhile."""
    clock, own = Clock(), pb.OwnAuthorisation(authorise=True)
    asked = pb.GetPatientRequest(
        subject=holder(), patient=ANASTA, context=pb.Context(mode="normal")
    )
    async with running(tmp_path, clock=clock) as service:
        await service.door.change(opening())
        await service.door.change(change(stranger(), own_authorisation=own))
        (end,) = {
            one.expires_at.ToDatetime(NOW.tzinfo)
            for one in (await service.door.registry.GetPatient(asked)).patient.authorisations
            if one.grantee.id == stranger().id
        }
        found = []
        for moment in (end - timedelta(microseconds=1), end, NOW - 24 * HOUR, end + HOUR, NOW):
            clock.now = moment
            found.append((await service.door.check(reading())).effect == pb.EFFECT_ALLOW)

    assert found == [True, False, True, False, True]


async def test_the_log_counts_on_when_the_clock_goes_back(tmp_path):
    """Entries keep their order and each is found by its id, though its instant is before the last one's."""
    clock = Clock()
    async with running(tmp_path, policies=copied(tmp_path, "20", "30"), clock=clock) as service:
        answered = []
        for hours in (0, 5, -7, 0, 0, 24 * 366, -24 * 366):
            clock.now = NOW + hours * HOUR
            answered.append((await service.door.check(reading())).id)

        entries = service.entries()[1:]
        with snapshot(reader(service.url)) as conn:
            places = [find(conn, one).index for one in answered]
    assert answered == [entry["id"] for entry in entries]
    assert places == [entry["index"] for entry in entries] == list(range(1, 8))
    for entry, hours in zip(entries, (0, 5, -7, 0, 0, 24 * 366, -24 * 366), strict=True):
        assert entry["at"] == rfc3339(NOW + hours * HOUR)
        assert uuid7_ms(entry["id"]) == (NOW + hours * HOUR).timestamp() * 1000


@pytest.fixture
def hands(tmp_path: Path) -> Path:
    """The file that says by how much the clock of a process is wrong."""
    file = tmp_path / "hands"
    file.write_text("+0")
    return file


@pytest.fixture
def faked(faketime: dict[str, str], hands: Path) -> dict[str, str]:
    """The environment of a process with such a clock."""
    return {**faketime, "FAKETIME_TIMESTAMP_FILE": str(hands), "FAKETIME_NO_CACHE": "1"}


def jumps(hands: Path) -> dict[str, Fault]:
    """The ways in which a clock jumps."""

    def jump(by: str) -> Fault:
        async def write() -> None:
            await asyncio.to_thread(hands.write_text, by)

        return write

    return {
        f"clock set to {by}": jump(by) for by in ("+1h", "-1h", "+1d", "-1d", "+0.5", "-2", "+0")
    }


async def jump_often(folder: Path, hands: Path, faked: dict[str, str], **how: object) -> Figures:
    """Sets the clock of a service under load again and again."""
    figures, url = Figures("clock"), f"sqlite:///{folder}/authz.db"
    with served(folder, database=url, environment=faked, policies=how["policies"]) as one:
        await one.start()
        await storm(one, url, jumps(hands), rounds=how["rounds"], figures=figures)
    return figures


@pytest.mark.timeout(180)
async def test_a_clock_that_jumps_under_load(tmp_path, hands, faked):
    """Set an hour or a day back and forth under load, the service loses nothing and goes on."""
    policies = copied(tmp_path, "20", "30", "80")

    figures = await jump_often(tmp_path, hands, faked, policies=policies, rounds=7)

    assert figures.answers > 100


@pytest.mark.slow
@pytest.mark.timeout(1_800)
async def test_a_clock_that_jumps_often(tmp_path, hands, faked):
    """The same three hundred times."""
    figures = await jump_often(tmp_path, hands, faked, policies=POLICIES, rounds=300)

    figures.save()
