"""An entry as a patient, a representative or a treating doctor may see it. Pure.

* A document that is kept from the reader, or never was there, is not named: neither it, nor its type, nor its
  origin, nor a reason that would tell of it. What was done, by whom and when is told all the same.
* What was done in a secret connection, or to a document that is hidden from a minor's representatives, is not
  told to them at all (CSP L.1111-5; homologation EX_0.1-1100).
* Of other persons who are no professionals the name is told, not the number: it would open their own record.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from audit.entry import Entry
from audit.office import wire
from audit.office.gained import EMERGENCIES, NORMAL
from audit.office.policies import SECRET, Policies, RuleText, Said
from audit.office.veil import INS, PERSONS
from audit.v1 import audit_pb2 as pb
from authz.v1 import authz_pb2 as authz

ALLOW: Final = "allow"
DENY: Final = "deny"
DEPOSIT: Final = "document.deposit"
REPLACE: Final = "document.replace"
LIST: Final = "document.list"

PROFESSIONAL: Final = "professional"

UNTOLD: Final = "DOCUMENT_UNAVAILABLE"
"""In place of a reason that would tell of a document; the dossier's own trace says the same."""

_TELLING: Final = ("DOCUMENT_", "HIDDEN_", "HABILITATION_", "VISIBILITY_", "NOT_YET_")
"""How reasons begin that have to do with the document that was asked for."""

_OF_DOCUMENT: Final = frozenset(
    f"$.{name}"
    for name in (
        *("masked", "hidden_from_patient", "hidden_from_representatives"),
        *("status", "signature", "habilitation"),
    )
)
"""Facts of a document; a rule that asks for one of them tells something of it."""

_UNTOLD_SAID: Final = Said(
    "Ce document n'existe pas, ou rien ne peut en être dit.",
    "There is no such document, or nothing may be told of it.",
)
_WITHOUT_RULE: Final = {
    "NO_RULE_ALLOWS": Said("Aucune règle ne permet cela.", "No rule allows this."),
    "DECISION_ERROR": Said(
        "La décision n'a pas pu être calculée ; dans le doute, c'est non.",
        "The decision could not be computed; in doubt, it is no.",
    ),
    "CHANGE_IMPOSSIBLE": Said(
        "Ce changement est permis, mais impossible dans l'état du dossier.",
        "This change is permitted, but impossible in the state of the dossier.",
    ),
    UNTOLD: _UNTOLD_SAID,
}
_NO_WORDS: Final = Said(
    "La phrase de cette règle n'est plus conservée.", "The sentence of this rule is no longer kept."
)

_CATEGORIES: Final = {
    "dossier.find": "existence",
    "dossier.read": "administrative",
    "dossier.update": "administrative",
    "trace.read": "trace",
    "log.identify": "trace",
    "log.query": "trace",
    "emergency.review": "review",
    "obligation.report": "notice",
}
_CATEGORIES_OF: Final = {
    "document": "document",
    "dossier": "dossier",
    "consent": "rights",
    "authorisation": "rights",
    "treating_doctor": "rights",
    "block": "rights",
    "representative": "rights",
}
"""Of all other actions, by what stands before the dot."""

_OF_AUDIT: Final = ("log.query", "log.identify", "emergency.review")
_NO_TYPE: Final = "unknown"
"""The type that is stated where there is no such document."""

_SHOWING: Final = {
    "document.show_to_patient": ("from_patient", False),
    "document.hide_from_patient": ("from_patient", True),
    "document.show_to_representatives": ("from_representatives", False),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who sees it.

    Attributes:
        kind: patient, representative, professional.
        id: its number.
        patient: INS of whose record it is about.
        withholds: whether what was done in secret is left out.
    """

    kind: str
    id: str
    patient: str
    withholds: bool

    @property
    def as_person(self) -> bool:
        """Whether documents may be kept from the reader; in doubt they are."""
        return self.kind != PROFESSIONAL


class Hiding(NamedTuple):
    """From whom a document is kept."""

    from_patient: bool
    from_representatives: bool


HIDDEN: Final = Hiding(from_patient=True, from_representatives=True)
"""What is thought of a document of which nothing is known."""


def is_secret(entry: Entry, policies: Policies | None) -> bool:
    """Whether those from whom secrets are withheld learn nothing of an entry; in doubt they don't."""
    if policies is None or policies.fact(entry, SECRET[0]) != "no":
        return True
    hidden = policies.fact(entry, "resource.hidden_from_representatives")
    return "document" in entry and hidden != "no"


def hiding(entry: Entry, policies: Policies | None) -> Hiding | None:
    """From whom the entry's document is kept since; None if the entry does not tell that it is there.

    A refused deposit and a question about a document that nobody knows say nothing of it. Replacing says how
    the new version is seen, which has another id.
    """
    if policies is None or "document" not in entry:
        return None
    action, allowed = entry.get("action", ""), entry.get("effect") == ALLOW
    if action == REPLACE or (action == DEPOSIT and not allowed):
        return None
    if policies.fact(entry, "resource.status") in (None, "deleted"):
        return None
    found = _judged(entry, policies)
    if allowed and action in _SHOWING:
        name, value = _SHOWING[action]
        return found._replace(**{name: value})
    return found


def may_name(entry: Entry, policies: Policies | None, now: Hiding, reader: Reader) -> bool:
    """Whether the reader may know which document an entry is about.

    Args:
        entry: about a document.
        policies: of the entry.
        now: from whom the document is kept by now; `HIDDEN` where it is not there.
        reader: who wants to know.
    """
    if not reader.as_person:
        return True
    kept = [now]
    if entry.get("action") == REPLACE:
        # The new version may be hidden where the old one is not.
        kept.append(_judged(entry, policies))
    if reader.kind == "patient":
        return not any(one.from_patient for one in kept)
    return not any(one.from_patient or one.from_representatives for one in kept)


def line(
    entry: Entry,
    policies: Policies | None,
    reader: Reader,
    *,
    named: bool,
    review: str = "",
    further: Sequence[Entry] = (),
) -> pb.Access:
    """One line of the view.

    Args:
        entry: what was decided.
        policies: those of that time; None where they are not kept.
        reader: who sees it.
        named: whether the document may be named, if there is one.
        review: of an emergency access: open, justified, misuse.
        further: what the service asked besides.
    """
    code, said = _reason(entry, policies, withheld="document" in entry and not named)
    made = pb.Access(
        at=wire.stamp(entry["at"]),
        who=_who(entry, reader),
        action=entry.get("action", "") or entry.get("kind", ""),
        mode=entry.get("mode", NORMAL),
        effect=entry.get("effect", ""),
        reason_code=code,
        fr=said.fr,
        en=said.en,
        service=entry.get("caller", ""),
        decision_id=entry.get("id", ""),
        review=review,
        audit=entry.get("action") in _OF_AUDIT,
        category=category(entry),
        further=[
            pb.Further(
                decision_id=one["id"], action=one.get("action", ""), effect=one.get("effect", "")
            )
            for one in further
        ],
        about=entry.get("about", ""),
    )
    if "document" in entry and named:
        label, origin = entry["document"], entry.get("origin", {})
        made.document = label.get("id", "")
        made.type = "" if label.get("type") == _NO_TYPE else label.get("type", "")
        setattr(made, "class", label.get("class", ""))
        made.space = label.get("space", "")
        made.origin = origin.get("author_structure", "") or origin.get("system", "")
    if "reason" in entry:
        # Elsewhere it is what an auditor or a reader looked for, and may name what is kept from this one.
        given = entry["reason"]
        made.reason.code = given.get("code", "")
        if entry.get("mode", NORMAL) in EMERGENCIES:
            made.reason.text = given.get("text", "")
    return made


def category(entry: Entry) -> str:
    """What kind of data it was (EHDS annex II 3.2 c)."""
    action = entry.get("action", "")
    if "document" not in entry and action.startswith("document."):
        return "list_of_documents"
    found = _CATEGORIES.get(action) or _CATEGORIES_OF.get(action.partition(".")[0])
    return found or "other"


def meets(entry: Entry, who: str, reader: Reader) -> bool:
    """Whether an entry is one of this person or structure, by the numbers that the reader is shown."""
    shown = _who(entry, reader)
    return not who or who in (shown.id, shown.structure)


def _who(entry: Entry, reader: Reader) -> authz.Subject:
    made = wire.who(entry)
    own = made.id in (reader.id, reader.patient)
    if not own and made.kind in PERSONS and INS.fullmatch(made.id):
        made.id = ""
    return made


def _judged(entry: Entry, policies: Policies | None) -> Hiding:
    """From whom the document is kept as it was judged; in doubt from everybody."""
    if policies is None:
        return HIDDEN
    return Hiding(
        from_patient=policies.fact(entry, "resource.hidden_from_patient") != "no",
        from_representatives=policies.fact(entry, "resource.hidden_from_representatives") != "no",
    )


def _reason(entry: Entry, policies: Policies | None, *, withheld: bool) -> tuple[str, Said]:
    """The reason code, and the sentence of the rule that gave it; neither tells of what is withheld."""
    code, allowed = entry.get("reason_code", ""), entry.get("effect") == ALLOW
    rules = [] if policies is None else _rules(entry, policies, code)
    if withheld:
        if not allowed and code.startswith(_TELLING):
            return UNTOLD, _UNTOLD_SAID
        rules = [rule for rule in rules if policies is not None and _is_silent(policies, rule.uid)]
        if not rules and code not in _WITHOUT_RULE:
            return (code if allowed else UNTOLD), (_NO_WORDS if allowed else _UNTOLD_SAID)
    if rules:
        return code, rules[0].told
    return code, _WITHOUT_RULE.get(code, _NO_WORDS)


def _rules(entry: Entry, policies: Policies, code: str) -> list[RuleText]:
    found = (policies.rule(uid) for uid in entry.get("rules", ()))
    return [rule for rule in found if rule is not None and rule.reason == code]


def _is_silent(policies: Policies, uid: str) -> bool:
    """Whether a rule asks for nothing of the document itself."""
    return _OF_DOCUMENT.isdisjoint(policies.conditions(uid).get("resource", {}))
