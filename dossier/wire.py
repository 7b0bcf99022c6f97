"""Messages of `dossier.v1` as values, and back. What can't be read is told field by field."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, fields
from datetime import UTC, date, datetime
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from authz import ins
from authz.errors import InsError
from authz.v1 import authz_pb2 as authz
from clients.sdk import InvalidError
from clients.sdk import changes as to
from clients.sdk.asking import How
from clients.sdk.registry import PatientRecord
from clients.sdk.wire import context, subject
from dossier.dashboard import Line
from dossier.gate import BANNERS, Asker
from dossier.inbox import Notice
from dossier.model import (
    Administrative,
    Contact,
    Guardian,
    Person,
    Search,
    Shown,
    Status,
    Visibility,
)
from dossier.permit import Permit
from dossier.trace import Trace
from dossier.v1 import dossier_pb2 as pb
from dossier.wishes import Wishes
from serving.errors import RequestError, Violation

SPACES: Final = tuple("12345678")

_CHANNELS: Final = ("email", "sms")
_MAX_VALUES: Final = 100
_STATUSES: Final = (Status.APPROVED, Status.DEPRECATED, Status.ARCHIVED)


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
    since, until = _period(message, "search.", wrong)
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
    period = _period(message, "", wrong)
    if wrong:
        raise RequestError(wrong)
    return period


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
    return pb.Label(
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
        banners=[name for name in shown.banners if name in BANNERS],
        entry=of.entry,
        visibility=pb.Visibility(**asdict(of.visibility)),
    )


def person(message: Administrative) -> pb.Administrative:
    """Administrative data."""
    return pb.Administrative(
        family_name=message.family_name,
        usage_name=message.usage_name,
        given_names=message.given_names,
        birth_date=message.birth_date.isoformat() if message.birth_date else "",
        sex=message.sex,
        birth_place=message.birth_place,
        contact=pb.Contact(**asdict(message.contact)),
    )


def guardian(of: Guardian) -> pb.Guardian:
    """A legal representative."""
    return pb.Guardian(**asdict(of))


def instant(at: datetime | None) -> Timestamp | None:
    """An instant; None stays absent."""
    if at is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(at.astimezone(UTC))
    return stamp


def _person(of: Person) -> pb.Person:
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


def _period(
    message: pb.Search | pb.ReadTraceRequest, within: str, wrong: list[Violation]
) -> tuple[date | None, date | None]:
    since = _day(f"{within}from", getattr(message, "from"), wrong)
    until = _day(f"{within}until", message.until, wrong)
    if since and until and since > until:
        wrong.append((f"{within}from", "later than `until`", "exchange the two days"))
    return since, until


def _day(field: str, value: str, wrong: list[Violation]) -> date | None:
    if not value:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        wrong.append((field, f"`{value[:20]}` is no day", "write it as 2011-05-31"))
        return None


def change(request: pb.ChangeRightsRequest) -> to.Change:
    """The change of the registry that a request asks for.

    Raises:
        RequestError: it asks for none.
    """
    field = request.WhichOneof("change")
    if field is None:
        raise RequestError([("change", "missing", "say what is to be changed")])
    kind = _CHANGES[field]
    message = getattr(request, field)
    given: dict[str, object] = {}
    for one in fields(kind):
        value = getattr(message, one.name)
        if message.DESCRIPTOR.fields_by_name[one.name].has_presence and not message.HasField(
            one.name
        ):
            value = None
        given[one.name] = _NESTED[one.name](value) if one.name in _NESTED else value
    return kind(**given)


def rights(of: PatientRecord) -> authz.Patient:
    """What the registry says of a patient, as far as it was told."""
    message = authz.Patient(
        id=of.id,
        dossier=of.dossier.value,
        birth_date=of.birth_date.isoformat() if of.birth_date else "",
        opened_at=instant(of.opened_at),
        closed_at=instant(of.closed_at),
        closure_reason=of.closure_reason,
        samu=of.samu,
        break_glass=of.break_glass,
        masked_in_emergency=of.masked_in_emergency,
        feeding=of.feeding,
        treating_doctors=of.treating_doctors,
        blocks=map(_grantee, of.blocks or ()),
    )
    for one in of.authorisations or ():
        message.authorisations.add(
            grantee=_grantee(one.grantee),
            granted_at=instant(one.granted_at),
            expires_at=instant(one.expires_at),
            state=one.state.value,
        )
    for person in of.representatives:
        message.representatives.add(id=person.id, relation=person.relation)
    return message


def _grantee(of: to.Grantee) -> authz.Grantee:
    return authz.Grantee(id=of.id, kind=of.kind, profession=of.profession)


def _as_grantee(message: authz.Grantee) -> to.Grantee:
    return to.Grantee(id=message.id, kind=message.kind, profession=message.profession)


def _as_representative(message: Any) -> Any:  # noqa: ANN401 - a representative, or only whose id it is
    if isinstance(message, str):
        return message
    return to.Representative(id=message.id, relation=message.relation)


_CHANGES: Final[dict[str, type[to.Change]]] = {
    kind.field: kind
    for kind in (
        to.SetConsents,
        to.OwnAuthorisation,
        to.GrantAuthorisation,
        to.RenewAuthorisation,
        to.RevokeAuthorisation,
        to.SetTreatingDoctor,
        to.WithdrawTreatingDoctor,
        to.SetBlock,
        to.LiftBlock,
        to.AddRepresentative,
        to.RemoveRepresentative,
    )
}
_NESTED: Final[dict[str, Callable[[Any], object]]] = {
    "grantee": _as_grantee,
    "professional": _as_grantee,
    "representative": _as_representative,
}


def line(of: Line) -> pb.PatientLine:
    """A patient on the dashboard."""
    return pb.PatientLine(
        patient=of.patient,
        family_name=of.family_name,
        usage_name=of.usage_name,
        given_names=of.given_names,
        birth_date=of.birth_date.isoformat() if of.birth_date else "",
        treating_doctor=of.treating_doctor,
        last_access=instant(of.last_access),
    )


def trace(of: Trace) -> pb.Trace:
    """What somebody did, or was refused."""
    return pb.Trace(
        at=instant(of.at),
        action=of.action,
        effect=of.effect,
        reason_code=of.reason_code,
        actor_kind=of.actor.kind,
        actor=_person(of.actor),
        document=of.document,
        type=of.type,
        space=of.space,
        origin=of.origin,
        mode=of.mode,
        reason=of.reason,
        decision_id=of.decision,
        count=of.shown,
    )


def notice(of: Notice) -> pb.Notice:
    """What somebody was told."""
    return pb.Notice(
        at=instant(of.at),
        kind=of.kind.value,
        patient=of.patient,
        actor=_person(of.actor),
        decision_id=of.decision,
        sent_at=instant(of.sent_at),
        channel=of.channel,
    )


def wishes(of: Wishes) -> pb.NotificationSettings:
    """Which notices the holder wants."""
    return pb.NotificationSettings(
        first_access=of.first_access, new_document=of.new_document, channels=of.channels
    )


def settings(message: pb.NotificationSettings) -> Wishes:
    """Which notices the holder is to get from now on.

    Raises:
        RequestError: a channel is none.
    """
    if foreign := [name for name in message.channels if name not in _CHANNELS]:
        cure = f"one of {', '.join(_CHANNELS)}"
        raise RequestError([("settings.channels", f"`{foreign[0][:20]}`", cure)])
    return Wishes(
        first_access=message.first_access,
        new_document=message.new_document,
        by_email="email" in message.channels,
        by_sms="sms" in message.channels,
    )
