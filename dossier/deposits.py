"""From what is sent to what is deposited: the document is read and checked, its label drawn from it.

Whoever deposits says only from whom the document is kept, and what it replaces; all else it says itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import uuid4

from dossier import cda, wire
from dossier.cda.header import STRUCTURED, Header
from dossier.cda.validation import Validator
from dossier.errors import CdaError
from dossier.gate import Asker
from dossier.model import PERSONS, Draft, Label, Particulars, Person, Status, Visibility
from dossier.types import DocumentTypes
from dossier.v1 import dossier_pb2 as pb
from serving.errors import RequestError, Violation

MAX_DEPOSITS: Final = 20
MAX_TOTAL: Final = 15 << 20
"""Bytes that may be deposited at once."""


class Checker:
    """Reads deposits; `validator` holds them against official schemas too, if there is one."""

    def __init__(
        self,
        types: DocumentTypes,
        *,
        clock: Callable[[], datetime],
        validator: Validator | None = None,
        system: str = "dmp",
    ) -> None:
        self._types = types
        self._clock = clock
        self._validator = validator
        self._system = system

    def check(self, asker: Asker, deposits: Sequence[pb.Deposit]) -> tuple[Draft, ...]:
        """The drafts of all deposits.

        Raises:
            RequestError: with everything that is wrong with any of them, by its place and XPath.
        """
        if not 1 <= len(deposits) <= MAX_DEPOSITS:
            cure = f"send 1 to {MAX_DEPOSITS} documents"
            raise RequestError([("deposits", f"`{len(deposits)}` documents", cure)])
        total = sum(len(deposit.content) for deposit in deposits)
        if total > MAX_TOTAL:
            cure = f"at most {MAX_TOTAL} bytes at once"
            raise RequestError([("deposits", f"`{total}` bytes together", cure)])
        drafts: list[Draft] = []
        wrong: list[Violation] = []
        now = self._clock()
        for place, deposit in enumerate(deposits):
            try:
                drafts.append(self._draft(asker, deposit, now))
            except CdaError as exc:
                for mistake in exc.mistakes:
                    field = f"deposits[{place}].content{mistake.xpath}"
                    wrong.append((field, mistake.wrong, mistake.remedy))
            except RequestError as exc:
                wrong += exc.below(f"deposits[{place}]").violations
        wrong += _twice(drafts)
        if wrong:
            raise RequestError(wrong)
        return tuple(drafts)

    def _draft(self, asker: Asker, deposit: pb.Deposit, now: datetime) -> Draft:
        content = bytes(deposit.content)
        header = cda.read(content, now=now, types=self._types)
        found = cda.check_about(header, ins=asker.patient, types=self._types)
        if self._validator is not None:
            self._validator.check(content)
        # A document may well name a predecessor that was never deposited here; then it replaces nothing.
        if deposit.replaces and not header.replaces:
            cure = "let its relatedDocument (RPLC) name the one that it replaces"
            raise RequestError([("replaces", "the document itself replaces none", cure)])
        subject = asker.subject
        as_person = subject.kind in PERSONS
        authors = (Person(id=subject.id, name=subject.name),) if as_person else _authors(header)
        if subject.kind == "professional" and subject.id not in {a.id for a in authors}:
            cure = "let an author deposit it, or the structure with its certificate"
            raise RequestError(
                [("content", "the one who deposits it is none of its authors", cure)]
            )
        visibility: Visibility = wire.visibility(deposit.visibility)
        label = Label(
            id=str(uuid4()),
            entry=str(uuid4()),
            patient=asker.patient,
            unique_id=header.unique_id,
            type=found.code,
            class_code=found.class_code,
            space=found.space,
            status=Status.APPROVED,
            visibility=visibility,
            confidentiality=header.confidentiality.value,
            authors=tuple(dict.fromkeys(author.id for author in authors if author.id)),
            structure=subject.structure,
            system=self._system,
            made_at=header.effective_time,
            act_from=header.service_start or header.effective_time,
            act_to=header.service_stop,
            deposited_at=now,
            by_patient=as_person,
            version=1,
            replaces=deposit.replaces,
            replaced_by="",
            media_type="" if header.body.kind == STRUCTURED else header.body.kind,
            size=len(content),
            secret=asker.context.secret_connection,
        )
        particulars = Particulars(
            title=header.title, authors=authors, structure_name=subject.structure_name
        )
        return Draft(label=label, particulars=particulars, content=content, names=header.replaces)


def _authors(header: Header) -> tuple[Person, ...]:
    """The authors whom a document names, persons and devices."""
    return tuple(
        Person(
            id=author.id_nat,
            name=" ".join(filter(None, (author.given_name, author.family_name))) or author.device,
            profession=_profession(author.role),
            structure=author.structure,
            structure_name=author.organisation,
        )
        for author in header.authors
    )


def _profession(role: str) -> str:
    """The profession (TRE_G15) in a role such as `G15_10/SM26`; "" when it is of another kind."""
    kind, _, rest = role.partition("_")
    return rest.partition("/")[0] if kind == "G15" else ""


def inheriting(standing: Label, draft: Draft) -> Draft:
    """A new version is kept from those from whom the one before is kept: the patient's will outlasts it."""
    old, new = standing.visibility, draft.label.visibility
    kept = Visibility(
        masked=old.masked or new.masked,
        hidden_from_patient=old.hidden_from_patient or new.hidden_from_patient,
        hidden_from_representatives=(
            old.hidden_from_representatives or new.hidden_from_representatives
        ),
    )
    return replace(draft, label=replace(draft.label, visibility=kept))


def as_judged(standing: Label, new: Label) -> Label:
    """What is judged when a document is replaced: the standing one, as the new one would be seen."""
    return replace(standing, visibility=new.visibility, confidentiality=new.confidentiality)


def check_replacement(standing: Label, draft: Draft) -> None:
    """Whether a draft can take the place of a document; asked only of those who may know of it.

    Raises:
        RequestError: it names another one, or is of another type.
    """
    wrong: list[Violation] = []
    if standing.unique_id not in draft.names:
        cure = "let its relatedDocument (RPLC) name the one that it replaces"
        wrong.append(("deposits.content", "says itself that it replaces another document", cure))
    if standing.type != draft.label.type:
        cure = f"give it the type `{standing.type}`, or deposit it as a new document"
        wrong.append(("deposits.content", "not of the type of the document that it replaces", cure))
    if wrong:
        raise RequestError(wrong)


def _twice(drafts: Sequence[Draft]) -> list[Violation]:
    """What can't be deposited together: the same id, or two that replace the same document."""
    wrong: list[Violation] = []
    ids: set[str] = set()
    olds: set[str] = set()
    for place, draft in enumerate(drafts):
        if draft.label.unique_id in ids:
            cure = "give each document an id of its own"
            wrong.append((f"deposits[{place}].content", "the same uniqueId as another one", cure))
        ids.add(draft.label.unique_id)
        if draft.label.replaces and draft.label.replaces in olds:
            cure = "replace each document once"
            wrong.append((f"deposits[{place}].replaces", "the same as another one's", cure))
        olds.add(draft.label.replaces)
    return wrong
