"""What the methods of a gRPC service need, said once beside each other, and checked before it serves."""

import functools
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from authz.v1 import authz_pb2 as pb
from clients.sdk import wire
from clients.sdk.errors import SettingsError
from clients.sdk.values import NORMAL, Query

Finder = Callable[[Any, Any], object | Awaitable[object]]
Where = str | Finder
"""Where a part of the question is: the path of a field of the request, such as `image.patient`; or a function
of request and gRPC context, plain or async, that finds it."""

_READ: Final[Mapping[str, tuple[Descriptor | None, Callable[[Any], object]]]] = {
    "subject": (pb.Subject.DESCRIPTOR, wire.subject),
    "patient": (None, str),
    "document": (pb.Document.DESCRIPTOR, wire.document),
    "target": (pb.Target.DESCRIPTOR, wire.target),
    "context": (pb.Context.DESCRIPTOR, wire.context),
}
"""What a field must be to be such a part, and how it is read; text where there is no descriptor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a method needs: a permit for this action, on what its request names.

    Attributes:
        action: such as `document.read`.
        subject: where to find who asks.
        patient: where to find whose dossier it is.
        document: where to find the document's label.
        documents: what finds the labels of many: each is asked about, and the handler gets the permits for
            those that are allowed, which may be none.
        target: where to find whom an act aims at.
        context: where to find the circumstances; normal access if left out.
        supports: the obligations that the handler itself carries out.
    """

    action: str
    subject: Where = "subject"
    patient: Where | None = "patient"
    document: Where | None = None
    documents: Finder | None = None
    target: Where | None = None
    context: Where | None = None
    supports: Collection[str] = ()

    def find(self, request: Message, context: object) -> dict[str, Any]:
        """The parts of the question, by name; those that an async function finds are still to be awaited."""
        found: dict[str, Any] = {}
        for name, (_, read) in _READ.items():
            where: Where | None = getattr(self, name)
            if isinstance(where, str):
                found[name] = _at(request, where, read)
            elif where is not None:
                found[name] = where(request, context)
        if self.documents is not None:
            found["documents"] = self.documents(request, context)
        return found

    def queries(self, found: Mapping[str, Any]) -> tuple[Query, ...]:
        """The questions that its parts make: one, or one a document."""
        parts = {name: part for name, part in found.items() if name in _READ}
        parts["context"] = parts.get("context") or NORMAL
        query = Query(action=self.action, **parts)
        if self.documents is None:
            return (query,)
        return tuple(replace(query, document=label) for label in found["documents"])


def check_needs(needs: Mapping[str, Needs], open_to_all: Collection[str]) -> None:
    """Checks that each method exists, that its fields do, and that no method of its service is forgotten.

    Raises:
        SettingsError: something of this is not so.
    """
    services = set()
    for path, need in needs.items():
        try:
            method = descriptor_pool.Default().FindMethodByName(path.replace("/", "."))
        except KeyError as exc:
            raise SettingsError(f"no such method: `{path}`; write package.Service/Method") from exc
        if method.client_streaming:
            raise SettingsError(f"`{path}` takes a stream: it has no request to ask from")
        if need.document is not None and need.documents is not None:
            raise SettingsError(f"`{path}`: give document or documents, not both")
        services.add(method.containing_service)
        for name, (kind, _) in _READ.items():
            where = getattr(need, name)
            if isinstance(where, str):
                _check_path(path, name, where, method.input_type, kind)
    listed = {*needs, *open_to_all}
    for service in services:
        for method in service.methods:
            path = f"{service.full_name}/{method.name}"
            if path not in listed and service.full_name not in open_to_all:
                raise SettingsError(f"`{path}`: say what it needs, or that it is open to all")


def _check_path(
    method: str, name: str, where: str, message: Descriptor, kind: Descriptor | None
) -> None:
    *above, last = where.split(".")
    at: Descriptor | None = message
    for step in above:
        field = at.fields_by_name.get(step) if at else None
        at = field.message_type if field and not field.is_repeated else None
    found = at.fields_by_name.get(last) if at else None
    if found is None or found.is_repeated or not _is(found, kind):
        wanted = kind.full_name if kind else "a text"
        raise SettingsError(
            f"`{method}`: `{message.name}` has no field `{where}` that is {wanted}: "
            f"give the path of its {name}, or a function that finds it"
        )


def _is(field: FieldDescriptor, kind: Descriptor | None) -> bool:
    if kind is None:
        return field.type == FieldDescriptor.TYPE_STRING
    found: Descriptor | None = field.message_type
    return found is not None and found.full_name == kind.full_name


def _at(request: Message, where: str, read: Callable[[Any], object]) -> object:
    """What stands at a path; what is absent is empty, which the decision point refuses or denies."""
    return read(functools.reduce(getattr, where.split("."), request))
