"""How the dossier behaves when others don't, when it is stopped, and to whom it speaks at all."""

import asyncio
import csv
import os
import signal
import socket
import urllib.request
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

from audit.completeness import check
from audit.database import reader, snapshot
from authz.v1 import authz_pb2 as authz
from authz.v1 import authz_pb2_grpc as authz_rpc
from dossier.__main__ import main
from dossier.service import Service, Settings
from serving.listener import Listener
from tests.authz.tls import World
from tests.dossier.served import Record, cda, running
from tests.service import (
    ANASTA,
    CHANNEL,
    POLICIES,
    Deadline,
    doctor,
    failure,
    holder,
    patient,
    process,
    reason,
    started,
    until,
)
from tests.shared import shared_data


async def test_on_postgresql(postgresql, tmp_path):
    """The same on PostgreSQL: deposited, listed, read, traced, and complete."""
    with postgresql.database() as name:
        async with running(tmp_path, url=postgresql.url(name)) as both:
            await both.record.create()
            content = cda()
            document = await both.record.deposit(content)
            assert [one.document for one in (await both.record.list()).documents] == [document]
            assert (await both.record.read(document)).content == content
            assert len((await both.record.trace()).traces) >= 3
            assert both.completeness().faults == ()


async def test_documents_of_the_public_test_kit(tmp_path):
    """Every document of the agency's kit is deposited, found in its space, and comes back byte for byte."""
    folder = shared_data("cda")
    with (folder / "manifest.csv").open(encoding="utf-8") as file:
        kit = list(csv.DictReader(file))
    async with running(tmp_path, clock=lambda: datetime(2026, 11, 1, tzinfo=UTC)) as both:
        for whose in {row["patientIdExtension"] for row in kit}:
            await both.record.create(patient=whose)
        clinic = authz.Subject(
            kind="structure",
            id="10B0193488",
            structure="10B0193488",
            authentication="structure_certificate",
            capacity="care",
        )
        # A dispensation is a pharmacist's own; all else is fed by a structure.
        pharmacist = doctor(id="807505123456", profession="21", structure="1750512345")
        for row in kit:
            whose, content = row["patientIdExtension"], (folder / row["file"]).read_bytes()
            who = pharmacist if row["typeCode"] == "60593-1" else clinic
            document = await both.record.deposit(content, who=who, patient=whose)
            read = await both.record.read(document, patient=whose)
            assert read.content == content, row["file"]
            assert read.label.type == row["typeCode"]
        assert both.count("documents") == len(kit) == 14
        assert both.completeness().faults == ()


# Who may call


def by_tls(world, address, name):
    options = [*CHANNEL, ("grpc.ssl_target_name_override", "dossier")]
    return grpc.aio.secure_channel(
        address, world.credentials(name), options, interceptors=[Deadline()]
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_callers_are_whom_their_certificates_name(tmp_path):
    """The portal may call, another service may not, and a revoked one no more, on an open line."""
    world = World.make(tmp_path / "pki", "dossier", "portal", "archive")
    async with _behind_tls(tmp_path, world) as address:
        async with by_tls(world, address, "archive") as channel:
            assert reason(await failure(Record(channel).list())) == "CALLER_UNKNOWN"
        async with by_tls(world, address, "portal") as channel:
            record = Record(channel)
            assert "dossier" in reason(await failure(record.list())).lower()
            world.revoke("portal")
            await until(lambda: _refused(record), seconds=10)


async def _refused(record):
    error = await failure(record.list())
    return error.code() is grpc.StatusCode.UNAUTHENTICATED


@asynccontextmanager
async def _behind_tls(tmp_path, world):
    async with running(tmp_path, clock=world.clock) as both:
        settings = Settings(
            listeners=(Listener(address="127.0.0.1:0"),),
            database=both.url,
            keys=f"sqlite:///{tmp_path}/keys.db",
            masters=tmp_path / "masters",
            policies=POLICIES,
            authz=both.point.service.addresses[0],
            tls=world.tls("dossier", recheck=timedelta(0)),
        )
        async with Service(settings, clock=world.clock) as service:
            yield service.addresses[0]


# When the decision point does not behave


class Liar(authz_rpc.AuthzServiceServicer):
    """A decision point that answers what it should not."""

    def __init__(self) -> None:
        self.check = authz.CheckResponse()
        self.batch = authz.CheckBatchResponse()
        self.filter = authz.FilterResponse()

    async def Check(self, _request, _context):  # noqa: N802 - gRPC names methods
        return self.check

    async def CheckBatch(self, _request, _context):  # noqa: N802 - as above
        return self.batch

    async def Filter(self, _request, _context):  # noqa: N802 - as above
        return self.filter


@asynccontextmanager
async def lying():
    """Where a liar serves, and the liar."""
    liar, server = Liar(), grpc.aio.server()
    authz_rpc.add_AuthzServiceServicer_to_server(liar, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}", liar
    await server.stop(0)


ALLOW = authz.Decision(id="0190f1b0-0000-7000-8000-000000000000", effect=authz.EFFECT_ALLOW)
ODD = [
    authz.Decision(),
    authz.Decision(effect=authz.EFFECT_ALLOW),
    authz.Decision(id=ALLOW.id),
    authz.Decision(id=ALLOW.id, effect=7),
]


@pytest.mark.parametrize("decision", ODD, ids=["empty", "no id", "no effect", "odd effect"])
async def test_answer_that_is_no_decision_permits_nothing(tmp_path, decision):
    """Whatever a decision point says that is no allow under an id, nothing is read and nothing written."""
    async with lying() as (address, liar), running(tmp_path, authz=address) as both:
        liar.check.decision.CopyFrom(decision)
        liar.batch.decisions.append(decision)
        liar.filter.decision.CopyFrom(decision)
        for call in (both.record.read("d1"), both.record.list(), both.record.submit(cda())):
            error = await failure(call)
            assert error.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE)
        assert (both.count("acts"), both.count("documents")) == (0, 0)


async def test_allow_without_a_condition_lists_nothing(tmp_path):
    """A list needs a condition; an allow alone opens no document."""
    async with running(tmp_path) as both:
        await both.record.create()
        await both.record.deposit()
        async with lying() as (address, liar):
            liar.filter.decision.CopyFrom(ALLOW)
            (tmp_path / "other").mkdir()
            async with running(tmp_path / "other", authz=address, url=both.url) as odd:
                try:
                    documents = list((await odd.record.list()).documents)
                except grpc.aio.AioRpcError:
                    documents = []
                assert documents == []


async def test_too_few_answers_permit_nothing(tmp_path):
    """Two deposits, one answer: neither is deposited."""
    async with lying() as (address, liar), running(tmp_path, authz=address) as both:
        liar.batch.decisions.append(ALLOW)
        await failure(both.record.submit(cda(), cda()))
        assert both.count("documents") == 0


async def test_same_decision_twice_pays_once(tmp_path):
    """A decision that was used permits nothing more, even when it is given again."""
    async with running(tmp_path) as both:
        await both.record.create()
        document = await both.record.deposit()
        async with lying() as (address, liar):
            liar.check.decision.CopyFrom(ALLOW)
            (tmp_path / "other").mkdir()
            keys = f"sqlite:///{tmp_path}/keys.db"
            async with running(
                tmp_path / "other",
                authz=address,
                url=both.url,
                keys=keys,
                masters=tmp_path / "masters",
            ) as odd:
                await odd.record.read(document)
                error = await failure(odd.record.read(document))
                assert error.code() is grpc.StatusCode.INTERNAL


async def test_silent_decision_point_is_given_up(tmp_path):
    """Where nobody answers, the caller is told in time, and nothing is read."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        async with running(tmp_path, authz=address) as both:
            error = await failure(both.record.read("d1"))
            codes = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
            assert error.code() in codes
            assert both.count("acts") == 0


# As processes


@contextmanager
def record_process(folder: Path, point: str, *arguments: str):
    """The dossier in a process of its own; ended with the block."""
    with started(folder, "dossier", *_where(folder, point), *arguments) as one:
        yield one


def _where(folder: Path, point: str) -> list[str]:
    """The settings of a dossier in a folder."""
    given = ["--listen", "127.0.0.1:0=operator", "--authz", point]
    given += ["--database", f"sqlite:///{folder}/dossier.db"]
    given += ["--keys", f"sqlite:///{folder}/keys.db", "--masters", str(folder / "masters")]
    return [*given, "--sms-outbox", str(folder / "sms.jsonl"), "--policies", str(POLICIES)]


@asynccontextmanager
async def talking(address):
    async with grpc.aio.insecure_channel(
        address,
        options=[*CHANNEL, ("grpc.max_receive_message_length", -1)],
        interceptors=[Deadline()],
    ) as channel:
        yield Record(channel)


def _complete(folder):
    with (
        reader(f"sqlite:///{folder}/dossier.db").connect() as acts,
        snapshot(reader(f"sqlite:///{folder}/authz.db")) as log,
    ):
        return check(log, acts, service="dossier", at=datetime(2100, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_end_under_load_loses_nothing(tmp_path, how):
    """Killed or stopped amid deposits: each that was answered is there, none is there by half."""
    with (
        process(tmp_path, listen="127.0.0.1:0=dossier") as point,
        record_process(tmp_path, point.address) as first,
    ):
        async with talking(first.address) as record:
            for number in range(4):
                await record.create(patient=patient(number + 1))
            done = [[] for _ in range(4)]
            work = [asyncio.create_task(_feed(record, number, done[number])) for number in range(4)]

            async def fed():
                return all(done)

            await until(fed, seconds=60)
            os.kill(first.popen.pid, how)
            codes = await asyncio.gather(*work)
        if how is signal.SIGTERM:
            assert set(codes) == {grpc.StatusCode.UNAVAILABLE}
            assert first.wait() == 0
        else:
            first.wait()
        with record_process(tmp_path, point.address) as second:
            async with talking(second.address) as record:
                for number in range(4):
                    for documents, content in done[number]:
                        whose = patient(number + 1)
                        read = await record.read(documents[0], patient=whose)
                        assert read.content == content
                    listed = await record.list(patient=patient(number + 1), page_size=200)
                    assert len(listed.documents) % 2 == 0
                    assert len(listed.documents) >= min(200, 2 * len(done[number]))
        found = _complete(tmp_path)
        assert [one for one in found.faults if one.fault != "unrecorded"] == []


async def _feed(record, number, done):
    """Deposits pairs until the service is gone; the code that said so."""
    whose = patient(number + 1)
    while True:
        base = (number + 1) * 1_000_000 + 2 * len(done)
        content = cda(patient=whose, number=base)
        beside = cda(patient=whose, number=base + 1)
        try:
            answer = await record.submit(content, beside, patient=whose)
        except grpc.aio.AioRpcError as exc:
            return exc.code()
        done.append(([one.document for one in answer.deposited], content))


def _metrics(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
        return page.read().decode()


async def test_nothing_personal_is_told_to_operators(tmp_path):
    """Neither the service log nor the metrics hold a patient, a name, an id of a document or a reason."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (
        process(tmp_path, listen="127.0.0.1:0=dossier") as point,
        record_process(tmp_path, point.address, "--metrics", str(port)) as one,
    ):
        async with talking(one.address) as record:
            await record.create(email="sentinelle@example.org")
            document = await record.deposit()
            await record.read(document)
            await failure(record.read("doc-sentinel-77", holder()))
            await failure(record.submit(b"<garbage>SENTINELLE"))
            await failure(record.list(patient="1113109067725142806652"))
        told = await asyncio.to_thread(_metrics, port)
        os.kill(one.popen.pid, signal.SIGTERM)
        assert one.wait() == 0
    told += one.errors + "".join(one.out)
    assert "dossier_call_seconds" in told
    secrets = (ANASTA, "PASQUIER", "sentinel", "SENTINELLE", document, doctor().id)
    assert [word for word in secrets if word in told] == []


def test_plain_listener_for_all_is_refused(tmp_path, monkeypatch, capsys):
    """Without TLS nobody but this machine may reach it."""
    monkeypatch.chdir(tmp_path)

    assert main([*_where(tmp_path, "127.0.0.1:1"), "--listen", "0.0.0.0:0=operator"]) == 2

    assert "only loopback" in capsys.readouterr().err
