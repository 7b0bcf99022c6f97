"""The store: documents come back as they were deposited, change by rule, and each touch is on record."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count, pairwise

import pytest
from sqlalchemy import delete, event, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from authz.policies import default_folder
from dossier import cda, tables
from dossier.errors import (
    DuplicateError,
    KeyDestroyedError,
    KeyMissingError,
    MasterError,
    PermitError,
    ReplacedError,
    SealError,
    StaleError,
    TransitionError,
)
from dossier.model import Act, Particulars, Person, Search, Status, Visibility
from dossier.types import DocumentTypes
from storage.database import connect
from tests.dossier import world as worlds
from tests.dossier.world import DOCTOR, JEAN, NOW, PHILIPPE, draft
from tests.shared import shared_data

HIDDEN = Visibility(masked=True, hidden_from_patient=True, hidden_from_representatives=True)


def test_what_was_deposited_comes_back(world):
    """Label, particulars and bytes are read as they were deposited; deposit and reading are on record."""
    given = draft(act_to=NOW, authors=("899700218896", "00B1038575"), by_patient=True, secret=True)

    (label,) = world.deposit(given)
    read = world.read(label)

    assert (given.label, given.particulars, given.content) == read
    assert given.label == label == world.store.label(JEAN, label.id)
    assert label == world.store.label_by_unique_id(JEAN, label.unique_id)
    assert [("document.deposit", label.id, 0), ("document.read", label.id, 0)] == sorted(
        world.acts()
    )


@pytest.mark.parametrize("size", [0, 1, 100, 10 << 20])
def test_any_size(world, size):
    """A document of no byte and one of 10 MiB come back whole."""
    given = replace(draft(), content=b"\x00\xff" * (size // 2) + b"x" * (size % 2))

    (label,) = world.deposit(given)

    assert given.content == world.read(label)[2]


def test_particulars_in_every_script(world):
    """Titles and names come back whatever they are made of."""
    hostile = "'; DROP TABLE documents; -- % _ \\ \" \0 \u202e é ﷽ 👩‍⚕️"
    author = Person(
        id="899700218896", name=hostile, profession="10", structure="", structure_name=""
    )
    told = Particulars(title=hostile, authors=(author,), structure_name=hostile)

    (label,) = world.deposit(replace(draft(), particulars=told))

    assert told == world.read(label)[1]


def test_nothing_clinical_in_the_clear(world):
    """Neither titles, names nor content stand in the database as they are."""
    given = draft(b"<title>Le patient tousse</title>")
    world.deposit(given)

    stored = json.dumps(world.rows(), default=repr)
    files = b"".join(path.read_bytes() for path in world.folder.parent.rglob("*.db*"))

    for text in ("tousse", "Compte rendu", "Élodie", "MARTIN", "Centre de sant"):
        assert text not in stored
        assert text.encode() not in files


def test_another_patients_document(world):
    """A document is not found under another patient's number."""
    (label,) = world.deposit(draft())

    assert world.store.label(PHILIPPE, label.id) is None
    assert world.store.label_by_unique_id(PHILIPPE, label.unique_id) is None


@pytest.mark.parametrize("name", ["", "unknown", "'", "%", "\0", "a\0b", "é" * 10_000])
def test_no_such_document(world, name):
    """What is not there is not found, however it is called."""
    world.deposit(draft())

    assert world.store.label(JEAN, name) is None
    assert world.store.label_by_unique_id(JEAN, name) is None


@pytest.mark.parametrize("act", Act)
def test_a_changed_document_is_stale(world, act):
    """What was judged and has changed since is neither read, changed nor located: the caller asks again."""
    (label,) = world.deposit(draft(visibility=replace(HIDDEN, masked=False)))
    read, locate = (world.permit(f"document.{act}", label) for act in ("read", "locate"))
    late = world.permit(act.value, label)
    world.store.change(world.permit("document.mask", label), JEAN, label.id, Act.MASK)
    before = world.rows()

    with pytest.raises(StaleError, match="decide again"):
        world.store.body(read, JEAN, label.id)
    with pytest.raises(StaleError, match="decide again"):
        world.store.locate(locate, JEAN, label.id)
    with pytest.raises(StaleError, match="decide again"):
        world.store.change(late, JEAN, label.id, act)

    assert before == world.rows()


def test_a_vanished_document_is_stale(world):
    """A permit for a document that is not there any more opens nothing."""
    (label,) = world.deposit(draft())
    permit = world.permit("document.read", replace(label, id="elsewhere"))

    with pytest.raises(StaleError, match="decide again"):
        world.store.body(permit, JEAN, "elsewhere")


def test_changes(world):
    """Each change gives a new entry; the id and the bytes stay, and nobody else's document changes."""
    (label, other) = world.deposit(draft(), draft())
    acts = (Act.MASK, Act.ARCHIVE, Act.UNMASK, Act.UNARCHIVE, Act.HIDE_FROM_PATIENT)
    acts += (Act.SHOW_TO_PATIENT, Act.SHOW_TO_REPRESENTATIVES, Act.DELETE)
    before = worlds.digests(world, [label, other])
    entries = [label.entry]

    for act in acts[:-2]:
        changed = world.store.change(world.permit(act.value, world.now(label)), JEAN, label.id, act)
        assert changed == world.now(label)
        entries.append(changed.entry)

    assert len(set(entries)) == len(entries)
    assert replace(label, entry=entries[-1]) == world.now(label)
    assert other == world.now(other)
    assert before == worlds.digests(world, [label, other])


def test_what_is_so_already(world):
    """To mask what is masked changes nothing, not even the entry, and is on record."""
    (label,) = world.deposit(draft(visibility=Visibility(masked=True)))

    for _ in range(2):
        again = world.store.change(world.permit("document.mask", label), JEAN, label.id, Act.MASK)
        assert label == again == world.now(label)

    assert [name for name, *_ in world.acts()].count("document.mask") == 2


def test_impossible_change(world):
    """What can't be done is an error, and leaves neither change nor record."""
    (label,) = world.deposit(draft(status=Status.DELETED))
    before = world.rows()

    with pytest.raises(TransitionError, match=r"`document.mask` can't be done"):
        world.store.change(world.permit("document.mask", label), JEAN, label.id, Act.MASK)

    assert before == world.rows()


def test_two_who_change_at_once(world):
    """Of two who change the same document at once, one wins and the other is told to ask again."""
    (label,) = world.deposit(draft())
    permits = [world.permit(act.value, label) for act in (Act.MASK, Act.ARCHIVE)]

    def change(permit):
        try:
            return world.store.change(permit, JEAN, label.id, Act(permit.action)).entry
        except StaleError:
            return None

    with ThreadPoolExecutor(2) as pool:
        entries = [entry for entry in pool.map(change, permits) if entry]

    assert entries == [world.now(label).entry]
    assert len(world.acts()) == 2


def test_locate(world):
    """A document's id is told to who may know it, and that is on record."""
    (label,) = world.deposit(draft())

    found = world.store.locate(world.permit("document.locate", label), JEAN, label.id)

    assert label.id == found
    assert ("document.locate", label.id, 0) in world.acts()


def test_together(world):
    """What is submitted together is there together, each under its own decision, in the order given."""
    drafts = [draft() for _ in range(20)]

    labels = world.deposit(*drafts)

    assert [one.label for one in drafts] == [*labels]
    assert [one.content for one in drafts] == [world.read(label)[2] for label in labels]
    assert len(world.acts()) == 40


def test_replacement(world):
    """A new version takes the place of the old one, which is deprecated and can still be read."""
    (first,) = world.deposit(draft())
    (second,) = world.deposit(draft(replaces=first.id))
    (third,) = world.deposit(draft(replaces=second.id))

    versions = [world.now(label) for label in (first, second, third)]

    assert [1, 2, 3] == [label.version for label in versions]
    assert ["deprecated", "deprecated", "approved"] == [label.status for label in versions]
    assert ["", first.id, second.id] == [label.replaces for label in versions]
    assert [second.id, third.id, ""] == [label.replaced_by for label in versions]
    assert third == versions[2]
    assert first.entry != versions[0].entry
    assert world.read(versions[0])[0] == versions[0]
    assert [act for act, *_ in world.acts()].count("document.replace") == 2


def test_replaced_twice(world):
    """A version that was replaced is not replaced again, and neither is one that was deleted."""
    (first,) = world.deposit(draft())
    world.deposit(draft(replaces=first.id))
    (deleted,) = world.deposit(draft())
    world.store.change(world.permit("document.delete", deleted), JEAN, deleted.id, Act.DELETE)
    before = world.rows()

    with pytest.raises(ReplacedError, match=r"deposits\[1\].*replaced already: replace its newest"):
        world.deposit(draft(), draft(replaces=first.id))
    with pytest.raises(
        ReplacedError, match=r"deposits\[0\].*that was deleted: deposit this one as"
    ):
        world.deposit(draft(replaces=deleted.id))

    assert before == world.rows()


def test_replacing_the_same_together(world):
    """Two deposits of one submission don't replace the same document."""
    (first,) = world.deposit(draft())
    before = world.rows()

    with pytest.raises(
        ReplacedError, match=r"deposits\[1\].replaces: the same as another deposit's"
    ):
        world.deposit(draft(replaces=first.id), draft(replaces=first.id))

    assert before == world.rows()


def test_replaced_meanwhile(world):
    """Of two who replace the same version at once, one wins and the other is told to ask again."""
    (first,) = world.deposit(draft())
    drafts = [draft(replaces=first.id), draft(replaces=first.id)]
    permits = [world.permit_for(one) for one in drafts]

    def submit(place):
        try:
            return world.store.submit([permits[place]], JEAN, [drafts[place]])
        except StaleError:
            return None

    with ThreadPoolExecutor(2) as pool:
        won = [labels[0].id for labels in pool.map(submit, range(2)) if labels]

    assert won == [world.now(first).replaced_by]
    assert world.count()["documents"] == 2


def test_duplicate(world):
    """A unique id stands for one document, of whichever patient; all or nothing is deposited."""
    (known,) = world.deposit(draft())
    before = world.rows()

    for patient in (JEAN, PHILIPPE):
        again = draft(unique_id=known.unique_id, patient=patient)
        with pytest.raises(DuplicateError, match=r"deposits\[2\].content: its unique id") as told:
            world.deposit(draft(patient=patient), draft(patient=patient), again)
        assert (2, False) == (told.value.place, known.unique_id in str(told.value))

    assert before == world.rows()


def test_duplicate_within(world):
    """Two deposits of one submission have unique ids of their own."""
    one = draft()

    with pytest.raises(DuplicateError, match=r"deposits\[1\].content"):
        world.deposit(one, draft(unique_id=one.label.unique_id))

    assert world.count()["documents"] == 0


def test_deposited_by_two_at_once(world):
    """Of many who deposit the same document at once, one does, and the others are told that it is there."""
    drafts = [draft(unique_id="1.2.3") for _ in range(8)]
    world.deposit(draft())

    def submit(one):
        try:
            return world.deposit(one)[0].id
        except DuplicateError as exc:
            return exc.place

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(submit, drafts))

    assert answers.count(0) == 7
    assert world.store.label_by_unique_id(JEAN, "1.2.3").id in answers
    assert world.count()["bodies"] == 2


def test_a_permit_for_each(world):
    """Deposits want one permit each, for what they are, and nothing else."""
    one, two = draft(), draft()
    permit = world.permit_for(one)

    for permits, drafts in (([], []), ([permit], []), ([], [one]), ([permit], [one, two])):
        with pytest.raises(PermitError, match="want one for each"):
            world.store.submit(permits, JEAN, drafts)
    with pytest.raises(PermitError, match="not for a document about another"):
        world.store.submit(
            [permit], JEAN, [replace(one, label=replace(one.label, patient=PHILIPPE))]
        )
    other = world.permit("document.deposit", replace(two.label, entry="another"))
    with pytest.raises(PermitError, match="for a deposit of something else"):
        world.store.submit([other], JEAN, [two])

    assert set(world.count().values()) == {0}


def test_one_permit_for_two(world):
    """The same permit does not pay for two deposits of one submission."""
    one = draft()
    permit = world.permit_for(one)

    with pytest.raises(PermitError, match="spent"):
        world.store.submit([permit, permit], JEAN, [one, one])

    assert set(world.count().values()) == {0}


def shared_drafts():
    """All documents of the shared folder, with what their headers say of them."""
    found = []
    table = default_folder() / "matrix" / "types.csv"
    types = DocumentTypes.read(table.read_text(encoding="utf-8"))
    for path in sorted(shared_data("cda").glob("*.xml")):
        content = path.read_bytes()
        header = cda.read(content, now=NOW, types=types)
        given = draft(
            content,
            unique_id=header.unique_id,
            type=header.type_code,
            confidentiality=header.confidentiality.value,
            made_at=header.effective_time,
            act_from=header.service_start or header.effective_time,
            act_to=header.service_stop,
            patient="279035121518989",
        )
        found.append(given)
    return found


def test_real_documents_byte_for_byte(world):
    """All real documents deposit, and come back byte for byte, whatever is done to them on the way."""
    drafts = shared_drafts()
    patient = drafts[0].label.patient
    wanted = [hashlib.sha256(one.content).hexdigest() for one in drafts]

    labels = world.deposit(*drafts)

    assert len(wanted) >= 14
    assert wanted == worlds.digests(world, labels)
    for act in (
        Act.MASK,
        Act.HIDE_FROM_PATIENT,
        Act.ARCHIVE,
        Act.UNARCHIVE,
        Act.UNMASK,
        Act.DELETE,
    ):
        for label in labels:
            now = world.now(label)
            world.store.change(world.permit(act.value, now), patient, label.id, act)
        assert wanted == worlds.digests(world, labels)
    rows = world.rows()["documents"]
    assert {row[7] for row in rows} == {"deleted"}


def test_everything_in_the_trace_and_nothing_without(world):
    """After any sequence of acts there is exactly one row for each decision that was used."""
    (label,) = world.deposit(draft())
    used = 1
    for act in (Act.MASK, Act.MASK, Act.UNMASK):
        world.store.change(world.permit(act.value, world.now(label)), JEAN, label.id, act)
        used += 1
    world.store.list(world.listing(), JEAN, Search(), size=10)
    world.read(world.now(label))

    with world.writer.connect() as conn:
        decisions = list(conn.scalars(select(tables.acts.c.decision)))

    assert len(decisions) == len(set(decisions)) == used + 2


# Broken keys and broken content: nothing is shown, nothing is recorded.


@pytest.mark.parametrize("column", ["content", "particulars"])
def test_flipped_byte(world, column):
    """A single byte that changed in the database shuts the document; no part of it is shown."""
    (label,) = world.deposit(draft(b"x" * 100_000))
    table = tables.bodies if column == "content" else tables.documents
    with world.writer.begin() as conn:
        sealed = bytearray(conn.scalar(select(table.c[column])))
        sealed[len(sealed) // 2] ^= 0x40
        conn.execute(update(table).values({column: bytes(sealed)}))
    before = world.rows()

    with pytest.raises(SealError, match="altered or moved"):
        world.read(label)

    assert before == world.rows()


def test_exchanged_documents(world):
    """Content that was moved to another row does not open, not even of the same patient."""
    one, two = world.deposit(draft(), draft())
    bodies = tables.bodies.c
    with world.writer.begin() as conn:
        sealed = dict(conn.execute(select(bodies.document, bodies.content)).all())
        for to, whose in ((one.id, two.id), (two.id, one.id)):
            move = update(tables.bodies).where(bodies.document == to)
            conn.execute(move.values(content=sealed[whose]))

    for label in (one, two):
        with pytest.raises(SealError, match="altered or moved"):
            world.read(label)


def test_moved_to_another_patient(world):
    """A document that was given to another patient in the database does not open there."""
    (label,) = world.deposit(draft())
    world.deposit(draft(patient=PHILIPPE))
    with world.writer.begin() as conn:
        conn.execute(
            update(tables.documents)
            .where(tables.documents.c.id == label.id)
            .values(patient=PHILIPPE)
        )

    with pytest.raises(SealError, match="altered or moved"):
        world.read(replace(label, patient=PHILIPPE))


def test_missing_body(world):
    """A label without content is an error, not an empty document."""
    (label,) = world.deposit(draft())
    with world.writer.begin() as conn:
        conn.execute(delete(tables.bodies))

    with pytest.raises(SealError, match="`body` is not there: restore"):
        world.read(label)

    assert len(world.acts()) == 1


def test_destroyed_key(world):
    """Once the key is destroyed, nothing is read, listed or deposited any more."""
    (label,) = world.deposit(draft())
    world.keyring.destroy(JEAN, at=NOW)
    before = world.rows()

    with pytest.raises(KeyDestroyedError):
        world.read(label)
    with pytest.raises(KeyDestroyedError):
        world.store.list(world.listing(), JEAN, Search(), size=10)
    with pytest.raises(KeyDestroyedError):
        world.deposit(draft())

    assert before == world.rows()


def test_lost_key(world):
    """A lost key is not silently replaced by a new one beside documents that it sealed."""
    (label,) = world.deposit(draft())
    with world.keys.begin() as conn:
        conn.exec_driver_sql("DELETE FROM patient_keys")
    before = world.rows()

    with pytest.raises(KeyMissingError, match="restore the database of the keys"):
        world.read(label)
    with pytest.raises(KeyMissingError, match="restore the database of the keys"):
        world.deposit(draft())

    assert before == world.rows()
    world.deposit(draft(patient=PHILIPPE))


def test_lost_master_key(world):
    """Without its master key a document is not read; the error names the master key and no person."""
    (label,) = world.deposit(draft())
    lost = world.masters.newest()
    (world.folder / f"{lost}.key").unlink()
    other = world.another_keyring()

    with pytest.raises(MasterError, match=f"master key `{lost}` can't be read") as told:
        other.key_of(JEAN)

    assert JEAN not in str(told.value)
    world.read(label)  # the process that has it in memory goes on


def test_key_of_another_record(world):
    """With the key of another record, nothing opens."""
    (label,) = world.deposit(draft())
    with world.keys.begin() as conn:
        conn.exec_driver_sql("DELETE FROM patient_keys")
    world.keyring.make(JEAN)

    with pytest.raises(SealError, match="or sealed with another key"):
        world.read(label)


def test_read_only_database(world, database):
    """On a database that can't be written nothing is deposited, and nothing is read: it can't be recorded."""
    (label,) = world.deposit(draft())
    frozen = connect(database.url, read_only=True)
    world.writer, writer = frozen, world.writer
    store = world.another_store()
    world.writer = writer
    before, given = world.rows(), draft()

    for use in (
        lambda: store.body(world.permit("document.read", label), JEAN, label.id),
        lambda: store.list(world.listing(), JEAN, Search(), size=10),
        lambda: store.change(world.permit("document.mask", label), JEAN, label.id, Act.MASK),
        lambda: store.locate(world.permit("document.locate", label), JEAN, label.id),
        lambda: store.submit([world.permit_for(given)], JEAN, [given]),
    ):
        with pytest.raises(SQLAlchemyError, match=r"(?i)read-?only"):
            use()

    assert before == world.rows()
    assert label == store.label(JEAN, label.id)
    frozen.dispose()


def test_failure_in_the_middle(world):
    """Whatever statement of a submission fails, nothing of it is there."""
    (old,) = world.deposit(draft())
    before = world.rows()
    steps = count()

    def fail(*_):
        if next(steps) == place:
            raise OSError("pulled")

    event.listen(world.writer, "before_cursor_execute", fail)
    for place in range(40):  # noqa: B007 - `fail` looks at it
        steps = count()
        drafts = [draft(), draft(replaces=old.id)]
        permits = [world.permit_for(one) for one in drafts]
        try:
            world.store.submit(permits, JEAN, drafts)
        except OSError:
            assert before == world.rows()
            steps = count(1_000)
        else:
            break
    event.remove(world.writer, "before_cursor_execute", fail)

    assert place > 10
    assert world.now(old).status == "deprecated"


def test_conflicts_are_done_again(world):
    """Many who deposit and read at once all succeed."""
    (label,) = world.deposit(draft())

    def work(number):
        if number % 2:
            return world.read(label)[0].id
        return world.deposit(draft(patient=(JEAN, PHILIPPE)[number % 4 // 2]))[0].id

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(work, range(64)))

    assert len(set(ids)) == 33
    assert world.count()["acts"] == 65


def test_entries_and_nonces_are_never_the_same(world):
    """No two sealed texts of a store begin alike, and no two entries are the same."""
    labels = world.deposit(*(draft(b"same") for _ in range(20)))
    with world.writer.connect() as conn:
        sealed = [bytes(one) for one in conn.scalars(select(tables.bodies.c.content))]

    assert len({one[:13] for one in sealed}) == len(sealed) == len(labels)
    assert all(one.entry != two.entry for one, two in pairwise(labels))


def test_notices_and_names_in_no_error(world):
    """No error of the store names the patient, the document or its unique id."""
    (label,) = world.deposit(draft())
    (other,) = world.deposit(draft(replaces=label.id))
    told = []
    for use in (
        lambda: world.deposit(draft(unique_id=label.unique_id)),
        lambda: world.deposit(draft(replaces=label.id)),
        lambda: world.read(label),
        lambda: world.store.change(
            world.permit("document.archive", world.now(label)), JEAN, label.id, Act.ARCHIVE
        ),
        lambda: world.store.body(world.permit("document.list", label), JEAN, label.id),
    ):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is
            use()
        told.append(str(caught.value))

    text = " ".join(told)
    for secret in (JEAN, DOCTOR.id, label.id, label.unique_id, label.entry, other.id, "Compte"):
        assert secret not in text


def test_refused_by_the_database(world):
    """A label that policy could not judge, without type or with unknown codes, can't be stored at all."""
    for changes in ({"type": ""}, {"confidentiality": "U"}, {"confidentiality": "MASQUE_PS"}):
        with pytest.raises(SQLAlchemyError, match=r"(?i)check constraint"):
            world.deposit(draft(**changes))

    assert set(world.count().values()) == {0}
    with pytest.raises(SQLAlchemyError), world.writer.begin() as conn:
        conn.execute(insert(tables.bodies).values(document="nobody's", content=b""))
