"""What `dmp pki` makes, in real handshakes on loopback."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from clients.pki import authority
from clients.pki.folder import Folder
from serving.errors import UntrustedError
from serving.identity import Kind
from serving.trust import SERVICES, Reason

DAY = timedelta(days=1)
METHOD = "/test.Test/Who"
OPTIONS = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]


def now():
    """The clock of the handshake, which can't be told another."""
    return datetime.now(UTC)


def made(path):
    """An authority with a server, two clients, and one whose time has passed."""
    folder = Folder(path)
    folder.create(now() - 9 * DAY)
    for name, at, lifetime in (
        ("authz", now() - DAY, 30 * DAY),
        ("dossier", now() - DAY, 30 * DAY),
        ("late", now() - 3 * DAY, DAY),
        ("early", now() + DAY, DAY),
    ):
        holder = authority.service(name)
        folder.issue(holder, place="services", name=name, at=at, lifetime=lifetime)
    doctor = authority.person(
        "00B1038575", surname="MEDECIN3857", given_name="PAUL", profession="Médecin"
    )
    folder.issue(doctor, place="persons", name="00B1038575", at=now() - DAY, lifetime=30 * DAY)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An authority."""
    return made(tmp_path_factory.mktemp("pki") / "own")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """Another authority, which made a dossier of its own."""
    return made(tmp_path_factory.mktemp("pki") / "other")


def pair(folder, name):
    """Key and chain of a certificate, as gRPC takes them."""
    stem = folder.path / name
    return stem.with_suffix(".key").read_bytes(), stem.with_suffix(".pem").read_bytes()


def authorities(folder):
    """All authorities of a folder in one PEM."""
    files = sorted((folder.path / "authorities").glob("*.pem"))
    return b"".join(path.read_bytes() for path in files)


@asynccontextmanager
async def serving(folder, name="services/authz"):
    """A server that keeps the certificates of its callers; yields its port and them."""
    seen = []

    async def who(_request, context):
        seen.extend(context.auth_context()["x509_pem_cert"])
        return b""

    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handler = grpc.unary_unary_rpc_method_handler(who)
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("test.Test", {"Who": handler})]
    )
    credentials = grpc.ssl_server_credentials(
        [pair(folder, name)], root_certificates=authorities(folder), require_client_auth=True
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield port, seen
    finally:
        await server.stop(None)


async def call(port, folder, name=None, *, roots=None, to="authz"):
    """Calls the server with a certificate of a folder; the error if there is one."""
    key, chain = pair(folder, name) if name else (None, None)
    credentials = grpc.ssl_channel_credentials(authorities(roots or folder), key, chain)
    options = [*OPTIONS, ("grpc.ssl_target_name_override", to)]
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
        try:
            await channel.unary_unary(METHOD)(b"", timeout=5)
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK


async def test_the_server_sees_who_calls(folder):
    """A service calls with its certificate, and the server reads from it who it is."""
    async with serving(folder) as (port, seen):
        code = await call(port, folder, "services/dossier")

    peer = folder.trust(test=True).check(seen[0], now(), kinds=SERVICES)
    assert (grpc.StatusCode.OK, Kind.SERVICE, "dossier") == (code, peer.kind, peer.service)


async def test_a_card_comes_through_to_be_told(folder):
    """A card of the same root passes the handshake: only our check knows that it is no service."""
    async with serving(folder) as (port, seen):
        code = await call(port, folder, "persons/00B1038575")

    with pytest.raises(UntrustedError) as caught:
        folder.trust(test=True).check(seen[0], now(), kinds=SERVICES)
    assert (grpc.StatusCode.OK, Reason.WRONG_KIND) == (code, caught.value.reason)
    assert folder.trust(test=True).check(seen[0], now()).kind is Kind.PROFESSIONAL


async def test_a_revoked_service_comes_through_to_be_told(tmp_path):
    """The handshake knows no revocation lists: our check refuses who is on one."""
    folder = made(tmp_path / "pki")
    folder.revoke(str(folder.path / "services" / "dossier.pem"), now())

    async with serving(folder) as (port, seen):
        code = await call(port, folder, "services/dossier")

    with pytest.raises(UntrustedError) as caught:
        folder.trust(test=True).check(seen[0], now())
    assert (grpc.StatusCode.OK, Reason.REVOKED) == (code, caught.value.reason)


@pytest.mark.parametrize("name", [None, "services/late", "services/early"])
async def test_who_does_not_come_through(folder, name):
    """Without a certificate, or with one out of its time, there is no connection."""
    async with serving(folder) as (port, seen):
        code = await call(port, folder, name)

    assert (grpc.StatusCode.UNAVAILABLE, []) == (code, seen)


async def test_a_stranger_does_not_come_through(folder, stranger):
    """A service of the same name from another authority is not connected."""
    async with serving(folder) as (port, seen):
        code = await call(port, stranger, "services/dossier", roots=folder)

    assert (grpc.StatusCode.UNAVAILABLE, []) == (code, seen)


async def test_the_caller_knows_whom_it_calls(folder, stranger):
    """A caller does not talk to a server of another authority, nor to one of another name."""
    async with serving(stranger) as (port, _):
        assert await call(port, folder, "services/dossier") is grpc.StatusCode.UNAVAILABLE
    async with serving(folder, "services/dossier") as (port, _):
        assert await call(port, folder, "services/dossier") is grpc.StatusCode.UNAVAILABLE


async def test_a_card_is_no_server(folder):
    """A card can't serve, whatever it calls itself."""
    async with serving(folder, "persons/00B1038575") as (port, seen):
        code = await call(port, folder, "services/dossier")

    assert (grpc.StatusCode.UNAVAILABLE, []) == (code, seen)
