"""An audit that is killed at any instant goes on where it was: no entry lost, none taken twice.

Eight kills without a fault say that fewer than 1 in 3 leaves one, with 95 % confidence (rule of three); the
long form (`tests/faults`), run by `make faults`, has 2,000 and says so of 1 in 667.
"""

from tests.audit.office.killed import survive


def test_a_kill_loses_nothing(conn, url, tmp_path):
    """Killed again and again while its log grows, it arrives at the index that is made at once."""
    assert survive(conn, url, tmp_path, kills=8) > 50
