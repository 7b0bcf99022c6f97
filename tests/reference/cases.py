"""Cases of emergency accesses as slowly and obviously as can be: a second opinion on `audit.office.cases`.

Knows nothing of steps, tables or orders: it is given all entries of all logs at once.
"""

from datetime import datetime, timedelta

EMERGENCIES = ("bris_de_glace", "centre_15")
ACTIONS = ("document.list", "document.read", "dossier.read", "document.deposit", "document.replace")


def cases(entries, *, window=timedelta(hours=24)):
    """The cases, as {id: (ids of accesses, verdict, id of the closing review)}.

    `entries` are (log, entry) pairs; those of one log in its order.
    """
    found = {}
    for log in sorted({log for log, _ in entries}):
        own = [entry for other, entry in entries if other == log]
        for professional, patient in {(e["subject"]["id"], e["patient"]) for e in own}:
            accesses = [
                e
                for e in own
                if e["subject"]["id"] == professional and e["patient"] == patient and is_access(e)
            ]
            current = None
            for access in accesses:
                if current is not None:
                    late = _at(access) >= _at(current) + window
                    by = _review(entries, current)
                    if late or (by and _behind(own, log, access, by)):
                        current = None
                if current is None:
                    current = access
                    by = _review(entries, current)
                    verdict = by[1]["reason"]["code"] if by else "open"
                    found[access["id"]] = ([], verdict, by[1]["id"] if by else None)
                found[current["id"]][0].append(access["id"])
    return found


def is_access(entry):
    """Whether this alone could open a case."""
    return (
        entry["effect"] == "allow"
        and entry.get("mode", "normal") in EMERGENCIES
        and entry["action"] in ACTIONS
    )


def _review(entries, opening):
    """The first review that may close the case of this opening, with its log."""
    best = None
    for other, entry in entries:
        if entry["action"] != "emergency.review" or entry.get("about") != opening["id"]:
            continue
        if entry["effect"] != "allow" or entry["reason"]["code"] not in ("justified", "misuse"):
            continue
        if entry["target"]["id"] != opening["subject"]["id"]:
            continue
        if entry["patient"] != opening["patient"]:
            continue
        if entry["subject"]["id"] == opening["subject"]["id"]:
            continue
        if best is None or (_at(entry), entry["id"]) < (_at(best[1]), best[1]["id"]):
            best = other, entry
    return best


def _behind(own, log, access, by):
    other, review = by
    if other == log:
        return own.index(access) > own.index(review)
    return _at(access) > _at(review)


def _at(entry):
    return datetime.fromisoformat(entry["at"])
