"""For whom a service asks: tokens that come with calls over mutual TLS."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from authz import bearer as module
from authz.bearer import METADATA, Bearers, carried
from authz.errors import TokenError
from authz.query import Subject
from authz.token import issue, vouch
from clients.pki import files
from serving.errors import TrustError
from tests.authz.tls import World, asked, echo, echoing

MINUTE = timedelta(minutes=1)
DOCTOR = Subject(kind="professional", id="00B1038575", profession="10")
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(32))


@dataclass
class Portal:
    """A portal that issues tokens, and carries them on one connection to a door that reads them."""

    world: World
    bearers: Bearers
    standings: list[tuple[bool, str]]
    channel: object = None
    issued: int = 0

    def key(self) -> Ed25519PrivateKey:
        """The key that the portal has now."""
        return files.signing_key(self.world.folder.path / "keys" / "signers" / "portal.key")

    def token(self, who=DOCTOR, **changes) -> str:
        """A token for somebody, as the portal issues it now."""
        self.issued += 1
        given = {"key": self.key(), "issuer": "portal", "audience": "authz"}
        given |= {"at": self.world.clock(), "id": f"token-{self.issued}", **changes}
        return issue(who, **given)

    async def carry(self, *tokens: str) -> str:
        """What is answered to a call with tokens."""
        return await asked(self.channel, [(METADATA, token) for token in tokens])


def reader(bearers):
    """What a door does with a token: the issuer and whom it is for."""

    def words(context):
        token = carried(context.invocation_metadata())
        if not token:
            return []
        who, voucher = vouch(Subject(kind="", id=""), bearers(token))
        return [voucher.issuer, who.id]

    return words


@pytest.fixture
async def portal(tmp_path):
    """A portal, and a door that knows its key."""
    world = World.make(tmp_path / "pki", "authz", "portal")
    world.folder.issue_signer("portal")
    standings = []
    bearers = Bearers(
        world.folder.path / "signers",
        clock=world.clock,
        on_standing=lambda *told: standings.append(told),
    )
    async with serving(world, bearers) as address, world.channel(address, "portal") as channel:
        yield Portal(world, bearers, standings, channel)


@asynccontextmanager
async def serving(world, bearers):
    """A door that reads tokens; its address."""
    async with (
        echoing(world) as plain,
        echo(plain.callers, plain.callers.credentials(), reader(bearers)) as address,
    ):
        yield address


async def test_a_token_says_for_whom(portal):
    """A service that carries a token of the portal asks for the one whom the token names."""
    assert "portal portal 00B1038575" == await portal.carry(portal.token())
    assert "portal" == await portal.carry()


async def test_a_token_counts_for_its_minutes(portal):
    """A token may be shown again until it expires, and not a second longer than clocks may differ."""
    token = portal.token(lifetime=2 * MINUTE)
    first = [await portal.carry(token) for _ in range(3)]

    portal.world.clock.ahead = 2 * MINUTE + timedelta(seconds=6)

    assert ["portal portal 00B1038575"] * 3 == first
    assert "refused: EXPIRED" == await portal.carry(token)
    assert "portal portal 00B1038575" == await portal.carry(portal.token())


async def test_a_clock_that_goes_back(portal):
    """A token that was accepted is not, when the clock says that it is not issued yet."""
    portal.world.clock.ahead = 10 * MINUTE
    token = portal.token()
    assert "portal portal 00B1038575" == await portal.carry(token)

    portal.world.clock.ahead = timedelta()

    assert "refused: NOT_YET_VALID" == await portal.carry(token)


async def test_tokens_that_are_refused(portal):
    """Forged, expired, for another, of an unknown key or of two minds: each is told why, and all goes on."""
    world, good = portal.world, portal.token()
    head, body, signature = good.split(".")
    _, other, _ = portal.token(replace(DOCTOR, id="00B1038999")).split(".")
    late = portal.token(at=world.clock() - 6 * MINUTE)
    early = portal.token(at=world.clock() + MINUTE)
    refused = {
        "BAD_SIGNATURE": [f"{head}.{other}.{signature}"],
        "EXPIRED": [late],
        "NOT_YET_VALID": [early],
        "WRONG_AUDIENCE": [portal.token(audience="dossier")],
        "UNKNOWN_KEY": [portal.token(key=STRANGER)],
        "WRONG_ISSUER": [portal.token(issuer="dossier")],
        "MALFORMED": [f"{head}.{body}", good],
    }

    answers = {reason: await portal.carry(*tokens) for reason, tokens in refused.items()}

    assert {reason: f"refused: {reason}" for reason in refused} == answers
    for token in ("junk", "." * 4000, f"{good}=", good.upper()):
        assert "refused: MALFORMED" == await portal.carry(token)
    assert "portal portal 00B1038575" == await portal.carry(good)


async def test_keys_are_rotated_without_a_restart(portal):
    """A key that is replaced counts together with the new one, until the one after that comes."""
    first = portal.token()
    assert "portal portal 00B1038575" == await portal.carry(first)

    portal.world.folder.issue_signer("portal", renew=True)
    await portal.bearers.look()

    second = portal.token()
    assert "portal portal 00B1038575" == await portal.carry(first)
    assert "portal portal 00B1038575" == await portal.carry(second)

    portal.world.folder.issue_signer("portal", renew=True)
    await portal.bearers.look()

    assert "refused: UNKNOWN_KEY" == await portal.carry(first)
    assert "portal portal 00B1038575" == await portal.carry(second)


async def test_an_issuer_that_is_removed(portal):
    """When an issuer's file goes, its tokens go with it, those that were accepted before included."""
    token = portal.token()
    assert "portal portal 00B1038575" == await portal.carry(token)

    (portal.world.folder.path / "signers" / "portal.pem").unlink()
    await portal.bearers.look()

    assert "refused: UNKNOWN_KEY" == await portal.carry(token)


async def test_keys_that_cannot_be_used_change_nothing(portal):
    """Junk among the keys, or no folder at all, leaves in force what was there, and is told."""
    folder = portal.world.folder.path / "signers"
    token = portal.token()

    (folder / "dossier.pem").write_text("junk")
    await portal.bearers.look()
    with_junk = await portal.carry(token)
    folder.rename(folder.with_name("gone"))
    await portal.bearers.look()
    without = await portal.carry(token)
    folder.with_name("gone").rename(folder)
    (folder / "dossier.pem").unlink()
    await portal.bearers.look()

    assert ["portal portal 00B1038575"] * 2 == [with_junk, without]
    assert portal.bearers.sound
    assert [False, False, True] == [sound for sound, _ in portal.standings]
    assert "dossier.pem` must hold public keys" in portal.standings[0][1]
    assert "is no folder" in portal.standings[1][1]


async def test_without_keys_no_token_is_accepted(portal):
    """A door that was given no keys refuses tokens, rather than overlooking them."""
    bearers = Bearers(None, clock=portal.world.clock, on_standing=print)

    with pytest.raises(TokenError, match="UNKNOWN_KEY"):
        bearers(portal.token())


def test_a_folder_that_is_not_there(tmp_path):
    """A folder of keys that does not exist is a mistake of who starts the door."""
    with pytest.raises(TrustError, match="is no folder"):
        Bearers(tmp_path / "signers", clock=print, on_standing=print)


async def test_tokens_are_verified_once(portal, monkeypatch):
    """A token that is shown again is not verified again; how many are known is bounded."""
    monkeypatch.setattr(module, "MAX_KNOWN", 2)
    tokens = [portal.token() for _ in range(5)]
    with patch.object(module, "verify", side_effect=module.verify) as verified:
        for token in tokens:
            for _ in range(3):
                portal.bearers(token)

    assert len(tokens) == verified.call_count
    assert 2 >= len(portal.bearers._known)
