"""Messages of `audit.v1` as values, and back, for all desks; what can't be read is told field by field."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from audit.entry import Entry, rfc3339
from audit.office import asking, office, veil
from audit.office.asking import Asker
from audit.office.gained import moment
from audit.office.handles import Handles
from audit.reader import Stored
from audit.v1 import audit_pb2 as pb
from authz.v1 import authz_pb2 as authz
from clients.sdk import NORMAL, InvalidError
from clients.sdk.asking import How
from clients.sdk.wire import context, subject
from serving.errors import RequestError, Violation

MOST_BYTES: Final = 3 << 20
"""Of what one page shows: a message must not be larger than what clients take by default."""

Shown = TypeVar("Shown", bound=Message)


def asker(request: Any, how: How) -> Asker:  # noqa: ANN401 - any request
    """Who asks; the circumstances are the normal ones in a request that can't state others.

    Raises:
        RequestError: there is no subject, or the circumstances can't be read.
    """
    if not request.subject.kind or not request.subject.id:
        cure = "say who looks: kind and id, such as an auditor's"
        raise RequestError([("subject", "missing", cure)])
    stated = NORMAL
    if "context" in request.DESCRIPTOR.fields_by_name:
        try:
            stated = context(request.context)
        except InvalidError as exc:
            raise RequestError((v.field, v.problem, "") for v in exc.violations) from exc
    return Asker(subject=subject(request.subject), context=stated, how=how)


def fitting(messages: Iterable[Shown]) -> list[Shown]:
    """The first of several messages, as many as one answer takes: one at least."""
    found: list[Shown] = []
    size = 0
    for message in messages:
        size += message.ByteSize()
        if found and size > MOST_BYTES:
            break
        found.append(message)
    return found


def page_size(value: int, *, default: int, most: int, wrong: list[Violation]) -> int:
    """How much a page is to hold; 0 stands for the default. What is wrong is added to `wrong`."""
    if not 0 <= value <= most:
        wrong.append(("page_size", f"`{value}`", f"1 to {most}, or 0 for {default}"))
    return value or default


def period(
    message: Any,  # noqa: ANN401 - any message with these two fields
    wrong: list[Violation],
) -> tuple[datetime | None, datetime | None]:
    """The instants `from` and `until` of a message; None where there is none. What is wrong is added."""
    since, until = _moment(message, "from", wrong), _moment(message, "until", wrong)
    if since is not None and until is not None and since >= until:
        cure = "begin before the end: `from` is the first instant, `until` the first one behind"
        wrong.append(("until", f"`{rfc3339(until)}` is not after `{rfc3339(since)}`", cure))
    return since, until


def stamp(at: datetime | str | None) -> Timestamp | None:
    """An instant, also as an entry has it; None stays absent."""
    if at is None:
        return None
    made = Timestamp()
    made.FromDatetime(moment(at) if isinstance(at, str) else at.astimezone(UTC))
    return made


def look(of: asking.Look) -> pb.Look:
    """The decision under which something is shown."""
    return pb.Look(
        decision_id=of.decision, reason_code=of.reason_code, pseudonymised=of.pseudonymised
    )


def standing(of: office.Standing) -> pb.Standing:
    """How far what is shown follows the log."""
    return pb.Standing(behind=of.behind, complete_until=stamp(of.complete_until), sealed=of.sealed)


def entry(stored: Stored, given: Entry, *, exact: bool) -> pb.Entry:
    """An entry of the log.

    Args:
        stored: as it stands in the log.
        given: what may be seen of its fields.
        exact: whether that is all of it; then its bytes go along.
    """
    if stored.erased is not None:
        at, said = stored.erased.at, f"entry {stored.erased.purge} of log `retention`"
        return pb.Entry(log=stored.origin, index=stored.index, at=stamp(at), erased=said)
    made = pb.Entry(
        log=stored.origin,
        index=stored.index,
        id=given.get("id", ""),
        at=stamp(given["at"]),
        kind=given.get("kind", ""),
        caller=given.get("caller", ""),
        subject=who(given),
        action=given.get("action", ""),
        patient=given.get("patient", ""),
        mode=given.get("mode", ""),
        effect=given.get("effect", ""),
        reason_code=given.get("reason_code", ""),
        rules=given.get("rules", ()),
        obligations=given.get("obligations", ()),
        bundle=given.get("bundle", ""),
        revision=given.get("revision", 0),
        trace_id=given.get("trace_id", ""),
        call=given.get("call", ""),
        about=given.get("about", ""),
        bytes=stored.bytes if exact else b"",
    )
    if "document" in given:
        label = given["document"]
        made.document.CopyFrom(_document(given))
        made.document_class = label.get("class", "")
        made.document_space = label.get("space", "")
    if "reason" in given:
        reason = given["reason"]
        made.reason.code, made.reason.text = reason.get("code", ""), reason.get("text", "")
    return made


def who(given: Entry, *, hidden: Handles | None = None) -> authz.Subject:
    """Who asked, of an entry; with `hidden`, a patient or representative by pseudonym and without a name."""
    stated = (given if hidden is None else veil.veiled(given, hidden)).get("subject", {})
    return authz.Subject(
        kind=stated.get("kind", ""),
        id=stated.get("id", ""),
        profession=stated.get("profession", ""),
        structure=stated.get("structure", ""),
        authentication=stated.get("authentication", ""),
        name=stated.get("name", ""),
        structure_name=stated.get("structure_name", ""),
    )


def veiled(text: str, hidden: Handles | None) -> str:
    """A text in which each number of a patient is replaced by its pseudonym; as it is without `hidden`."""
    return text if hidden is None else veil.text(text, hidden)


def _document(given: Entry) -> authz.Document:
    label, origin = given.get("document", {}), given.get("origin", {})
    return authz.Document(
        id=label.get("id", ""),
        type=label.get("type", ""),
        authors=origin.get("authors", ()),
        author_structure=origin.get("author_structure", ""),
        system=origin.get("system", ""),
    )


def _moment(message: Any, name: str, wrong: list[Violation]) -> datetime | None:  # noqa: ANN401 - as above
    if not message.HasField(name):
        return None
    given: Timestamp = getattr(message, name)
    try:
        return given.ToDatetime(UTC)
    except (ValueError, OverflowError):
        wrong.append((name, f"`{given.seconds}` s: no instant", "give one of the years 1 to 9999"))
        return None
