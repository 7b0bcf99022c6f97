"""Erasing old entries, killed at any of its statements: the log verifies, and the next purge finishes it."""

import os
import shutil
import signal

import pytest

from audit import reader
from audit.database import reader as reading
from audit.database import snapshot
from audit.evidence import Evidence
from audit.inspection import inspect
from audit.retention import RETENTION
from audit.verify import verify
from storage.database import connect
from tests.audit.aged import ERASED, MARKER, NAMES, age, purge, seal
from tests.audit.world import ORIGIN
from tests.faults.sealers import nursery

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def born():
    """A nursery of purges."""
    with nursery("tests.faults.purgers") as made:
        yield made


@pytest.fixture
def sealed(database, tmp_path):
    """A log of which much is old, under a checkpoint."""
    engine = connect(database.url)
    with engine.connect() as conn:
        age(conn)
    engine.dispose()
    for origin, name in NAMES.items():
        Evidence(tmp_path / "evidence", origin).make_key(name, os.urandom)
    evidence = Evidence(tmp_path / "evidence", ORIGIN)
    seal(database.url, evidence)
    return evidence


def sound(url, evidence):
    """How many entries are erased, and how many purges are logged; all of it verifies."""
    with snapshot(reading(url)) as conn:
        assert verify(conn, ORIGIN).count == 18
        erased = reader.kept_from(conn, ORIGIN)
        said = verify(conn, RETENTION).count if RETENTION in reader.origins(conn) else 0
    assert inspect(url, evidence, jobs=1).checkpoint.size == 18
    assert said or not erased
    return erased, said


def test_a_kill_at_every_statement(database, sealed, born, tmp_path):
    """Wherever it is killed, what is erased was logged before; nobody has to see to it but the next purge."""
    if database.kind != "sqlite":
        pytest.skip("a database for each statement takes its time: the next test is for this kind")
    counted = tmp_path / "count"

    def copied(name):
        (tmp_path / name).mkdir()
        for path in tmp_path.glob("dmp.db*"):
            shutil.copy(path, tmp_path / name)
        return f"sqlite:///{tmp_path / name}/dmp.db"

    assert born.run(url=copied("all"), scour=True, count=str(counted)) == 0
    statements = int(counted.read_text())
    assert 20 < statements < 100
    seen = set()
    for at in range(1, statements + 1):
        url = copied(str(at))
        assert born.run(url=url, at=at, scour=True) == -signal.SIGKILL
        seen.add(sound(url, sealed))
        assert born.run(url=url, scour=True) == 0
        assert (ERASED, 1) == sound(url, sealed)
        if at < statements - 1:
            files = [path.read_bytes() for path in (tmp_path / str(at)).iterdir()]
            assert not any(MARKER.encode() in data for data in files)
    assert seen == {(0, 0), (0, 1), (3, 1), (6, 1), (9, 1), (12, 1)}


def test_killed_again_and_again(database, sealed, born):
    """Each gets a little further than the last one; in the end all is erased, and one purge says so."""
    killed = 0
    for at in range(1, 200):
        if born.run(url=database.url, at=at) == 0:
            break
        killed += 1
        sound(database.url, sealed)

    assert 5 < killed < 150
    assert purge(database.url) is None
    assert (ERASED, 1) == sound(database.url, sealed)
