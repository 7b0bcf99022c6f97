"""The keys of patients: made once, destroyed for good, wrapped anew without a gap."""

import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, select, update

from dossier.errors import (
    KeyDestroyedError,
    KeyMissingError,
    KeysError,
    MasterError,
    SealError,
)
from dossier.keys import tables
from dossier.keys.keyring import Keyring
from dossier.keys.masters import Masters
from dossier.keys.sealing import KEY_BYTES, Place, Purpose
from storage.database import connect
from tests.shared import ROOT

JEAN = "1541187387477485562488"
PHILIPPE = "0833910461279517589858"
NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
BODY = Place(purpose=Purpose.BODY, patient=JEAN, of="document")


def opens(key, sealed):
    """Whether a key opens what another one sealed."""
    try:
        return key.unseal(sealed, BODY) == b"body"
    except SealError:
        return False


def row(engine, patient=JEAN):
    with engine.connect() as conn:
        return conn.execute(
            select(tables.keys).where(tables.keys.c.patient == patient)
        ).one_or_none()


def test_one_key_a_patient(keyring):
    """A key is made once, and is another one for each patient."""
    sealed = keyring.make(JEAN).seal(b"body", BODY)

    assert opens(keyring.make(JEAN), sealed)
    assert opens(keyring.key_of(JEAN), sealed)
    assert not opens(keyring.make(PHILIPPE), sealed)


def test_no_key_in_the_clear(keyring, engine, masters):
    """What the database holds is wrapped, and does not unwrap for another patient."""
    secret = bytes(range(KEY_BYTES))
    Keyring(engine, masters, random=lambda _: secret).make(JEAN)
    stored = row(engine)
    with engine.begin() as conn:
        moved = insert(tables.keys).values({**stored._mapping, "patient": PHILIPPE})
        conn.execute(moved)

    assert secret not in stored.wrapped
    with pytest.raises(SealError, match="altered or moved"):
        keyring.key_of(PHILIPPE)


def test_no_key(keyring):
    """Where there is no key, it is said that there is none; who it is of is not."""
    with pytest.raises(KeyMissingError) as told:
        keyring.key_of(JEAN)

    assert JEAN not in str(told.value)


def test_made_by_many_at_once(keyring):
    """However many make a key at once, all get the same."""
    sealed = keyring.make(PHILIPPE).seal(b"warm", BODY)
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(keyring.make, [JEAN] * 24))
    first = keys[0].seal(b"body", BODY)

    assert all(opens(key, first) for key in keys)
    assert not opens(keys[0], sealed)


def test_destroyed(keyring, engine):
    """A destroyed key is gone, that it was destroyed is known, and none is made in its place."""
    keyring.make(JEAN)

    keyring.destroy(JEAN, at=NOW)
    keyring.destroy(JEAN, at=NOW.replace(year=2030))

    assert (row(engine).wrapped, row(engine).destroyed_at) == (None, NOW)
    for use in (keyring.key_of, keyring.make):
        with pytest.raises(KeyDestroyedError, match="gone for good"):
            use(JEAN)


def test_nothing_to_destroy(keyring, engine):
    """To destroy what never was is an error: the number may be mistaken."""
    with pytest.raises(KeyMissingError, match="look whether the number is right"):
        keyring.destroy(JEAN, at=NOW)

    assert row(engine) is None


def test_nothing_of_a_destroyed_key_is_left_in_the_file(tmp_path, masters):
    """SQLite overwrites a destroyed key in its file and in its log."""
    engine = connect(f"sqlite:///{tmp_path}/keys.db")
    keyring = Keyring.open(engine, masters)
    keyring.make(JEAN)
    wrapped = row(engine).wrapped

    def found():
        return any(wrapped in path.read_bytes() for path in tmp_path.glob("keys.db*"))

    before = found()

    keyring.destroy(JEAN, at=NOW)

    assert (True, False) == (before, found())
    engine.dispose()


def test_flipped_byte(keyring, engine):
    """A wrapped key that was altered does not unwrap."""
    keyring.make(JEAN)
    wrapped = bytearray(row(engine).wrapped)
    wrapped[20] ^= 1
    with engine.begin() as conn:
        conn.execute(update(tables.keys).values(wrapped=bytes(wrapped)))

    with pytest.raises(SealError, match="`key` does not open"):
        keyring.key_of(JEAN)


def test_wrong_master_keys(keyring, engine, tmp_path):
    """With the master keys of another place, no key is found and none is made."""
    keyring.make(JEAN)
    foreign = Masters(tmp_path / "foreign")
    foreign.create()

    with pytest.raises(MasterError, match="can't be read"):
        Keyring(engine, foreign).key_of(JEAN)
    with pytest.raises(MasterError, match="can't be read"):
        Keyring(engine, foreign).make(JEAN)


def test_rotation(keyring, masters):
    """After rewrapping, all keys are those they were, under the newest master key; the old one can go."""
    sealed = keyring.make(JEAN).seal(b"body", BODY)
    keyring.make(PHILIPPE)
    keyring.destroy(PHILIPPE, at=NOW)
    old, new = masters.newest(), masters.create()
    told = []

    count = keyring.rewrap(progress=lambda done, total: told.append((done, total)))
    keyring.retire(old)

    assert (count, told[-1]) == (1, (1, 1))
    assert {new: 1} == keyring.tally()
    assert (new,) == masters.ids()
    assert opens(keyring.key_of(JEAN), sealed)
    with pytest.raises(KeyDestroyedError):
        keyring.make(PHILIPPE)


def test_rotation_again_does_nothing(keyring, masters):
    """What is wrapped by the newest master key already is left as it is."""
    keyring.make(JEAN)

    assert [0, 0] == [keyring.rewrap(), keyring.rewrap()]
    masters.create()
    assert [1, 0] == [keyring.rewrap(), keyring.rewrap()]


def test_what_still_wraps_is_not_retired(keyring, masters):
    """A master key that wraps something, or is the newest, stays."""
    keyring.make(JEAN)
    old = masters.newest()

    with pytest.raises(MasterError, match=f"`{old}` is the newest: create another"):
        keyring.retire(old)
    new = masters.create()
    with pytest.raises(MasterError, match=f"`{old}` still wraps `1` keys: rewrap first"):
        keyring.retire(old)

    assert (old, new) == masters.ids()
    keyring.key_of(JEAN)


def test_nobody_wraps_with_what_was_replaced(keyring, engine, masters, folder, tmp_path):
    """A process whose folder lacks the newest master key makes no keys that would soon be lost."""
    stale = Masters(tmp_path / "stale")
    (tmp_path / "stale").mkdir(mode=0o700)
    for path in folder.iterdir():
        (tmp_path / "stale" / path.name).write_bytes(path.read_bytes())
        (tmp_path / "stale" / path.name).chmod(0o600)
    keyring.make(JEAN)
    masters.create()
    keyring.rewrap()

    with pytest.raises(MasterError, match="is the newest, and was replaced"):
        Keyring(engine, stale).make(PHILIPPE)
    with pytest.raises(MasterError, match="was replaced: bring back"):
        Keyring(engine, stale).rewrap()

    assert row(engine, PHILIPPE) is None


def test_damaged_keys_do_not_stop_the_others(keyring, engine, masters):
    """All keys that can be are wrapped anew; how many can't is told, and their master key stays."""
    patients = [f"{number:022}" for number in range(1_100)]
    old = masters.newest()
    with engine.begin() as conn:
        keyring._register(conn, old)
        place = {"purpose": Purpose.KEY, "of": old}
        rows = [
            {
                "patient": patient,
                "master": old,
                "wrapped": masters.wrap(old, bytes(KEY_BYTES), Place(patient=patient, **place)),
            }
            for patient in patients
        ]
        for place in (3, 700):
            rows[place]["wrapped"] = b"\x01 damaged" * 8
        conn.execute(insert(tables.keys), rows)
    new = masters.create()
    told = []

    with pytest.raises(SealError, match="`2` of `1100` keys can't be unwrapped"):
        keyring.rewrap(progress=lambda *so_far: told.append(so_far))

    assert {new: 1_098, old: 2} == keyring.tally()
    assert [done for done, _ in told] == [200, 400, 600, 800, 1_000, 1_100, 1_100]
    assert {total for _, total in told} == {1_100}
    with pytest.raises(MasterError, match="still wraps `2` keys"):
        keyring.retire(old)


NURSERY = """
import os, signal, sys
from pathlib import Path
from dossier.keys.keyring import Keyring
from dossier.keys.masters import Masters
from storage.database import connect
for _ in sys.stdin:
    pid = os.fork()
    if not pid:
        keyring = Keyring.open(connect(sys.argv[1]), Masters(Path(sys.argv[2])))
        os.write(1, f"{os.getpid()}\\n".encode())
        keyring.rewrap()
        signal.pause()
    os.waitpid(pid, 0)
    os.write(1, b"dead\\n")
"""


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_rotation_survives_kills(keyring, blank, folder, masters, count):
    """Killed again and again while it rewraps, it goes on where it was; no key is lost or changed."""
    chance = random.Random(20260504)
    patients = [f"{number:022}" for number in range(count)]
    secret, old = bytes(range(KEY_BYTES)), masters.newest()
    places = {patient: Place(purpose=Purpose.KEY, patient=patient, of=old) for patient in patients}
    engine = connect(blank.url)
    with engine.begin() as conn:
        keyring._register(conn, old)
        rows = [
            {"patient": one, "master": old, "wrapped": masters.wrap(old, secret, place)}
            for one, place in places.items()
        ]
        conn.execute(insert(tables.keys), rows)
    new = masters.create()
    command = [sys.executable, "-c", NURSERY, blank.url, str(folder)]
    kills = 0

    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as nursery:
        while keyring.tally().get(old, 0):
            print(file=nursery.stdin, flush=True)
            pid = int(nursery.stdout.readline())
            time.sleep(chance.uniform(0, 0.1))
            os.kill(pid, signal.SIGKILL)
            assert nursery.stdout.readline() == "dead\n"
            kills += 1
            assert kills < count // 10
        nursery.stdin.close()

    keyring.retire(old)
    assert kills > 1
    assert {new: len(patients)} == keyring.tally()
    with engine.connect() as conn:
        for stored in conn.execute(select(tables.keys)):
            place = Place(purpose=Purpose.KEY, patient=stored.patient, of=new)
            assert secret == masters.unwrap(new, stored.wrapped, place)
    engine.dispose()


def test_keys_made_and_destroyed_while_rewrapping(keyring, masters):
    """Who makes or destroys keys during a rotation loses none, and brings none back."""
    patients = [f"{number:022}" for number in range(300)]
    for patient in patients[:200]:
        keyring.make(patient)
    old = masters.newest()
    masters.create()

    def destroy(patient):
        keyring.destroy(patient, at=NOW)

    with ThreadPoolExecutor(4) as pool:
        rotation = pool.submit(keyring.rewrap)
        work = [pool.submit(destroy, patient) for patient in patients[:50]]
        work += [pool.submit(keyring.make, patient) for patient in patients[200:]]
        for done in (rotation, *work):
            done.result()
    keyring.rewrap()
    keyring.retire(old)

    for patient in patients[:50]:
        with pytest.raises(KeyDestroyedError):
            keyring.key_of(patient)
    for patient in patients[50:]:
        keyring.key_of(patient)


def test_every_error_is_one_of_keys():
    """Whoever catches the family catches all of it."""
    family = (KeyDestroyedError, KeyMissingError, MasterError, SealError)

    assert all(issubclass(one, KeysError) for one in family)


def test_open_needs_a_master_key(engine, tmp_path):
    """A service without master keys does not start."""
    with pytest.raises(MasterError, match="dmp dossier keys create"):
        Keyring.open(engine, Masters(tmp_path / "none"))


def test_read_only_database(keyring, blank, masters):
    """From a database that can't be written, keys are read, and none is made or destroyed."""
    sealed = keyring.make(JEAN).seal(b"body", BODY)
    engine = connect(blank.url, read_only=True)
    frozen = Keyring(engine, masters, reader=engine)

    for use in (lambda: frozen.make(PHILIPPE), lambda: frozen.destroy(JEAN, at=NOW)):
        with pytest.raises(Exception, match=r"(?i)read-?only"):
            use()

    assert opens(frozen.key_of(JEAN), sealed)
    engine.dispose()


def test_reads_through_the_reader(engine, masters, blank):
    """With a reader, keys are read while another one writes."""
    reader = connect(blank.url, read_only=True)
    keyring = Keyring.open(engine, masters, reader=reader)
    keyring.make(JEAN)

    with engine.begin():
        began = time.monotonic()
        keyring.key_of(JEAN)

    assert time.monotonic() - began < 4  # the writer would be waited for longer
    reader.dispose()
