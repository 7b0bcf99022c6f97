"""What must be on record after all that callers were told."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import select

from audit.database import reader, snapshot
from audit.entry import Entry
from audit.reader import origins, read
from authz.registry import tables
from tests.faults.callers import Answer, Told

STATES = {"AUTHORISED", "NOT_AUTHORISED", "BLOCKED"}
"""The reasons by which a check tells how the stranger stands with a patient who has a dossier."""

BRIEF = ("id", "kind", "action", "effect", "patient", "reason_code", "bundle", "revision")


class Record:
    """Log and registry of one database, read on from where they were last read to."""

    def __init__(self, url: str) -> None:
        self.checked = 0
        """How many answers were found on record."""
        self._url = url
        self._entries: dict[str, Entry] = {}
        self._ends: dict[str, int] = {}
        self._changes: dict[str, int] = {}
        self._newest = 0
        self._bundles: list[tuple[int, str]] = []
        self._states: dict[str, list[tuple[int, str]]] = defaultdict(list)

    def check(self, told: Told) -> None:
        """Everything that was answered is on record, without a hole; it is taken out of `told`.

        * Every decision is in a log, word for word, and every log counts on.
        * Every change that was answered is in the registry, at its revision; registry and log agree.
        * Every check was answered as its revision demands, under the policies of its revision.
        """
        answers, told.answers = told.answers, []
        self._read()
        for answer in answers:
            entry = self._entries.get(answer.id)
            assert entry is not None, f"an answer is not on record: {answer}"
            assert entry["patient"] == answer.patient, answer
            assert entry["reason_code"] == answer.reason, answer
            assert entry["bundle"] == answer.bundle == self._bundle(entry["revision"]), answer
            if answer.changed:
                assert self._changes.get(answer.id) == answer.changed, f"a change is lost: {answer}"
            elif answer.reason in STATES:
                assert entry["revision"] == answer.revision, answer
                due = self._state(answer.patient, answer.revision)
                assert answer.reason == due, f"{due} was due at its revision: {answer}"
        self.checked += len(answers)

    def _read(self) -> None:
        """Reads on, and compares the log with the registry.

        What was read is kept: an answer may still have been on its way, or be given a second time.
        """
        found: dict[str, Entry] = {}
        engine = reader(self._url)
        with snapshot(engine) as conn:
            for origin in origins(conn):
                start = self._ends.get(origin, 0)
                entries = [stored.entry for stored in read(conn, origin=origin, start=start)]
                indexes = [entry["index"] for entry in entries]
                assert indexes == list(range(start, start + len(entries))), "the log has a hole"
                self._ends[origin] = start + len(entries)
                found.update((entry["id"], _brief(entry)) for entry in entries)
            feed = conn.execute(
                select(tables.changes)
                .where(tables.changes.c.revision > self._newest)
                .order_by(tables.changes.c.revision)
            ).all()
            head = conn.execute(select(tables.head.c.revision)).scalar_one()
        engine.dispose()
        revisions = [row.revision for row in feed]
        assert revisions == list(range(self._newest + 1, head + 1)), "the feed has a hole"
        self._newest = head
        rows = {row.decision_id: row.revision for row in feed if row.ins}
        changes = {e["id"] for e in found.values() if e["kind"] == "change" and _allowed(e)}
        assert changes == rows.keys(), "registry and log differ"
        self._changes.update(rows)
        for change in sorted(rows, key=rows.__getitem__):
            self._follow(found[change], rows[change])
        for entry in found.values():
            if entry["kind"] in {"start", "activation"}:
                self._bundles.append((entry["revision"], entry["bundle"]))
        self._bundles.sort()
        self._entries.update(found)

    def _follow(self, entry: Entry, revision: int) -> None:
        states = self._states[entry["patient"]]
        match entry["action"]:
            case "dossier.create":
                states.append((revision, "NOT_AUTHORISED"))
            case "authorisation.grant":
                states.append((revision, "AUTHORISED"))
            case "authorisation.revoke" | "block.lift":
                states.append((revision, "NOT_AUTHORISED"))
            case "block.set":
                states.append((revision, "BLOCKED"))

    def _state(self, patient: str, revision: int) -> str:
        states = self._states[patient]
        return states[bisect_right(states, revision, key=lambda state: state[0]) - 1][1]

    def _bundle(self, revision: int) -> str:
        place = bisect_right(self._bundles, revision, key=lambda bundle: bundle[0])
        return self._bundles[place - 1][1]


def check_order(answers: Iterable[Answer]) -> int:
    """No answer is behind one that had been given before its call began; how many were compared.

    So whoever asks after a revocation was answered, anywhere, is answered at its revision or a later one.
    """
    by_end = sorted(answers, key=lambda answer: answer.ended)
    place = seen = 0
    for answer in sorted(by_end, key=lambda answer: answer.began):
        while by_end[place].ended < answer.began:
            seen = max(seen, by_end[place].revision, by_end[place].changed)
            place += 1
        assert answer.revision >= seen, f"behind revision {seen}, answered before: {answer}"
    return len(by_end)


def check_age(answers: Iterable[Answer], seconds: float) -> None:
    """No answer is behind one that had been given so many seconds before itself."""
    by_end = sorted(answers, key=lambda answer: answer.ended)
    place = seen = 0
    old: list[Answer] = []
    for answer in by_end:
        while by_end[place].ended < answer.ended - seconds:
            seen = max(seen, by_end[place].revision, by_end[place].changed)
            place += 1
        if answer.revision < seen:
            old.append(answer)
    assert not old, f"{len(old)} of {len(by_end)} are {seconds} s behind: {old[0]}"


def _brief(entry: Entry) -> Entry:
    """As much of an entry as is compared."""
    return {name: entry[name] for name in BRIEF if name in entry}


def _allowed(entry: Entry) -> bool:
    return entry["effect"] == "allow"
