"""The folder of master keys: who may look into it, which one wraps, and what is refused."""

import base64
import os
import stat

import pytest

from dossier.errors import MasterError, SealError
from dossier.keys.masters import Masters
from dossier.keys.sealing import KEY_BYTES, Place, Purpose

PLACE = Place(purpose=Purpose.KEY, patient="1541187387477485562488", of="master")
SECRET = b"k" * KEY_BYTES


def test_a_new_one_wraps(masters):
    """The master key made last wraps; those before it still unwrap."""
    first = masters.newest()
    wrapped = masters.wrap(first, SECRET, PLACE)

    second = masters.create()

    assert (first, second) == masters.ids()
    assert second == masters.newest()
    assert SECRET == masters.unwrap(first, wrapped, PLACE)


def test_for_its_owner_alone(masters, folder):
    """Folder and file can be read by their owner alone; the file holds 32 bytes in base64."""
    (path,) = folder.iterdir()

    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert KEY_BYTES == len(base64.b64decode(path.read_text().strip(), validate=True))
    assert path.name == f"{masters.newest()}.key"


def test_nothing_of_a_key_shows(masters, folder):
    """Neither the object nor its attributes tell a key."""
    masters.wrap(masters.newest(), SECRET, PLACE)
    (path,) = folder.iterdir()
    secret = base64.b64decode(path.read_text())

    shown = f"{masters!r} {vars(masters)!r}"

    for text in (repr(secret), path.read_text().strip(), secret.hex()):
        assert text not in shown


def test_tenth_thousand_is_the_newest(folder):
    """Numbers are compared as numbers, however long they get."""
    folder.mkdir(mode=0o700)
    for name in ("9999-0123456789abcdef.key", "10000-0123456789abcdef.key"):
        (folder / name).touch(mode=0o600)

    assert Masters(folder).newest() == "10000-0123456789abcdef"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660, 0o610])
def test_file_open_to_others(folder, masters, mode):
    """A key that others can read or write is not used; the mode and the remedy are told."""
    (path,) = folder.iterdir()
    path.chmod(mode)

    with pytest.raises(MasterError, match=rf"is open to others, mode `{mode:o}`: chmod 600"):
        masters.wrap(masters.newest(), SECRET, PLACE)


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o701, 0o770])
def test_folder_open_to_others(folder, masters, mode):
    """A folder that others can look into is not used."""
    newest = masters.newest()
    folder.chmod(mode)

    with pytest.raises(MasterError, match=rf"folder .* mode `{mode:o}`: chmod 700"):
        masters.newest()
    with pytest.raises(MasterError, match="is open to others"):
        masters.wrap(newest, SECRET, PLACE)
    with pytest.raises(MasterError, match="is open to others"):
        masters.create()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_file_of_another_user(folder, masters):
    """A key that belongs to another user, who could exchange it, is not used."""
    (path,) = folder.iterdir()
    os.chown(path, 65534, -1)

    with pytest.raises(MasterError, match="belongs to another user, `65534`: chown"):
        masters.wrap(masters.newest(), SECRET, PLACE)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"not base64!",
        base64.b64encode(b"x" * 31),
        base64.b64encode(b"x" * KEY_BYTES),
        base64.b64encode(b"x" * KEY_BYTES)[:-4],
        b"A" * 10_000,
    ],
    ids=["empty", "text", "short", "another", "cut", "long"],
)
def test_a_file_that_is_not_its_key(folder, masters, text):
    """A file that does not hold the key of its name is refused before anything is wrapped with it."""
    (path,) = folder.iterdir()
    path.write_bytes(text)

    with pytest.raises(MasterError, match="is not the key that its name says"):
        masters.wrap(masters.newest(), SECRET, PLACE)


def test_no_folder(folder):
    """Without a folder the error says how to make one."""
    with pytest.raises(MasterError, match=r"No such file.*dmp dossier keys create"):
        Masters(folder).newest()


def test_empty_folder(folder):
    """Without a key the error says how to make one."""
    folder.mkdir(mode=0o700)

    with pytest.raises(MasterError, match=r"no master key in .*dmp dossier keys create"):
        Masters(folder).newest()


def test_renamed_file(folder, masters):
    """A key that was renamed is pointed out, rather than overlooked."""
    (path,) = folder.iterdir()
    path.rename(folder / "old.key")

    with pytest.raises(MasterError, match=r"old.key` is not called as a master key is"):
        masters.ids()


def test_missing_one(masters):
    """What was wrapped by a key that is gone says which one that is."""
    first = masters.newest()
    wrapped = masters.wrap(first, SECRET, PLACE)
    masters.create()
    masters.remove(first)

    with pytest.raises(MasterError, match=f"master key `{first}` can't be read: No such file"):
        masters.unwrap(first, wrapped, PLACE)
    with pytest.raises(MasterError, match=r"`\.\./secret` is not the id"):
        masters.unwrap("../secret", wrapped, PLACE)


def test_the_wrong_one(masters):
    """What one master key wrapped, another does not unwrap."""
    first, second = masters.newest(), masters.create()

    with pytest.raises(SealError, match="`key` does not open"):
        masters.unwrap(second, masters.wrap(first, SECRET, PLACE), PLACE)


def test_removing_leaves_no_file(folder, masters):
    """A key that was removed is neither in the folder nor used any more."""
    first = masters.newest()
    masters.wrap(first, SECRET, PLACE)
    second = masters.create()

    masters.remove(first)

    assert [path.name for path in folder.iterdir()] == [f"{second}.key"]
    with pytest.raises(MasterError, match="can't be removed: No such file"):
        masters.remove(first)


def test_unwritable_folder(tmp_path):
    """Where no key can be written there is an error, and no half of a key."""
    (tmp_path / "file").touch()

    with pytest.raises(MasterError, match="no master key can be written: Not a directory"):
        Masters(tmp_path / "file" / "masters").create()
