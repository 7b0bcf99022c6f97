"""A change that has an id: asked for again, it is told again, and never done again."""

import asyncio
import os
from dataclasses import replace
from datetime import timedelta

import grpc
import pytest
from sqlalchemy import event, text

from authz.batch import Activation, Call, Repeated
from authz.errors import UnavailableError
from authz.query import MAX_ID, digest
from authz.registry.changes import GrantAuthorisation, SetConsents
from authz.registry.requests import KEPT
from authz.registry.state import DossierStatus, GranteeKind
from authz.registry.store import Store
from authz.v1 import authz_pb2 as pb
from serving.errors import RequestError
from tests.authz.registry.samples import read
from tests.authz.samples import COLLEAGUE, TARGET, query
from tests.authz.test_batch import (
    ANASTA,
    FAILED,
    World,
    asking,
    batcher,
    commits,
    opening,
    other,
)
from tests.databases import before_statements
from tests.service import NOW, change, doctor, intact, patient, running
from tests.service import opening as open_dossier

__all__ = ["other"]

OPENING = replace(opening(), request_id="one")
DENIED = replace(opening(), context=replace(opening().context, agreement=False), request_id="two")


@pytest.fixture
def world(database):
    """A batcher on each kind of database; its log is verified at the end of each test."""
    with batcher(database.url) as made:
        yield made
    intact(database.url)


def render(decisions):
    """The answer, as far as these tests need it."""
    (decision,) = decisions
    return f"{decision.id} {decision.verdict.reason} {decision.changed}".encode()


def ask(world: World, *queries):
    """What comes of calls that are asked in one batch."""
    return world.batcher.run([Call((query,), render) for query in queries])


def asked(world: World, query):
    """The bytes that the caller of one call gets."""
    (answer,) = ask(world, query)
    return answer.data if isinstance(answer, Repeated) else render(answer)


def revision(world: World) -> int:
    """Where the registry stands."""
    with world.engine.begin() as conn:
        return Store().catch_up(conn).revision


@pytest.mark.parametrize("query", [OPENING, DENIED], ids=["allowed", "denied"])
def test_repeated_request_is_told_what_was_decided(world, query):
    """The second answer is the first one, byte for byte; nothing is changed and nothing logged again."""
    first = asked(world, query)
    before = revision(world), len(world.entries())

    again = asked(world, query)

    assert first == again
    assert before == (revision(world), len(world.entries()))


def test_first_answer_stands(world, other):
    """Neither later changes nor other policies alter what a repeated request is told."""
    first = asked(world, OPENING)
    ask(world, asking("dossier.close", SetConsents(samu=False)))
    world.batcher.run([Activation(other, "test")])

    assert first == asked(world, replace(OPENING, trace_id="0af7651916cd43dd8448eb211c80319c"))


def test_change_without_id_is_decided_anew(world):
    """Without an id, asking twice is two requests: the second finds the dossier open."""
    anonymous = replace(OPENING, request_id="")

    (first,), (second,) = ask(world, anonymous, anonymous)

    assert first.changed
    assert second.verdict.reason == "DOSSIER_EXISTS"


@pytest.mark.parametrize(
    "difference",
    [
        {"patient": patient(3)},
        {"action": "dossier.reopen"},
        {"context": replace(OPENING.context, agreement=False)},
        {"subject": replace(OPENING.subject, id="899700301015")},
        {"change": replace(OPENING.change, samu=False)},
        {"claims": {"resource.signature": "yes"}},
    ],
    ids=lambda difference: next(iter(difference)),
)
def test_id_that_stands_for_something_else_is_refused(world, difference):
    """The same id with other content is a mistake: it is refused, and decided under no id."""
    asked(world, OPENING)
    before = revision(world), len(world.entries())

    (answer,) = ask(world, replace(OPENING, **difference))

    assert isinstance(answer, RequestError)
    assert "request_id: stands for another request already" in str(answer)
    assert before == (revision(world), len(world.entries()))


def test_ids_of_others_are_theirs(world):
    """Another caller may use the same id; it is decided on its own."""
    first = asked(world, OPENING)

    second = asked(world, replace(OPENING, caller="portal"))

    assert b"DOSSIER_EXISTS" in second
    assert first != second


def test_twice_in_one_batch(world):
    """Two that come together are one change, and both are told the same."""
    first, second, third = ask(world, OPENING, OPENING, replace(OPENING, patient=patient(3)))

    assert render(first) == second.data
    assert isinstance(third, RequestError)
    assert [entry["kind"] for entry in world.entries()] == ["start", "change"]


def test_commit_in_doubt_is_cleared_up(world):
    """A change that was committed without an answer is found by asking again, and not done twice."""
    with commits(world.engine, then=FAILED), pytest.raises(UnavailableError):
        ask(world, OPENING)
    done = revision(world)

    again = asked(world, OPENING)

    assert done == revision(world)
    kept = [entry for entry in world.entries() if entry["kind"] == "change"]
    assert [entry["id"] for entry in kept] == [again.decode().partition(" ")[0]]
    assert b"CREATED_WITH_CONSENT" in again


def test_what_was_not_committed_happens_now(world):
    """A change whose transaction was lost leaves no trace of its id, so asking again does it."""

    def fail(_):
        raise FAILED

    event.listen(world.engine, "commit", fail)
    with pytest.raises(UnavailableError):
        ask(world, OPENING)
    event.remove(world.engine, "commit", fail)

    again = asked(world, OPENING)

    assert b"CREATED_WITH_CONSENT 2" in again
    assert read(Store(), world.engine, ANASTA).status is DossierStatus.OPEN


def test_repeated_answer_waits_for_what_it_tells(world):
    """What is told again may not be on the standby yet: so telling it is a commit that writes, too."""
    asked(world, OPENING)
    seen = []

    with before_statements(world.engine, lambda sql: seen.append(sql.split()[:2])):
        asked(world, OPENING)

    assert ["UPDATE", "log_head"] in seen


def test_answers_are_forgotten_after_a_day(database):
    """Much later the same id is a new request."""
    with batcher(database.url) as made:
        first = asked(made, OPENING)
        made.batcher._clock = lambda: NOW + KEPT + timedelta(seconds=1)
        asked(made, replace(OPENING, request_id="another", patient=patient(3)))

        later = asked(made, OPENING)

    assert first != later
    assert b"DOSSIER_EXISTS" in later


def test_digest_tells_contents_apart():
    """Queries have one digest if they ask the same, whatever their id and trace."""
    same = replace(OPENING, request_id="x", trace_id="y")
    different = [
        replace(OPENING, patient="x"),
        replace(OPENING, subject=replace(OPENING.subject, name="x")),
        replace(OPENING, claims={"a": "b"}),
        DENIED,
    ]

    assert digest(OPENING) == digest(same)
    assert len({digest(one) for one in [OPENING, *different]}) == 5


async def test_over_the_wire(database):
    """A change asked for twice over gRPC is answered alike, and is one entry and one revision."""
    request = open_dossier()
    request.request_id = "order 17"
    async with running(database.folder, url=database.url) as service:
        first = await service.door.registry.Change(request)
        second = await service.door.registry.Change(request)
        request.patient = patient(3)
        with pytest.raises(grpc.aio.AioRpcError) as other_content:
            await service.door.registry.Change(request)
        request.request_id = "x" * (MAX_ID + 1)
        with pytest.raises(grpc.aio.AioRpcError) as too_long:
            await service.door.registry.Change(request)

        assert first.decision.effect == pb.EFFECT_ALLOW
        assert first == second
        assert other_content.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "request_id: stands for another request" in other_content.value.details()
        assert too_long.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "request_id: 129 characters" in too_long.value.details()
        assert [entry["kind"] for entry in service.entries()] == ["start", "change"]


async def test_denials_over_the_wire(database):
    """A denied change stays denied under its id, even when it would be allowed by now."""
    request = change(doctor(), set_consents=pb.SetConsents(samu=False))
    request.request_id = "order 18"
    async with running(database.folder, url=database.url) as service:
        first = await service.door.registry.Change(request)
        await service.door.registry.Change(open_dossier())

        second = await service.door.registry.Change(request)

    assert first.decision.reason_code == "DOSSIER_MISSING"
    assert first == second


async def test_many_at_once(database):
    """Of a hundred equal requests in flight one changes the registry, and all are told the same."""
    request = open_dossier()
    request.request_id = os.urandom(8).hex()
    async with running(database.folder, url=database.url) as service:
        answers = await asyncio.gather(*(service.door.registry.Change(request) for _ in range(100)))

        assert {answer.SerializeToString() for answer in answers} == {
            answers[0].SerializeToString()
        }
        with service.engine.connect() as conn:
            assert conn.scalar(text("SELECT count(*) FROM changes WHERE ins <> ''")) == 1


def test_digest_stays_the_same():
    """The digest of a change is that of earlier versions: what was answered yesterday is known today."""
    change = GrantAuthorisation(
        grantee=COLLEAGUE, kind=GranteeKind.PROFESSIONAL, treating_doctor=False
    )
    asked = query(
        rpc="authz.v1.RegistryService/Change",
        action="authorisation.grant",
        document=None,
        target=TARGET,
        change=change,
        request_id="r-1",
    )

    assert digest(asked).hex() == (
        "ec8f5be14fd3853beea11d95930680a3e8827f272ad4fe05f8939f9bde8894f3"
    )
