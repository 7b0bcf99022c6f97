"""A request as the decision point understands it, and the checks of its form.

Form is checked here: what is malformed is refused with all that is wrong, and nothing is decided or
recorded. What is well formed but not known (a profession outside the matrix, a type without a cell) goes
on to policy, which denies it on record.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, fields
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain, islice
from typing import Final, TypeVar

import orjson

from authz import ins
from authz.errors import InsError
from authz.mistake import suggest
from authz.model import UNKNOWN_ACTION, Kind, Vocabulary
from authz.registry.changes import Change
from authz.value import dataclass
from serving import idnat
from serving.errors import IdentityError, RequestError, Violation

MAX_ID: Final = 128
MAX_TEXT: Final = 500
MAX_AUTHORS: Final = 50
MAX_CODES: Final = 20
MAX_PAGE: Final = 1_000
MAX_VIOLATIONS: Final = 20
CLOCK_SKEW: Final = timedelta(minutes=1)

MASKED: Final = "MASQUE_PS"
HIDDEN_FROM_PATIENT: Final = "INVISIBLE_PATIENT"
HIDDEN_FROM_REPRESENTATIVES: Final = "INVISIBLE_REPRESENTANTS_LEGAUX"
CONFIDENTIALITY: Final = ("N", "R", "V", MASKED, HIDDEN_FROM_PATIENT, HIDDEN_FROM_REPRESENTATIVES)
"""JDV_J08, 1.2.250.1.213.1.1.5.463."""

_KNOWN: Final = 16_384
"""How many identifiers are remembered as looked at: the same ones come again and again."""

_UNPRINTABLE: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""What no text needs: controls, line separators, changes of direction, halves of characters."""

_DECISION: Final = re.compile(
    r"[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}", re.ASCII
)
"""The id of a decision: a UUID version 7 as the log writes it (RFC 9562, 5.7)."""

_NUMBER: Final = re.compile(r"\d{5,}2[AB]\d{4,}|\d{10,}", re.ASCII)

_IGNORANCE: Final = (UNKNOWN_ACTION, "missing")
"""The values of choices that stand for not knowing; nobody states them."""

_NEVER_CHANGE: Final = ("any_document", "page", "about")
"""The fields of a query that changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who asks. Codes are those of the vocabulary; an empty one was not stated.

    `id` is the idNat_PS of a professional, the INS of a patient; `structure` an idNat_Struct;
    `structure_kind` a practice setting (JDV_J04), of which `SAMU_SMUR` matters; `regulator` the
    regulation flag of the assertion (Acces_Regulation_Medicale).
    """

    kind: str
    id: str
    profession: str = ""
    structure: str = ""
    structure_kind: str = ""
    authentication: str = ""
    capacity: str = ""
    regulator: bool = False
    name: str = ""
    structure_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voucher:
    """A token that came with the request: who vouches for the subject, and the token's id.

    `contradicted` are the fields of the subject in which the request says something else.
    """

    issuer: str
    id: str
    contradicted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document's label: what is known of it without its clinical content."""

    id: str
    type: str
    authors: tuple[str, ...] = ()
    author_structure: str = ""
    visibility: tuple[str, ...] = ()
    status: str = ""
    system: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Whom an act of management aims at; `kind` is professional, structure or person."""

    id: str
    kind: str
    profession: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The circumstances. `declared_at` is the instant of the declaration of emergency, if not now."""

    mode: str = ""
    reason_code: str = ""
    reason_text: str = ""
    declared_at: datetime | None = None
    secret_connection: bool = False
    agreement: bool = False
    announced: bool = False
    closure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which part of a long list is wanted: at most `size` that come after `after`, "" for the first."""

    after: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """May this subject do this to that, in these circumstances? Asked by a calling service.

    Where the document is left open (`any_document`) the question is which documents it may be; `page` is
    of a list of patients; `about` is the id of an earlier decision that this one is about. A change may
    have a `request_id`, under which it is asked for once.
    `claims` are facts of origin `caller` that have no field of their own, by name. Without a `voucher`
    the subject is who the caller says it is.
    """

    caller: str
    rpc: str
    subject: Subject
    action: str
    patient: str = ""
    document: Document | None = None
    target: Target | None = None
    about: str = ""
    context: Context = field(default_factory=Context)
    change: Change | None = None
    claims: Mapping[str, str] = field(default_factory=dict)
    voucher: Voucher | None = None
    request_id: str = ""
    trace_id: str = ""
    any_document: bool = False
    page: Page | None = None


def check(
    query: Query,
    vocabulary: Vocabulary,
    computed: Mapping[str, object],
    at: datetime,
) -> None:
    """Checks the form of a query.

    Args:
        query: to be checked.
        vocabulary: the words that it may use.
        computed: the facts that nobody may claim.
        at: now.

    Raises:
        RequestError: with the first violations, each naming the field, the value and the remedy.
    """
    found = chain(
        _action(query, vocabulary),
        _again(_subject, query.subject, vocabulary),
        _resource(query, vocabulary),
        _again(_context, query.context, vocabulary),
        _declaration(query.context, at),
        _claims(query.claims, vocabulary, computed),
        _identifiers(("request_id", query.request_id)),
        _page(query.page),
    )
    # Bounded, so that a request that is wrong in a million places costs no more than a wrong one.
    violations = list(islice(found, MAX_VIOLATIONS))
    if violations:
        raise RequestError(violations)


Part = TypeVar("Part", Subject, Context)
Form = Callable[[Part, Vocabulary], Iterator[Violation]]


def _again(form: Form[Part], part: Part, vocabulary: Vocabulary) -> Sequence[Violation]:
    """What is wrong with a part that comes again and again: found out once, if it is nothing."""
    try:
        _sound(form, part, vocabulary)
    except RequestError as exc:  # which is not kept, as what is wrong may be large
        return exc.violations
    return ()


@lru_cache(_KNOWN)
def _sound(form: Form[Part], part: Part, vocabulary: Vocabulary) -> None:
    violations = list(islice(form(part, vocabulary), MAX_VIOLATIONS))
    if violations:
        raise RequestError(violations)


def digest(query: Query) -> bytes:
    """SHA-256 of what is asked, whoever vouches for it and however the call is traced: 32 bytes.

    Two queries have one digest if they ask the same. It is kept with what was answered, so it must not
    change with the program: what no change has is left out.
    """
    asked = {f.name: getattr(query, f.name) for f in fields(query) if f.name not in _NEVER_CHANGE}
    content = asked | {"trace_id": "", "voucher": None, "request_id": ""}
    return hashlib.sha256(orjson.dumps(content)).digest()


def _action(query: Query, vocabulary: Vocabulary) -> Iterator[Violation]:
    action = vocabulary.actions.get(query.action)
    if action is None:
        cure = suggest(query.action, vocabulary.actions) or "name an action of the vocabulary"
        yield "action", f"unknown action: `{shown(query.action)}`", cure
        return
    if "patient" in action.needs and not query.patient:
        yield "resource.patient", f"missing, `{action.name}` needs it", "give the patient's INS"
    if "document" in action.needs and query.document is None and not query.any_document:
        yield "resource.document", f"missing, `{action.name}` needs it", "give the document's label"
    if "target" in action.needs and query.target is None:
        cure = "give the professional or structure that the act aims at"
        yield "resource.target", f"missing, `{action.name}` needs it", cure
    if "about" in action.needs and not query.about:
        cure = "give the id of the earlier decision"
        yield "resource.about", f"missing, `{action.name}` needs it", cure


def _subject(subject: Subject, vocabulary: Vocabulary) -> Iterator[Violation]:
    if not subject.kind:
        yield "subject.kind", "missing", f"one of {_listed(vocabulary, 'subject.kind')}"
    yield from _choice("subject.kind", subject.kind, vocabulary)
    yield from _choice("subject.authentication", subject.authentication, vocabulary)
    yield from _choice("subject.capacity", subject.capacity, vocabulary)
    yield from _required(("subject.id", subject.id))
    yield from _identifiers(
        ("subject.id", subject.id),
        ("subject.structure", subject.structure),
        ("subject.profession", subject.profession),
        ("subject.structure_kind", subject.structure_kind),
    )
    yield from _text("subject.name", subject.name)
    yield from _text("subject.structure_name", subject.structure_name)
    if subject.kind == "patient" and subject.id:
        yield from _ins("subject.id", subject.id)
    yield from _numbers(("subject.id", subject.id), ("subject.structure", subject.structure))
    if subject.structure and _structure_of(subject) not in ("", subject.structure):
        wrong = f"`{subject.kind}`, but `subject.id` is the number of another structure, or in one"
        yield "subject.structure", wrong, "give the structure of the card or certificate"


def _structure_of(subject: Subject) -> str:
    """The structure that the identifier of the subject itself names, "" for none."""
    if subject.kind == "structure":
        return subject.id
    if subject.kind == "employee":
        try:
            return idnat.person(subject.id).employer
        except IdentityError:
            return ""
    return ""


def _resource(query: Query, vocabulary: Vocabulary) -> Iterator[Violation]:
    if query.patient:
        yield from _ins("resource.patient", query.patient)
    if query.document is not None:
        yield from _document(query.document, vocabulary)
    if query.about and not _DECISION.fullmatch(query.about):
        wrong = f"not the id of a decision: `{_hinted(query.about)}`"
        yield "resource.about", wrong, "give all of it, in small letters, as in the answer"
    target = query.target
    if target is not None:
        yield from _required(("resource.target.id", target.id))
        yield from _identifiers(
            ("resource.target.id", target.id), ("resource.target.profession", target.profession)
        )
        yield from _numbers(("resource.target.id", target.id))
        mistaken = {"professional": query.subject.structure, "structure": query.subject.id}
        if mistaken.get(target.kind) == target.id and query.subject.id != query.subject.structure:
            wrong = f"`{target.kind}`, but the identifier is of the other kind"
            yield "resource.target.kind", wrong, "name what the identifier is of"
        kinds = ("professional", "structure", "person")
        if target.kind not in kinds:
            cure = suggest(target.kind, kinds)
            yield "resource.target.kind", f"unknown kind: `{shown(target.kind)}`", cure


def _document(document: Document, vocabulary: Vocabulary) -> Iterator[Violation]:
    named = ("resource.document.id", document.id), ("resource.document.type", document.type)
    yield from _required(*named)
    yield from _identifiers(
        *named,
        ("resource.document.author_structure", document.author_structure),
        ("resource.document.system", document.system),
    )
    yield from _numbers(("resource.document.author_structure", document.author_structure))
    yield from _choice("resource.status", document.status, vocabulary, "resource.document.status")
    if not document.status:
        cure = f"one of {_listed(vocabulary, 'resource.status')}"
        yield "resource.document.status", "missing", cure
    if len(document.authors) > MAX_AUTHORS:
        found = f"{len(document.authors)} authors"
        yield "resource.document.authors", found, f"at most {MAX_AUTHORS}"
    for place, author in enumerate(document.authors):
        if not author.strip() or not _is_sound(author):
            one = f"resource.document.authors[{place}]", author
            yield from chain(_required(one), _identifiers(one))
        if idnat.as_issued(author) != author:
            yield from _numbers((f"resource.document.authors[{place}]", author))
    if len(document.visibility) > MAX_CODES:
        found = f"{len(document.visibility)} codes"
        yield "resource.document.visibility", found, f"at most {MAX_CODES}"
    for place, code in enumerate(document.visibility):
        if code not in CONFIDENTIALITY:
            name = f"resource.document.visibility[{place}]"
            yield name, f"unknown code: `{shown(code)}`", suggest(code, CONFIDENTIALITY)


def _page(page: Page | None) -> Iterator[Violation]:
    if page is None:
        return
    if not 1 <= page.size <= MAX_PAGE:
        yield "page_size", f"`{page.size}`", f"1 to {MAX_PAGE}, or 0 for {MAX_PAGE}"
    if page.after:
        yield from _ins("after", page.after)


def _context(context: Context, vocabulary: Vocabulary) -> Iterator[Violation]:
    yield from _choice("context.mode", context.mode, vocabulary)
    yield from _choice("context.closure", context.closure, vocabulary)
    yield from _identifiers(("context.reason.code", context.reason_code))
    yield from _text("context.reason.text", context.reason_text)


def _declaration(context: Context, at: datetime) -> Iterator[Violation]:
    declared = context.declared_at
    if declared is not None and declared > at + CLOCK_SKEW:
        cure = "give the instant at which the emergency was declared, or none"
        yield "context.declared_at", f"in the future: `{declared.isoformat()}`", cure


def _claims(
    claims: Mapping[str, str], vocabulary: Vocabulary, computed: Mapping[str, object]
) -> Iterator[Violation]:
    """Claims may only set facts of origin `caller` that nothing else sets."""
    if not claims:
        return
    free = {f.name: f for f in vocabulary.facts if f.origin == "caller" and f.name not in computed}
    free.pop("action.name", None)
    for name, value in claims.items():
        fact = free.get(name)
        if fact is None:
            known = "it is computed, not claimed" if name in vocabulary.index else ""
            cure = known or suggest(name, free) or "declare it in vocabulary.yaml"
            yield f"claims[{shown(name)}]", f"unknown fact: `{shown(name)}`", cure
        elif fact.kind is Kind.IDENTIFIER:
            yield from _identifiers((f"claims[{name}]", value))
        elif fact.kind is not Kind.CHOICE or value not in fact.values:
            cure = suggest(value, fact.values) or "give one of its values"
            yield f"claims[{name}]", f"unknown value: `{shown(value)}`", cure


def _choice(name: str, value: str, vocabulary: Vocabulary, path: str = "") -> Iterator[Violation]:
    """A stated choice is one of the fact's values, and not the one that stands for ignorance."""
    if not value:
        return
    values = vocabulary.fact(name).values
    if value not in values or value in _IGNORANCE:
        known = [v for v in values if v not in _IGNORANCE]
        yield path or name, f"unknown value: `{shown(value)}`", suggest(value, known)


def _listed(vocabulary: Vocabulary, name: str) -> str:
    return ", ".join(f"`{v}`" for v in vocabulary.fact(name).values if v != UNKNOWN_ACTION)


def _required(*given: tuple[str, str]) -> Iterator[Violation]:
    for path, value in given:
        if not value.strip():
            yield path, "missing", "give the identifier"


def _identifiers(*given: tuple[str, str]) -> Iterator[Violation]:
    for path, value in given:
        if _is_sound(value):
            continue
        if len(value) > MAX_ID:
            yield path, f"{len(value)} characters", f"at most {MAX_ID}"
        else:
            wrong = f"blank or unprintable characters: `{_hinted(value)}`"
            yield path, wrong, "give it as issued"


@lru_cache(_KNOWN)
def _is_sound(value: str) -> bool:
    """Whether what is given as an identifier may be one; nothing may be given, too."""
    return len(value) <= MAX_ID and value.isprintable() and value == value.strip()


def _numbers(*named: tuple[str, str]) -> Iterator[Violation]:
    """A number is compared as it is written, so one in small letters would be nobody's."""
    for path, value in named:
        if idnat.as_issued(value) != value:
            yield path, f"small letters: `{_hinted(value)}`", "write it in capitals, as issued"


def _text(path: str, value: str) -> Iterator[Violation]:
    if not value:
        return
    if len(value) > MAX_TEXT:
        yield path, f"{len(value)} characters", f"at most {MAX_TEXT}"
    elif _UNPRINTABLE.search(value.replace("\n", " ").replace("\t", " ")):
        yield path, "unprintable characters", "send plain text"


def _ins(path: str, value: str) -> Iterator[Violation]:
    """The failed rule is named, the number only hinted at: it may be a real one with a slip."""
    if fault := _ins_fault(value):
        wrong = f"not an INS: `{_hinted(value)}`: {fault}"
        yield path, wrong, "read it again from the card; it is never corrected"


@lru_cache(_KNOWN)
def _ins_fault(value: str) -> str:
    """The rule that a patient's number breaks, "" for none."""
    try:
        ins.verify(value)
    except InsError as exc:
        return str(exc)
    return ""


def _hinted(value: str) -> str:
    """An identifier as it may stand in a message: never in full when it could be a patient's."""
    short = 10
    hint = value if len(value) <= short else f"{value[:3]}\N{HORIZONTAL ELLIPSIS}{value[-2:]}"
    return shown(hint)


def shown(value: str) -> str:
    """A value as it may stand in a message: short, printable, without numbers as long as an INS."""
    most = 40
    clean = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", value[:most])
    clean = _NUMBER.sub("\N{HORIZONTAL ELLIPSIS}", clean)
    return clean if len(value) <= most else clean + "\N{HORIZONTAL ELLIPSIS}"
