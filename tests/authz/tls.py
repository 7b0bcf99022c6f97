"""A development authority in real files, a clock that can be put forward, and doors with mutual TLS."""

from collections.abc import Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import grpc
from cryptography import x509

from authz.errors import TokenError
from clients.pki import authority
from clients.pki.folder import Folder
from serving.callers import Callers, Tls
from serving.errors import UntrustedError
from tests.service import CHANNEL, Deadline

DAY = timedelta(days=1)
METHOD = "/test.Echo/Who"


class Clock:
    """The time of the machine, which handshakes go by, put forward at will."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class World:
    """An authority in a folder, with certificates for services."""

    folder: Folder
    clock: Clock = field(default_factory=Clock)

    @classmethod
    def make(cls, path, *services: str) -> "World":
        """A new authority, and a certificate for each service."""
        world = cls(Folder(path))
        world.folder.create(datetime.now(UTC))
        for name in services:
            world.issue(name)
        return world

    def tls(self, name="authz", **changes) -> Tls:
        """What a listener of a service is given."""
        key, chain = self.files(name)
        return Tls(**{"key": key, "chain": chain, "trust": self.folder.path, **changes})

    def files(self, name, place="services"):
        """Key and chain of a holder."""
        folder = self.folder.path / place
        return folder / f"{name}.key", folder / f"{name}.pem"

    def issue(self, name, *, begin=timedelta(), lifetime=300 * DAY, renew=False) -> None:
        """A service's certificate that is valid from an instant, counted from now."""
        self._issue(authority.service(name), "services", name, begin, lifetime, renew=renew)

    def card(self, number="00B1038575") -> str:
        """A test doctor's card; its name."""
        words = {"surname": "MEDECIN3857", "given_name": "PAUL", "profession": "Médecin"}
        self._issue(authority.person(number, **words), "persons", number)
        return number

    def structure(self, number="10B0167011") -> str:
        """A health centre's certificate; its name."""
        self._issue(authority.structure(number, "CENTRE DE SANTE"), "structures", number)
        return number

    def revoke(self, *names: str) -> None:
        """Revokes services' certificates."""
        for name in names:
            self.folder.revoke(str(self.files(name)[1]), self.clock())

    def roots(self) -> bytes:
        """All authorities, as a client trusts them."""
        paths = sorted((self.folder.path / "authorities").glob("*.pem"))
        return b"".join(path.read_bytes() for path in paths)

    def credentials(self, name="", place="services", *, of=None) -> grpc.ChannelCredentials:
        """A client's, which trusts this world and shows what another (or this one) issued."""
        if not name:
            return grpc.ssl_channel_credentials(self.roots())
        key, chain = (of or self).files(name, place)
        return grpc.ssl_channel_credentials(self.roots(), key.read_bytes(), chain.read_bytes())

    def channel(self, address, *given, **named) -> grpc.aio.Channel:
        """A client's channel to a service that is called authz."""
        options = [*CHANNEL, ("grpc.ssl_target_name_override", "authz")]
        return grpc.aio.secure_channel(
            address, self.credentials(*given, **named), options, interceptors=[Deadline()]
        )

    def _issue(self, holder, place, name, begin=timedelta(), lifetime=300 * DAY, *, renew=False):
        at = self.clock() + begin
        self.folder.issue(holder, place=place, name=name, at=at, lifetime=lifetime, renew=renew)


@asynccontextmanager
async def echo(caller, credentials, carried=None):
    """A server that answers who calls, and for whom; its address."""

    async def who(_request, context):
        try:
            words = [caller(context)]
            if carried is not None:
                words += carried(context)
        except (UntrustedError, TokenError) as exc:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(exc.reason))
        return " ".join(words).encode()

    handler = grpc.unary_unary_rpc_method_handler(who)
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("test.Echo", {"Who": handler})]
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


@dataclass
class Echo:
    """A running echo with its callers, and who asked so far."""

    world: World
    callers: Callers
    address: str
    standings: list[tuple[bool, str]]
    channels: dict[str, grpc.aio.Channel] = field(default_factory=dict)

    async def ask(self, name="dossier", place="services", **named) -> str:
        """What is answered to a service, always on one connection; the code, if nothing is."""
        if name not in self.channels:
            self.channels[name] = self.world.channel(self.address, name, place, **named)
        return await asked(self.channels[name])


async def asked(channel, metadata: Iterable[tuple[str, str]] = ()) -> str:
    """What is answered on a channel: the name, or code and reason of a refusal."""
    try:
        answer = await channel.unary_unary(METHOD)(b"", timeout=10, metadata=tuple(metadata))
    except grpc.aio.AioRpcError as exc:
        if exc.code() is grpc.StatusCode.UNAUTHENTICATED:
            return f"refused: {exc.details()}"
        return exc.code().name
    return answer.decode()


@asynccontextmanager
async def echoing(world: World, **changes):
    """An echo of a world; only test cards and structures are known there."""
    standings = []
    callers = Callers(
        world.tls(test=True, **changes),
        clock=world.clock,
        on_standing=lambda *told: standings.append(told),
    )
    async with echo(callers, callers.credentials()) as address:
        running = Echo(world, callers, address, standings)
        try:
            yield running
        finally:
            for channel in running.channels.values():
                await channel.close()


def leaf(path) -> x509.Certificate:
    """The first certificate of a file."""
    return x509.load_pem_x509_certificate(path.read_bytes())
