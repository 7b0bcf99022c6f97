"""Entries to be written to files, and what follows from a bundle of two rules."""

from audit.entry import canonical
from audit.office.handles import Handles
from audit.office.policies import Policies
from audit.office.shown import shown
from audit.reader import Erased, Stored
from tests.audit.office.world import KEY
from tests.audit.world import START_MS, draft

INS = "1541187387477485562488"
NIR = "279035121518989"
OTHER = "0833910461279517589858"
AT = "2026-11-18T10:26:40.123456Z"

POLICIES = Policies(
    {
        "rules/a.yaml": {
            "rules": [
                {
                    "uid": "by-consent",
                    "effect": "allow",
                    "reason": "AUTHORISED",
                    "told": {
                        "fr": "Le patient a donné son accord.",
                        "en": "The patient has agreed.",
                    },
                    "rules": {
                        "subject": {"$.authorisation": {"condition": "Equals", "value": "valid"}}
                    },
                },
                {
                    "uid": "by-role",
                    "effect": "deny",
                    "reason": "MATRIX",
                    "told": {"fr": "La matrice l'exclut.", "en": "The matrix forbids it."},
                    "rules": {
                        "resource": {"$.habilitation": {"condition": "Equals", "value": "no"}}
                    },
                },
            ]
        }
    },
    (),
    {},
)


def entry(index=0, **fields):
    """A whole entry, as the log writes it."""
    made = {
        **draft(INS, ms=START_MS),
        "v": 1,
        "index": index,
        "at": AT,
        "salt": "cd" * 32,
        "patient_seq": 3,
        "patient_prev": "ab" * 32,
        "rules": ["by-consent"],
        **fields,
    }
    return {name: value for name, value in made.items() if value is not None}


def seen(given=None, *, hidden=False, policies=POLICIES, origin="dmp.test/1"):
    """An entry as a reader may see it."""
    given = given or entry()
    stored = Stored(origin, given["index"], canonical(given))
    return shown(stored, Handles(KEY), hidden=hidden, policies=policies)


def erased(index=7):
    """An entry of which there is the commitment alone."""
    gone = Stored("dmp.test/1", index, b"", Erased(bytes(32), AT, 41))
    return shown(gone, Handles(KEY), hidden=False)


def written(write, *entries):
    """The whole file."""
    return b"".join(write(iter(entries)))
