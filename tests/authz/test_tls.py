"""The service over mutual TLS: who calls is in the certificate, and for whom may be in a token."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import grpc
import pytest
from typer.testing import CliRunner

from authz.__main__ import main
from authz.bearer import METADATA
from authz.query import Subject
from authz.token import issue
from authz.v1 import authz_pb2 as pb
from clients.cli.app import app
from clients.pki import files
from serving import listener, watch
from tests.authz.tls import World
from tests.service import (
    ANASTA,
    Door,
    Running,
    change,
    copied,
    doctor,
    entries,
    failure,
    opening,
    plain_log,
    process,
    reading,
    reason,
    running,
    stranger,
    until,
)

NAMES = [field.name for field in pb.Subject.DESCRIPTOR.fields]


@dataclass
class Secured:
    """A service that speaks TLS, and those who may speak to it."""

    world: World
    running: Running
    address: str
    doors: dict[str, Door]

    def door(self, name="dossier", place="services") -> Door:
        """The door of a caller, always over one connection."""
        if name not in self.doors:
            self.doors[name] = Door(self.world.channel(self.address, name, place))
        return self.doors[name]

    def refused(self, what: str, why: str) -> float | None:
        """How many calls were refused for a reason, by the metric."""
        registry = self.running.service.metrics.registry
        return registry.get_sample_value(f"dmp_{what}_refused_total", {"reason": why})


def token(world: World, who: pb.Subject, issuer="portal", **changes) -> tuple[tuple[str, str], ...]:
    """The metadata with a token for somebody."""
    key = files.signing_key(world.folder.path / "keys" / "signers" / f"{issuer}.key")
    subject = Subject(**{name: getattr(who, name) for name in NAMES})
    given = {"key": key, "issuer": issuer, "audience": "authz", "at": world.clock(), "id": "t-1"}
    return ((METADATA, issue(subject, **(given | changes))),)


@pytest.fixture
def world(tmp_path) -> World:
    """Authorities, services with certificates, and a portal that signs tokens."""
    world = World.make(tmp_path / "pki", "authz", "dossier", "portal", "intruder")
    for name in ("portal", "audit"):
        world.folder.issue_signer(name)
    return world


@asynccontextmanager
async def secured(tmp_path, world, **settings):
    """A service with a listener of the operator, and one with TLS."""
    given = {"tls": world.tls(test=True), "token_keys": world.folder.path / "signers", **settings}
    async with running(tmp_path, services=("operator", ""), clock=world.clock, **given) as service:
        started = Secured(world, service, service.service.addresses[1], {})
        try:
            yield started
        finally:
            for door in started.doors.values():
                await door.channel.close()


def callers(service: Secured) -> list[str]:
    """Who asked for what is on record."""
    return [entry["caller"] for entry in service.running.entries()[1:]]


async def drained(stream: AsyncIterator[pb.WatchResponse]) -> int:
    """Reads a stream to its end; how many messages came."""
    return len([message async for message in stream])


# Services


async def test_callers_are_whom_their_certificates_name(tmp_path, world):
    """On one listener each caller is another service; one that nobody knows is denied on record."""
    async with secured(tmp_path, world) as service:
        opened = await service.door("dossier").change(opening())
        known = await service.door("portal").check(reading(doctor()))
        unknown = await service.door("intruder").check(reading(doctor()))

        assert pb.EFFECT_ALLOW == opened.effect == known.effect
        assert (pb.EFFECT_DENY, "CALLER_REFUSED") == (unknown.effect, unknown.reason_code)
        assert ["dossier", "portal", "intruder"] == callers(service)


async def test_what_metadata_say_of_the_caller_counts_for_nothing(tmp_path, world):
    """Nobody becomes another service by saying so."""
    said = (("caller", "dossier"), ("x-forwarded-client-cert", "dossier"))
    async with secured(tmp_path, world) as service:
        decision = await service.door("intruder").check(reading(doctor()), metadata=said)

        assert "CALLER_REFUSED" == decision.reason_code
        assert ["intruder"] == callers(service)


async def test_a_card_is_told_that_it_is_no_service(tmp_path, world):
    """A doctor's card opens a connection and no procedure; nothing is decided, and it is counted."""
    number = world.card()
    async with secured(tmp_path, world) as service:
        error = await failure(service.door(number, "persons").check(reading(doctor())))

        assert grpc.StatusCode.UNAUTHENTICATED is error.code()
        assert "CERTIFICATE_WRONG_KIND" == reason(error)
        assert number not in error.details()
        assert 1 == service.refused("callers", "WRONG_KIND")
        assert [] == callers(service)


async def test_a_revoked_service_is_refused_on_its_open_connection(tmp_path, world, monkeypatch):
    """Within the time of a look at the files, without anybody's help, and nobody else is troubled."""
    monkeypatch.setattr(watch, "WATCH_S", 0.02)
    async with secured(tmp_path, world) as service:
        await service.door("dossier").change(opening())
        await service.door("portal").check(reading(doctor()))

        world.revoke("dossier")

        async def refused():
            try:
                await service.door("dossier").check(reading(doctor()))
            except grpc.aio.AioRpcError as exc:
                return reason(exc) == "CERTIFICATE_REVOKED"
            return False

        await until(refused)
        assert pb.EFFECT_ALLOW == (await service.door("portal").check(reading(doctor()))).effect
        assert 1 == service.refused("callers", "REVOKED")


async def test_a_revoked_watcher_is_told_nothing_more(tmp_path, world, monkeypatch):
    """A stream that is open ends when its caller is revoked, though nobody asks anything."""
    monkeypatch.setattr(watch, "WATCH_S", 0.02)
    async with secured(tmp_path, world) as service:
        stream = aiter(service.door("dossier").registry.Watch(pb.WatchRequest()))
        first = await anext(stream)

        world.revoke("dossier")
        error = await failure(drained(stream))

        assert pb.EFFECT_ALLOW == first.decision.effect
        assert "CERTIFICATE_REVOKED" == reason(error)


async def test_handshakes_that_fail_trouble_nobody(tmp_path, world):
    """Who has no certificate, one that has ended, or no TLS at all, gets no answer; others do."""
    world.issue("late", begin=timedelta(days=-9), lifetime=timedelta(days=3))
    async with secured(tmp_path, world) as service:
        strangers = [service.door(""), service.door("late"), service.running.doors[""]]
        errors = [await failure(door.check(reading(doctor()))) for door in strangers]

        assert {grpc.StatusCode.UNAVAILABLE} == {error.code() for error in errors}
        assert "DOSSIER_MISSING" == (await service.door().check(reading(doctor()))).reason_code


async def test_the_age_of_a_connection_ends_no_call(tmp_path, world, monkeypatch):
    """Connections are renewed now and then, and no call fails of it."""
    age = ("grpc.max_connection_age_ms", 100)
    monkeypatch.setattr(listener, "TLS_OPTIONS", (*listener.TLS_OPTIONS, age))
    async with secured(tmp_path, world) as service:
        end = asyncio.get_running_loop().time() + 1
        answers = 0
        while asyncio.get_running_loop().time() < end:
            await service.door().check(reading(doctor()), wait_for_ready=True)
            answers += 1

        assert answers > 10


async def test_health_tells_of_trust(tmp_path, world, monkeypatch):
    """Files that can't be used turn `dmp.trust`, and the metric; the service goes on with what it has."""
    monkeypatch.setattr(watch, "WATCH_S", 0.02)
    lists = world.folder.path / "crls" / "services.pem"
    good = lists.read_bytes()
    async with secured(tmp_path, world) as service:
        door = service.door()

        async def sound():
            return await door.healthy("dmp.trust")

        async def unsound():
            return not await sound()

        assert await sound()
        for path, junk, before in (
            (lists, b"junk", good),
            (world.folder.path / "signers" / "new.pem", b"junk", b""),
        ):
            path.write_bytes(junk)
            await until(unsound)
            assert 0 == service.running.metric("dmp_trust_sound")
            assert await door.healthy()
            assert "DOSSIER_MISSING" == (await door.check(reading(doctor()))).reason_code

            path.write_bytes(before) if before else path.unlink()
            await until(sound)
            assert 1 == service.running.metric("dmp_trust_sound")


async def test_dmp_check_speaks_tls(tmp_path, world):
    """The command asks as the service whose files it is given, and says what is wrong with others."""
    world.issue("late", begin=timedelta(days=-9), lifetime=timedelta(days=3))
    authorities = str(world.folder.path / "authorities")
    names = ["check", "--id", doctor().id, "--profession", "10", "--patient", ANASTA]
    names += ["--document-type", "11488-4", "--lang", "en"]
    async with secured(tmp_path, world) as service:
        await service.door().change(opening())

        async def said(*arguments: str):
            asked = [*names, "--address", service.address, *arguments]
            result = await asyncio.to_thread(CliRunner().invoke, app, asked)
            return result.exit_code, " ".join((result.stdout + result.stderr).split())

        def by(name, place="services"):
            key, chain = map(str, world.files(name, place))
            return "--tls-key", key, "--tls-chain", chain, "--roots", authorities

        code, text = await said(*by("dossier"))
        assert 0 == code
        assert text.startswith("ALLOW AUTHORISED")
        assert "CALLER_REFUSED" in (await said(*by("intruder")))[1]
        assert ["dossier", "dossier", "intruder"] == callers(service)
        for arguments, code, words in (
            (by(world.card(), "persons"), 3, "certificate is not trusted: WRONG_KIND"),
            (by("late"), 3, "no connection by TLS"),
            (by("dossier")[:4], 2, "TLS needs --tls-key, --tls-chain and --roots"),
            (by("nobody"), 2, "can't be read"),
        ):
            found, text = await said(*arguments)
            assert (code, True) == (found, words in text), text


# End users


async def test_a_token_says_who_asks(tmp_path, world):
    """Who is left out of the request is whom the token names, through every procedure, and on record."""
    nobody = pb.Subject()
    carried = token(world, doctor())
    async with secured(tmp_path, world) as service:
        door = service.door()
        ask = reading()
        ask.subject.CopyFrom(nobody)
        first = opening()
        first.subject.CopyFrom(nobody)

        answers = [
            (await door.registry.Change(first, metadata=carried)).decision,
            await door.check(ask, metadata=carried),
            *(
                await door.authz.CheckBatch(
                    pb.CheckBatchRequest(checks=[ask, ask]), metadata=carried
                )
            ).decisions,
            (await door.authz.Explain(pb.ExplainRequest(check=ask), metadata=carried)).decision,
            (
                await door.registry.GetPatient(
                    pb.GetPatientRequest(patient=ANASTA, context=pb.Context(mode="normal")),
                    metadata=carried,
                )
            ).decision,
        ]

        assert {pb.EFFECT_ALLOW} == {answer.effect for answer in answers}
        found = service.running.entries()[1:]
        assert {doctor().id} == {entry["subject"]["id"] for entry in found}
        assert [{"issuer": "portal", "id": "t-1"}] * len(found) == [e["voucher"] for e in found]


async def test_own_authorisation_is_the_one_of_the_token(tmp_path, world):
    """A doctor who authorises himself is the one whom the token names."""
    own = change(pb.Subject(), own_authorisation=pb.OwnAuthorisation(authorise=True))
    async with secured(tmp_path, world) as service:
        await service.door().change(opening())

        answer = await service.door().registry.Change(own, metadata=token(world, stranger()))

        assert pb.EFFECT_ALLOW == answer.decision.effect
        assert stranger().id == service.running.entries()[-1]["change"]["grantee"]


@pytest.mark.parametrize(
    ("asked", "issuer", "remark"),
    [
        (stranger(), "portal", "subject.id: not what the token says"),
        (doctor(regulator=True), "portal", "subject.regulator: not what the token says"),
        (doctor(), "audit", "token: `audit` may not vouch for a `professional`"),
    ],
)
async def test_claims_beyond_the_token_are_denied_on_record(tmp_path, world, asked, issuer, remark):
    """Who asks for more than the token proves, or with a token that can't prove it, is denied on record."""
    async with secured(tmp_path, world) as service:
        await service.door().change(opening())

        decision = await service.door().check(
            reading(asked), metadata=token(world, doctor(), issuer)
        )

        assert (pb.EFFECT_DENY, "SUBJECT_NOT_PROVEN") == (decision.effect, decision.reason_code)
        entry = service.running.entries()[-1]
        assert decision.id == entry["id"]
        assert {"issuer": issuer, "id": "t-1"} == entry["voucher"]
        assert any(text.startswith(remark) for text in entry["remarks"])


async def test_tokens_that_are_refused(tmp_path, world):
    """A token that is not accepted stops the call with its reason; nothing is decided, all goes on."""
    good = token(world, doctor())
    ((_, text),) = good
    refused = {
        "BAD_SIGNATURE": ((METADATA, text[:-20] + text[-20:-10].swapcase() + text[-10:]),),
        "EXPIRED": token(world, doctor(), at=world.clock() - timedelta(minutes=6)),
        "WRONG_AUDIENCE": token(world, doctor(), audience="dossier"),
        "UNKNOWN_KEY": token(world, doctor(), key=files.Ed25519PrivateKey.generate()),
        "MALFORMED": (*good, *good),
    }
    async with secured(tmp_path, world) as service:
        for why, metadata in refused.items():
            error = await failure(service.door().check(reading(doctor()), metadata=metadata))

            assert grpc.StatusCode.UNAUTHENTICATED is error.code()
            assert f"TOKEN_{why}" == reason(error)
            assert text not in error.details()
            assert 1 == service.refused("tokens", why)
        assert [] == callers(service)
        answer = await service.door().check(reading(doctor()), metadata=good)
        assert "DOSSIER_MISSING" == answer.reason_code


async def test_a_service_can_be_required_to_carry_tokens(tmp_path, world):
    """Once policy requires tokens of the portal, it is not believed without one."""
    policies = copied(tmp_path, "10", "20", "30")
    path = policies / "parameters.yaml"
    text = path.read_text(encoding="utf-8")
    listed = "values: [dossier, portal, audit, workbench, operator]\n    value: []"
    path.write_text(text.replace(listed, listed.replace("[]", "[portal]")), encoding="utf-8")
    async with secured(tmp_path, world, policies=policies) as service:
        await service.door().change(opening())

        without = await service.door("portal").check(reading(doctor()))
        carried = token(world, doctor())
        with_token = await service.door("portal").check(reading(doctor()), metadata=carried)

        assert "SUBJECT_NOT_PROVEN" == without.reason_code
        assert ["token: missing; `portal` must prove for whom it asks"] == list(without.remarks)
        assert pb.EFFECT_ALLOW == with_token.effect


# As a process


async def test_a_process_serves_with_tls(tmp_path, world):
    """The command takes files and folders, and serves services with certificates, and their users."""
    tls = world.tls()
    arguments = ["--tls-key", tls.key, "--tls-chain", tls.chain, "--trust", tls.trust]
    arguments += ["--trust-test", "--token-keys", world.folder.path / "signers"]
    arguments += ["--recheck", "5"]
    with process(tmp_path, *map(str, arguments), listen="127.0.0.1:0") as started:
        address = await asyncio.to_thread(lambda: started.address)
        door = Door(world.channel(address, "dossier"))
        first = opening()
        first.subject.CopyFrom(pb.Subject())

        answer = await door.registry.Change(first, metadata=token(world, doctor()))

        await door.channel.close()
        started.signal(signal.SIGTERM)
        assert 0 == await asyncio.to_thread(started.wait)
    assert pb.EFFECT_ALLOW == answer.decision.effect
    entry = entries(f"sqlite:///{tmp_path}/authz.db")[-1]
    assert ("dossier", doctor().id) == (entry["caller"], entry["subject"]["id"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"--trust": None}, "--trust: missing; TLS needs --tls-key, --tls-chain, --trust"),
        ({"--listen": "127.0.0.1:0=operator"}, "no listener speaks TLS; add one with --listen"),
        ({"--listen": ""}, "--listen ``: write it as ADDRESS=SERVICE"),
        ({"--recheck": "-1"}, "--recheck `-1`: give 0 to 3600 seconds"),
        ({"--tls-key": "nowhere.key"}, "can't be read as key and chain"),
        ({"--trust": "nowhere"}, "roots.pem` can't be read"),
        ({"--token-keys": "nowhere"}, "`nowhere` is no folder"),
        ({"--listen": "here"}, "can't listen on `here`"),
    ],
)
def test_settings_that_are_refused(tmp_path, world, capsys, changes, words):
    """Files that are not there, and options that do not go together, end the start with code 2."""
    tls = world.tls()
    options = {"--listen": "127.0.0.1:0", "--tls-key": tls.key, "--tls-chain": tls.chain}
    options |= {"--trust": tls.trust, "--database": f"sqlite:///{tmp_path}/authz.db", **changes}
    arguments = [str(part) for pair in options.items() if pair[1] is not None for part in pair]

    code = main(arguments)

    plain_log()
    assert 2 == code
    assert words in capsys.readouterr().err
