"""A decision as a draft of its log entry; what the log adds (place, salt, chain) is not here."""

from audit.entry import Document, Entry, Origin, Reason, Subject, Target, Voucher
from authz.decision import Decision
from authz.query import Query
from authz.query import Target as Aimed
from authz.registry.changes import to_document


def draft(decision: Decision, call: str) -> Entry:
    """The entry of one decision; `call` groups those that were asked for together."""
    query, verdict = decision.query, decision.verdict
    entry: Entry = {
        "kind": _kind(query),
        "id": decision.id,
        "call": call,
        "caller": query.caller,
        "subject": _subject(query),
        "action": query.action,
        "patient": query.patient,
        "facts": decision.vector,
        "effect": verdict.effect.value,
        "reason_code": verdict.reason,
        "rules": verdict.rules,
        "obligations": verdict.obligations,
        "bundle": decision.bundle.digest,
        "revision": decision.revision,
    }
    _add_document(entry, decision)
    if query.target is not None:
        entry["target"] = _target(query.target)
    if query.about:
        entry["about"] = query.about
    if query.voucher is not None:
        entry["voucher"] = Voucher(issuer=query.voucher.issuer, id=query.voucher.id)
    if query.trace_id:
        entry["trace_id"] = query.trace_id
    if query.context.mode:
        entry["mode"] = query.context.mode
    if query.context.reason_code or query.context.reason_text:
        entry["reason"] = Reason(code=query.context.reason_code, text=query.context.reason_text)
    if query.change is not None:
        entry["change"] = dict(to_document(query.change))
    remarks = [*decision.remarks, *([verdict.error] if verdict.error else [])]
    if remarks:
        entry["remarks"] = remarks
    return entry


def _kind(query: Query) -> str:
    if query.change is not None:
        return "change"
    return "filter" if query.any_document else "decision"


def _subject(query: Query) -> Subject:
    """Who asked; what was not stated is left out."""
    subject = query.subject
    entry: Subject = {"kind": subject.kind, "id": subject.id}
    if subject.name:
        entry["name"] = subject.name
    if subject.profession:
        entry["profession"] = subject.profession
    if subject.structure:
        entry["structure"] = subject.structure
    if subject.structure_name:
        entry["structure_name"] = subject.structure_name
    if subject.authentication:
        entry["authentication"] = subject.authentication
    return entry


def _target(aimed: Aimed) -> Target:
    """Whom the act aimed at; a profession that was not stated is left out."""
    entry: Target = {"id": aimed.id, "kind": str(aimed.kind)}
    if aimed.profession:
        entry["profession"] = aimed.profession
    return entry


def _add_document(entry: Entry, decision: Decision) -> None:
    """The document with its category and origin (EHDS annex II 3.2 c and e)."""
    document = decision.query.document
    if document is None:
        return
    label: Document = {"id": document.id, "type": document.type}
    known = decision.bundle.types.get(document.type)
    if known is not None:
        label["class"], label["space"] = known.class_code, known.space
    entry["document"] = label
    origin: Origin = {"authors": document.authors}
    if document.author_structure:
        origin["author_structure"] = document.author_structure
    if document.system:
        origin["system"] = document.system
    entry["origin"] = origin
