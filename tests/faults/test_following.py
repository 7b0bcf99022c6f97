"""An audit that is killed very often while it follows: see `tests/audit/office/test_kill.py`."""

import pytest

from storage.database import connect
from tests.audit.office.killed import survive

SEED = 20261118


@pytest.mark.slow
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("part", range(4))
def test_many_kills_lose_nothing(database, tmp_path, part):
    """Killed two thousand times, it loses nothing and takes nothing twice."""
    engine = connect(database.url)
    with engine.connect() as conn:
        assert survive(conn, database.url, tmp_path, kills=250, seed=SEED + part) > 1000
    engine.dispose()
