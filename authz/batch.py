"""One batch: catch up, decide, write all as one row, commit. No answer exists before the commit.

Everything that happens in a transaction of the decision point is in this file, in order. It runs in one
thread of its own, so nothing in it needs a lock.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from audit.entry import Entry, rfc3339, uuid7s
from audit.errors import EntryError
from audit.errors import Error as AuditError
from audit.log import Log
from authz.bundle import Bundle, Product, restore
from authz.decide import failed
from authz.decision import CHANGE_IMPOSSIBLE, Decision
from authz.errors import (
    BundleError,
    ChangeError,
    Error,
    RegistryError,
    UnavailableError,
    UnreachableError,
    UnrecordableError,
)
from authz.facts import FactComputer, Facts
from authz.model import Effect, Verdict
from authz.query import Query, digest
from authz.record import draft
from authz.registry import listing, requests, standing
from authz.registry.apply import apply
from authz.registry.changes import SetReviewStanding
from authz.registry.state import PatientState, unknown
from authz.registry.store import Store
from authz.value import dataclass
from serving.clock import boottime
from serving.errors import RequestError
from serving.servicelog import cause_of
from storage.database import is_conflict
from storage.errors import Error as StorageError

Clock = Callable[[], datetime]
Random = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Call:
    """The requests of one remote call: decided in order, on record all together or not at all.

    `render` makes the answer, for a call that has an id under which it may come again.
    """

    queries: tuple[Query, ...]
    render: Callable[[tuple[Decision, ...]], bytes] | None = None

    @property
    def request_id(self) -> str:
        """The id, "" for none."""
        return self.queries[0].request_id if self.render is not None and self.queries else ""


@dataclass(frozen=True, slots=True)
class Repeated:
    """The answer that a call was given when it came for the first time."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Activation:
    """A sound bundle that is to decide from the next decision on.

    One that `yields` does so to whatever decides already on this database, if anything does.
    """

    bundle: Bundle
    cause: str
    yields: bool = False


ATTEMPTS: Final = 3
"""How often a batch is decided when other processes keep being faster."""

_TRIAL: Final = 1 << 18
"""As many bytes as the entries of a full batch take, about."""

_OF_THE_STORE: Final = (
    DBAPIError,
    AuditError,
    RegistryError,
    StorageError,
    BundleError,
    UnavailableError,
    OSError,
)

Item = Call | Activation
Answer = tuple[Decision, ...] | Repeated | RequestError
"""Decisions; or what was decided before under the same id; or that the id stands for something else."""


class Batcher:
    """Decides and records; the one owner of the database connection, the log and the active bundle."""

    def __init__(
        self,
        *,
        engine: Engine,
        log: Log,
        store: Store,
        bundle: Bundle,
        product: Product,
        clock: Clock,
        random: Random,
    ) -> None:
        self._engine = engine
        self._log = log
        self._store = store
        self._product = product
        self._clock = clock
        self._random = random
        self._connection: Connection | None = None
        self.bundle = bundle
        """The bundle that decides now: the last one whose activation is on durable record."""
        self.revision = 0
        """The revision of the registry after the last batch."""
        self.read_at = 0.0
        """When the last batch began to read the registry, on the clock of `boottime`."""
        self._use(bundle)

    def open(self, *, yields: bool = False) -> None:
        """Takes over the log and activates the bundle that this batcher was made with.

        Args:
            yields: activate rather what is active on this database already, if anything is.

        Raises:
            UnavailableError: the database can't be written.
        """
        conn = self._connect()
        try:
            with conn.begin():
                self._log.open(conn, random=self._random)
        except SQLAlchemyError as exc:
            self._abandon()
            raise UnavailableError(f"the log can't be opened: {cause_of(exc)}") from exc
        self.run([Activation(self._bundle, "start", yields)])

    def run(self, items: Sequence[Item], *, attempts: int = ATTEMPTS) -> list[Answer]:
        """Decides all items as one batch; the answers are on durable record when this returns.

        Where another process was faster, nothing was written, and the batch is decided again. Without
        items nothing is written either, and what is known is up to date when this returns.

        Raises:
            UnavailableError: nothing was answered; whatever was decided is void.
            UnrecordableError: the same, and the fault is in an item, not in the log.
        """
        try:
            conn = self._connect()
            with conn.begin():
                answers = self._transact(conn, items)
            self._log.committed()
            self._store.adopt(self._changed.values(), self._revision)
        except Exception as exc:
            # Whatever went wrong, nothing is answered; a commit in doubt is found out by reading again.
            self._abandon()
            self._use(self.bundle)
            if is_conflict(exc) and attempts > 1:
                return self.run(items, attempts=attempts - 1)
            raise _kind(exc)(f"not recorded: {cause_of(exc)}") from exc
        self.bundle, self.revision = self._bundle, self._revision
        return answers

    def probe(self) -> None:
        """Finds out whether the log can be written again: writes as much as a full batch, and takes it back.

        Raises:
            UnavailableError: it can't.
        """
        try:
            conn = self._connect()
            with conn.begin() as trial:
                scratch: Entry = {"id": "", "patient": "", "remarks": ["-" * _TRIAL]}
                self._log.append(conn, [scratch], at="", random=self._random)
                trial.rollback()
            self._log.rolled_back()
            with conn.begin():  # what was taken back never came to the disk; this does
                self._log.touch(conn)
        except Exception as exc:
            self._abandon()
            kind = _kind(exc) if _is_of_the_store(exc) else UnavailableError
            raise kind(f"still not writable: {cause_of(exc)}") from exc

    def close(self) -> None:
        """Gives the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._engine.dispose()

    def _transact(self, conn: Connection, items: Sequence[Item]) -> list[Answer]:
        self.read_at = boottime()
        head = self._store.catch_up(conn, changes=any(map(_may_change, items)))
        at = self._clock()
        self._revision = head.revision
        self._changed: dict[str, PatientState] = {}
        gives_way = not items or any(map(_gives_way, items))
        if gives_way and head.bundle not in (None, self._bundle.digest):
            self._follow(conn, str(head.bundle))
        patients = {q.patient for i in items if isinstance(i, Call) for q in i.queries if q.patient}
        states = self._store.get_many(conn, patients)
        self._standings = self._store.standings(conn)
        self._ids = self._new_ids(items, at)
        drafts: list[Entry] = []
        answers: list[Answer] = []
        for item in items:
            if isinstance(item, Activation):
                drafts.append(self._activate(conn, item, at))
                answers.append(())
                continue
            before = self._before(conn, item)
            if before is not None:
                answers.append(before)
                continue
            call = next(self._ids)
            decisions = tuple(self._decide(conn, query, states, at) for query in item.queries)
            drafts += [draft(decision, call) for decision in decisions]
            answers.append(decisions)
            self._remember(conn, item, decisions)
        self._log.append(conn, drafts, at=rfc3339(at), random=self._random)
        if items and not drafts:
            # What is told again may not be durable yet: a commit that writes waits until it is.
            self._log.touch(conn)
        return answers

    def _before(self, conn: Connection, call: Call) -> Repeated | RequestError | None:
        """What was answered when the call came for the first time, if it did."""
        if not call.request_id:
            return None
        (query,) = call.queries
        known = requests.find(conn, query.caller, call.request_id)
        if known is None:
            return None
        if known.digest != digest(query):
            cure = "give each request its own id, and repeat it unchanged"
            return RequestError([("request_id", "stands for another request already", cure)])
        return Repeated(known.answer)

    def _remember(self, conn: Connection, call: Call, decisions: tuple[Decision, ...]) -> None:
        """Keeps the answer to a call that may come again, in the transaction of what it did."""
        if call.render is None or not call.request_id:
            return
        (decision,) = decisions
        requests.keep(
            conn,
            requests.Answered(
                caller=decision.query.caller,
                request_id=call.request_id,
                digest=digest(decision.query),
                decision_id=decision.id,
                at=decision.at,
                answer=call.render(decisions),
            ),
        )

    def _decide(
        self, conn: Connection, query: Query, states: dict[str, PatientState], at: datetime
    ) -> Decision:
        state = states[query.patient] if query.patient else unknown("")
        condition = None
        try:
            facts = self._facts.compute(query, state, at, self._standings)
            if query.any_document:
                judgement = self._bundle.judge(facts.vector)
                verdict, condition = judgement.verdict, judgement.condition
            else:
                verdict = self._bundle.decide(facts.vector)
        except Exception as exc:  # noqa: BLE001 - whatever went wrong, the answer is a named deny
            facts, verdict = Facts(self._bundle.vocabulary.defaults(), ()), failed(exc)
        decision = Decision(
            id=next(self._ids),
            at=at,
            query=query,
            vector=facts.vector,
            verdict=verdict,
            remarks=facts.remarks,
            bundle=self._bundle,
            revision=self._revision,
            state=state,
            condition=condition,
        )
        if verdict.effect is not Effect.ALLOW:
            return decision
        if query.page is not None:
            reach = self._facts.reach(query.subject)
            return replace(decision, listed=listing.read(conn, reach, query.page, at=at))
        return decision if query.change is None else self._change(conn, decision, states)

    def _change(
        self, conn: Connection, decision: Decision, states: dict[str, PatientState]
    ) -> Decision:
        """Carries out a change that policy allows; what is allowed but impossible is denied."""
        query, old = decision.query, decision.state
        if query.change is None:
            return decision
        try:
            if isinstance(query.change, SetReviewStanding):
                return self._set_standing(conn, decision, query.change)
            new = apply(old, query.change, at=decision.at, terms=self._facts.terms)
        except ChangeError as exc:
            impossible = Verdict(
                effect=Effect.DENY, reason=CHANGE_IMPOSSIBLE, rules=(), obligations=()
            )
            remarks = (*decision.remarks, str(exc))
            return replace(decision, verdict=impossible, remarks=remarks)
        self._revision = self._store.save(
            conn, old, new, action=query.action, decision_id=decision.id, at=decision.at
        )
        states[query.patient] = self._changed[query.patient] = new
        return replace(decision, state=new, changed=self._revision)

    def _set_standing(
        self, conn: Connection, decision: Decision, change: SetReviewStanding
    ) -> Decision:
        """Carries out a change that is of no patient.

        Raises:
            ChangeError: it is impossible.
        """
        standing.require_possible(change)
        action, at = decision.query.action, decision.at
        self._revision = self._store.set_standing(
            conn, change, action=action, decision_id=decision.id, at=at
        )
        self._standings = self._store.standings(conn)
        return replace(decision, changed=self._revision)

    def _activate(self, conn: Connection, item: Activation, at: datetime) -> Entry:
        before, entry = self._bundle.digest, next(self._ids)
        bundle = self._bundle if item.yields else item.bundle
        self._revision = self._store.activate(
            conn, bundle.digest, bundle.content, at=at, decision_id=entry
        )
        self._use(bundle)
        return {
            "kind": "start" if item.cause == "start" else "activation",
            "id": entry,
            "call": next(self._ids),
            "patient": "",
            "change": {"cause": item.cause, "before": before, "after": bundle.digest},
            "bundle": bundle.digest,
            "revision": self._revision,
        }

    def _follow(self, conn: Connection, digest: str) -> None:
        """Another process activated a bundle on this database: decide under that one."""
        content = self._store.bundle(conn, digest)
        if content is None:
            raise UnavailableError(f"active bundle {digest[:12]} is not stored")
        bundle = restore(content, self._product)
        if bundle.digest != digest:
            raise UnavailableError(f"active bundle {digest[:12]} is stored as another one")
        self._use(bundle)

    def _use(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._facts = FactComputer(bundle)

    def _new_ids(self, items: Sequence[Item], at: datetime) -> Iterator[str]:
        """One for each item, and one for each entry."""
        count = sum(1 + (len(i.queries) if isinstance(i, Call) else 1) for i in items)
        return iter(uuid7s(int(at.timestamp() * 1000), self._random(10 * count)))

    def _connect(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _abandon(self) -> None:
        """After a failure: forget what was decided, and open the database afresh."""
        self._log.rolled_back()
        self._store.forget_all()
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


def _gives_way(item: Item) -> bool:
    """Whether an item is decided, or activated, under what another process has activated."""
    return isinstance(item, Call) or item.yields


def _may_change(item: Item) -> bool:
    return isinstance(item, Activation) or any(query.change for query in item.queries)


def _kind(error: Exception) -> type[Error]:
    """What it means for those who asked that a batch ended so."""
    if not _is_of_the_store(error):
        return UnrecordableError
    return UnreachableError if isinstance(error, DBAPIError) else UnavailableError


def _is_of_the_store(error: Exception) -> bool:
    """Whether database, log or the bundle stored there failed; the rest comes from an item."""
    if isinstance(error, EntryError | DataError | IntegrityError):
        return False
    return isinstance(error, _OF_THE_STORE)
