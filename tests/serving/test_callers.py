"""Who calls: what real handshakes, certificates and lists make of it."""

import asyncio
import shutil
import socket
import ssl
from datetime import timedelta
from unittest.mock import patch

import grpc
import pytest
from cryptography import x509

from serving import callers as module
from serving import watch
from serving.callers import Callers, always
from serving.errors import TrustError
from serving.trust import Trust
from tests.authz.tls import DAY, World, echoing, leaf
from tests.service import until

SECOND = timedelta(seconds=1)


@pytest.fixture
def world(tmp_path):
    """An authority, and certificates for the decision point and two of its callers."""
    return World.make(tmp_path / "pki", "authz", "dossier", "portal")


def replace(path, content):
    """Writes a file as careful people do: beside it, then moved into its place."""
    beside = path.with_name(f".{path.name}")
    beside.write_bytes(content)
    beside.replace(path)


def served(echo):
    """The certificate that a new connection is shown."""
    its = ssl.create_default_context(cadata=echo.world.roots().decode())
    key, chain = echo.world.files("portal")
    its.load_cert_chain(chain, key)
    its.set_alpn_protocols(["h2"])
    host, port = echo.address.split(":")
    with (
        socket.create_connection((host, int(port))) as plain,
        its.wrap_socket(plain, server_hostname="authz") as wrapped,
    ):
        return x509.load_der_x509_certificate(wrapped.getpeercert(binary_form=True))


# Who is believed.


async def test_a_service_is_known_by_its_certificate(world):
    """Two services on one listener are told apart by what their certificates say."""
    async with echoing(world) as echo:
        assert "dossier" == await echo.ask("dossier")
        assert "portal" == await echo.ask("portal")


async def test_a_local_listener_belongs_to_one_service():
    """Without TLS the listener names the service, whatever the call."""
    assert "operator" == always("operator")(None)


async def test_cards_come_through_the_handshake_and_no_further(world):
    """A doctor's card and a structure's certificate are no services, and are told so."""
    async with echoing(world) as echo:
        assert "refused: WRONG_KIND" == await echo.ask(world.card(), "persons")
        assert "refused: WRONG_KIND" == await echo.ask(world.structure(), "structures")
        assert "dossier" == await echo.ask()


async def test_handshakes_that_fail(world, tmp_path):
    """Without a certificate, or with one out of its time or of another authority, nobody gets in."""
    other = World.make(tmp_path / "other", "dossier")
    world.issue("late", begin=-10 * DAY, lifetime=5 * DAY)
    world.issue("early", begin=5 * DAY)
    async with echoing(world) as echo:
        assert "UNAVAILABLE" == await echo.ask("")
        assert "UNAVAILABLE" == await echo.ask("late")
        assert "UNAVAILABLE" == await echo.ask("early")
        assert "UNAVAILABLE" == await echo.ask("dossier", of=other)
        assert "portal" == await echo.ask("portal")


# What changes while a connection is open.


async def test_revoked_on_an_open_connection(world):
    """A service that is revoked is refused on the connection that it has, and nobody else is."""
    async with echoing(world) as echo:
        before = await echo.ask("dossier")

        world.revoke("dossier")
        await echo.callers.look()

        assert "dossier" == before
        assert "refused: REVOKED" == await echo.ask("dossier")
        assert "portal" == await echo.ask("portal")


async def test_the_watch_sees_by_itself(world, monkeypatch):
    """Nobody has to say that there is a new list."""
    monkeypatch.setattr(watch, "WATCH_S", 0.01)
    async with echoing(world) as echo:
        watching = asyncio.create_task(echo.callers.watch())
        assert "dossier" == await echo.ask()

        world.revoke("dossier")

        async def refused():
            return await echo.ask() == "refused: REVOKED"

        await until(refused)
        watching.cancel()


async def test_expired_on_an_open_connection(world):
    """A certificate that ends while the connection is open is refused."""
    world.issue("short", lifetime=DAY)
    async with echoing(world) as echo:
        assert "short" == await echo.ask("short")

        world.clock.ahead = DAY + SECOND

        assert "refused: EXPIRED" == await echo.ask("short")


async def test_stale_lists_close_the_door(world):
    """Past the end of a list and the grace nobody is believed, until there is a new one."""
    async with echoing(world) as echo:
        assert "dossier" == await echo.ask()

        world.clock.ahead = 31 * DAY
        await echo.callers.look()

        assert "refused: CRL_STALE" == await echo.ask()
        assert not echo.callers.sound
        ((sound, cause),) = echo.standings
        assert not sound
        assert "CRL_STALE" in cause

        world.folder.renew_lists(world.clock())
        await echo.callers.look()

        assert "dossier" == await echo.ask()
        assert [(False, cause), (True, "")] == echo.standings


async def test_our_certificate_is_renewed_without_a_restart(world):
    """New connections are shown the new certificate; those that are open go on."""
    async with echoing(world) as echo:
        assert "dossier" == await echo.ask()
        before = await asyncio.to_thread(served, echo)

        world.issue("authz", renew=True)
        await echo.callers.look()

        after = await asyncio.to_thread(served, echo)
        assert leaf(world.files("authz")[1]) == after != before
        assert "dossier" == await echo.ask()
        assert echo.callers.sound


async def test_what_is_shown_is_handed_over_once(world, monkeypatch):
    """Key and certificate are handed to gRPC again only when they changed: else it crashes under load."""
    fetchers = []
    kept = grpc.dynamic_ssl_server_credentials

    def keep(first, fetcher, **given):
        fetchers.append(fetcher)
        return kept(first, fetcher, **given)

    monkeypatch.setattr(grpc, "dynamic_ssl_server_credentials", keep)
    async with echoing(world) as echo:
        (fetch,) = fetchers
        unchanged = [fetch(), fetch()]
        world.issue("authz", renew=True)
        await echo.callers.look()

        changed = [fetch(), fetch()]

    assert [None, None] == unchanged
    assert [grpc.ServerCertificateConfiguration, type(None)] == [*map(type, changed)]


async def test_between_the_two_steps_of_a_renewal(world):
    """A key whose certificate is not there yet changes nothing, and is told."""
    key, chain = world.files("authz")
    old = chain.read_bytes()
    async with echoing(world) as echo:
        world.issue("authz", renew=True)
        new = chain.read_bytes()
        replace(chain, old)

        await echo.callers.look()

        assert not echo.callers.sound
        assert f"`{key}` is not the key of `{chain}`" in echo.standings[-1][1]
        assert x509.load_pem_x509_certificate(old) == await asyncio.to_thread(served, echo)

        replace(chain, new)
        await echo.callers.look()

        assert echo.callers.sound
        assert x509.load_pem_x509_certificate(new) == await asyncio.to_thread(served, echo)


async def test_another_authority_without_a_restart(world, tmp_path):
    """All authorities can be replaced while the service runs; the old ones count no more."""
    other = World.make(tmp_path / "other", "authz", "dossier")
    async with echoing(world) as echo:
        assert "portal" == await echo.ask("portal")

        for part in ("authorities", "crls"):
            for path in (other.folder.path / part).glob("*.pem"):
                replace(world.folder.path / part / path.name, path.read_bytes())
        for old, new in zip(world.files("authz"), other.files("authz"), strict=True):
            replace(old, new.read_bytes())
        await echo.callers.look()

        assert echo.callers.sound
        assert "refused: UNKNOWN_AUTHORITY" == await echo.ask("portal")
        assert "dossier" == await echo.ask("dossier", of=other)


# Files that can't be used.


@pytest.mark.parametrize(
    "place",
    [
        "authorities/roots.pem",
        "authorities/services.pem",
        "authorities/persons.pem",
        "crls/roots.pem",
        "crls/services.pem",
        "services/authz.key",
        "services/authz.pem",
    ],
)
@pytest.mark.parametrize("content", [b"junk", b"", None], ids=["junk", "empty", "missing"])
async def test_files_that_cannot_be_used_change_nothing(world, place, content):
    """Junk, and what is missing, leaves in force what was there, and is told until it is mended."""
    path = world.folder.path / place
    world.revoke("portal")
    good = path.read_bytes()
    async with echoing(world) as echo:
        await echo.ask("dossier")
        await echo.ask("portal")

        path.unlink()
        if content is not None:
            path.write_bytes(content)
        await echo.callers.look()

        assert "dossier" == await echo.ask("dossier")
        assert "refused: REVOKED" == await echo.ask("portal")
        assert not echo.callers.sound

        path.write_bytes(good)
        await echo.callers.look()

        assert echo.callers.sound
        assert [False, True] == [sound for sound, _ in echo.standings]


async def test_an_old_list_revives_nobody(world):
    """Who was revoked stays so when an older list is put in the place of the newest."""
    path = world.folder.path / "crls" / "services.pem"
    old = path.read_bytes()
    world.clock.ahead = timedelta(minutes=1)
    world.revoke("portal")
    async with echoing(world) as echo:
        replace(path, old)

        await echo.callers.look()

        assert "refused: REVOKED" == await echo.ask("portal")
        assert "is older than the one in use" in echo.standings[-1][1]


async def test_lists_count_even_when_our_own_certificate_is_on_them(world):
    """A list that revokes us too is obeyed for all others; that we are not to be believed is told."""
    async with echoing(world) as echo:
        assert "dossier" == await echo.ask("dossier")

        world.revoke("authz", "dossier")
        await echo.callers.look()

        assert "refused: REVOKED" == await echo.ask("dossier")
        assert "portal" == await echo.ask("portal")
        assert "REVOKED" in echo.standings[-1][1]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda its: shutil.rmtree(its.folder.path / "authorities"), "roots.pem` can't be read"),
        (lambda its: its.files("authz")[0].write_text("junk"), "can't be read as key and chain"),
        (lambda its: its.files("authz")[1].unlink(), "can't be read as key and chain"),
        (
            lambda its: shutil.copy(its.files("portal")[0], its.files("authz")[0]),
            "is not the key of",
        ),
        (lambda its: its.revoke("authz"), "is not to be believed: REVOKED"),
        (lambda its: setattr(its.clock, "ahead", 301 * DAY), "is not to be believed: EXPIRED"),
    ],
    ids=["no authorities", "junk", "no chain", "another's key", "revoked", "expired"],
)
def test_what_nobody_should_start_with(world, spoil, words):
    """Files that no caller could be served with are refused at once, with the file and the cause."""
    spoil(world)

    with pytest.raises(TrustError, match=words):
        Callers(world.tls(), clock=world.clock, on_standing=print)


def test_a_card_is_no_servers_certificate(world):
    """A doctor's card can't stand for the decision point."""
    key, chain = world.files(world.card(), "persons")
    tls = world.tls(key=key, chain=chain, test=True)

    with pytest.raises(TrustError, match="WRONG_USE"):
        Callers(tls, clock=world.clock, on_standing=print)


# How long a verdict counts.


async def test_a_verdict_counts_for_a_limited_time(world):
    """A certificate is judged once in the time of a verdict, and anew when the clock goes back."""
    async with echoing(world, recheck=10 * SECOND) as echo:
        with patch.object(Trust, "check", autospec=True, side_effect=Trust.check) as judged:
            for ahead, expected in ((0, 1), (9, 1), (11, 2), (12, 2), (1, 3)):
                world.clock.ahead = ahead * SECOND
                assert "dossier" == await echo.ask()
                assert expected == judged.call_count


async def test_a_refusal_is_kept_as_long(world):
    """Who is refused and goes on asking is judged no more often than anyone else."""
    world.revoke("dossier")
    async with echoing(world) as echo:
        with patch.object(Trust, "check", autospec=True, side_effect=Trust.check) as judged:
            answers = {await echo.ask() for _ in range(5)}

        assert {"refused: REVOKED"} == answers
        assert 1 == judged.call_count


async def test_verdicts_are_bounded(world, monkeypatch):
    """However many certificates come by, so many verdicts are kept, and all are right."""
    monkeypatch.setattr(module, "MAX_VERDICTS", 2)
    names = ["dossier", "portal", "audit", "dossier", "workbench"]
    for name in ("audit", "workbench"):
        world.issue(name)
    async with echoing(world) as echo:
        answers = [await echo.ask(name) for name in names]

        assert names == answers
        assert 2 >= len(echo.callers._verdicts)
