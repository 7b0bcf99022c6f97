"""What was done and what was permitted tell one story: the record's own trace, and the view of the log."""

import pytest

from dossier.v1 import dossier_pb2 as dossier
from tests.audit.office.story import (
    ANNOUNCED,
    BREAK_GLASS,
    GUARDIAN,
    HIDDEN,
    KEPT,
    MOTHER,
    SECRETLY,
    story,
    tried,
)
from tests.dossier.served import cda
from tests.service import doctor, holder, stranger

PERSONS = ("patient", "representative")


async def agree(tale, who):
    """Each act of the record's trace has its line in the view, and names the same document or none."""
    acts = list((await tale.record.trace(who, page_size=200)).traces)
    lines = {line.decision_id: line for line in await tale.view(who)}
    for act in acts:
        line = lines[act.decision_id]
        assert (act.document, act.type, act.space, act.origin) == (
            line.document,
            line.type,
            line.space,
            line.origin,
        )
        assert (act.action, act.effect, act.mode) == (line.action, line.effect, line.mode)
        assert act.actor.id == line.who.id or (act.actor_kind in PERSONS and not line.who.id)
    later = {one.decision_id for one in lines.values() if one.action == "trace.read"}
    assert {act.decision_id for act in acts} | later == set(lines)
    return acts


async def adult(tale):
    """A record of an adult: open and hidden documents; read, tried, refused, and in an emergency."""
    record = tale.record
    await record.create(treating_doctor=True)
    open_ = await record.deposit()
    hidden = await record.deposit(visibility=HIDDEN)
    shown = await record.deposit(visibility=HIDDEN)
    await record.read(open_)
    await record.read(hidden)
    await record.list()
    for document in (open_, hidden, "nowhere"):
        await tried(record.read(document, stranger()))
        await tried(record.read(document, holder()))
        await tried(record.read(document, stranger(), context=BREAK_GLASS))
    await tried(record.submit(cda(), who=holder(), visibility=HIDDEN))
    await record.act(dossier.ACT_SHOW_TO_PATIENT, shown, context=ANNOUNCED)
    await record.read(shown, holder())
    await record.act(dossier.ACT_MASK, open_, holder())
    await tried(record.read(open_, stranger()))
    await record.list(holder())
    return open_, hidden, shown


async def minor(tale):
    """A record of a minor: what representatives may see, and what was done in secret."""
    record = tale.record
    await record.create(born="2015-01-01", guardians=(GUARDIAN,), treating_doctor=True)
    open_ = await record.deposit()
    kept = await record.deposit(visibility=KEPT)
    secret = await record.deposit(visibility=KEPT, context=SECRETLY)
    hidden = await record.deposit(visibility=HIDDEN)
    for document in (open_, kept, secret, hidden, "nowhere"):
        await tried(record.read(document))
        await tried(record.read(document, context=SECRETLY))
        await tried(record.read(document, stranger()))
        await tried(record.read(document, MOTHER))
        await tried(record.read(document, stranger(), context=BREAK_GLASS))
    await record.list(context=SECRETLY)
    await record.list(MOTHER)
    return open_, kept, secret, hidden


@pytest.mark.parametrize("who", [holder(), doctor()], ids=["holder", "treating_doctor"])
async def test_acts_have_their_lines(tmp_path, who):
    """For the holder and the treating doctor, every act is a line, and names the same documents."""
    async with story(tmp_path) as tale:
        await adult(tale)
        acts = await agree(tale, who)
        assert len(acts) == 22


@pytest.mark.parametrize(
    ("who", "withheld"),
    [(MOTHER, True), (holder(), False), (doctor(), False)],
    ids=["mother", "minor", "treating_doctor"],
)
async def test_acts_of_a_minor_have_their_lines(tmp_path, who, withheld):
    """To a representative neither tells what was done in secret; the minor and the doctor learn it."""
    async with story(tmp_path) as tale:
        _, kept, secret, _ = await minor(tale)
        acts = await agree(tale, who)
        named = {act.document for act in acts}
        assert withheld == named.isdisjoint({kept, secret})


async def test_what_is_shown_once_is_named_from_then_on(tmp_path):
    """Before its announcement no line names a document, after it they all do; in both accounts."""
    async with story(tmp_path) as tale:
        await tale.record.create()
        document = await tale.record.deposit(visibility=HIDDEN)
        await tale.record.read(document)
        await agree(tale, holder())
        assert {""} == {line.document for line in await tale.view()}
        await tale.record.act(dossier.ACT_SHOW_TO_PATIENT, document, context=ANNOUNCED)
        await agree(tale, holder())
        named = [line.action for line in await tale.view() if line.document == document]
        assert named == ["document.show_to_patient", "document.read", "document.deposit"]


async def test_new_version_that_is_hidden_is_not_named(tmp_path):
    """Replacing an open document by a hidden one names neither; the old one is named where it was read."""
    async with story(tmp_path) as tale:
        await tale.record.create()
        old = await tale.record.deposit(cda(number=1))
        await tale.record.read(old)
        content = cda(number=2, replaces="1.2.250.1.213.9.1", version=2)
        await tale.record.submit(content, visibility=HIDDEN, replaces=old)
        await agree(tale, holder())
        (line,) = [one for one in await tale.view() if one.action == "document.replace"]
        assert (line.document, line.type, line.effect) == ("", "", "allow")
