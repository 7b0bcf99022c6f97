"""What the label of a document says as facts, and which labels say what a rule asks of a document.

Two directions of one translation, which must stay each other's inverse: whoever changes one changes the
other. `Labels.facts` is asked when a request names its document, `Labels.forms` when it leaves it open.

===========================  ======================================================================
fact                         is what, of a label
===========================  ======================================================================
`resource.habilitation`      what the matrix says of the subject's role and `type`
`resource.signature`         whether `type` is that of signatures
`resource.status`            `status`; the default when it is none of the vocabulary's
`resource.authors`           `authors`
`resource.author_structure`  `author_structure`
`resource.masked`            whether `visibility` has MASQUE_PS; the default when it has no known code
`resource.hidden_from_...`   the same of INVISIBLE_PATIENT and INVISIBLE_REPRESENTANTS_LEGAUX
===========================  ======================================================================
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from authz.criteria import (
    AUTHOR_STRUCTURE,
    AUTHORS,
    EVERYTHING,
    STATUS,
    TYPE,
    VISIBILITY,
    Criteria,
    has,
    has_none,
)
from authz.errors import FormlessError
from authz.matrix import Act, Habilitation, Table
from authz.model import ACTION, In, Literal, Member, Same, Vector, Vocabulary, facts_of
from authz.query import (
    CONFIDENTIALITY,
    HIDDEN_FROM_PATIENT,
    HIDDEN_FROM_REPRESENTATIVES,
    MASKED,
    Document,
)

SIGNATURE_TYPE: Final = "E1762"
"""The signature of a submission set, ASTM."""

_DEPOSITS: Final = frozenset({"document.deposit", "document.replace"})
_CODES: Final = {
    "resource.masked": MASKED,
    "resource.hidden_from_patient": HIDDEN_FROM_PATIENT,
    "resource.hidden_from_representatives": HIDDEN_FROM_REPRESENTATIVES,
}
_ALL_CODES: Final = frozenset(CONFIDENTIALITY)
_HABILITATION: Final = "resource.habilitation"
_SIGNATURE: Final = "resource.signature"
_STATUS: Final = "resource.status"
_AUTHORS: Final = "resource.authors"
_AUTHOR_STRUCTURE: Final = "resource.author_structure"

OPEN: Final = (_HABILITATION, _SIGNATURE, _STATUS, _AUTHORS, _AUTHOR_STRUCTURE, *_CODES)
"""The facts that a label settles."""

Words = Mapping[str, str | tuple[str, ...]]
Forms = Sequence[Criteria]
"""Alternatives, one of which a label must meet; where there are none, no label does."""

_ALWAYS: Final[Forms] = (EVERYTHING,)
_NEVER: Final[Forms] = ()


class Labels:
    """The translation under one bundle."""

    def __init__(
        self, vocabulary: Vocabulary, habilitations: Table, types: Collection[str]
    ) -> None:
        """Prepares the translation.

        Args:
            vocabulary: declares the facts, those of `OPEN` among them.
            habilitations: the matrix.
            types: the types of documents that it may speak of.
        """
        self._vocabulary = vocabulary
        self._habilitations = habilitations
        self._types = frozenset(types)
        self._statuses = frozenset(vocabulary.fact(_STATUS).values)
        self._places = {vocabulary.index[name]: name for name in OPEN}
        self._who = tuple(
            (vocabulary.index[name], vocabulary.fact(name))
            for name in ("subject.kind", "subject.profession", ACTION)
        )
        self._known: dict[tuple[In, str, Act], Forms] = {}

    def facts(self, document: Document, *, role: str, action: str, remarks: list[str]) -> Words:
        """What a label says; a fact of which it says nothing is left out, and has its default.

        Args:
            document: the label.
            role: whom the matrix is asked about, as `role_of` tells.
            action: what is to be done with the document.
            remarks: is told what is of no use.
        """
        codes = document.visibility
        words: dict[str, str | tuple[str, ...]] = {
            _HABILITATION: self._habilitations.cell(role, document.type, _act_of(action)),
            _SIGNATURE: _flag(document.type == SIGNATURE_TYPE),
            _AUTHORS: document.authors,
            _AUTHOR_STRUCTURE: document.author_structure,
        }
        if document.status in self._statuses:
            words[_STATUS] = document.status
        if not _ALL_CODES.isdisjoint(codes):
            for name, code in _CODES.items():
                words[name] = _flag(code in codes)
        if document.type not in self._types:
            remarks.append(
                f"resource.document.type: `{document.type}` is not a current type; "
                "give a code of JDV_J07"
            )
        if not codes:
            remarks.append("resource.document.visibility: missing; give 1 to 4 codes of JDV_J08")
        return words

    def forms(self, literal: Literal, vector: Vector) -> Forms:
        """The labels whose facts make an open literal true.

        Args:
            literal: speaks of what a label settles.
            vector: the facts of the request; what it says of those that a label settles is overlooked.

        Raises:
            FormlessError: no criteria say the same.
        """
        if not self.has_form(literal):
            names = " and ".join(f"`{self._vocabulary.facts[p].name}`" for p in facts_of(literal))
            raise FormlessError(f"no criteria for labels say the same as a condition on {names}")
        match literal:
            case Same(left, right, wanted):
                known = vector[right if left in self._places else left]
                return _named(AUTHOR_STRUCTURE, (known,), wanted=wanted)
            case Member(item, group, wanted):
                if group in self._places:
                    return _named(AUTHORS, (vector[item],), wanted=wanted)
                members = vector[group]
                listed = members if isinstance(members, tuple) else ()
                return _named(AUTHOR_STRUCTURE, listed, wanted=wanted)
            case In():
                kind, profession, action = (str(f.decode(vector[p])) for p, f in self._who)
                key = literal, role_of(kind, profession), _act_of(action)
                if key not in self._known:
                    self._known[key] = self._choice(*key)
                return self._known[key]
            case _:
                return _NEVER

    def is_open(self, literal: Literal) -> bool:
        """Whether a literal speaks of what a label settles."""
        return not self._places.keys().isdisjoint(facts_of(literal))

    def has_form(self, literal: Literal) -> bool:
        """Whether criteria can say what an open literal does; not when it compares a label with itself."""
        match literal:
            case In(place):
                return self._places[place] not in (_AUTHORS, _AUTHOR_STRUCTURE)
            case Same(left, right) | Member(left, right):
                return left not in self._places or right not in self._places
            case _:
                return False

    def _choice(self, literal: In, role: str, act: Act) -> Forms:
        fact = self._vocabulary.facts[literal.fact]
        allowed = {value for place, value in enumerate(fact.values) if place in literal.allowed}
        by_default = fact.default in literal.allowed
        if fact.name == _HABILITATION:
            return self._habilitation(allowed, role, act)
        if fact.name == _SIGNATURE:
            return _flagged(TYPE, SIGNATURE_TYPE, allowed)
        if fact.name == _STATUS:
            return _listed(STATUS, allowed, self._statuses, others=by_default)
        return _coded(_CODES[fact.name], allowed, without_codes=by_default)

    def _habilitation(self, allowed: Collection[str], role: str, act: Act) -> Forms:
        cell = self._habilitations.cell
        listed = {code for code in self._types if cell(role, code, act) in allowed}
        return _listed(TYPE, listed, self._types, others=Habilitation.UNLISTED in allowed)

    def ordinary(self, vector: Vector) -> Document:
        """A document of somebody else's with nothing special to it, of a type that the role may read."""
        kind, profession, _ = (str(f.decode(vector[p])) for p, f in self._who)
        role = role_of(kind, profession)
        cell, permitted = self._habilitations.cell, Habilitation.PERMITTED
        types = sorted(t for t in self._types if cell(role, t, Act.READ) is permitted)
        return Document(id="", type=types[0] if types else "", visibility=("N",), status="approved")


def role_of(kind: str, profession: str) -> str:
    """Whom the matrix is asked about: it has roles beside professions, such as `patient`.

    Args:
        kind: the subject's.
        profession: the subject's, as it stands in the vocabulary.
    """
    return profession if kind == "professional" else kind


def _act_of(action: str) -> Act:
    return Act.DEPOSIT if action in _DEPOSITS else Act.READ


def _named(field: str, identifiers: Iterable[object], *, wanted: bool) -> Forms:
    """The field holds one of the identifiers that are present, or, unless `wanted`, none."""
    present = {name for name in identifiers if isinstance(name, str) and name}
    if not wanted:
        return (has_none(field, present),)
    return (has(field, present),) if present else _NEVER


def _listed(field: str, allowed: Collection[str], known: Collection[str], *, others: bool) -> Forms:
    """The field has one of the allowed values, or, if `others`, one that is not known at all."""
    if others:
        return (has_none(field, set(known) - set(allowed)),)
    return (has(field, allowed),) if allowed else _NEVER


def _flagged(field: str, value: str, allowed: Collection[str]) -> Forms:
    """Whether the field has the value is `yes` or `no`, as allowed."""
    forms = {"yes": has(field, (value,)), "no": has_none(field, (value,))}
    chosen = tuple(form for answer, form in forms.items() if answer in allowed)
    return _ALWAYS if len(chosen) == len(forms) else chosen


def _coded(code: str, allowed: Collection[str], *, without_codes: bool) -> Forms:
    """Whether the visibility has the code is `yes` or `no`, as allowed, and may it have no code at all."""
    match "yes" in allowed, "no" in allowed, without_codes:
        case True, True, True:
            return _ALWAYS
        case True, True, False:
            return (has(VISIBILITY, _ALL_CODES),)
        case False, True, True:
            return (has_none(VISIBILITY, (code,)),)
        case with_code, with_others, without:
            having = has(VISIBILITY, (code,))
            lacking = has_none(VISIBILITY, (code,)) | has(VISIBILITY, _ALL_CODES - {code})
            none = has_none(VISIBILITY, _ALL_CODES)
            each = ((having, with_code), (lacking, with_others), (none, without))
            return tuple(form for form, permitted in each if permitted)


def _flag(value: bool) -> str:  # noqa: FBT001 - it names a boolean
    return "yes" if value else "no"
