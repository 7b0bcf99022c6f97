"""Entries and filters as hypothesis draws them: few of each kind, so that they meet, and hostile text."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from audit.entry import uuid7
from audit.office.filters import EFFECTS, KINDS, MODES, Filter

INS = ("1541187387477485562488", "0833910461279517589858", "279035121518989")
HOSTILE = ("'; DROP TABLE entries; --", "%", "_", '"', "=cmd|' /C calc'!A0", "é\u202e", "a\\b", " ")
BEGIN = datetime(2026, 11, 18, 10, 0, tzinfo=UTC)

_subjects = st.sampled_from(("899700218896", "00B1038575", HOSTILE[0], HOSTILE[1], *INS[:1]))
_structures = st.sampled_from(("10B0152872", "10B0193488", "", HOSTILE[2]))
_documents = st.sampled_from(("1.2.250.1.99.1", "1.2.250.1.99.2", HOSTILE[3], "%"))
_actions = st.sampled_from(("document.read", "document.list", "log.query", HOSTILE[0]))
_rules = st.lists(
    st.sampled_from(("r", "r-1", "%", "_", "r-1-x", "allow")), max_size=3, unique=True
)
_reasons = st.sampled_from(("AUTHORISED", "HOLDER", "allow", HOSTILE[0]))
_callers = st.sampled_from(("dossier", "portal", "abababab"))
_bundles = st.sampled_from(("ab" * 32, "abababac" * 8, "cd" * 32))


@st.composite
def drafts(draw):
    """A draft of an entry, without what is not always there."""
    made = {
        "id": uuid7(draw(st.integers(0, 2**40)), draw(st.binary(min_size=10, max_size=10))),
        "kind": draw(st.sampled_from(KINDS)),
        "call": uuid7(1, draw(st.binary(min_size=10, max_size=10))),
        "caller": draw(_callers),
        "patient": draw(st.sampled_from(("", *INS))),
        "effect": draw(st.sampled_from(EFFECTS)),
        "reason_code": draw(_reasons),
        "rules": draw(_rules),
        "bundle": draw(_bundles),
        "subject": {
            "kind": draw(st.sampled_from(("professional", "patient"))),
            "id": draw(_subjects),
            "structure": draw(_structures),
        },
        "action": draw(_actions),
        "mode": draw(st.sampled_from(MODES)),
        "document": {"id": draw(_documents)},
        "reason": {"code": "x", "text": draw(st.sampled_from(HOSTILE))},
        "facts": [1, draw(_subjects), ["a", INS[2]]],
    }
    for name in draw(st.sets(st.sampled_from(("subject", "action", "mode", "document", "rules")))):
        del made[name]
    return made


logs = st.lists(st.lists(drafts(), min_size=1, max_size=4), min_size=1, max_size=6)
"""Batches of drafts."""


def _some(values):
    return st.one_of(st.just(()), st.lists(values, min_size=1, max_size=3, unique=True).map(tuple))


_instants = st.one_of(st.none(), st.integers(-1, 7).map(lambda n: BEGIN + timedelta(seconds=n)))

filters = st.builds(
    Filter,
    patient=st.sampled_from(("", "", *INS)),
    subjects=_some(_subjects),
    structures=_some(_structures.filter(bool)),
    documents=_some(_documents),
    actions=_some(_actions),
    effect=st.sampled_from(("", "", *EFFECTS)),
    rules=_some(st.sampled_from(("r", "r-1", "%", "_", "unknown"))),
    reason_codes=_some(_reasons),
    modes=_some(st.sampled_from(MODES)),
    emergency=st.booleans(),
    since=_instants,
    until=_instants,
    bundle=st.sampled_from(("", "", "abababab", "ab" * 32, "00000000")),
    callers=_some(_callers),
    kinds=_some(st.sampled_from(KINDS)),
    logs=_some(st.sampled_from(("one", "two", "three"))),
)
"""Filters; each narrows by some things only, so that there is something to be found."""


@st.composite
def narrow(draw):
    """A filter that narrows by at most three things."""
    whole = draw(filters)
    names = draw(st.sets(st.sampled_from(list(Filter.__dataclass_fields__)), max_size=3))
    return Filter(**{name: getattr(whole, name) for name in names})


def wanted(entry, origin, at, asked):
    """Whether an entry meets a filter: slow and obvious."""
    subject = entry.get("subject", {})
    mode = entry.get("mode", "normal")
    tests = [
        (asked.patient, lambda v: entry.get("patient") == v),
        (asked.subjects, lambda v: subject.get("id") in v),
        (asked.structures, lambda v: subject.get("structure") in v),
        (asked.documents, lambda v: entry.get("document", {}).get("id") in v),
        (asked.actions, lambda v: entry.get("action") in v),
        (asked.effect, lambda v: entry["effect"] == v),
        (asked.rules, lambda v: any(rule in v for rule in entry.get("rules", []))),
        (asked.reason_codes, lambda v: entry["reason_code"] in v),
        (asked.modes, lambda v: mode in v),
        (asked.emergency, lambda _: mode in ("bris_de_glace", "centre_15")),
        (asked.since, lambda v: at >= v),
        (asked.until, lambda v: at < v),
        (asked.bundle, lambda v: entry["bundle"][: len(v)] == v),
        (asked.callers, lambda v: entry["caller"] in v),
        (asked.kinds, lambda v: entry["kind"] in v),
        (asked.logs, lambda v: origin in v),
    ]
    return all(test(value) for value, test in tests if value)
