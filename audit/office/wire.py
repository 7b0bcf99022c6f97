"""Messages of `audit.v1` as values, and back, for all desks; what can't be read is told field by field."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from audit.entry import Entry
from audit.office import asking, office, veil
from audit.office.asking import Asker
from audit.office.gained import instant, micros
from audit.office.handles import Handles
from audit.reader import Stored
from audit.v1 import audit_pb2 as pb
from authz.v1 import authz_pb2 as authz
from clients.sdk import NORMAL, InvalidError
from clients.sdk.asking import How
from clients.sdk.wire import context, subject
from serving.errors import RequestError

Violation = tuple[str, str, str]
"""Of a request: the field, what is wrong with which value, and the remedy."""


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


def renamed(error: InvalidError, names: Mapping[str, str]) -> RequestError:
    """What the decision point finds wrong, by the fields that the caller of the audit knows."""
    found = RequestError((one.field, one.problem, "") for one in error.violations)
    return found.renamed(names)


def page_size(value: int, *, default: int, most: int, wrong: list[Violation]) -> int:
    """How much a page is to hold; 0 stands for the default. What is wrong is added to `wrong`."""
    if not 0 <= value <= most:
        wrong.append(("page_size", f"`{value}`", f"1 to {most}, or 0 for {default}"))
    return value or default


def period(
    message: Any,  # noqa: ANN401 - any message with these two fields
    wrong: list[Violation],
    *,
    within: str = "",
) -> tuple[datetime | None, datetime | None]:
    """The instants `from` and `until` of a message; None where there is none.

    Args:
        message: has both fields.
        wrong: what is wrong is added to it.
        within: names the message in the request, such as `filter.`.
    """
    since = _moment(message, "from", within, wrong)
    until = _moment(message, "until", within, wrong)
    if since is not None and until is not None and since >= until:
        wrong.append((f"{within}from", "not earlier than `until`", "exchange the two instants"))
    return since, until


def stamp(at: datetime | None) -> Timestamp | None:
    """An instant; None stays absent."""
    if at is None:
        return None
    made = Timestamp()
    made.FromDatetime(at.astimezone(UTC))
    return made


def look(of: asking.Look) -> pb.Look:
    """The decision under which something is shown."""
    return pb.Look(
        decision_id=of.decision, reason_code=of.reason_code, pseudonymised=of.pseudonymised
    )


def standing(of: office.Standing) -> pb.Standing:
    """How far what is shown follows the log."""
    return pb.Standing(behind=of.behind, complete_until=stamp(of.complete_until), sealed=of.sealed)


def entry(stored: Stored, *, hidden: Handles | None = None, case: str = "") -> pb.Entry:
    """An entry of the log.

    Args:
        stored: as it stands in the log.
        hidden: shows patients by pseudonym, and withholds the bytes; None shows them in clear.
        case: id of the case that the access belongs to.
    """
    if stored.erased is not None:
        at, said = stored.erased.at, f"entry {stored.erased.purge} of log `retention`"
        return pb.Entry(
            log=stored.origin, index=stored.index, at=stamp(instant(micros(at))), erased=said
        )
    given = stored.entry if hidden is None else veil.veiled(stored.entry, hidden)
    made = pb.Entry(
        log=stored.origin,
        index=stored.index,
        id=given.get("id", ""),
        at=stamp(instant(micros(given["at"]))),
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
        case=case,
        bytes=b"" if hidden else stored.bytes,
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


def _moment(
    message: Any,  # noqa: ANN401 - as above
    name: str,
    within: str,
    wrong: list[Violation],
) -> datetime | None:
    if not message.HasField(name):
        return None
    try:
        found: datetime = getattr(message, name).ToDatetime(UTC)
    except (ValueError, OverflowError):
        wrong.append((f"{within}{name}", "no instant", "one of the years 1 to 9999"))
        return None
    return found
