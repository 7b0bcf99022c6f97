"""`clients.archive.v1`: what each method needs, and what it does once it has its permit."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

import grpc

from clients.archive.errors import NotFoundError
from clients.archive.store import Label, Store
from clients.archive.v1 import archive_pb2 as pb
from clients.archive.v1 import archive_pb2_grpc as rpc
from clients.sdk import Document, Permit
from clients.sdk.gate import Needs, permit, permits

SERVICE: Final = "clients.archive.v1.ArchiveService"
TYPE: Final = "IMG-KOS"
"""Reference of the objects of an imaging exam (JDV_J07): all that this archive holds is of this type."""

SHOWN: Final = (
    "show_mode",
    "warn_hidden_from_patient",
    "warn_hidden_from_representatives",
    "mark_obsolete",
)
"""The obligations that are carried out by showing something beside the image."""

MAX_CONTENT: Final = 3 << 20

Context = grpc.aio.ServicerContext[Any, Any]


def needs(store: Store) -> Mapping[str, Needs]:
    """What each method needs: every read and write passes the decision point."""

    def existing(request: pb.ReadImageRequest, _: Context) -> Document:
        try:
            return _document(store.label(request.patient, request.image))
        except NotFoundError:
            # Asked about all the same: a stranger is told the same whether there is such an image or not.
            return Document(id=request.image, type=TYPE, status="approved", visibility=("N",))

    def all_of_patient(request: pb.ListImagesRequest, _: Context) -> list[Document]:
        return list(map(_document, store.labels(request.patient)))

    def new(request: pb.DepositImageRequest, _: Context) -> Document:
        return Document(
            id=str(uuid4()),
            type=TYPE,
            authors=(request.subject.id,),
            author_structure=request.subject.structure,
            visibility=tuple(request.visibility) or ("N",),
            status="approved",
        )

    return {
        f"{SERVICE}/ListImages": Needs(
            action="document.list", documents=all_of_patient, context="context", supports=SHOWN
        ),
        f"{SERVICE}/ReadImage": Needs(
            action="document.read", document=existing, context="context", supports=SHOWN
        ),
        f"{SERVICE}/DepositImage": Needs(
            action="document.deposit", document=new, context="context"
        ),
    }


class ArchiveService(rpc.ArchiveServiceServicer):
    """The handlers; what they touch is what their permits name."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def ListImages(  # noqa: N802 - gRPC names methods
        self, request: pb.ListImagesRequest, _: Context
    ) -> pb.ListImagesResponse:
        """The labels for which there is a permit."""
        answer = pb.ListImagesResponse()
        for one in permits():
            answer.banners.extend(name for name in shown(one) if name not in answer.banners)
            answer.images.append(_message(self._store.label(request.patient, _id(one))))
        return answer

    async def ReadImage(  # noqa: N802 - gRPC names methods
        self, request: pb.ReadImageRequest, context: Context
    ) -> pb.ReadImageResponse:
        """One image, and what must be shown beside it."""
        image = _id(permit())
        try:
            label = self._store.label(request.patient, image)
            content = self._store.content(request.patient, image)
        except NotFoundError:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such image")
        return pb.ReadImageResponse(label=_message(label), content=content, banners=shown(permit()))

    async def DepositImage(  # noqa: N802 - gRPC names methods
        self, request: pb.DepositImageRequest, context: Context
    ) -> pb.DepositImageResponse:
        """Adds an image under the label that was decided on."""
        document = permit().query.document
        if document is None or not 0 < len(request.content) <= MAX_CONTENT:
            text = f"content must be 1 to {MAX_CONTENT} bytes"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
        label = Label(
            id=document.id,
            patient=request.patient,
            title=request.title,
            author=document.authors[0],
            author_structure=document.author_structure,
            visibility=document.visibility,
        )
        self._store.add(label, request.content)
        return pb.DepositImageResponse(image=label.id)


def shown(held: Permit) -> tuple[str, ...]:
    """What must be shown; it is done by being part of the answer."""
    banners = tuple(name for name in held.pending if name in SHOWN)
    held.fulfil(*banners)
    return banners


def _id(held: Permit) -> str:
    return held.query.document.id if held.query.document else ""


def _document(label: Label) -> Document:
    return Document(
        id=label.id,
        type=TYPE,
        authors=(label.author,),
        author_structure=label.author_structure,
        visibility=label.visibility,
        status="approved",
    )


def _message(label: Label) -> pb.Label:
    return pb.Label(
        id=label.id,
        patient=label.patient,
        title=label.title,
        author=label.author,
        author_structure=label.author_structure,
        visibility=label.visibility,
    )
