"""Attacks: whatever is not the permit for just this, made by the gate, fresh and unspent, opens nothing.

Every public method of the rooms that touch the record stands in `CASES`, or in `WITHOUT` with the reason why
it takes no permit. To add a room: name it in `ROOMS`, and give its methods a case each.
"""

import inspect
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace

import pytest
from sqlalchemy import event

from clients.sdk.condition import Clause, Condition
from clients.sdk.values import Context
from dossier.errors import PermitError
from dossier.mint import Mint
from dossier.model import Act, Search
from dossier.permit import LIFETIME_S, Permit
from dossier.store import Store
from tests.dossier.world import DOCTOR, EVERYTHING, JEAN, PHILIPPE, World, draft

ROOMS = {"Store": Store}
WITHOUT = {
    ("Store", "label"): "what policy judges, before there is a decision; it is shown to nobody",
    ("Store", "label_by_unique_id"): "the same",
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """How one method is used, and which permit it wants.

    `use` gets the world, the store, the permit, and the two labels of JEAN's that are in it.
    """

    room: str
    method: str
    action: str
    use: Callable[..., object]
    on_document: bool = True
    condition: Condition | None = None

    def permit(self, world: World, label, *, patient: str = JEAN) -> Permit:
        """The right permit."""
        if not self.on_document:
            return world.permit(self.action, patient=patient, condition=self.condition)
        return world.permit(self.action, label)


def deposit(_, store, permit, label):
    return store.submit([permit], JEAN, [replace(draft(), label=label)])


def supersede(_, store, permit, label):
    return store.submit([permit], JEAN, [draft(replaces=label.id)])


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
]

# What is refused at the turnstile never comes to a database, so one kind of it will do.
ON_ONE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
EACH = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.method}-{case.action}")


@pytest.fixture
def target(world, case):
    """The document of JEAN's that the case is about; for a deposit, one that is not there yet."""
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
def test_the_right_permit_works_once(world, case, target):
    """The permit for just this is taken once; that is on record once."""
    permit = case.permit(world, target)
    count = len(world.acts())

    case.use(world, world.store, permit, target)

    assert len(world.acts()) == count + 1
    with untouched(world), pytest.raises(PermitError, match="spent"):
        case.use(world, world.store, permit, target)


@EACH
def test_replayed_in_another_process(world, case, target):
    """A permit that was used is refused by every other process too: its use is on record."""
    permit = case.permit(world, target)
    case.use(world, world.store, permit, target)

    # Keys are no content: that one is looked up first does no harm.
    with untouched(world, "acts", "patient_keys"), pytest.raises(PermitError, match="spent"):
        case.use(world, world.another_store(), permit, target)


@EACH
@ON_ONE
def test_no_permit(world, case, target):
    """What is no permit opens nothing."""
    for thing in (None, "", "permit", True, object(), {}, (), Permit):
        with untouched(world), pytest.raises(PermitError, match="no permit: ask the gate"):
            case.use(world, world.store, thing, target)


@EACH
@ON_ONE
def test_something_that_looks_like_a_permit(world, case, target):
    """An object with all the fields of a permit is none."""

    class Lookalike:
        pass

    permit, thing = case.permit(world, target), Lookalike()
    for field in fields(Permit):
        setattr(thing, field.name, getattr(permit, field.name))

    with untouched(world), pytest.raises(PermitError, match="no permit: ask the gate"):
        case.use(world, world.store, thing, target)


@EACH
@ON_ONE
def test_for_another_patient(world, case, target):
    """A permit for another patient's dossier opens nothing."""
    permit = case.permit(world, replace(target, patient=PHILIPPE), patient=PHILIPPE)

    with untouched(world), pytest.raises(PermitError, match="of something else"):
        case.use(world, world.store, permit, target)


@EACH
@ON_ONE
def test_for_another_document(world, case, target):
    """A permit for another document of the same patient opens nothing; nor does one for a list."""
    other = world.deposit(draft())[0] if case.on_document else target
    permits = [world.permit(case.action, other)]
    if case.on_document:
        permits.append(world.permit(case.action, patient=JEAN, condition=EVERYTHING))

    for permit in permits:
        with untouched(world), pytest.raises(PermitError, match="of something else"):
            case.use(world, world.store, permit, target)


@EACH
@ON_ONE
def test_for_another_action(world, case, target):
    """A permit for another action on the same document opens nothing."""
    for action in {one.action for one in CASES} - {case.action} | {"dossier.read", ""}:
        permit = replace(case, action=action).permit(world, target)

        with untouched(world), pytest.raises(PermitError, match="of something else"):
            case.use(world, world.store, permit, target)


@EACH
@ON_ONE
def test_too_old(world, case, target):
    """A permit opens nothing any more once its time is over."""
    permit = case.permit(world, target)
    world.clock.seconds += LIFETIME_S

    with untouched(world), pytest.raises(PermitError, match="too old"):
        case.use(world, world.store, permit, target)


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
def test_forged(world, case, target):
    """A permit in which any field was changed opens nothing, not even what it was made for."""
    permit = case.permit(world, target)
    for field in fields(Permit):
        changed = replace(permit, **{field.name: OTHERS[field.name]})

        with untouched(world), pytest.raises(PermitError, match="forged"):
            case.use(world, world.store, changed, target)

    case.use(world, world.store, permit, target)  # the attempt has not spent the real one


@EACH
@ON_ONE
def test_forged_by_another_mint(world, case, target):
    """A permit that was sealed with another secret opens nothing."""
    real = case.permit(world, target)
    mint = Mint(secrets.token_bytes(32), clock=world.clock.monotonic)
    names = [field.name for field in fields(Permit) if field.name not in ("until", "seal")]
    forged = mint.issue(**{name: getattr(real, name) for name in names})

    with untouched(world), pytest.raises(PermitError, match="forged"):
        case.use(world, world.store, forged, target)


@EACH
@ON_ONE
def test_a_copy_is_spent_with_it(world, case, target):
    """A copy of a permit is the same permit: one of the two is too many."""
    permit = case.permit(world, target)
    copy = replace(permit)
    case.use(world, world.store, permit, target)

    with untouched(world), pytest.raises(PermitError, match="spent"):
        case.use(world, world.store, copy, target)


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
