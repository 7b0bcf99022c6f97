"""For whom a service asks, when a token says so: the tokens that calls carry, and the keys that count.

A token that was accepted is believed until it expires, or until the keys change.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from authz.errors import TokenError
from authz.token import LEEWAY, Claims, KeySet, Proof, Reason, load, proof_of, verify
from serving.watch import OnStanding, Watched, Watcher

METADATA: Final = "dmp-subject"
AUDIENCE: Final = "authz"
"""The name by which tokens must mean us."""

MAX_KNOWN: Final = 10_000

_log = structlog.get_logger("authz.bearer")


class Bearers(Watcher):
    """The end users whom tokens speak of; calling it tells what a token proves.

    Raises, when made:
        TrustError: the keys can't be used.
    """

    def __init__(
        self, folder: Path | None, *, clock: Callable[[], datetime], on_standing: OnStanding
    ) -> None:
        """Reads the keys.

        Args:
            folder: the folder of `authz.token.load`; without one no token is accepted.
            clock: the clock of the service.
            on_standing: told whether the keys in use are the newest, and why not.
        """
        super().__init__(on_standing)
        self._clock = clock
        self._known: dict[str, tuple[Claims, Proof]] = {}
        if folder is None:
            self._keys = Watched(lambda _: KeySet(keys={}))
        else:
            self._keys = Watched(lambda _: load(folder), folder)

    def __call__(self, token: str) -> Proof:
        """What a token proves.

        Raises:
            TokenError: it is not accepted.
        """
        now = self._clock()
        if token in self._known:
            claims, proof = self._known[token]
            if claims.issued_at - LEEWAY <= now < claims.expires_at + LEEWAY:
                return proof
            del self._known[token]  # it says itself why not
        claims = verify(token, self._keys.content, audience=AUDIENCE, at=now)
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[token] = (
            claims,
            proof_of(claims.subject, issuer=claims.issuer, id=claims.id),
        )
        return self._known[token][1]

    async def look(self) -> None:
        """Reads the keys again if they have changed."""
        if await self._keys.look():
            self._known.clear()  # INVARIANT: no token outlives the keys that it was accepted with
            _log.info("token_keys_loaded", keys=len(self._keys.content.keys))
        self._tell(self._keys.trouble)


def carried(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """The token that a call carries, "" if there is none.

    Raises:
        TokenError: there are several, so nobody could say which one counts.
    """
    tokens = [str(value) for name, value in metadata if name == METADATA]
    if len(tokens) > 1:
        raise TokenError(Reason.MALFORMED, f"`{METADATA}` must be given once")
    return tokens[0] if tokens else ""
