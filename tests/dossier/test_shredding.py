"""Destroying a key makes a patient's documents unreadable everywhere, in backups too."""

import base64
import shutil

import pytest

from dossier.database import MIGRATIONS
from dossier.errors import KeyDestroyedError, KeyMissingError, MasterError, SealError
from storage.database import connect
from tests.dossier.world import JEAN, NOW, PHILIPPE, draft, world

CONTENT = b"<ClinicalDocument>la toux</ClinicalDocument>"


@pytest.fixture
def here(tmp_path):
    """A record on SQLite, whose files can be copied."""
    url = f"sqlite:///{tmp_path}/record.db"
    engine = connect(url)
    MIGRATIONS.migrate(engine)
    engine.dispose()
    with world(url, tmp_path) as made:
        yield made


def back_up(engine, to):
    """Copies a database as a backup does."""
    with engine.connect() as conn:
        conn.connection.driver_connection.execute("VACUUM INTO ?", (str(to),))


def restored(record, keys, masters, folder):
    """A record and its keys put together from copies, with the master keys there are."""
    folder.mkdir(mode=0o700)
    shutil.copy(record, folder / "record.db")
    if keys:
        shutil.copy(keys, folder / "keys.db")
    shutil.copytree(masters, folder / "masters")
    return world(f"sqlite:///{folder}/record.db", folder)


def everything(folder):
    """All bytes of all files below a folder."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_gone_everywhere(here, tmp_path):
    """After key, rewrapping and old master key are gone, backups of both databases together open nothing."""
    (label,), (other,) = (
        here.deposit(draft(CONTENT)),
        here.deposit(draft(CONTENT, patient=PHILIPPE)),
    )
    old = here.masters.newest()
    back_up(here.writer, tmp_path / "record.backup")
    back_up(here.keys, tmp_path / "keys.backup")

    here.keyring.destroy(JEAN, at=NOW)
    here.masters.create()
    here.keyring.rewrap()
    here.keyring.retire(old)

    backups = tmp_path / "record.backup", tmp_path / "keys.backup"
    with restored(*backups, here.folder, tmp_path / "all") as then:
        assert then.store.label(JEAN, label.id) == label
        for one in (label, other):
            with pytest.raises(MasterError, match=f"master key `{old}` can't be read"):
                then.read(one)
    with pytest.raises(KeyDestroyedError):
        here.read(label)
    assert here.read(other)[2] == CONTENT


def test_backup_of_the_documents_alone(here, tmp_path):
    """A backup of the documents holds no key: without the keys' own it opens nothing."""
    (label,) = here.deposit(draft(CONTENT))
    back_up(here.writer, tmp_path / "record.backup")

    with restored(tmp_path / "record.backup", None, here.folder, tmp_path / "alone") as then:
        with pytest.raises(KeyMissingError):
            then.read(label)
        then.keyring.make(JEAN)
        with pytest.raises(SealError):
            then.read(label)
    assert CONTENT not in (tmp_path / "record.backup").read_bytes()


def test_before_the_rotation(here, tmp_path):
    """Until the old master key is retired, a backup of the keys still opens a backup of the documents."""
    (label,) = here.deposit(draft(CONTENT))
    back_up(here.writer, tmp_path / "record.backup")
    back_up(here.keys, tmp_path / "keys.backup")
    here.keyring.destroy(JEAN, at=NOW)

    backups = tmp_path / "record.backup", tmp_path / "keys.backup"
    with restored(*backups, here.folder, tmp_path / "all") as then:
        assert then.read(label)[2] == CONTENT


def test_the_keys_of_today_with_the_documents_of_yesterday(here, tmp_path):
    """An old backup of the documents beside the keys of today shows nothing of who was shredded."""
    (label,) = here.deposit(draft(CONTENT))
    back_up(here.writer, tmp_path / "record.backup")
    here.keyring.destroy(JEAN, at=NOW)
    back_up(here.keys, tmp_path / "keys.backup")

    backups = tmp_path / "record.backup", tmp_path / "keys.backup"
    with (
        restored(*backups, here.folder, tmp_path / "all") as then,
        pytest.raises(KeyDestroyedError),
    ):
        then.read(label)


def test_no_key_beside_the_documents(here, tmp_path):
    """Neither a patient's key, wrapped or not, nor a master key stands in the files of the documents."""
    secrets = []
    here.keyring._random = lambda count: (
        secrets.append(b"%032d" % len(secrets)) or secrets[-1][:count]
    )
    here.deposit(draft(CONTENT))
    (path,) = here.folder.iterdir()
    master = base64.b64decode(path.read_text())
    with here.keys.connect() as conn:
        wrapped = conn.exec_driver_sql("SELECT wrapped FROM patient_keys").scalar_one()

    record = b"".join(file.read_bytes() for file in tmp_path.glob("record.db*"))
    keys = b"".join(file.read_bytes() for file in tmp_path.glob("keys.db*"))

    assert len(secrets) == 1
    for secret in (*secrets, master, wrapped):
        assert secret not in record
    assert wrapped in keys
    for secret in (*secrets, master):
        assert secret not in keys
    assert secrets[0] not in everything(tmp_path)
