"""What a scenario asks: a query as a calling service would send it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from authz import product
from authz.model import Vocabulary
from authz.query import Context, Document, Query, Subject, Target, Voucher
from authz.source import Mistakes, Node
from authz.token import proof_of, vouch
from authz.workbench.cast import CastReader, stated
from authz.workbench.change import CHANGES, change_of
from serving import duration
from serving.errors import DurationError

_CIRCUMSTANCES: Final = (
    "mode",
    "reason",
    "agreement",
    "announced",
    "secret_connection",
    "closure",
    "declared",
)
_WHEN: Final = ("document", "whom", "about", "change", "service", "token", *_CIRCUMSTANCES)
_OWN: Final = {product.WATCHING: product.WATCH, product.LISTING: product.LIST_PATIENTS}
"""The actions that have a procedure of their own."""

_EARLIER: Final = "019dfd5b-2800-7000-8000-000000000000"
"""The earlier decision that a scenario is about which names none."""

_SERVICES: Final = {"auditor": "audit", "compliance_officer": "workbench"}


def _rpc(action: str) -> str:
    """The procedure that a service calls for an action."""
    if action in _OWN:
        return _OWN[action]
    return product.CHANGE if action in CHANGES else product.CHECK


class QueryReader:
    """Reads `when`; mistakes are collected, not raised."""

    def __init__(self, cast: CastReader, vocabulary: Vocabulary, mistakes: Mistakes) -> None:
        self._cast = cast
        self._vocabulary = vocabulary
        self._mistakes = mistakes

    def read(self, when: Node, patient: str, where: str, at: datetime) -> Query | None:
        """The query about `patient`, an INS, at the instant `at`."""
        if not self._mistakes.keys(when, where, required=("who", "does"), optional=_WHEN):
            return None
        items = when.items
        entry = self._cast.named(items["who"], where, "people")
        subject = self._cast.subject(entry, where) if entry else None
        action = self._mistakes.one_of(items["does"], where, "action", self._vocabulary.actions)
        context = self._context(items, where, at)
        document, whom = self._document(items, where), self._whom(items, where)
        if subject is None or not action:
            return None
        voucher = None
        if "token" in items:
            subject, voucher = self._vouched(items["token"], subject, where)
        needs = self._vocabulary.actions[action].needs
        change = change_of(
            action=action,
            node=items.get("change"),
            who=subject,
            whom=whom,
            closure=context.closure,
            reader=self._cast,
            mistakes=self._mistakes,
        )
        return Query(
            caller=self._service(items, subject, where),
            rpc=_rpc(action),
            subject=subject,
            action=action,
            patient=patient if "patient" in needs else "",
            document=document,
            target=whom,
            about=self._about(items, where) if "about" in needs or "about" in items else "",
            context=context,
            change=change,
            voucher=voucher,
        )

    def _vouched(self, node: Node, stated: Subject, where: str) -> tuple[Subject, Voucher | None]:
        """Who asks when there is a token: by whom, and for whom if not for the one who asks."""
        if not self._mistakes.keys(node, where, required=("by",), optional=("for",)):
            return stated, None
        items = node.items
        entry = self._cast.named(items["for"], where, "people") if "for" in items else None
        issuer = self._mistakes.one_of(items["by"], where, "service", self._vocabulary.services)
        proven = self._cast.subject(entry, where) if entry else stated
        return vouch(stated, proof_of(proven or stated, issuer=issuer, id="scenario"))

    def _service(self, items: Mapping[str, Node], subject: Subject, where: str) -> str:
        if "service" not in items:
            known = subject.kind == "service" and subject.id in self._vocabulary.services
            return subject.id if known else _SERVICES.get(subject.kind, "dossier")
        return self._mistakes.one_of(items["service"], where, "service", self._vocabulary.services)

    def _document(self, items: Mapping[str, Node], where: str) -> Document | None:
        entry = (
            self._cast.named(items["document"], where, "documents") if "document" in items else None
        )
        return self._cast.document(entry, where) if entry else None

    def _whom(self, items: Mapping[str, Node], where: str) -> Target | None:
        return self._cast.target(items["whom"], where) if "whom" in items else None

    def _about(self, items: Mapping[str, Node], where: str) -> str:
        if "about" not in items:
            return _EARLIER
        return self._mistakes.text(items["about"], where, "about")

    def _context(self, items: Mapping[str, Node], where: str, at: datetime) -> Context:
        reason = items.get("reason", Node({}, "", 0, 0))
        readable = self._mistakes.keys(reason, where, required=(), optional=("code", "text"))
        words = {
            key: self._mistakes.text(item, where, key)
            for key, item in (reason.items if readable else {}).items()
        }
        return Context(
            mode=self._word(items, where, "mode") if "mode" in items else "normal",
            reason_code=words.get("code", ""),
            reason_text=words.get("text", ""),
            declared_at=self._declared(items.get("declared"), where, at),
            secret_connection=self._cast.answer(items.get("secret_connection"), where, "secret")
            is True,
            agreement=self._word(items, where, "agreement") == "given",
            announced=self._cast.answer(items.get("announced"), where, "announced") is True,
            closure=self._word(items, where, "closure"),
        )

    def _word(self, items: Mapping[str, Node], where: str, key: str) -> str:
        """A stated choice of the context; `missing` and `unknown` say that it was not stated."""
        if key not in items:
            return ""
        fact = f"context.{key}"
        values = self._vocabulary.fact(fact).values
        word = self._mistakes.one_of(items[key], where, fact, values)
        return word if word in stated(self._vocabulary, fact) else ""

    def _declared(self, node: Node | None, where: str, at: datetime) -> datetime | None:
        """How long ago the emergency was declared."""
        text = self._mistakes.text(node, where, "declared")
        if node is None or not text:
            return None
        try:
            ago = duration.parse(text)
        except DurationError as exc:
            self._mistakes.at(node, where, str(exc))
            return None
        if ago.years or ago.months:
            self._mistakes.at(node, where, f"`{text}` ago is no fixed time", "give days or hours")
        return at - timedelta(days=ago.days, seconds=ago.seconds)
