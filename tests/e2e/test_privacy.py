"""What the service tells of itself: nothing of patients, persons, documents, reasons or tokens, ever."""

import asyncio
import contextlib
import os
import signal
import socket
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Final

import grpc
import pysqlite3.dbapi2 as sqlite
import pytest
from grpc_status import rpc_status

from authz.bearer import METADATA
from authz.query import Subject
from authz.token import issue
from authz.v1 import authz_pb2 as pb
from clients.pki import files
from tests.e2e.frames import CHECK
from tests.e2e.served import Target, targeted
from tests.service import Door, copied, doctor, note, opening, patient, reading, until

INS: Final = patient(427_190_583)
OTHER: Final = patient(427_190_584)
NAMES: Final = ("SENTINELLE", "Ombeline")
DOCUMENT: Final = "doc-sentinel-77"
REASON: Final = "found sleeping below the bridge"
CARD: Final = "00B1049999"
SECRETS: Final = (INS, OTHER, *NAMES, DOCUMENT, REASON, CARD)


class Heard:
    """What callers were told when their calls failed."""

    def __init__(self) -> None:
        self.codes: list[str] = []
        self.words: list[str] = []

    async def failing(self, call: Awaitable[object]) -> None:
        """Waits for a call that is to fail, and keeps all that its status says."""
        with contextlib.suppress(asyncio.CancelledError):
            try:
                await call
            except grpc.aio.AioRpcError as exc:
                self.codes.append(exc.code().name)
                self.words += [str(exc.details()), str(rpc_status.from_call(exc))]
                return
        raise AssertionError("answered")


@pytest.fixture
def port() -> int:
    """A port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture
def target(tmp_path, port) -> Iterator[Target]:
    """A service with metrics, and callers who may and may not call it."""
    policies = copied(tmp_path, "10", "20", "30", "40", "90")
    with targeted(tmp_path, "--metrics", str(port), policies=policies) as one:
        one.world.card(CARD)
        yield one


def person(**changes: object) -> pb.Subject:
    """A doctor whose name and number nobody shall read."""
    return doctor(**{"id": CARD, "name": " ".join(NAMES), **changes})


def asked(whose: str = INS, **changes: object) -> pb.CheckRequest:
    """An emergency that says all that it should not be quoted with."""
    request = reading(person(**changes), whose, note(id=DOCUMENT, authors=[CARD]))
    request.context.mode = "bris_de_glace"
    request.context.reason.text = REASON
    return request


def token(target: Target, **changes: object) -> str:
    """A token for the doctor."""
    key = files.signing_key(target.world.folder.path / "keys" / "signers" / "portal.key")
    words = person()
    subject = Subject(**{f.name: getattr(words, f.name) for f in pb.Subject.DESCRIPTOR.fields})
    given = {"key": key, "issuer": "portal", "audience": "authz", "id": f"t-{CARD}"}
    return issue(subject, **{**given, "at": target.world.clock(), **changes})


@contextlib.asynccontextmanager
async def harmed(target: Target, harm: str, cure: str) -> AsyncIterator[None]:
    """Does harm to the database, beside the service."""
    with contextlib.closing(sqlite.connect(target.url.removeprefix("sqlite:///"))) as other:
        other.isolation_level = None
        other.execute(harm)
        yield
        other.execute(cure)


async def served(one: Door) -> bool:
    """Whether the service answers again."""
    try:
        await one.check(asked(OTHER), timeout=2)
    except grpc.aio.AioRpcError:
        return False
    return True


def shown(port: int) -> str:
    """All metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        return answer.read().decode()


async def test_nothing_of_persons_is_told_anywhere(target, port):
    """After answers, refusals, noise, tokens, cards and a broken database, no output holds any of it."""
    heard = Heard()
    good = token(target)
    bad = token(target, audience="elsewhere")
    async with target.door() as one:
        await answered(one)
        await refused(one, heard)
        await unproven(target, heard, good, bad)
        await troubled(target, one, heard)
    metrics = await asyncio.to_thread(shown, port)
    target.process.signal(signal.SIGTERM)
    code = await asyncio.to_thread(target.process.wait)

    assert 0 == code
    assert {"INVALID_ARGUMENT", "UNAUTHENTICATED", "UNAVAILABLE", "INTERNAL"} <= set(heard.codes)
    assert 'dmp_calls_failed_total{code="INTERNAL"' in metrics
    assert "call_failed" in target.process.errors
    assert "Traceback" not in target.process.errors
    told = "\n".join([metrics, target.process.errors, *target.process.out, *heard.words])
    assert [] == [word for word in (*SECRETS, good, bad, good[-40:]) if word in told]


async def answered(one: Door) -> None:
    """Everything that is decided: changes, checks, a batch, an explanation."""
    for whose in (INS, OTHER):
        await one.change(opening(person(), whose))
    for request in (asked(), asked(profession="99"), reading(person(), INS, note(id=DOCUMENT))):
        await one.check(request)
        await one.authz.Explain(pb.ExplainRequest(check=request))
    await one.authz.CheckBatch(pb.CheckBatchRequest(checks=[asked(), asked(OTHER)]))


async def refused(one: Door, heard: Heard) -> None:
    """Everything that is malformed, with what it should not be quoted with at the wrong place."""
    wrong = INS[:-1] + str((int(INS[-1]) + 1) % 10)
    for request in (
        asked(wrong),
        asked(f" {INS}"),
        asked(kind=INS),
        asked(id=f"{CARD}\n"),
        asked(authentication=f"password{INS}"),
        reading(person(), INS, note(id=f"{DOCUMENT}\n", visibility=[INS])),
    ):
        await heard.failing(one.authz.Check(request))
    assert wrong not in "".join(heard.words)
    channel = one.channel
    await heard.failing(channel.unary_unary(CHECK)(f"{INS}{NAMES}".encode(), timeout=5))
    await heard.failing(channel.unary_unary(f"/authz.v1.AuthzService/{INS}")(b"", timeout=5))
    await heard.failing(channel.unary_unary(CHECK)(INS.encode() * 100_000, timeout=5))
    await heard.failing(one.check(asked(), metadata=(("x-patient", INS * 1_000),)))


async def unproven(target: Target, heard: Heard, good: str, bad: str) -> None:
    """Tokens that are not accepted, and a card where a service should be."""
    async with target.door("dossier") as one:
        await one.check(asked(), metadata=((METADATA, good),))
        for text in (bad, good[:-20] + good[-20:].swapcase(), f"{INS}.{NAMES[0]}.{REASON}"):
            await heard.failing(one.check(asked(), metadata=((METADATA, text),)))
    async with target.world.channel(target.secure, CARD, "persons") as channel:
        await heard.failing(Door(channel).check(asked()))


async def troubled(target: Target, one: Door, heard: Heard) -> None:
    """A database that quotes what it was given, lacks a table, or holds what nobody can read."""
    quoting = (
        f"CREATE TRIGGER told BEFORE INSERT ON log_batches BEGIN"
        f" SELECT RAISE(ABORT, '{INS} {NAMES[0]}'); END"
    )
    for harm, cure in (
        (quoting, "DROP TRIGGER told"),
        (
            "ALTER TABLE log_batches RENAME TO away",
            "ALTER TABLE away RENAME TO log_batches",
        ),
    ):
        async with harmed(target, harm, cure):
            await heard.failing(one.check(asked()))
        await until(lambda: served(one))
    unreadable = f"UPDATE patients SET birth_date = '{NAMES[0]}' WHERE ins = '{INS}'"
    async with harmed(
        target, unreadable, f"UPDATE patients SET birth_date = NULL WHERE ins = '{INS}'"
    ):
        os.kill(target.family[1], signal.SIGKILL)  # the one that starts next remembers nobody
        await until(lambda: served(one))
        await heard.failing(one.check(asked()))
