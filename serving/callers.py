"""Who calls: over TLS the service that the certificate names, on a local listener the one it belongs to.

A handshake knows neither revocation nor kinds, so each call asks here. A verdict counts for a limited time
and never outlives the files that it was reached with: a service that is revoked is refused on connections
that are open. Files that can't be used never replace those that can; lists that are not followed by new
ones go stale in the end, and stale lists close the door.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import grpc
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from serving.certificate import fingerprint, parse
from serving.errors import Error, TrustError, UntrustedError
from serving.trust import SERVICES, Trust, Use, load
from serving.watch import OnStanding, Watched, Watcher

RECHECK: Final = timedelta(seconds=30)
MAX_VERDICTS: Final = 10_000

_NONE: Final = (b"",)

_log = structlog.get_logger("serving.callers")

Context = grpc.aio.ServicerContext[Any, Any]
Caller = Callable[[Context], str]
"""The name of the service that makes a call; raises UntrustedError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """What a listener with TLS needs.

    Attributes:
        key: our private key, in PEM.
        chain: our certificate and the authorities between it and a root, in PEM.
        trust: the folder of `serving.trust.load`.
        test: whether the test environment is served here.
        recheck: for how long a verdict on a caller counts.
    """

    key: Path
    chain: Path
    trust: Path
    test: bool = False
    recheck: timedelta = RECHECK


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """What was found of a certificate, and when."""

    service: str
    refusal: UntrustedError | None
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """What a handshake shows and believes: our key and chain, and the authorities of callers."""

    pair: tuple[bytes, bytes]
    roots: bytes

    def configuration(self) -> grpc.ServerCertificateConfiguration:
        """The same for gRPC, which wants a new one each time."""
        return grpc.ssl_server_certificate_configuration([self.pair], self.roots)


def always(service: str) -> Caller:
    """Whoever can reach a local listener is the service that it belongs to."""
    return lambda _context: service


class Callers(Watcher):
    """The callers of a listener with TLS; calling it tells the service behind a call.

    Raises, when made:
        TrustError: the files can't be used.
    """

    def __init__(self, tls: Tls, *, clock: Callable[[], datetime], on_standing: OnStanding) -> None:
        """Reads the files.

        Args:
            tls: where they are.
            clock: the clock of the service.
            on_standing: told whether all is well, and what is not; our own certificate belongs to it.
        """
        super().__init__(on_standing)
        self._tls = tls
        self._clock = clock
        self._verdicts: dict[bytes, _Verdict] = {}
        self._trust = Watched(self._read_trust, tls.trust / "authorities", tls.trust / "crls")
        self._pair = Watched(self._read_pair, tls.key, tls.chain)
        self._configure()

    def __call__(self, context: Context) -> str:
        """The service whose certificate the connection was opened with.

        Raises:
            UntrustedError: it is none, or does not count any more.
        """
        (pem,) = context.auth_context().get("x509_pem_cert", _NONE)
        now = self._clock()
        verdict = self._verdicts.get(pem)
        if verdict is None or not verdict.since <= now < verdict.until:
            verdict = self._judge(pem, now)
        if verdict.refusal is not None:
            raise verdict.refusal.with_traceback(None)
        return verdict.service

    def credentials(self) -> grpc.ServerCredentials:
        """Asks for a certificate, and shows ours as it is when a connection is opened."""
        shown = self._shown

        def changed() -> grpc.ServerCertificateConfiguration | None:
            # INVARIANT: None while nothing changed. A configuration replaces what handshakes under way
            # still use, and gRPC crashes when that is done at each connection (grpc/grpc#36693).
            nonlocal shown
            if self._shown is shown:
                return None
            shown = self._shown
            return shown.configuration()

        return grpc.dynamic_ssl_server_credentials(
            shown.configuration(),
            changed,  # type: ignore[arg-type]  # None is documented, the stubs don't know it
            require_client_authentication=True,
        )

    async def look(self) -> None:
        """Reads the files again if they have changed."""
        trust_is_new = await self._trust.look()
        if trust_is_new:
            self._verdicts.clear()  # INVARIANT: no verdict outlives the files it was reached with
        if await self._pair.look() or trust_is_new:
            self._configure()
            _log.info("trust_loaded")
        own = await asyncio.to_thread(self._own_trouble)
        self._tell(self._trust.trouble or self._pair.trouble or own)

    def _judge(self, pem: bytes, now: datetime) -> _Verdict:
        service, refusal = "", None
        try:
            service = self._trust.content.check(pem, now, kinds=SERVICES).service
        except UntrustedError as exc:
            refusal = exc
            _log.warning("caller_refused", reason=exc.reason, certificate=_mark(pem))
        if len(self._verdicts) >= MAX_VERDICTS:
            self._verdicts.clear()
        verdict = _Verdict(
            service=service, refusal=refusal, since=now, until=now + self._tls.recheck
        )
        self._verdicts[pem] = verdict
        return verdict

    def _configure(self) -> None:
        """What the next handshake shows and believes.

        The authorities of persons too: who shows a card shall be told that it is of the wrong kind.
        """
        trust = self._trust.content
        roots = b"".join(map(_pem, (*trust.roots, *trust.services, *trust.persons)))
        self._shown = _Shown(pair=self._pair.content, roots=roots)

    def _read_trust(self, before: Trust | None) -> Trust:
        trust = load(self._tls.trust, test=self._tls.test)
        if before is not None:
            trust.check_follows(before)
        return trust

    def _read_pair(self, _before: object) -> tuple[bytes, bytes]:
        """Our key and chain, if they belong together and whoever trusts what we trust would accept them."""
        tls = self._tls
        try:
            key, chain = tls.key.read_bytes(), tls.chain.read_bytes()
            leaf, *_ = x509.load_pem_x509_certificates(chain)
            fits = load_pem_private_key(key, password=None).public_key() == leaf.public_key()
        except (OSError, ValueError, TypeError) as exc:
            raise TrustError(
                f"`{tls.key}` and `{tls.chain}` can't be read as key and chain"
            ) from exc
        if not fits:  # as between the two steps of a renewal
            raise TrustError(
                f"`{tls.key}` is not the key of `{tls.chain}`: give the two of one issue"
            )
        self._check_own(chain)
        return key, chain

    def _check_own(self, chain: bytes) -> None:
        try:
            self._trust.content.check(chain, self._clock(), use=Use.SERVER, kinds=SERVICES)
        except UntrustedError as exc:
            raise TrustError(f"`{self._tls.chain}` is not to be believed: {exc}") from exc

    def _own_trouble(self) -> str:
        """Why callers must not believe us; "" if they may. Time alone can bring that about."""
        _, chain = self._pair.content
        try:
            self._check_own(chain)
        except TrustError as exc:
            return str(exc)
        return ""


def _mark(pem: bytes) -> str:
    """What a certificate can be found by, without naming its holder."""
    try:
        return fingerprint(parse(pem))
    except Error:
        return ""


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
