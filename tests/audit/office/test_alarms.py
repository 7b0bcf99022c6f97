"""A decision that comes out otherwise when it is made again is an alarm."""

import os

import orjson

from audit.database import reader, snapshot
from audit.log import Log
from audit.reader import read
from storage.database import connect
from tests.audit.office.served import running
from tests.service import doctor, reading, until


async def forge(audit, **changed):
    """Appends, to a log of its own, what the last decision says, with some of it changed; it chains well."""
    with snapshot(reader(audit.settings.database)) as conn:
        *_, last = read(conn)
    own = {"v", "index", "at", "salt", "patient_seq", "patient_prev"}
    draft = {name: value for name, value in orjson.loads(last.bytes).items() if name not in own}
    engine, log = connect(audit.settings.database), Log("forged")
    with engine.connect() as conn:
        log.open(conn, random=os.urandom)
        conn.commit()
        log.append(conn, [draft | changed], at=last.entry["at"], random=os.urandom)
        conn.commit()
    engine.dispose()


async def test_forged_decision_is_an_alarm(tmp_path):
    """Sound in its bytes and sealed, a refusal that was turned into a permission is seen all the same."""
    async with running(tmp_path) as audit:
        await audit.open()
        await audit.decide(reading(doctor()))
        await audit.settled()
        assert (await audit.status()).decided_otherwise == 0

        await forge(audit, effect="deny")
        await audit.settled()

        async def told():
            status = await audit.status()
            return status.decided_otherwise == 1 and not status.health["dmp.replay"]

        await until(told)
        assert audit.metric("audit_decided_otherwise") == 1


async def test_what_is_as_decided_is_none(tmp_path):
    """The same decision once more, unaltered, is no alarm."""
    async with running(tmp_path) as audit:
        await audit.open()
        await audit.decide(reading(doctor()))
        await forge(audit)
        await audit.settled()

        assert (await audit.status()).health["dmp.replay"]
        assert audit.service.following.alarms == 0
