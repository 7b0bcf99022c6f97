"""The sample archive before the real decision point: every read and write passes it, over real sockets."""

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2

from authz.v1 import authz_pb2 as authz
from clients.archive.outbox import Outbox
from clients.archive.server import serving
from clients.archive.store import Label, Store
from clients.archive.v1 import archive_pb2 as pb
from clients.archive.v1 import archive_pb2_grpc as rpc
from clients.sdk import PLAIN, SettingsError, aio
from clients.sdk.testing import Pdp, allow
from serving.callers import Callers
from tests.authz.tls import World
from tests.service import (
    ANASTA,
    CHANNEL,
    change,
    detail,
    doctor,
    failure,
    opening,
    reason,
    running,
    stranger,
)

SCAN = Label(
    id="scan-1",
    patient=ANASTA,
    title="Radiographie du poignet",
    author="899700300984",
    author_structure="10B0411208",
    visibility=("N",),
)
MASKED = Label(
    **{f: getattr(SCAN, f) for f in SCAN.__slots__}
    | {"id": "scan-2", "visibility": ("N", "MASQUE_PS")}
)
PIXELS = bytes(range(256))
EMERGENCY = authz.Context(
    mode="bris_de_glace", reason=authz.Reason(code="risque_vital", text="Patiente inconsciente")
)
NORMAL = authz.Context(mode="normal")


@dataclass(frozen=True, kw_only=True)
class Running:
    """An archive that serves, the decision point behind it, and its caller's stub."""

    stub: rpc.ArchiveServiceStub
    address: str
    store: Store
    outbox: Path
    world: World
    callers: Callers
    behind: object

    def notices(self):
        """What has been left in the outbox."""
        if not self.outbox.exists():
            return []
        return [json.loads(line) for line in self.outbox.read_text().splitlines()]

    async def read(self, who, image="scan-1", context=NORMAL, patient=ANASTA):
        """Asks for an image."""
        return await self.stub.ReadImage(
            pb.ReadImageRequest(subject=who, patient=patient, image=image, context=context)
        )


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """An authority with certificates for the archive, the portal, and a service that may not call."""
    return World.make(tmp_path_factory.mktemp("pki") / "pki", "archive", "portal", "elsewhere")


@asynccontextmanager
async def archive(folder, world, client_of, behind):
    """The archive with two images of Anasta, called by the portal over mutual TLS."""
    store = Store(folder / "images")
    store.add(SCAN, PIXELS)
    store.add(MASKED, PIXELS)
    outbox = folder / "outbox.jsonl"
    callers = Callers(
        world.tls("archive", test=True), clock=world.clock, on_standing=lambda *_: None
    )
    async with (
        client_of(Outbox(outbox).duties()) as client,
        serving(
            "127.0.0.1:0", store=store, client=client, callers=callers, expected=["portal"]
        ) as address,
        channel(world, address) as ours,
    ):
        yield Running(
            stub=rpc.ArchiveServiceStub(ours),
            address=address,
            store=store,
            outbox=outbox,
            world=world,
            callers=callers,
            behind=behind,
        )


def channel(world, address, name="portal", **of):
    """A channel of a service to the archive."""
    options = [*CHANNEL, ("grpc.ssl_target_name_override", "archive")]
    return grpc.aio.secure_channel(address, world.credentials(name, **of), options)


@pytest.fixture
async def anasta(tmp_path, pki):
    """The archive before a decision point that knows Anasta's dossier, opened by her doctor."""
    async with running(tmp_path, services=("operator", "archive")) as point:
        opened = await point.door.change(opening())
        assert opened.effect == authz.EFFECT_ALLOW
        address = point.service.addresses[1]

        def client_of(duties):
            return aio.connect(address, PLAIN, timeout_s=5, duties=duties)

        async with archive(tmp_path, pki, client_of, point) as made:
            yield made


@pytest.fixture
async def alone(tmp_path, pki):
    """The archive before a stand-in that allows everything."""
    pdp = Pdp(allow())
    async with archive(tmp_path, pki, lambda duties: pdp.aio_client(duties=duties), pdp) as made:
        yield made


async def test_read(anasta):
    """Who is authorised gets the image; nothing has to be shown, nobody has to be told."""
    answer = await anasta.read(doctor())

    assert answer.content == PIXELS
    assert answer.label.title == SCAN.title
    assert list(answer.banners) == []
    assert anasta.notices() == []


async def test_read_by_a_stranger(anasta):
    """A stranger is denied, with the reason, the decision's id, and a sentence for people."""
    error = await failure(anasta.read(stranger()))

    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert reason(error) == "NOT_AUTHORISED"
    said = detail(error, error_details_pb2.LocalizedMessage())
    assert said.message.startswith("The patient has not authorised")
    (entry,) = [e for e in anasta.behind.entries() if e.get("action") == "document.read"]
    assert entry["id"] == detail(error, error_details_pb2.ErrorInfo()).metadata["decision_id"]
    assert entry["caller"] == "archive"


async def test_what_is_not_there_is_denied_alike(anasta):
    """A stranger can't tell by the answer whether there is such an image; who is authorised can."""
    error = await failure(anasta.read(stranger(), image="scan-9"))
    other = await failure(anasta.read(doctor(), image="scan-9"))

    assert (error.code(), reason(error)) == (grpc.StatusCode.PERMISSION_DENIED, "NOT_AUTHORISED")
    assert other.code() is grpc.StatusCode.NOT_FOUND


async def test_image_of_somebody_else(anasta):
    """An image is not found in the dossier of another patient, whatever the caller may read there."""
    with_dossier = "1" * 20 + f"{97 - int('1' * 20) % 97:02}"
    await anasta.behind.door.change(opening(whose=with_dossier))

    error = await failure(anasta.read(doctor(), patient=with_dossier))

    assert error.code() is grpc.StatusCode.NOT_FOUND


async def test_break_glass(anasta):
    """In an emergency a stranger reads; the mode is shown, and notices are on disk before."""
    answer = await anasta.read(stranger(), context=EMERGENCY)

    assert answer.content == PIXELS
    assert list(answer.banners) == ["show_mode"]
    assert ["notify_holder", "notify_treating_doctor", "review"] == [
        notice["obligation"] for notice in anasta.notices()
    ]
    assert {notice["patient"] for notice in anasta.notices()} == {ANASTA}
    (entry,) = [e for e in anasta.behind.entries() if e.get("action") == "document.read"]
    assert {notice["decision"] for notice in anasta.notices()} == {entry["id"]}


async def test_break_glass_without_notice(anasta):
    """Where no notice can be left, nobody breaks the glass."""
    anasta.outbox.mkdir()

    error = await failure(anasta.read(stranger(), context=EMERGENCY))

    assert error.code() is grpc.StatusCode.INTERNAL
    assert reason(error) == "OBLIGATION_UNFULFILLED"


async def test_list(anasta):
    """A list shows what may be seen, and no trace of what is masked."""
    request = pb.ListImagesRequest(subject=doctor(), patient=ANASTA, context=NORMAL)

    answer = await anasta.stub.ListImages(request)

    assert [label.id for label in answer.images] == ["scan-1"]
    assert "scan-2" not in str(answer)


async def test_list_for_a_stranger(anasta):
    """A stranger's list is empty."""
    request = pb.ListImagesRequest(subject=stranger(), patient=ANASTA, context=NORMAL)

    assert list((await anasta.stub.ListImages(request)).images) == []


async def test_list_in_an_emergency(anasta):
    """In an emergency the list says in which mode it is shown."""
    request = pb.ListImagesRequest(subject=stranger(), patient=ANASTA, context=EMERGENCY)

    answer = await anasta.stub.ListImages(request)

    assert [label.id for label in answer.images] == ["scan-1"]
    assert list(answer.banners) == ["show_mode"]


async def test_deposit(anasta):
    """What a doctor deposits is there under the id that was decided on, and the holder is told."""
    request = pb.DepositImageRequest(
        subject=doctor(), patient=ANASTA, title="Échographie", content=b"pixels", context=NORMAL
    )

    image = (await anasta.stub.DepositImage(request)).image

    assert anasta.store.content(ANASTA, image) == b"pixels"
    assert anasta.store.label(ANASTA, image).author == doctor().id
    (notice,) = anasta.notices()
    assert (notice["obligation"], notice["document"]) == ("notify_holder", image)


async def test_deposit_denied(anasta):
    """What the matrix closes to a profession is not deposited."""
    request = pb.DepositImageRequest(
        subject=doctor(profession="21"), patient=ANASTA, title="x", content=b"x", context=NORMAL
    )

    error = await failure(anasta.stub.DepositImage(request))

    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert len(anasta.store.labels(ANASTA)) == 2


async def test_revoked_authorisation(anasta):
    """An authorisation that was withdrawn counts no more from that moment on."""
    await anasta.read(doctor())
    grantee = authz.Grantee(id=doctor().id, kind="professional")
    gone = authz.RevokeAuthorisation(grantee=grantee)
    holder = authz.Subject(
        kind="patient", id=ANASTA, authentication="patient_code", capacity="self"
    )
    await anasta.behind.door.change(change(holder, revoke_authorisation=gone))

    error = await failure(anasta.read(doctor()))

    assert reason(error) == "NOT_AUTHORISED"


async def test_malformed(anasta):
    """What is malformed is told by field."""
    error = await failure(anasta.read(doctor(kind="wizard")))

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    bad = detail(error, error_details_pb2.BadRequest())
    assert [v.field for v in bad.field_violations] == ["subject.kind"]


async def test_decision_point_down(alone):
    """Without the decision point there are no images."""
    alone.behind.down()

    error = await failure(alone.read(doctor()))

    assert (error.code(), reason(error)) == (
        grpc.StatusCode.UNAVAILABLE,
        "DECISION_UNAVAILABLE",
    )


async def test_other_callers(alone, tmp_path):
    """Only the services that are expected may call: by name, not revoked, from this authority."""
    other = World.make(tmp_path / "other", "portal")
    request = pb.ReadImageRequest(subject=doctor(), patient=ANASTA, image="scan-1")
    codes = {}
    for name, given in {
        "elsewhere": {"name": "elsewhere"},
        "foreign": {"name": "portal", "of": other},
        "card": {"name": alone.world.card(), "place": "persons"},
        "nobody": {"name": ""},
    }.items():
        async with channel(alone.world, alone.address, **given) as theirs:
            error = await failure(rpc.ArchiveServiceStub(theirs).ReadImage(request, timeout=5))
            codes[name] = error.code().name

    assert codes == {
        "elsewhere": "PERMISSION_DENIED",
        "foreign": "UNAVAILABLE",
        "card": "UNAUTHENTICATED",
        "nobody": "UNAVAILABLE",
    }
    assert alone.behind.asked == []


async def test_token_is_handed_on(alone):
    """The token of the end user that came with a call goes on to the decision point."""
    request = pb.ReadImageRequest(subject=doctor(), patient=ANASTA, image="scan-1", context=NORMAL)

    await alone.stub.ReadImage(request, metadata=(("dmp-subject", "a.b.c"),))

    assert alone.behind.tokens == ["a.b.c"]


@pytest.mark.parametrize("image", ["../outbox", "/etc/passwd", "", "a/b", "scan-1.json", "x" * 65])
async def test_odd_names(alone, image):
    """A name that is a path leads nowhere."""
    error = await failure(alone.read(doctor(), image=image))

    assert error.code() is grpc.StatusCode.NOT_FOUND


async def test_too_large(alone):
    """An image beyond the limit, or none, is refused."""
    for content in (b"", bytes((3 << 20) + 1)):
        request = pb.DepositImageRequest(
            subject=doctor(), patient=ANASTA, content=content, context=NORMAL
        )

        error = await failure(alone.stub.DepositImage(request))

        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert len(alone.store.labels(ANASTA)) == 2


async def test_no_tls_elsewhere(tmp_path):
    """Without TLS it listens on this machine only."""
    client = Pdp(allow()).aio_client()

    with pytest.raises(SettingsError, match="without TLS"):
        async with serving("0.0.0.0:0", store=Store(tmp_path), client=client, callers=None):
            pass
