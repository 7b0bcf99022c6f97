"""Messages of `authz.v1` to values of the core, and back. Nothing is judged here.

A field that cannot even be read (a day that is none, a change that names nobody) is a violation like those
of `authz.query`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from authz.bundle import Standing
from authz.decision import Decision
from authz.explain import Explanation, RuleFinding
from authz.model import Effect, Verdict, Wording
from authz.plan import Clause, Condition
from authz.query import Context, Document, Query, Subject, Target, Voucher
from authz.registry import changes
from authz.registry.feed import Feed
from authz.registry.state import Entrusted, Grantee, GranteeKind, PatientState, ReviewStanding
from authz.token import Proof, vouch
from authz.v1 import authz_pb2 as pb
from serving.errors import RequestError, Violation

MAX_CONTENT: Final = 1_000
"""Characters of any text in a change."""

MAX_LISTED: Final = 20
"""Representatives named in one change."""

_KNOWN: Final = 4_096
"""How many subjects, contexts and verdicts are kept as they were read or written."""

_SHORT: Final = 1_024
"""Bytes of a subject or context that is kept; a usual one has a tenth of that."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)

Value = TypeVar("Value")

EFFECTS: Final = {Effect.ALLOW: pb.EFFECT_ALLOW, Effect.DENY: pb.EFFECT_DENY}


def query(
    request: pb.CheckRequest, caller: str, rpc: str, trace_id: str, *, proof: Proof = ()
) -> Query:
    """The query of a check, asked for whom `proof` proves, if there is one."""
    resource = request.resource
    who, voucher = _vouched(request.subject, proof)
    context, claims = _circumstances(request.context.SerializeToString())
    return Query(
        caller=caller,
        rpc=rpc,
        subject=who,
        action=request.action,
        patient=resource.patient,
        document=_document(resource.document) if resource.HasField("document") else None,
        target=_target(resource.target) if resource.HasField("target") else None,
        about=resource.about,
        context=context,
        claims=claims,
        voucher=voucher,
        trace_id=trace_id,
    )


def _remembered(read: Callable[[bytes], Value]) -> Callable[[bytes], Value]:
    """The same, but what is short is read once; what is long is seldom the same, and fills memory."""
    known = lru_cache(_KNOWN)(read)
    return lambda data: known(data) if len(data) <= _SHORT else read(data)


@_remembered
def _subject(data: bytes) -> Subject:
    """Who asks; the same people ask again and again."""
    return subject(pb.Subject.FromString(data))


@_remembered
def _circumstances(data: bytes) -> tuple[Context, Mapping[str, str]]:
    """The circumstances, with the claims; most are the same."""
    message = pb.Context.FromString(data)
    return _context(message), dict(message.claims)


def simple(
    subject_message: pb.Subject,
    action: str,
    caller: str,
    rpc: str,
    trace_id: str,
    *,
    proof: Proof = (),
) -> Query:
    """The query of a procedure that aims at no patient."""
    who, voucher = _vouched(subject_message, proof)
    return Query(
        caller=caller, rpc=rpc, subject=who, action=action, voucher=voucher, trace_id=trace_id
    )


def own(action: str, caller: str, rpc: str, trace_id: str) -> Query:
    """The query of a service on its own behalf: nobody has to say who asks, its channel does."""
    who = Subject(kind="service", id=caller, authentication="service_channel")
    return Query(caller=caller, rpc=rpc, subject=who, action=action, trace_id=trace_id)


def change_query(
    request: pb.ChangeRequest, caller: str, rpc: str, trace_id: str, *, proof: Proof = ()
) -> Query:
    """The query of a change, with the change that is to be made if it is allowed.

    Raises:
        RequestError: the message names no change, or one that cannot be read or is too large.
    """
    who, voucher = _vouched(request.subject, proof)
    action, change, target = _change(request, who)
    if isinstance(change, changes.SetReviewStanding) and request.patient:
        raise RequestError([("patient", f"given, but `{action}` is of no patient", "leave it out")])
    if oversized := list(_oversized(change)):
        raise RequestError(oversized)
    return Query(
        caller=caller,
        rpc=rpc,
        subject=who,
        action=action,
        patient=request.patient,
        target=target,
        context=_context(request.context),
        change=change,
        claims=dict(request.context.claims),
        voucher=voucher,
        trace_id=trace_id,
        request_id=request.request_id,
    )


def subject(message: pb.Subject) -> Subject:
    """Who asks."""
    return Subject(
        kind=message.kind,
        id=message.id,
        profession=message.profession,
        structure=message.structure,
        structure_kind=message.structure_kind,
        authentication=message.authentication,
        capacity=message.capacity,
        regulator=message.regulator,
        name=message.name,
        structure_name=message.structure_name,
    )


def decision(decided: Decision) -> pb.Decision:
    """The answer to one request."""
    return pb.Decision.FromString(_bytes(decided))


def decisions(decided: Iterable[Decision]) -> bytes:
    """The bytes of a message whose first field holds what was decided, one answer or several."""
    return b"".join([part for one in map(_bytes, decided) for part in (_head(len(one)), one)])


def _bytes(decided: Decision) -> bytes:
    """A `pb.Decision` in bytes, joined of its parts; most are the same in many answers."""
    own = pb.Decision(id=decided.id)
    if decided.remarks:
        own.remarks.extend(decided.remarks)
    verdict = _verdict(decided.verdict, decided.told, decided.bundle.digest)
    # Messages of one kind, one after the other, are read as one that has the fields of all.
    return own.SerializeToString() + verdict + _moment(decided.revision, decided.at)


@lru_cache(_KNOWN)
def _verdict(verdict: Verdict, told: Wording, digest: str) -> bytes:
    return pb.Decision(
        effect=EFFECTS[verdict.effect],
        reason_code=verdict.reason,
        told_fr=told.fr,
        told_en=told.en,
        rules=verdict.rules,
        obligations=verdict.obligations,
        bundle=digest,
    ).SerializeToString()


@lru_cache(1)
def _moment(revision: int, at: datetime) -> bytes:
    """The same for all of a batch."""
    return pb.Decision(revision=revision, at=instant(at)).SerializeToString()


@lru_cache(_KNOWN)
def _head(length: int) -> bytes:
    """What stands before a message of so many bytes that is the first field of another (protobuf, "LEN")."""
    head = bytearray(b"\x0a")
    while length > 0x7F:  # noqa: PLR2004 - seven bits a byte
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head)


def explanation(decided: Decision, explained: Explanation, *, language: str) -> pb.ExplainResponse:
    """A decision with its reasons."""
    vocabulary = decided.bundle.vocabulary
    facts = {
        name: value if isinstance(value, str) else ", ".join(value)
        for name, value in vocabulary.decode(decided.vector).items()
    }
    return pb.ExplainResponse(
        decision=decision(decided),
        deciding=[_finding(finding, language) for finding in explained.deciding],
        nearest=_finding(explained.nearest, language) if explained.nearest else None,
        remedies=[
            pb.Remedy(
                text=remedy.text,
                changes=[
                    pb.FactChange(fact=fact, **{"from": before}, to=after)
                    for fact, before, after in remedy.changes
                ],
            )
            for remedy in explained.remedies
        ],
        facts=facts,
    )


def patient(state: PatientState, at: datetime, *, with_lists: bool) -> pb.Patient:
    """The state of a patient; who is authorised and who is blocked only `with_lists`."""
    consents = state.consents
    authorisations, blocks = (state.authorisations, state.blocks) if with_lists else ((), ())
    return pb.Patient(
        id=state.patient,
        dossier=state.status,
        birth_date=state.birth_date.isoformat() if state.birth_date else "",
        opened_at=instant(state.opened_at) if state.opened_at else None,
        closed_at=instant(state.closed_at) if state.closed_at else None,
        closure_reason=state.closure_reason,
        samu=consents.samu,
        break_glass=consents.break_glass,
        masked_in_emergency=consents.masked_in_emergency,
        feeding=consents.feeding,
        authorisations=[
            pb.Authorisation(
                grantee=pb.Grantee(id=a.grantee, kind=a.kind),
                granted_at=instant(a.granted_at),
                expires_at=instant(a.expires_at),
                state="valid" if at < a.expires_at else "expired",
            )
            for a in authorisations
        ],
        treating_doctors=[doctor.professional for doctor in state.treating_doctors],
        blocks=[pb.Grantee(id=block.grantee, kind=block.kind) for block in blocks],
        representatives=[
            pb.Representative(id=r.representative, relation=r.relation)
            for r in state.representatives
        ],
    )


def condition(which: Condition) -> pb.Condition:
    """Which labels may be shown."""
    return pb.Condition(
        allow=[_clause(clause) for clause in which.allow],
        deny=[_clause(clause) for clause in which.deny],
    )


def entrusted(listed: Entrusted) -> pb.AuthorisedPatient:
    """One patient of a list."""
    return pb.AuthorisedPatient(
        patient=listed.patient,
        birth_date=listed.birth_date.isoformat() if listed.birth_date else "",
        treating_doctor=listed.treating_doctor,
        expires_at=instant(listed.expires_at),
    )


def bundle(standing: Standing) -> pb.Bundle:
    """Which bundle decides, and what is wrong with the newest files."""
    active = standing.bundle
    return pb.Bundle(
        digest=active.digest,
        activated_at=instant(standing.since),
        rules=active.rules,
        facts=active.facts,
        matrix_cells=active.matrix_cells,
        refused=[
            pb.Mistake(
                path=m.path,
                line=m.line,
                column=m.column,
                where=m.where,
                message=m.message,
                hint=m.hint,
            )
            for m in standing.refused
        ],
    )


def events(found: Feed) -> pb.WatchResponse:
    """What a watcher is told."""
    return pb.WatchResponse(
        events=[
            pb.Event(
                revision=event.revision,
                patient=event.patient,
                action=event.action,
                decision_id=event.decision_id,
                at=instant(event.at),
            )
            for event in found.events
        ],
        head=found.head,
    )


def instant(at: datetime) -> Timestamp:
    """An aware datetime as a protobuf timestamp."""
    return Timestamp(seconds=(at - _EPOCH) // _SECOND, nanos=at.microsecond * 1000)


def _finding(finding: RuleFinding, language: str) -> pb.RuleFinding:
    rule = finding.rule
    return pb.RuleFinding(
        uid=rule.uid,
        effect=EFFECTS[rule.effect],
        told=rule.told.text(language),
        source=rule.source,
        conditions=[pb.Finding(text=c.text, holds=c.holds) for c in finding.conditions],
    )


def _clause(clause: Clause) -> pb.Clause:
    """A clause, in the order of names: what is the same is written the same."""
    rule, criteria = clause.rule, [(c.field, c.negated, sorted(c.values)) for c in clause.criteria]
    return pb.Clause(
        tests=[pb.Test(field=f, negated=n, values=values) for f, n, values in sorted(criteria)],
        rule=rule.uid,
        reason_code=rule.reason,
        obligations=rule.obligations,
    )


def _vouched(message: pb.Subject, proof: Proof) -> tuple[Subject, Voucher | None]:
    stated = _subject(message.SerializeToString())
    return vouch(stated, proof) if proof else (stated, None)


def _document(message: pb.Document) -> Document:
    return Document(
        id=message.id,
        type=message.type,
        authors=tuple(message.authors[:]),  # a slice is a list, and read in half of the time
        author_structure=message.author_structure,
        visibility=tuple(message.visibility[:]),
        status=message.status,
        system=message.system,
    )


def _target(message: pb.Target) -> Target:
    return Target(id=message.id, kind=message.kind, profession=message.profession)


def _context(message: pb.Context) -> Context:
    declared = None
    if message.HasField("declared_at"):
        try:
            declared = message.declared_at.ToDatetime(UTC)
        except (ValueError, OverflowError) as exc:
            problem = ("context.declared_at", "not an instant", "give a valid timestamp")
            raise RequestError([problem]) from exc
    return Context(
        mode=message.mode,
        reason_code=message.reason.code,
        reason_text=message.reason.text,
        declared_at=declared,
        secret_connection=message.secret_connection,
        agreement=message.agreement,
        announced=message.announced,
        closure=message.closure,
    )


def _oversized(change: changes.Change) -> Iterator[Violation]:
    """What is too large to stand in the log, whoever asks for it; the rest is for `apply` to judge."""
    for name, value in changes.to_document(change).items():
        if isinstance(value, str):
            if len(value) > MAX_CONTENT:
                yield f"change.{name}", f"{len(value)} characters", f"at most {MAX_CONTENT}"
        elif len(value) > MAX_LISTED:
            yield f"change.{name}", f"{len(value)} entries", f"at most {MAX_LISTED}"
        elif any(len(text) > MAX_CONTENT for texts in value for text in texts):
            yield f"change.{name}", "too long a text", f"at most {MAX_CONTENT} characters"


Asked = tuple[str, changes.Change, Target | None]


def _change(request: pb.ChangeRequest, who: Subject) -> Asked:  # noqa: C901, PLR0911, PLR0912 - one a change
    """The action, the change and its target that a request asks for."""
    match request.WhichOneof("change"):
        case "open_dossier":
            opened = _answers(changes.OpenDossier, request.open_dossier, who)
            return "dossier.create", opened, None
        case "reopen_dossier":
            reopened = _answers(changes.ReopenDossier, request.reopen_dossier, who)
            return "dossier.reopen", reopened, None
        case "close_dossier":
            closing = request.close_dossier
            return (
                "dossier.close",
                changes.CloseDossier(reason=closing.reason, text=closing.text),
                None,
            )
        case "set_consents":
            wanted = {f.name: v for f, v in request.set_consents.ListFields()}
            return "consent.update", changes.SetConsents(**wanted), None
        case "own_authorisation":
            return _own(request.own_authorisation, who)
        case "grant_authorisation":
            whom = request.grant_authorisation.grantee
            granted = changes.GrantAuthorisation(
                grantee=whom.id,
                kind=_kind(whom),
                treating_doctor=request.grant_authorisation.treating_doctor,
            )
            return "authorisation.grant", granted, _aimed(whom)
        case "renew_authorisation":
            whom = request.renew_authorisation.grantee
            renewed = changes.RenewAuthorisation(grantee=whom.id, kind=_kind(whom))
            return "authorisation.renew", renewed, _aimed(whom)
        case "revoke_authorisation":
            whom = request.revoke_authorisation.grantee
            revoked = changes.RevokeAuthorisation(grantee=whom.id, kind=_kind(whom))
            return "authorisation.revoke", revoked, _aimed(whom)
        case "set_treating_doctor":
            whom = request.set_treating_doctor.professional
            return (
                "treating_doctor.set",
                changes.SetTreatingDoctor(professional=whom.id),
                _person(whom),
            )
        case "withdraw_treating_doctor":
            whom = request.withdraw_treating_doctor.professional
            withdrawn = changes.WithdrawTreatingDoctor(professional=whom.id)
            return "treating_doctor.withdraw", withdrawn, _person(whom)
        case "set_block":
            whom = request.set_block.grantee
            blocked = changes.SetBlock(
                grantee=whom.id,
                kind=_kind(whom),
                withdraw_treating_doctor=request.set_block.withdraw_treating_doctor,
            )
            return "block.set", blocked, _aimed(whom)
        case "lift_block":
            whom = request.lift_block.grantee
            return "block.lift", changes.LiftBlock(grantee=whom.id, kind=_kind(whom)), _aimed(whom)
        case "add_representative":
            named = request.add_representative.representative
            added = changes.AddRepresentative(representative=named.id, relation=named.relation)
            return "representative.add", added, Target(id=named.id, kind="person")
        case "remove_representative":
            gone = request.remove_representative.representative
            removed = changes.RemoveRepresentative(representative=gone)
            return "representative.remove", removed, Target(id=gone, kind="person")
        case "set_review_standing":
            told = request.set_review_standing
            standing = changes.SetReviewStanding(
                professional=told.professional, standing=_standing(told.standing), why=told.why
            )
            return "standing.set", standing, Target(id=told.professional, kind="professional")
        case None:
            raise RequestError([("change", "missing", "set one of the fields of the change")])


Answers = TypeVar("Answers", changes.OpenDossier, changes.ReopenDossier)


def _answers(kind: type[Answers], message: pb.OpenDossier, who: Subject) -> Answers:
    """The answers of the consent screen; question 2 authorises the one who asks."""
    born = None
    if message.birth_date:
        try:
            born = date.fromisoformat(message.birth_date)
        except ValueError as exc:
            wrong = f"not a day: `{message.birth_date[:20]}`"
            raise RequestError([("change.birth_date", wrong, "write it as 1979-03-28")]) from exc
    return kind(
        birth_date=born,
        samu=message.samu,
        break_glass=message.break_glass,
        masked_in_emergency=message.masked_in_emergency,
        authorise=_oneself(who) if message.authorise else None,
        treating_doctor=message.treating_doctor,
        representatives=tuple(
            changes.AddRepresentative(representative=r.id, relation=r.relation)
            for r in message.representatives
        ),
    )


def _own(message: pb.OwnAuthorisation, who: Subject) -> Asked:
    """TD0.3, recorded by a professional or a structure for itself."""
    oneself = _oneself(who)
    change = changes.own_authorisation(
        authorise=message.authorise, treating_doctor=message.treating_doctor, grantee=oneself
    )
    target = Target(id=oneself.identifier, kind=oneself.kind, profession=who.profession)
    actions = {
        changes.GrantAuthorisation: "authorisation.grant",
        changes.RevokeAuthorisation: "authorisation.revoke",
        changes.WithdrawTreatingDoctor: "treating_doctor.withdraw",
    }
    return actions[type(change)], change, target


def _oneself(who: Subject) -> Grantee:
    if who.kind in ("structure", "employee"):
        return Grantee(identifier=who.structure, kind=GranteeKind.STRUCTURE)
    return Grantee(identifier=who.id, kind=GranteeKind.PROFESSIONAL)


def _kind(whom: pb.Grantee) -> GranteeKind:
    try:
        return GranteeKind(whom.kind)
    except ValueError as exc:
        wrong = f"unknown kind: `{whom.kind[:20]}`"
        problem = ("change.grantee.kind", wrong, "professional or structure")
        raise RequestError([problem]) from exc


def _standing(told: str) -> ReviewStanding:
    try:
        return ReviewStanding(told)
    except ValueError as exc:
        wrong = f"unknown standing: `{told[:20]}`"
        problem = ("change.standing", wrong, f"one of {', '.join(ReviewStanding)}")
        raise RequestError([problem]) from exc


def _aimed(whom: pb.Grantee) -> Target:
    return Target(id=whom.id, kind=_kind(whom), profession=whom.profession)


def _person(whom: pb.Grantee) -> Target:
    return Target(id=whom.id, kind="professional", profession=whom.profession)
