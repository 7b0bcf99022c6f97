"""The audit service: what it follows, what it tells, how it begins and ends."""

from tests.audit.office.served import running
from tests.service import doctor, reading


async def test_follows_and_seals(tmp_path, database):
    """What is decided is in the index and under a checkpoint, on either database."""
    async with running(tmp_path, database=database) as audit:
        await audit.open()
        await audit.decide(reading(doctor()))
        wanted = await audit.settled(seconds=5)
        status = await audit.status()
        assert (status.standing.behind, status.standing.sealed) == (0, wanted)
        assert [(one.log, one.stored, one.indexed) for one in status.logs] == [
            ("authz-1", wanted, wanted)
        ]
