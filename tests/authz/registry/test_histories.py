"""Random histories of changes, against a model made of plain dictionaries."""

from copy import deepcopy
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from authz.errors import ChangeError
from authz.registry.apply import apply
from authz.registry.changes import (
    AddRepresentative,
    CloseDossier,
    GrantAuthorisation,
    LiftBlock,
    OpenDossier,
    RemoveRepresentative,
    RenewAuthorisation,
    ReopenDossier,
    RevokeAuthorisation,
    SetBlock,
    SetConsents,
    SetTreatingDoctor,
    WithdrawTreatingDoctor,
)
from authz.registry.state import AuthorisationState, Grantee, GranteeKind
from authz.registry.store import Store
from storage.database import connect
from tests.authz.registry.samples import CHILD, NOW, PATIENT, PERSON, TERMS
from tests.databases import empty

PATIENTS = st.sampled_from([PATIENT, CHILD])
NUMBERS = st.sampled_from(["A", "B", "C"])
KINDS = st.sampled_from(GranteeKind)
WHOM = {"grantee": NUMBERS, "kind": KINDS}
MAYBE = st.none() | st.booleans()
YES = st.booleans()
NAMED = st.builds(
    AddRepresentative, representative=NUMBERS, relation=st.sampled_from(["FTH", "MTH"])
)
ANSWERS = {
    "samu": YES,
    "break_glass": YES,
    "masked_in_emergency": YES,
    "authorise": st.none() | st.builds(Grantee, identifier=NUMBERS, kind=KINDS),
    "treating_doctor": YES,
    "representatives": st.lists(NAMED, max_size=2).map(tuple),
}
CHANGES = st.one_of(
    st.builds(CloseDossier, reason=st.sampled_from(["DECES", "no code"])),
    st.builds(SetConsents, samu=MAYBE, break_glass=MAYBE, masked_in_emergency=MAYBE, feeding=MAYBE),
    st.builds(GrantAuthorisation, **WHOM, treating_doctor=YES),
    st.builds(RenewAuthorisation, **WHOM),
    st.builds(RevokeAuthorisation, **WHOM),
    st.builds(SetTreatingDoctor, professional=NUMBERS),
    st.builds(WithdrawTreatingDoctor, professional=NUMBERS),
    st.builds(SetBlock, **WHOM, withdraw_treating_doctor=YES),
    st.builds(LiftBlock, **WHOM),
    NAMED,
    st.builds(RemoveRepresentative, representative=NUMBERS),
)
OPENINGS = st.builds(OpenDossier, **ANSWERS) | st.builds(ReopenDossier, **ANSWERS)


class ImpossibleError(Exception):
    """The model's way to say that a change is impossible."""


class Model:
    """One patient, as anybody would write it down."""

    def __init__(self):
        self.status = "none"
        self.dead = False
        self.yes = set()
        self.until = {}
        self.doctors = set()
        self.blocked = set()
        self.related = {}

    def need(self, truth):
        if not truth:
            raise ImpossibleError

    def do(self, change, now):
        self.now = now
        RULES[type(change)](self, change)

    def open_dossier(self, c):
        self.need(self.status == "none")
        self.begin(c)

    def reopen_dossier(self, c):
        self.need(self.status == "closed" and not self.dead)
        self.begin(c)

    def begin(self, c):
        self.status, self.until, self.doctors = "open", {}, set()
        names = ("samu", "break_glass", "masked_in_emergency")
        self.yes = {"feeding"} | {name for name in names if getattr(c, name)}
        self.need("masked_in_emergency" not in self.yes or self.yes & {"samu", "break_glass"})
        for entry in c.representatives:
            self.related[entry.representative] = entry.relation
        self.need(c.authorise or not c.treating_doctor)
        if c.authorise:
            self.grant(c.authorise.identifier, c.authorise.kind, c.treating_doctor)

    def close_dossier(self, c):
        self.need(self.status == "open" and " " not in c.reason)
        self.status, self.dead = "closed", c.reason == "DECES"

    def set_consents(self, c):
        asked = {name: getattr(c, name) for name in c.__dataclass_fields__}
        self.need(self.status == "open" and set(asked.values()) != {None})
        for name, answer in asked.items():
            if answer is not None:
                (self.yes.add if answer else self.yes.discard)(name)
        if not self.yes & {"samu", "break_glass"}:
            self.need(not asked["masked_in_emergency"])
            self.yes.discard("masked_in_emergency")

    def end(self, kind):
        at = self.now
        year, month = (at.year + 1, at.month) if kind == PERSON else (at.year, at.month + 6)
        if month > 12:
            year, month = year + 1, month - 12
        for day in (at.day, 30, 29, 28):
            try:
                return at.replace(year=year, month=month, day=day)
            except ValueError:
                continue
        raise AssertionError

    def grant(self, number, kind, doctor):
        self.need((number, kind) not in self.blocked and not (doctor and kind != PERSON))
        self.until[number, kind] = self.end(kind)
        if doctor:
            self.doctors.add(number)

    def grant_authorisation(self, c):
        self.need(self.status == "open")
        self.grant(c.grantee, c.kind, c.treating_doctor)

    def valid(self, key):
        return key in self.until and self.now < self.until[key]

    def renew_authorisation(self, c):
        key = c.grantee, c.kind
        self.need(self.status == "open" and self.valid(key))
        self.until[key] = self.end(c.kind)

    def revoke_authorisation(self, c):
        self.need(self.status == "open")
        self.until.pop((c.grantee, c.kind), None)
        if c.kind == PERSON:
            self.doctors.discard(c.grantee)

    def set_treating_doctor(self, c):
        self.need(self.status == "open" and self.valid((c.professional, PERSON)))
        self.doctors.add(c.professional)

    def withdraw_treating_doctor(self, c):
        self.need(self.status == "open")
        self.doctors.discard(c.professional)

    def set_block(self, c):
        doctor = c.kind == PERSON and c.grantee in self.doctors
        self.need(self.status == "open" and (c.withdraw_treating_doctor or not doctor))
        self.blocked.add((c.grantee, c.kind))
        self.revoke_authorisation(c)

    def lift_block(self, c):
        self.need(self.status == "open")
        self.blocked.discard((c.grantee, c.kind))

    def add_representative(self, c):
        self.need(self.status == "open")
        self.related[c.representative] = c.relation

    def remove_representative(self, c):
        self.need(self.status == "open")
        self.related.pop(c.representative, None)

    def seen(self):
        return self.status, self.yes, self.until, self.doctors, self.blocked, self.related


RULES = {
    OpenDossier: Model.open_dossier,
    ReopenDossier: Model.reopen_dossier,
    CloseDossier: Model.close_dossier,
    SetConsents: Model.set_consents,
    GrantAuthorisation: Model.grant_authorisation,
    RenewAuthorisation: Model.renew_authorisation,
    RevokeAuthorisation: Model.revoke_authorisation,
    SetTreatingDoctor: Model.set_treating_doctor,
    WithdrawTreatingDoctor: Model.withdraw_treating_doctor,
    SetBlock: Model.set_block,
    LiftBlock: Model.lift_block,
    AddRepresentative: Model.add_representative,
    RemoveRepresentative: Model.remove_representative,
}


def seen(state):
    """A state in the words of the model."""
    names = ("samu", "break_glass", "masked_in_emergency", "feeding")
    return (
        state.status,
        {name for name in names if getattr(state.consents, name)},
        {(a.grantee, a.kind): a.expires_at for a in state.authorisations},
        {d.professional for d in state.treating_doctors},
        {(b.grantee, b.kind) for b in state.blocks},
        {r.representative: r.relation for r in state.representatives},
    )


class Histories(RuleBasedStateMachine):
    """Two processes and one database; whatever one of them commits, both tell as the model does."""

    def __init__(self, engines):
        super().__init__()
        self.engines = engines

    @initialize(new=st.booleans())
    def begin(self, new):
        empty(self.engines[0])
        self.stores = [Store(capacity=6), Store()]
        self.models = {PATIENT: Model(), CHILD: Model()}
        self.revision = 0
        self.now = NOW
        if not new:
            self.batch(0, PATIENT, [OpenDossier(samu=True, break_glass=True)], "yes")

    @rule(
        who=st.integers(0, 1),
        patient=PATIENTS,
        changes=st.lists(CHANGES, min_size=1, max_size=4),
        commits=st.sampled_from(["yes", "yes", "yes", "unadopted", "no"]),
    )
    def batch(self, who, patient, changes, commits):
        """One process saves several changes in one transaction, and commits or does not."""
        store, model = self.stores[who], deepcopy(self.models[patient])
        with self.engines[who].connect() as conn:
            head = store.catch_up(conn)
            assert self.revision == head.revision
            for change in changes:
                old = store.get(conn, patient)
                try:
                    trial = deepcopy(model)
                    trial.do(change, self.now)
                except ImpossibleError:
                    trial = None
                try:
                    new = apply(old, change, at=self.now, terms=TERMS)
                except ChangeError:
                    assert trial is None, f"refused, though possible: {change}"
                    continue
                assert trial is not None, f"possible, though it must be refused: {change}"
                model = trial
                revision = store.save(conn, old, new, action="x", decision_id="y", at=self.now)
                assert head.revision < revision
                head = type(head)(revision=revision, bundle=None)
            if commits == "no":
                conn.rollback()
                return
            final = store.get(conn, patient)
            conn.commit()
        if commits == "yes":
            store.adopt([final], head.revision)
        self.revision, self.models[patient] = head.revision, model

    @rule(who=st.integers(0, 1), patient=PATIENTS, change=OPENINGS)
    def opening(self, who, patient, change):
        """A dossier is created or re-activated, when that is possible."""
        self.batch(who, patient, [change], "yes")

    @rule(days=st.sampled_from([1, 40, 200, 400]), instant=st.integers(0, 10**6))
    def time_passes(self, days, instant):
        """Time goes on."""
        self.now += timedelta(days=days, microseconds=instant)

    @rule()
    def expiry_comes(self):
        """Time goes on to the very instant of the next expiry."""
        ends = [end for model in self.models.values() for end in model.until.values()]
        self.now = min((end for end in ends if end > self.now), default=self.now)

    @rule(who=st.integers(0, 1))
    def restart(self, who):
        """A process starts again with an empty memory."""
        self.stores[who] = Store()

    @invariant()
    def both_tell_the_truth(self):
        """After catching up each process knows what the model knows of every patient."""
        for engine, store in zip(self.engines, self.stores, strict=True):
            with engine.connect() as conn:
                store.catch_up(conn)
                states = store.get_many(conn, self.models)
            for patient, model in self.models.items():
                assert model.seen() == seen(states[patient])

    @invariant()
    def promises_hold(self):
        """What `PatientState` promises is true in every reachable state."""
        with self.engines[0].connect() as conn:
            self.stores[0].catch_up(conn)
            for state in self.stores[0].get_many(conn, self.models).values():
                authorised = {(a.grantee, a.kind) for a in state.authorisations}
                blocked = {(b.grantee, b.kind) for b in state.blocks}
                assert not authorised & blocked
                assert {(d.professional, PERSON) for d in state.treating_doctors} <= authorised
                consents = state.consents
                assert not consents.masked_in_emergency or consents.samu or consents.break_glass
                for number, kind in blocked:
                    both = (number, None) if kind == PERSON else (None, number)
                    forbidden = state.authorisation_of(*both, self.now)
                    assert forbidden is AuthorisationState.FORBIDDEN


def test_histories(database):
    """Whatever two processes do on one database, both know what the model knows."""
    engines = [connect(database.url) for _ in range(2)]

    run_state_machine_as_test(
        lambda: Histories(engines),
        settings=settings(max_examples=60, stateful_step_count=30, deadline=None),
    )

    for engine in engines:
        engine.dispose()
