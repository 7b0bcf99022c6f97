"""What a service asked besides is told within the refusal that it belongs to, whatever is asked around it."""

import itertools

from audit.office.besides import NEAR_US, Besides, Seen

_TRACE = "ab" * 16


class Asked:
    """What one professional asked about one patient, in the order of the log."""

    def __init__(self):
        self.seen = []
        self.read_entries = 0

    def add(self, at, *, log=1, **fields):
        """An entry so many seconds from the beginning."""
        number = len(self.seen)
        entry = {
            "id": f"id-{number}",
            "kind": "decision",
            "caller": "dossier",
            "subject": {"kind": "professional", "id": "00B1038575"},
            "patient": "1541187387477485562488",
            "trace_id": _TRACE,
            "effect": "deny",
            **fields,
        }
        one = Seen(key=(int((at + 1_000) * 1_000_000), log, number), entry=entry, policies=None)
        self.seen.append(one)
        return one

    def refusal(self, at, **fields):
        document = {"id": "doc-1", "type": "11488-4"}
        return self.add(at, action="document.read", document=document, **fields)

    def probe(self, at, **fields):
        document = {"id": "unknown", "type": "unknown"}
        return self.add(at, action="document.read", document=document, **fields)

    def list(self, at, **fields):
        return self.add(at, kind="filter", action="document.list", effect="allow", **fields)

    def read(self, person, begin, end):
        for one in sorted(self.seen, key=lambda one: one.key):
            if begin <= one.key[0] < end and one.entry["subject"]["id"] == person:
                self.read_entries += 1
                yield one

    def told(self):
        """Each entry that is a line, with what is told within it."""
        found = Besides(self.read)
        return {
            one.entry["id"]: [inner["id"] for inner in found.of(one)]
            for one in self.seen
            if not found.has_owner(one)
        }


def ids(*entries):
    return [one.entry["id"] for one in entries]


def test_nothing_is_hidden_behind_a_flood():
    """A list after a refusal stands in the line of the refusal, however much was asked just before."""
    asked = Asked()
    for number in range(1_500):
        asked.refusal(number / 100)
    refusal = asked.refusal(19)
    inner = asked.list(19.1)
    assert asked.told()[refusal.entry["id"]] == ids(inner)


def test_whatever_was_asked_is_told_once():
    """Each entry is either a line or told within one, and never both."""
    asked = Asked()
    kinds = itertools.cycle((asked.refusal, asked.probe, asked.list, asked.list))
    for number in range(400):
        next(kinds)(number * 0.7, trace_id=_TRACE if number % 3 else "cd" * 16, log=1 + number % 2)
    told = asked.told()
    everything = [*told, *itertools.chain.from_iterable(told.values())]
    assert sorted(everything) == sorted(ids(*asked.seen))
    assert any(told.values())


def test_a_flood_is_gone_through_once():
    """Entries are read once for all lines, not once for each."""
    asked = Asked()
    for number in range(1_000):
        (asked.refusal if number % 2 else asked.probe)(number / 1_000)
    asked.told()
    assert asked.read_entries == len(asked.seen)


def test_only_the_same_call_owns():
    """What is of another call, of another act, or too late, is a line of its own."""
    asked = Asked()
    refusal = asked.refusal(0)
    inside = [asked.probe(1), asked.list(2)]
    alone = [
        asked.list(3, trace_id="cd" * 16),
        asked.list(3, caller="archive"),
        asked.list(3, mode="bris_de_glace"),
        asked.list(3, subject={"kind": "auditor", "id": "00B1038575"}),
        asked.add(3, action="document.delete", document={"id": "unknown", "type": "unknown"}),
        asked.list(0.000001 + NEAR_US / 1_000_000),
    ]
    assert asked.told() == {
        refusal.entry["id"]: ids(*inside),
        **{one.entry["id"]: [] for one in alone},
    }


def test_a_clock_that_is_ahead_is_that_of_another_log():
    """What stands a little before the refusal belongs to it if another replica wrote it."""
    asked = Asked()
    early = asked.list(0.1, log=2)
    own = asked.list(0.1)
    refusal = asked.refusal(0.2)
    assert asked.told() == {refusal.entry["id"]: ids(early), own.entry["id"]: []}
