"""Messages of `dossier.v1` as values, and back. What can't be read is told field by field."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from authz import ins
from authz.errors import InsError
from clients.sdk import InvalidError
from clients.sdk.asking import How
from clients.sdk.wire import context, subject
from dossier.gate import Asker
from dossier.model import (
    Administrative,
    Author,
    Contact,
    Guardian,
    Search,
    Shown,
    Status,
    Visibility,
)
from dossier.permit import Permit
from dossier.v1 import dossier_pb2 as pb
from serving.errors import RequestError

BANNERS: Final = (
    "show_mode",
    "warn_hidden_from_patient",
    "warn_hidden_from_representatives",
    "mark_obsolete",
    "confirm",
    "collect_fresh_consent",
)
"""The obligations that are carried out by showing something beside the answer."""

SPACES: Final = tuple("12345678")

_MAX_VALUES: Final = 100
_STATUSES: Final = (Status.APPROVED, Status.DEPRECATED, Status.ARCHIVED)

Violation = tuple[str, str, str]


def asker(request: Any, how: How, *, of_patient: bool = True) -> Asker:  # noqa: ANN401 - any request
    """Who asks, about whose dossier.

    Raises:
        RequestError: the patient's number is none, or the circumstances can't be read.
    """
    try:
        stated = context(request.context)
    except InvalidError as exc:
        raise RequestError((v.field, v.problem, "") for v in exc.violations) from exc
    patient = request.patient if of_patient else ""
    if of_patient:
        try:
            ins.verify(patient)
        except InsError as exc:
            cure = "read it again from the card; it is never corrected"
            raise RequestError([("patient", f"not an INS: {exc}", cure)]) from None
    return Asker(subject=subject(request.subject), patient=patient, context=stated, how=how)


def page_size(value: int, *, default: int, most: int) -> int:
    """How much a page is to hold; 0 stands for the default.

    Raises:
        RequestError: it is more than a page can hold, or less than nothing.
    """
    if not 0 <= value <= most:
        raise RequestError([("page_size", f"`{value}`", f"1 to {most}, or 0 for {default}")])
    return value or default


def search(message: pb.Search, *, statuses: Iterable[Status]) -> Search:
    """What a list is narrowed to; `statuses` are shown when none are asked for.

    Raises:
        RequestError: a value is none.
    """
    wrong: list[Violation] = [
        (f"search.{name}", "too many", f"at most {_MAX_VALUES}")
        for name in ("spaces", "types", "statuses")
        if len(getattr(message, name)) > _MAX_VALUES
    ]
    for name, known in (("spaces", SPACES), ("statuses", _STATUSES)):
        cure = f"one of {', '.join(known)}"
        wrong += [
            (f"search.{name}", f"`{value[:20]}`", cure)
            for value in getattr(message, name)
            if value not in known
        ]
    since = _day("search.from", getattr(message, "from"), wrong)
    until = _day("search.until", message.until, wrong)
    if since and until and since > until:
        wrong.append(("search.from", "later than `until`", "exchange the two days"))
    if wrong:
        raise RequestError(wrong)
    return Search(
        spaces=tuple(message.spaces),
        types=tuple(message.types),
        since=since,
        until=until,
        author=message.author,
        statuses=tuple(map(Status, message.statuses)) or tuple(statuses),
    )


def days(message: pb.ReadTraceRequest) -> tuple[date | None, date | None]:
    """The days from which and until which a trace is read.

    Raises:
        RequestError: one is no day, or the first is later than the last.
    """
    wrong: list[Violation] = []
    since = _day("from", getattr(message, "from"), wrong)
    until = _day("until", message.until, wrong)
    if since and until and since > until:
        wrong.append(("from", "later than `until`", "exchange the two days"))
    if wrong:
        raise RequestError(wrong)
    return since, until


def administrative(message: pb.Administrative) -> Administrative:
    """A person, as sent; `dossier.administrative` says whether it will do.

    Raises:
        RequestError: the birth date is no day.
    """
    wrong: list[Violation] = []
    born = _day("administrative.birth_date", message.birth_date, wrong)
    if wrong:
        raise RequestError(wrong)
    return Administrative(
        family_name=message.family_name,
        usage_name=message.usage_name,
        given_names=message.given_names,
        birth_date=born,
        sex=message.sex,
        birth_place=message.birth_place,
        contact=_contact(message.contact),
    )


def guardians(messages: Iterable[pb.Guardian]) -> tuple[Guardian, ...]:
    """Legal representatives."""
    return tuple(
        Guardian(
            id=message.id,
            relation=message.relation,
            family_name=message.family_name,
            given_names=message.given_names,
            contact=_contact(message.contact),
        )
        for message in messages
    )


def visibility(message: pb.Visibility) -> Visibility:
    """From whom a document is to be kept."""
    return Visibility(
        masked=message.masked,
        hidden_from_patient=message.hidden_from_patient,
        hidden_from_representatives=message.hidden_from_representatives,
    )


def ruling(permit: Permit) -> pb.Ruling:
    """What was decided, and what must be shown."""
    banners = [name for name in permit.obligations if name in BANNERS]
    return pb.Ruling(decision_id=permit.decision, reason_code=permit.reason_code, banners=banners)


def label(shown: Shown) -> pb.Label:
    """A document, as a list shows it."""
    of = shown.label
    message = pb.Label(
        document=of.id,
        unique_id=of.unique_id,
        type=of.type,
        class_code=of.class_code,
        space=of.space,
        title=shown.particulars.title,
        authors=map(_person, shown.particulars.authors),
        structure=of.structure,
        structure_name=shown.particulars.structure_name,
        made_at=instant(of.made_at),
        act_from=instant(of.act_from),
        act_to=instant(of.act_to),
        deposited_at=instant(of.deposited_at),
        status=of.status.value,
        confidentiality=of.confidentiality,
        version=of.version,
        replaces=of.replaces,
        replaced_by=of.replaced_by,
        size=of.size,
        media_type=of.media_type,
        by_patient=of.by_patient,
        banners=shown.banners,
        entry=of.entry,
    )
    message.visibility.masked = of.visibility.masked
    message.visibility.hidden_from_patient = of.visibility.hidden_from_patient
    message.visibility.hidden_from_representatives = of.visibility.hidden_from_representatives
    return message


def person(message: Administrative) -> pb.Administrative:
    """Administrative data."""
    return pb.Administrative(
        family_name=message.family_name,
        usage_name=message.usage_name,
        given_names=message.given_names,
        birth_date=message.birth_date.isoformat() if message.birth_date else "",
        sex=message.sex,
        birth_place=message.birth_place,
        contact=_reached(message.contact),
    )


def guardian(of: Guardian) -> pb.Guardian:
    """A legal representative."""
    return pb.Guardian(
        id=of.id,
        relation=of.relation,
        family_name=of.family_name,
        given_names=of.given_names,
        contact=_reached(of.contact),
    )


def instant(at: datetime | None) -> Timestamp | None:
    """An instant; None stays absent."""
    if at is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(at.astimezone(UTC))
    return stamp


def _person(of: Author) -> pb.Person:
    return pb.Person(
        id=of.id,
        name=of.name,
        profession=of.profession,
        structure=of.structure,
        structure_name=of.structure_name,
    )


def _contact(message: pb.Contact) -> Contact:
    return Contact(
        address=tuple(message.address),
        postal_code=message.postal_code,
        city=message.city,
        phone=message.phone,
        email=message.email,
    )


def _reached(of: Contact) -> pb.Contact:
    return pb.Contact(
        address=of.address,
        postal_code=of.postal_code,
        city=of.city,
        phone=of.phone,
        email=of.email,
    )


def _day(field: str, value: str, wrong: list[Violation]) -> date | None:
    if not value:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        wrong.append((field, f"`{value[:20]}` is no day", "write it as 2011-05-31"))
        return None
