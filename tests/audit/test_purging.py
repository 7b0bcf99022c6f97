"""Erasing entries: what is gone, what stays, and that all of it still verifies."""

import os
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import make_url, text, update
from sqlalchemy.exc import DBAPIError

from audit import purging, reader
from audit.comparison import Published
from audit.completeness import Fault, compare
from audit.database import reader as reading
from audit.database import snapshot
from audit.entry import rfc3339, uuid7
from audit.errors import Damage, ErasedError, LogDamagedError, RefusedError, RetentionError
from audit.evidence import Evidence
from audit.inspection import inspect
from audit.proof import Receipt
from audit.purging import bound
from audit.receipts import receipt_of
from audit.retention import RETENTION, Period
from audit.scouring import scour
from audit.tables import log_patients
from audit.trusted import Trust
from audit.verify import verify
from authz.bundle import build, read_folder
from authz.product import DMP
from authz.registry.database import entitle, migrate, prepare_months
from storage.database import connect
from tests.audit import harm
from tests.audit.aged import (
    BEFORE,
    ERASED,
    MARKER,
    NAMES,
    NOW,
    age,
    purge,
    purges,
    seal,
    write,
)
from tests.audit.world import ALICE, BOB, ORIGIN, draft, opened
from tests.service import POLICIES


@pytest.fixture
def evidence(tmp_path):
    """Keys of both logs."""
    made = {origin: Evidence(tmp_path / "evidence", origin) for origin in NAMES}
    for origin, name in NAMES.items():
        made[origin].make_key(name, os.urandom)
    return made


@pytest.fixture
def aged(conn):
    """A log of eighteen entries, of which twelve are old."""
    age(conn)


@pytest.fixture
def purged(url, conn, aged, evidence):  # noqa: ARG001 - the log has to be there
    """The same, sealed, and the old ones erased."""
    seal(url, evidence[ORIGIN])
    purge(url)
    seal(url, evidence[RETENTION])
    conn.rollback()
    return evidence


def stored(conn, origin=ORIGIN):
    """All entries."""
    found = list(reader.read(conn, origin=origin))
    conn.rollback()
    return found


def test_bytes_go_and_commitments_stay(url, conn, aged):  # noqa: ARG001 - as above
    """Of an erased entry there is its commitment, its instant, and where it is said that it was erased."""
    before = stored(conn)

    done = purge(url)

    after = stored(conn)
    assert [one.commitment for one in before] == [one.commitment for one in after]
    assert [one.bytes for one in after] == [b""] * ERASED + [one.bytes for one in before[ERASED:]]
    assert {one.erased.purge for one in after[:ERASED]} == {done.index}
    assert [one.erased.at for one in after[:ERASED]] == [one.entry["at"] for one in before[:ERASED]]
    with pytest.raises(ErasedError, match=r"entry 3: erased, as entry 0 of log `retention` says"):
        after[3].entry  # noqa: B018 - it raises


def test_it_is_logged(url, aged):  # noqa: ARG001 - as above
    """The log of retention says whose entries went, which ones, why, and who did it."""
    purge(url)

    (said,) = purges(url).values()
    assert (ORIGIN, 0, ERASED, "P6Y", "B. Martin") == (
        said.log,
        said.first,
        said.end,
        said.retention,
        said.by,
    )
    assert (rfc3339(BEFORE), rfc3339(NOW)) == (said.before, said.at)
    assert str(said) == "erased on 2026-11-23 under retention P6Y"


def test_all_of_it_still_verifies(url, conn, purged):
    """Chain, patients' numbers, head, tiles, roots, and the log of retention."""
    assert (18, 1) == (verify(conn, ORIGIN).count, verify(conn, RETENTION).count)
    for origin, count in ((ORIGIN, 18), (RETENTION, 1)):
        for jobs in (1, 2):
            found = inspect(url, purged[origin], jobs=jobs)
            assert (count, count) == (found.count, found.checkpoint.size)


def test_the_log_goes_on(url, conn, purged):
    """The writer opens it, numbers go on also of patients all of whose entries are erased, it is sealed."""
    log = opened(conn)
    write(conn, log, "2026-11-20T00:00:00.000000Z", draft(ALICE), draft(BOB))
    seal(url, purged[ORIGIN])

    alice, bob = stored(conn)[-2:]
    assert (7, 5) == (alice.entry["patient_seq"], bob.entry["patient_seq"])
    assert verify(conn, ORIGIN).count == 20
    assert inspect(url, purged[ORIGIN]).checkpoint.size == 20


def test_sealing_begins_after_a_purge(url, conn, aged, evidence):  # noqa: ARG001 - as above
    """A log of which much is erased can be sealed from its beginning, and tiles made again."""
    purge(url)

    seal(url, evidence[ORIGIN])
    for path in (evidence[ORIGIN].public / "tile").rglob("*"):
        if path.is_file():
            path.unlink()
    seal(url, evidence[ORIGIN])

    assert inspect(url, evidence[ORIGIN]).checkpoint.size == 18


def test_receipts(url, conn, aged, evidence):  # noqa: ARG001 - as above
    """Who has the receipt of an erased entry can prove it for ever; no new one is made."""
    seal(url, evidence[ORIGIN])
    old, new = stored(conn)[1], stored(conn)[15]
    kept = bytes(receipt_of(old, evidence[ORIGIN]))
    purge(url)
    trust = Trust(logs=(evidence[ORIGIN].verifier(),))

    assert Receipt.parse(kept).verify(trust).checkpoint.size == 18
    assert receipt_of(new, evidence[ORIGIN]).verify(trust).checkpoint.size == 18
    with pytest.raises(ErasedError):
        receipt_of(stored(conn)[1], evidence[ORIGIN])


def test_the_next_purge_goes_on_behind(url, conn, purged):
    """A later purge erases what has become old since, and says so of that alone."""
    again = purge(url)
    assert again is None
    later = purge(url, before=BEFORE.replace(year=2026, month=11, day=19))

    assert (ERASED, 15) == (later.first, later.end)
    assert [0] * 12 + [1] * 3 == [one.erased.purge for one in stored(conn)[:15]]
    assert verify(conn, ORIGIN).count == 18
    assert inspect(url, purged[ORIGIN]).count == 18


def test_the_newest_batch_stays(url, conn, aged):  # noqa: ARG001 - as above
    """However old a log is, its writer finds the batch that it goes on from."""
    purge(url, before=NOW + timedelta(days=1))

    assert 15 == reader.kept_from(conn, ORIGIN)
    conn.rollback()
    write(conn, opened(conn), "2026-11-20T00:00:00.000000Z", draft(BOB))
    assert verify(conn, ORIGIN).count == 19


def test_what_is_not_sealed_stays(url, conn, evidence):
    """Only what is under a checkpoint goes."""
    log = opened(conn)
    for year in (2011, 2012):
        write(conn, log, f"{year}-01-01T00:00:00.000000Z", draft(), draft())
    seal(url, evidence[ORIGIN])
    for year in (2013, 2026):
        write(conn, log, f"{year}-01-01T00:00:00.000000Z", draft(), draft())

    done = purge(url, published=Published(evidence[ORIGIN], 4))

    assert (0, 4) == (done.first, done.end)
    assert verify(conn, ORIGIN).count == 8


@pytest.mark.parametrize("how", [harm.altered, harm.rewritten])
def test_what_was_altered_is_not_erased(url, conn, aged, evidence, how):  # noqa: ARG001 - as above
    """Erasing must not hide that something was altered, not even if all hashes fit."""
    seal(url, evidence[ORIGIN])
    how(conn, 4)

    with pytest.raises(LogDamagedError) as found:
        purge(url, published=Published(evidence[ORIGIN], 18))

    assert (4, Damage.ALTERED) == (found.value.index, found.value.damage)
    assert purges(url) == {}


HARMS = [
    (harm.forgotten, 12, (12, Damage.ERASED)),
    (harm.forgotten, 15, (15, Damage.ERASED)),
    (harm.forgotten_of_another, 0, (0, Damage.ERASED)),
    (harm.unsaid, 0, (0, Damage.ERASED)),
    (harm.said_of_fewer, 0, (6, Damage.ERASED)),
    (harm.miscommitted, 4, (4, Damage.ALTERED)),
    (harm.half_committed, 3, (5, Damage.MISSING)),
    (harm.missing, 3, (3, Damage.MISSING)),
    (harm.missing, 12, (12, Damage.MISSING)),
    (harm.altered, 13, (13, Damage.ALTERED)),
    (harm.removed, 13, (13, Damage.MISSING)),
    (harm.cut, 15, (15, Damage.CUT)),
    (harm.cut, 9, (9, Damage.CUT)),
    (harm.emptied, 0, (0, Damage.ROLLED_BACK)),
]


@pytest.mark.parametrize("harmed", HARMS, ids=lambda one: f"{one[0].__name__} {one[1]}")
def test_the_first_entry_is_told(url, conn, purged, harmed):
    """Bodies that went without a purge, and whatever else was done to a purged log, are seen."""
    how, where, expected = harmed

    how(conn, where)

    with pytest.raises(LogDamagedError) as found:
        inspect(url, purged[ORIGIN])
    assert expected == (found.value.index, found.value.damage)
    with pytest.raises(LogDamagedError):
        verify(conn, ORIGIN)


@pytest.mark.parametrize(
    "said", [(12, 5, "ab" * 32), (13, 2, "ab" * 32), (12, 5, "x"), (12, 99, "")], ids=str
)
def test_a_patient_goes_on_from_an_erased_entry(url, conn, purged, said):
    """The first entry of a patient that is left names an erased one, and nothing else will do."""
    index, seq, previous = said
    for path in purged[ORIGIN].public.rglob("*"):
        if path.is_file():
            path.unlink()
    purged[ORIGIN].folder.joinpath("signed").unlink()
    harm.misled(conn, index, seq=seq, previous=previous)
    seal(url, purged[ORIGIN])

    for found in (lambda: verify(conn, ORIGIN), lambda: inspect(url, purged[ORIGIN])):
        with pytest.raises(LogDamagedError) as told:
            found()
        assert (index, Damage.PATIENT) == (told.value.index, told.value.damage)


def test_two_patients_can_not_go_on_from_one_entry(url, conn, purged):
    """An erased entry was of one patient: that a second one names it is seen, even if all hashes fit."""
    alice = stored(conn)[12].entry["patient_prev"]
    harm.misled(conn, 13, seq=2, previous=alice)

    with pytest.raises(LogDamagedError) as told:
        verify(conn, ORIGIN)
    assert (13, Damage.PATIENT) == (told.value.index, told.value.damage)
    with pytest.raises(LogDamagedError):
        inspect(url, purged[ORIGIN])


def test_patients_without_entries_must_have_had_some(url, conn, purged):
    """A row of the table of patients names an entry that is left, or one that was erased."""
    conn.execute(update(log_patients).values(commitment=bytes(32)).where(log_patients.c.seq == 4))
    conn.commit()

    for found in (lambda: verify(conn, ORIGIN), lambda: inspect(url, purged[ORIGIN])):
        with pytest.raises(LogDamagedError) as told:
            found()
        assert told.value.damage is Damage.PATIENT


def test_the_sealer_sees_bodies_that_went_unsaid(url, conn, purged):
    """A sealer that goes on comparing refuses a log whose bodies went without a purge."""
    harm.unsaid(conn)

    with pytest.raises(RefusedError, match="entry 0: erased: it is erased, and no purge says so"):
        seal(url, purged[ORIGIN])


def files(server_or_path):
    """What is in all files below a folder."""
    return {path: path.read_bytes() for path in Path(server_or_path).rglob("*") if path.is_file()}


def holders(folder):
    """Which files hold the marker."""
    return [path.name for path, data in files(folder).items() if MARKER.encode() in data]


@pytest.mark.parametrize("size", [1, 40])
def test_nothing_is_left_in_the_files_of_sqlite(tmp_path, size):
    """Neither the database nor its write-ahead log hold a byte of what was erased; big batches neither."""
    url = f"sqlite:///{tmp_path}/one.db"
    engine = connect(url)
    migrate(engine)
    with engine.connect() as conn:
        log = opened(conn)
        for year in range(2010, 2018):
            drafts = [draft(remarks=[f"{MARKER} {year} {n}"]) for n in range(size)]
            write(conn, log, f"{year}-01-01T00:00:00.000000Z", *drafts)
        write(conn, log, "2026-01-01T00:00:00.000000Z", draft())
        assert holders(tmp_path)

        said = purge(url)
        assert "" == scour(engine, said)

        assert holders(tmp_path) == []
        assert verify(conn, ORIGIN).count == 8 * size + 1
    engine.dispose()
    assert holders(tmp_path) == []


def test_a_reader_is_waited_for_and_told(tmp_path):
    """While somebody reads an older state, the write-ahead log can't be emptied, and that is said."""
    url = f"sqlite:///{tmp_path}/one.db"
    engine = connect(url)
    migrate(engine)
    with engine.connect() as conn:
        age(conn)
    with snapshot(reading(url)) as conn:
        list(reader.read(conn))
        said = purge(url)
        told = scour(engine, said, patience_s=0.2)
    assert "somebody reads" in told
    assert scour(engine, said) == ""
    assert holders(tmp_path) == []
    engine.dispose()


def test_nothing_is_left_in_the_tables_of_postgresql(postgresql):
    """The tables of months are written anew; what is left stands in the server's write-ahead log alone."""
    with postgresql.database() as name:
        url = postgresql.url(name)
        engine = connect(url)
        migrate(engine)
        with engine.connect() as conn:
            log = opened(conn)
            for year in (2011, 2012, 2013, 2026):  # one a batch: what is long is compressed
                at = f"{year}-01-01T00:00:00.000000Z"
                write(conn, log, at, draft(remarks=[f"{MARKER} {year}"]))
                prepare_months(engine)
            write(conn, log, "2026-11-20T00:00:00.000000Z", draft())
            postgresql.sql("CHECKPOINT")
            place = postgresql.sql("SELECT oid FROM pg_database WHERE datname = %s", name)[0][0]
            folder = postgresql.folder / "data" / "base" / str(place)
            assert holders(folder)
            open_elsewhere = engine.connect()
            open_elsewhere.exec_driver_sql("SELECT * FROM head")

            said = purge(url, before=NOW - timedelta(days=4))
            assert "a transaction is open" in scour(engine, said, patience_s=0.2)
            open_elsewhere.rollback()
            list(reader.read(open_elsewhere))
            assert "somebody reads" in scour(engine, said, patience_s=0.2)
            open_elsewhere.rollback()
            open_elsewhere.close()
            assert scour(engine, said) == ""

            postgresql.sql("CHECKPOINT")
            assert holders(folder) == []
            assert verify(conn, ORIGIN).count == 5
        engine.dispose()


def test_an_interrupted_purge_is_finished(url, conn, aged, monkeypatch):  # noqa: ARG001 - as above
    """What was logged and not erased verifies, and goes with the next purge under the same entry."""

    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(purging, "_erase_some", broken)
    with pytest.raises(KeyboardInterrupt):
        purge(url)
    monkeypatch.undo()
    assert verify(conn, ORIGIN).count == 18
    conn.rollback()
    assert 0 == reader.kept_from(conn, ORIGIN)
    conn.rollback()

    done = purge(url)

    assert (0, 1) == (done.index, len(purges(url)))
    assert ERASED == reader.kept_from(conn, ORIGIN)
    assert verify(conn, ORIGIN).count == 18


def test_the_log_is_written_meanwhile(url, conn, aged, monkeypatch):  # noqa: ARG001 - as above
    """A service goes on appending while a purge is at work, and neither disturbs the other."""
    monkeypatch.setattr(purging, "_AT_ONCE", 1)
    engine, stop, written = connect(url), threading.Event(), []

    def serve():
        with engine.connect() as own:
            log = opened(own)
            while not stop.is_set():
                write(own, log, "2026-11-20T00:00:00.000000Z", draft(ALICE))
                written.append(1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        for year in range(2012, 2016):
            purge(url, before=BEFORE.replace(year=year))
    finally:
        stop.set()
        thread.join(timeout=30)
    engine.dispose()

    assert written
    assert (18 + len(written), ERASED) == (
        verify(conn, ORIGIN).count,
        reader.kept_from(conn, ORIGIN),
    )


def test_who_may_not_erase_says_nothing(postgresql):
    """The role that serves is refused before anything is said to be erased."""
    with postgresql.database() as name:
        postgresql.sql("CREATE ROLE servant LOGIN")
        owner = connect(postgresql.url(name))
        migrate(owner)
        entitle(owner, "servant")
        with owner.connect() as conn:
            age(conn)
        url = make_url(postgresql.url(name)).set(username="servant").render_as_string()

        with pytest.raises(DBAPIError, match="permission denied"):
            purge(url)

        assert purges(url) == {}
        owner.dispose()
    postgresql.sql("DROP ROLE servant")


def until(conn, now=NOW, **wanted):
    """The day before which entries go."""
    wanted = {"keep": None, "before": None} | wanted
    try:
        found, _ = bound(conn, ORIGIN, now, **wanted)
    finally:
        conn.rollback()
    return f"{found:%Y-%m-%d}"


def test_nothing_goes_before_its_time(conn, aged):  # noqa: ARG001 - as above
    """The law's three years are a floor, and nothing opens it."""
    assert "2023-11-19" == until(conn, keep=Period.parse("P3Y"))
    assert "2016-05-19" == until(conn, keep=Period.parse("P10Y6M"))
    assert "2020-01-01" == until(conn, before=BEFORE)
    for wanted in ({"keep": Period.parse("P35M")}, {"before": NOW - timedelta(days=1000)}):
        with pytest.raises(RetentionError, match=r"the law \(EHDS art. 9\) keeps entries for P3Y"):
            until(conn, **wanted)
    with pytest.raises(RetentionError, match="give --keep"):
        until(conn)


def test_a_clock_that_is_ahead_erases_nothing(conn, aged):  # noqa: ARG001 - as above
    """What counts as now is the newest batch, if our clock says later."""
    ahead = NOW.replace(year=2999)

    assert "2023-11-19" == until(conn, ahead, keep=Period.parse("P3Y"))
    with pytest.raises(RetentionError):
        until(conn, ahead, before=NOW)


@pytest.fixture
def active(conn):
    """Makes policies the active ones."""

    def activate(content):
        values = {"content": content, "at": rfc3339(NOW)}
        add = "INSERT INTO bundles (digest, activated_at, content) VALUES ('d', :at, :content)"
        conn.execute(text(add), values)
        conn.execute(text("UPDATE head SET bundle = 'd'"))
        conn.commit()

    yield activate
    conn.rollback()
    conn.execute(text("UPDATE head SET bundle = NULL"))
    conn.commit()


def test_the_policies_say_how_long(conn, aged, active):  # noqa: ARG001 - as above
    """The active bundle's `trace.retention` is what is meant, and no less will do."""
    active(build(read_folder(POLICIES), DMP).content)

    assert "2016-11-19" == until(conn)
    with pytest.raises(RetentionError, match=r"policy `trace\.retention` keeps entries for P10Y"):
        until(conn, keep=Period.parse("P9Y"))


@pytest.mark.parametrize("content", [b"{}", b"no", b'{"documents":{"parameters.yaml":{}}}'])
def test_policies_that_do_not_say_erase_nothing(conn, aged, active, content):  # noqa: ARG001 - as above
    """Where it is not known how long traces must be kept, they are."""
    active(content)

    with pytest.raises(RetentionError, match="do not say how long"):
        until(conn, keep=Period.parse("P30Y"))


def test_logs_that_are_not_to_be_erased(conn, aged):  # noqa: ARG001 - as above
    """The log of retention is never erased, and one that is not there is told."""
    with pytest.raises(RetentionError, match="nothing in it ever is"):
        bound(conn, RETENTION, NOW, keep=None, before=BEFORE)
    with pytest.raises(RetentionError, match=f"no log `x`: there are {ORIGIN}"):
        bound(conn, "x", NOW, keep=None, before=BEFORE)


@pytest.mark.parametrize("text", ["", "P", "10Y", "P1H", "PT5S", "P-1Y", "P1Y2", "P99999Y", "p3y"])
def test_periods_that_are_none(text):
    """What is no period is told as it was given."""
    with pytest.raises(RetentionError, match=f"`{text}` is no duration"):
        Period.parse(text)


def test_a_log_of_retention_of_others_is_not_written(url, conn, aged):  # noqa: ARG001 - as above
    """A service that was started with that name has its log; nothing is erased then."""
    write(conn, opened(conn, RETENTION), "2026-11-20T00:00:00.000000Z", draft())

    with pytest.raises(LogDamagedError, match="it tells of no purge"):
        purge(url)

    assert 0 == reader.kept_from(conn, ORIGIN)


def test_acts_whose_decisions_are_erased_are_not_judged(conn, url):
    """Of a time whose decisions are gone nothing is said; what is later is judged as ever."""
    log = opened(conn)
    ids = [uuid7(ms, os.urandom(10)) for ms in (1_300_000_000_000, 1_794_000_000_000)]
    for one, at in zip(
        ids, ("2011-03-13T07:06:40.000000Z", "2026-11-06T20:00:00.000000Z"), strict=True
    ):
        write(conn, log, at, draft(id=one))
    late = uuid7(1_793_000_000_000, os.urandom(10))
    purge(url)
    entries = [one.entry for one in stored(conn) if one.erased is None]
    gone = BEFORE.replace(year=2011, month=3, day=13, hour=7, minute=7, second=40)
    acts = dict.fromkeys((*ids, late), (ALICE, "document:read", "allow", "1.2.250.1.99.1"))

    found = compare(acts, entries, service="dossier", settled=NOW, gone=gone)

    assert (3, 1, 1) == (found.acts, found.decided, found.erased)
    assert [(Fault.UNDECIDED, late)] == [(one.fault, one.decision) for one in found.faults]
