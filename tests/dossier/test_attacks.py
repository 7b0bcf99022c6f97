"""Attacks: whatever is not the permit for just this, made by the gate, fresh and unspent, opens nothing.

Every public method of the rooms that touch the record stands in `CASES`, or in `WITHOUT` with the reason why
it takes no permit. To add a room: name it in `ROOMS`, and give its methods a case each.
"""

import inspect
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, fields, replace

import pytest
from sqlalchemy import event

from clients.sdk.condition import Clause, Condition
from clients.sdk.values import Context
from dossier.errors import PermitError
from dossier.mint import Mint
from dossier.model import Act, Search
from dossier.people import RIGHTS, People, Wanted
from dossier.permit import LIFETIME_S, Permit, Turnstile
from dossier.records import Records
from dossier.store import Store
from dossier.wishes import Wishes
from tests.dossier.town import CHEAP, person
from tests.dossier.world import DOCTOR, EVERYTHING, JEAN, PHILIPPE, SECRET, World, draft

ROOMS = {"Store": Store, "People": People, "Records": Records}
WITHOUT = {
    ("Store", "label"): "what policy judges, before there is a decision; it is shown to nobody",
    ("Store", "label_by_unique_id"): "the same",
    ("People", "check"): "looks at what it is given, and at nothing else",
    ("Records", "refused"): "writes that something was not permitted",
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """How one method is used, and which permit it wants.

    `use` gets the world, the room, the permit, and the label of a document of JEAN's. What is `repeatable`
    may be asked for again, and then does nothing. A permit for one of `others` would do as well.
    """

    room: str
    method: str
    action: str
    use: Callable[..., object]
    on_document: bool = True
    condition: Condition | None = None
    patient: str = JEAN
    repeatable: bool = False
    others: tuple[str, ...] = ()

    @property
    def looks(self) -> tuple[str, ...]:
        """Which tables are asked when the permit comes again."""
        return ("acts",) if self.repeatable else ()

    def refused_again(self) -> AbstractContextManager[object]:
        """What is expected when the permit comes again."""
        return nullcontext() if self.repeatable else pytest.raises(PermitError, match="spent")

    def permit(self, world: World, label, *, patient: str | None = None) -> Permit:
        """The right permit."""
        if not self.on_document:
            whose = self.patient if patient is None else patient
            return world.permit(self.action, patient=whose, condition=self.condition)
        return world.permit(self.action, label)


def deposit(_, store, permit, label):
    return store.submit([permit], JEAN, [replace(draft(), label=label)])


def supersede(_, store, permit, label):
    return store.submit([permit], JEAN, [draft(replaces=label.id)])


def of_patient(method, action, use, **more):
    """A case that concerns no document."""
    plain = {"room": "People", "on_document": False}
    return Case(method=method, action=action, use=use, **{**plain, **more})


CASES = [
    Case(
        room="Store",
        method="body",
        action="document.read",
        use=lambda _, store, permit, label: store.body(permit, JEAN, label.id),
    ),
    Case(
        room="Store",
        method="locate",
        action="document.locate",
        use=lambda _, store, permit, label: store.locate(permit, JEAN, label.id),
    ),
    Case(
        room="Store",
        method="list",
        action="document.list",
        use=lambda _, store, permit, __: store.list(permit, JEAN, Search(), size=10),
        on_document=False,
        condition=EVERYTHING,
    ),
    Case(
        room="Store",
        method="pathway",
        action="document.list",
        use=lambda _, store, permit, __: store.pathway(permit, JEAN, Search(), 10),
        on_document=False,
        condition=EVERYTHING,
    ),
    Case(room="Store", method="submit", action="document.deposit", use=deposit),
    Case(room="Store", method="submit", action="document.replace", use=supersede),
    *(
        Case(
            room="Store",
            method="change",
            action=act.value,
            use=lambda _, store, permit, label, act=act: store.change(permit, JEAN, label.id, act),
        )
        for act in Act
    ),
    of_patient(
        "create",
        "dossier.create",
        lambda _, people, permit, __: people.create(permit, JEAN, person()),
        repeatable=True,
    ),
    of_patient(
        "reopen",
        "dossier.reopen",
        lambda _, people, permit, __: people.reopen(permit, JEAN),
        repeatable=True,
    ),
    of_patient(
        "close",
        "dossier.close",
        lambda _, people, permit, __: people.close(permit, JEAN, "DECES"),
        repeatable=True,
    ),
    *(
        of_patient(
            "rights_changed",
            action,
            lambda _, people, permit, __: people.rights_changed(permit, JEAN),
            repeatable=True,
            others=RIGHTS,
        )
        for action in (RIGHTS[0], RIGHTS[-1])
    ),
    of_patient("find", "dossier.find", lambda _, people, permit, __: people.find(permit, JEAN)),
    of_patient("read", "dossier.read", lambda _, people, permit, __: people.read(permit, JEAN)),
    of_patient(
        "update",
        "dossier.update",
        lambda _, people, permit, __: people.update(permit, JEAN, person(family_name="N")),
    ),
    of_patient(
        "settings", "dossier.read", lambda _, people, permit, __: people.settings(permit, JEAN)
    ),
    of_patient(
        "change_settings",
        "dossier.update",
        lambda _, people, permit, __: people.change_settings(permit, JEAN, Wishes(by_sms=False)),
    ),
    of_patient(
        "dashboard",
        "patient.list",
        lambda _, people, permit, __: people.dashboard(permit, (), Wanted()),
        patient="",
    ),
    of_patient(
        "trace",
        "trace.read",
        lambda _, records, permit, __: records.trace(permit, JEAN),
        room="Records",
    ),
    of_patient(
        "notices",
        "trace.read",
        lambda _, records, permit, __: records.notices(permit, JEAN),
        room="Records",
    ),
    of_patient(
        "notices",
        "patient.list",
        lambda _, records, permit, __: records.notices(permit, patients=(JEAN,)),
        room="Records",
        patient="",
    ),
]

# What is refused at the turnstile never comes to a database, so one kind of it will do.
ON_ONE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
EACH = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.method}-{case.action}")


@pytest.fixture
def room(world, case):
    """What the case is about, as one process has it."""
    return another(world, case)


def another(world, case):
    """The same as another process has it, that has not seen any permit yet."""
    if case.room == "Store":
        return world.another_store()
    kind, more = ROOMS[case.room], {"cost": CHEAP} if case.room == "People" else {}
    turnstile = Turnstile(SECRET, clock=world.clock.monotonic)
    return kind(world.writer, world.reader, turnstile, world.clock.now, **more)


@pytest.fixture
def target(world, case):
    """The document of JEAN's that the case is about; for a deposit, one that is not there yet."""
    known = People(
        world.writer,
        world.reader,
        Turnstile(SECRET, clock=world.clock.monotonic),
        world.clock.now,
        cost=CHEAP,
    )
    known.create(world.permit("dossier.create"), JEAN, person())
    present, other = world.deposit(draft(), draft())
    world.deposit(draft(patient=PHILIPPE))
    assert other.patient == JEAN
    return draft().label if case.action == "document.deposit" else present


@contextmanager
def untouched(world: World, *but: str) -> Iterator[None]:
    """Nothing is written meanwhile, and nothing asked of the databases but of the tables `but`."""
    before, asked = world.rows(), []

    def note(*told):
        asked.append(told[2])

    engines = (world.writer, world.reader, world.keys)
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    yield
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)
    allowed = tuple(f"FROM {table} " for table in but)
    assert [one for one in asked if not one.startswith("BEGIN") and not has(one, allowed)] == []
    assert before == world.rows()


def has(statement: str, parts: tuple[str, ...]) -> bool:
    return any(part in statement for part in parts)


def test_every_method_is_attacked():
    """A method that is added to one of these rooms has its case here, or a reason to have none."""
    public = {
        (room, name)
        for room, kind in ROOMS.items()
        for name, _ in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }
    cases = {(case.room, case.method) for case in CASES}

    assert public == cases | set(WITHOUT)
    assert cases.isdisjoint(WITHOUT)
    for room, name in WITHOUT:
        assert "permit" not in inspect.signature(getattr(ROOMS[room], name)).parameters


@EACH
def test_the_right_permit_works_once(world, case, target, room):
    """The permit for just this is taken once; that is on record once."""
    permit = case.permit(world, target)
    count = len(world.acts())

    case.use(world, room, permit, target)

    assert len(world.acts()) == count + 1
    with untouched(world, *case.looks), case.refused_again():
        case.use(world, room, permit, target)


@EACH
def test_replayed_in_another_process(world, case, target, room):
    """A permit that was used is refused by every other process too: its use is on record."""
    permit = case.permit(world, target)
    case.use(world, room, permit, target)

    # Keys are no content: that one is looked up first does no harm.
    with untouched(world, "acts", "patient_keys"), case.refused_again():
        case.use(world, another(world, case), permit, target)


@EACH
@ON_ONE
def test_no_permit(world, case, target, room):
    """What is no permit opens nothing."""
    for thing in (None, "", "permit", True, object(), {}, (), Permit):
        with untouched(world), pytest.raises(PermitError, match="no permit: ask the gate"):
            case.use(world, room, thing, target)


@EACH
@ON_ONE
def test_something_that_looks_like_a_permit(world, case, target, room):
    """An object with all the fields of a permit is none."""

    class Lookalike:
        pass

    permit, thing = case.permit(world, target), Lookalike()
    for field in fields(Permit):
        setattr(thing, field.name, getattr(permit, field.name))

    with untouched(world), pytest.raises(PermitError, match="no permit: ask the gate"):
        case.use(world, room, thing, target)


@EACH
@ON_ONE
def test_for_another_patient(world, case, target, room):
    """A permit for another patient's dossier opens nothing."""
    permit = case.permit(world, replace(target, patient=PHILIPPE), patient=PHILIPPE)

    with untouched(world), pytest.raises(PermitError, match="of something else"):
        case.use(world, room, permit, target)


@EACH
@ON_ONE
def test_for_another_document(world, case, target, room):
    """A permit for another document of the same patient opens nothing; nor does one for a list."""
    other = world.deposit(draft())[0] if case.on_document else target
    permits = [world.permit(case.action, other)]
    if case.on_document:
        permits.append(world.permit(case.action, patient=JEAN, condition=EVERYTHING))

    for permit in permits:
        with untouched(world), pytest.raises(PermitError, match="of something else"):
            case.use(world, room, permit, target)


@EACH
@ON_ONE
def test_for_another_action(world, case, target, room):
    """A permit for another action on the same document opens nothing."""
    known = {one.action for one in CASES} | {"dossier.read", ""}
    for action in known - {case.action, *case.others}:
        permit = replace(case, action=action).permit(world, target)

        with untouched(world), pytest.raises(PermitError, match="of something else"):
            case.use(world, room, permit, target)


@EACH
@ON_ONE
def test_too_old(world, case, target, room):
    """A permit opens nothing any more once its time is over."""
    permit = case.permit(world, target)
    world.clock.seconds += LIFETIME_S

    with untouched(world), pytest.raises(PermitError, match="too old"):
        case.use(world, room, permit, target)


OTHERS = {
    "subject": replace(DOCTOR, id="00B1038575"),
    "action": "document.burn",
    "patient": PHILIPPE,
    "document": "another",
    "entry": "another",
    "context": Context(mode="bris_de_glace"),
    "decision": "another",
    "reason_code": "HOLDER",
    "obligations": ("notify_holder",),
    "condition": Condition(allow=(Clause(obligations=("confirm",)),)),
    "until": 1e12,
    "seal": b"",
}


@EACH
@ON_ONE
def test_forged(world, case, target, room):
    """A permit in which any field was changed opens nothing, not even what it was made for."""
    permit = case.permit(world, target)
    for field in fields(Permit):
        changed = replace(permit, **{field.name: OTHERS[field.name]})

        with untouched(world), pytest.raises(PermitError, match="forged"):
            case.use(world, room, changed, target)

    case.use(world, room, permit, target)  # the attempt has not spent the real one


@EACH
@ON_ONE
def test_forged_by_another_mint(world, case, target, room):
    """A permit that was sealed with another secret opens nothing."""
    real = case.permit(world, target)
    mint = Mint(secrets.token_bytes(32), clock=world.clock.monotonic)
    names = [field.name for field in fields(Permit) if field.name not in ("until", "seal")]
    forged = mint.issue(**{name: getattr(real, name) for name in names})

    with untouched(world), pytest.raises(PermitError, match="forged"):
        case.use(world, room, forged, target)


@EACH
@ON_ONE
def test_a_copy_is_spent_with_it(world, case, target, room):
    """A copy of a permit is the same permit: one of the two is too many."""
    permit = case.permit(world, target)
    copy = replace(permit)
    case.use(world, room, permit, target)

    with untouched(world, *case.looks), case.refused_again():
        case.use(world, room, copy, target)


def test_one_among_many(world):
    """One wrong permit among the right ones of a submission, and nothing is deposited."""
    drafts = [draft() for _ in range(5)]
    for place in range(5):
        permits = [world.permit_for(one) for one in drafts]
        for wrong in (None, replace(permits[place], until=1e12), permits[place - 1]):
            spoilt = [*permits[:place], wrong, *permits[place + 1 :]]
            with untouched(world), pytest.raises(PermitError):
                world.store.submit(spoilt, JEAN, drafts)
            permits = [world.permit_for(one) for one in drafts]
