"""A real mail server on loopback, that fails as it is told to."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from threading import Event, Thread

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"


@dataclass
class Mailbox:
    """What came in, and what is to go wrong.

    Attributes:
        mails: everything that was taken.
        tries: so many recipients were named.
        refuse: what is answered to a recipient, instead of taking it.
        after_data: what is answered to the data.
        hang_s: how long to say nothing before taking the data.
        lose: hang up when the data have come, before answering.
        lose_after: take the data, and hang up without answering.
    """

    mails: list[EmailMessage] = field(default_factory=list)
    tries: int = 0
    refuse: str = ""
    after_data: str = ""
    hang_s: float = 0.0
    lose: bool = False
    lose_after: bool = False

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802, ARG002 - aiosmtpd's
        """Takes a recipient, or not."""
        self.tries += 1
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802, ARG002 - aiosmtpd's
        """Takes a mail, or not."""
        if self.lose:
            server.transport.abort()
            return "451 gone"
        await asyncio.sleep(self.hang_s)
        if self.after_data:
            return self.after_data
        mail = message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        if self.lose_after:
            server.transport.abort()
        return "250 taken"


@contextmanager
def running(
    box: Mailbox,
    *,
    tls: ssl.SSLContext | None = None,
    implicit: bool = False,
    password: str = "",
    port: int = 0,
) -> Iterator[int]:
    """A server in a thread of its own; its port. With `password` it wants `dmp` to log in."""
    ready, ports, loop = Event(), [], asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with _serving(box, tls, password, implicit=implicit, port=port) as given:
            ports.append(given)
            ready.set()
            await stop.wait()

    def work() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = Thread(target=work)
    thread.start()
    assert ready.wait(10)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        assert not thread.is_alive()


@asynccontextmanager
async def _serving(
    box: Mailbox, tls: ssl.SSLContext | None, password: str, *, implicit: bool, port: int
) -> AsyncIterator[int]:
    def check(_server, _session, _envelope, _mechanism, given):
        good = isinstance(given, LoginPassword) and given.password == password.encode()
        return AuthResult(success=good, handled=False)

    spoken: list[SMTP] = []

    def protocol() -> SMTP:
        made = SMTP(
            box,
            hostname="mail.example.org",
            tls_context=None if implicit else tls,
            require_starttls=tls is not None and not implicit,
            authenticator=check if password else None,
            auth_required=bool(password),
            auth_require_tls=bool(password) and not implicit,
        )
        spoken.append(made)
        return made

    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, HOST, port, ssl=tls if implicit else None)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for one in spoken:
            if one.transport is not None:
                one.transport.abort()
        await asyncio.sleep(0.05)  # until the sockets are closed


def certificate(folder: Path, *, host: str = HOST) -> tuple[ssl.SSLContext, Path]:
    """A server's context with a certificate of its own, and the file of its authority: itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / "mail.pem", folder / "mail.key"
    chain.write_bytes(made.public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, secret)
    return context, chain
