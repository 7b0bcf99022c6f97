"""The change of the registry that a scenario asks for.

What the scenario leaves out is as the screens of the dossier would send it: SAMU and break-glass permitted
at creation, nothing more asked for. So a scenario names a change only where its content matters.
"""

from collections.abc import Mapping
from typing import Final

from authz.facts import CLOSURES
from authz.mistake import suggest
from authz.query import Subject, Target
from authz.registry.changes import (
    AddRepresentative,
    Change,
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
    SetReviewStanding,
    SetTreatingDoctor,
    WithdrawTreatingDoctor,
)
from authz.registry.state import Grantee, GranteeKind, ReviewStanding
from authz.source import Mistakes, Node
from authz.workbench.cast import CastReader

CHANGES: Final[Mapping[str, type[Change]]] = {
    "dossier.create": OpenDossier,
    "dossier.reopen": ReopenDossier,
    "dossier.close": CloseDossier,
    "consent.update": SetConsents,
    "authorisation.grant": GrantAuthorisation,
    "authorisation.renew": RenewAuthorisation,
    "authorisation.revoke": RevokeAuthorisation,
    "treating_doctor.set": SetTreatingDoctor,
    "treating_doctor.withdraw": WithdrawTreatingDoctor,
    "block.set": SetBlock,
    "block.lift": LiftBlock,
    "representative.add": AddRepresentative,
    "representative.remove": RemoveRepresentative,
    "standing.set": SetReviewStanding,
}
"""The change that each action of management is about."""

_ANSWERS: Final = ("samu", "break_glass", "masked_in_emergency")
_OPENING: Final = (*_ANSWERS, "birth_date", "authorise", "treating_doctor", "representatives")
_CONTENT: Final[Mapping[type[Change], tuple[str, ...]]] = {
    OpenDossier: _OPENING,
    ReopenDossier: _OPENING,
    CloseDossier: ("reason", "text"),
    SetConsents: (*_ANSWERS, "feeding"),
    GrantAuthorisation: ("treating_doctor",),
    SetBlock: ("withdraw_treating_doctor",),
    AddRepresentative: ("relation",),
    SetReviewStanding: ("standing", "why"),
}
_GUARDIAN: Final = "RESPRSN"


def change_of(  # noqa: PLR0911 - one answer a kind of change
    *,
    action: str,
    node: Node | None,
    who: Subject,
    whom: Target | None,
    closure: str,
    reader: CastReader,
    mistakes: Mistakes,
) -> Change | None:
    """The change that `who` asks for with `action`; None when the action is about none.

    Args:
        action: what is asked for.
        node: `change` of the scenario, if it has one.
        who: who asks, and is authorised where the change authorises its author.
        whom: whom the change aims at, where it aims at someone.
        closure: the reason for closing that the scenario states, a value of `context.closure`.
        reader: reads names of the cast.
        mistakes: where mistakes go.
    """
    kind = CHANGES.get(action)
    if kind is None:
        if node is not None:
            mistakes.at(
                node, "change", f"`{action}` changes nothing in the registry", "leave it out"
            )
        return None
    content = _content(kind, node, action, mistakes)

    def yes(name: str) -> bool | None:
        return reader.answer(content.items.get(name), "change", name)

    if issubclass(kind, OpenDossier | ReopenDossier):
        own = Grantee(identifier=who.structure or who.id, kind=GranteeKind.STRUCTURE)
        if who.kind == "professional":
            own = Grantee(identifier=who.id, kind=GranteeKind.PROFESSIONAL)
        named = reader.grantees(content.items.get("representatives"), "change")
        return kind(
            birth_date=reader.day(content.items.get("birth_date"), "change", "birth_date"),
            samu=yes("samu") is not False,
            break_glass=yes("break_glass") is not False,
            masked_in_emergency=yes("masked_in_emergency") is True,
            authorise=own if yes("authorise") else None,
            treating_doctor=yes("treating_doctor") is True,
            representatives=tuple(
                AddRepresentative(representative=r.identifier, relation=_GUARDIAN) for r in named
            ),
        )
    if kind is SetConsents:
        return SetConsents(**{name: yes(name) for name in _CONTENT[SetConsents]})
    texts = {
        name: mistakes.text(item, "change", name)
        for name, item in content.items.items()
        if name in ("reason", "text", "relation")
    }
    if kind is CloseDossier:
        stated = next((code for code, word in CLOSURES.items() if word == closure), "")
        return CloseDossier(reason=texts.get("reason", stated), text=texts.get("text", ""))
    if whom is None:
        return None  # the check of the form says so
    if kind is SetReviewStanding:
        return _standing(whom, content, mistakes)
    relation = texts.get("relation", _GUARDIAN)
    extra = any(yes(name) for name in _CONTENT.get(kind, ()) if name != "relation")
    return _on_target(kind, whom, extra=extra, relation=relation)


def _standing(whom: Target, content: Node, mistakes: Mistakes) -> SetReviewStanding:
    """What reviews are said to have left with someone; overdue, where it is not said."""
    said = content.items.get("standing")
    told = mistakes.one_of(said, "change", "standing", list(ReviewStanding)) if said else ""
    standing = ReviewStanding(told) if told else ReviewStanding.OVERDUE
    why = mistakes.text(content.items.get("why"), "change", "why")
    return SetReviewStanding(professional=whom.id, standing=standing, why=why)


def _on_target(  # noqa: PLR0911 - as above
    kind: type[Change], whom: Target, *, extra: bool, relation: str
) -> Change:
    """A change that aims at someone; `extra` is what may be asked for beside it."""
    grantee = GranteeKind.STRUCTURE if whom.kind == "structure" else GranteeKind.PROFESSIONAL
    if kind is AddRepresentative:
        return AddRepresentative(representative=whom.id, relation=relation)
    if kind is RemoveRepresentative:
        return RemoveRepresentative(representative=whom.id)
    if kind is SetTreatingDoctor:
        return SetTreatingDoctor(professional=whom.id)
    if kind is WithdrawTreatingDoctor:
        return WithdrawTreatingDoctor(professional=whom.id)
    if kind is GrantAuthorisation:
        return GrantAuthorisation(grantee=whom.id, kind=grantee, treating_doctor=extra)
    if kind is SetBlock:
        return SetBlock(grantee=whom.id, kind=grantee, withdraw_treating_doctor=extra)
    if kind is RenewAuthorisation:
        return RenewAuthorisation(grantee=whom.id, kind=grantee)
    if kind is LiftBlock:
        return LiftBlock(grantee=whom.id, kind=grantee)
    return RevokeAuthorisation(grantee=whom.id, kind=grantee)


def _content(kind: type[Change], node: Node | None, action: str, mistakes: Mistakes) -> Node:
    """What the scenario says of the change: the mapping below its name."""
    empty = Node({}, "", 0, 0)
    if node is None:
        return empty
    name = kind.__name__
    if list(node.items) != [name]:
        found = ", ".join(node.items) or str(node.value)
        hint = suggest(name, [name])
        mistakes.at(node, "change", f"`{action}` is not the change `{found}`", hint)
        return empty
    content = node.items[name]
    known = _CONTENT.get(kind, ())
    return content if mistakes.keys(content, "change", required=(), optional=known) else empty
