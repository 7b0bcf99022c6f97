"""Lists under the real policies: the rows that SQL finds are those that single checks would allow."""

import random
from dataclasses import replace

import pytest

from authz.matrix import read_types
from authz.v1 import authz_pb2 as authz
from clients.sdk import PLAIN, Denied, Effect, aio
from clients.sdk.values import NORMAL, Context, Query, Reason, Subject
from dossier import listing, rows
from dossier.judged import as_document
from dossier.model import Search, Status, Visibility
from tests import service as deciding
from tests.dossier.world import label
from tests.service import ANASTA, NOW, POLICIES, change, doctor, holder, opening

SEED = 20260504
MINE, OTHERS = "00B1038575", "899700301015"
ODD = ("O'Neill", 'a"b', "100%", "_", "\\", "é", "x" * 100)
DOCTOR = Subject(
    kind="professional",
    id=MINE,
    profession="10",
    structure="10B0193488",
    authentication="individual_card",
    capacity="care",
)
PHARMACIST = replace(DOCTOR, id="807505123456", profession="21", structure="1750512345")
STRANGER = replace(DOCTOR, id=OTHERS, structure="10B0252419")
BREAKING = Context(mode="bris_de_glace", reason=Reason(code="conscience_alteree", text="coma"))
LABELS = 500

ASKERS = {
    "authorised": (DOCTOR, NORMAL),
    "pharmacist": (PHARMACIST, NORMAL),
    "stranger": (STRANGER, NORMAL),
    "nurse": (replace(DOCTOR, id="899700000001", profession="60"), NORMAL),
    "unlisted": (replace(DOCTOR, profession="26"), NORMAL),
    "holder": (Subject(kind="patient", id=ANASTA, authentication="patient_code"), NORMAL),
    "structure": (
        Subject(
            kind="structure",
            id="10B0193488",
            structure="10B0193488",
            authentication="structure_certificate",
            capacity="care",
        ),
        NORMAL,
    ),
    "insurer": (replace(DOCTOR, capacity="insurance"), NORMAL),
    "break-glass": (STRANGER, BREAKING),
    "centre 15": (
        replace(STRANGER, structure_kind="SAMU_SMUR", regulator=True),
        Context(mode="centre_15"),
    ),
}


def population():
    """Labels in which all that policy looks at occurs with all else, by chance."""
    chance = random.Random(SEED)
    table = (POLICIES / "matrix" / "types.csv").read_text(encoding="utf-8")
    types = (*read_types(table, path="types.csv")[0], "99999-9", *ODD)
    names = (MINE, OTHERS, PHARMACIST.id, ANASTA, *ODD)
    for _ in range(LABELS):
        yield label(
            patient=ANASTA,
            type=chance.choice(types),
            authors=tuple(dict.fromkeys(chance.choices(names, k=chance.randrange(3)))),
            structure=chance.choice(("", "10B0193488", "10B0252419", *ODD)),
            status=chance.choice(list(Status)),
            confidentiality=chance.choice("NRV"),
            visibility=Visibility(
                masked=chance.random() < 0.4,
                hidden_from_patient=chance.random() < 0.3,
                hidden_from_representatives=chance.random() < 0.2,
            ),
        )


@pytest.fixture
async def asked(tmp_path):
    """A client of a decision point that knows a dossier with consents and two who are authorised."""
    async with deciding.running(
        tmp_path, services=("dossier", "operator"), clock=lambda: NOW
    ) as point:
        door = point.doors["operator"]
        await door.change(opening(masked_in_emergency=True))
        grant = authz.GrantAuthorisation(grantee={"id": PHARMACIST.id, "kind": "professional"})
        await door.change(change(holder(), grant_authorisation=grant))
        await door.change(
            change(doctor(), own_authorisation=authz.OwnAuthorisation(authorise=True))
        )
        client = aio.connect(point.service.addresses[0], PLAIN)
        yield client
        await client.close()


async def allowed(client, subject, context, labels):
    """The documents that the decision point allows to be listed, asked one by one."""
    queries = [
        Query(
            subject=subject,
            action="document.list",
            patient=ANASTA,
            document=as_document(one),
            context=context,
        )
        for one in labels
    ]
    decisions = await client.check_all(queries, timeout_s=30)
    given = zip(labels, decisions, strict=True)
    return {one.id for one, decision in given if decision.effect is Effect.ALLOW}


async def test_lists_are_what_checks_allow(world, asked):
    """For everyone who asks, the rows are exactly those that a single check would allow, and most differ."""
    labels = list(population())
    with world.writer.begin() as conn:
        for one in labels:
            rows.add(conn, one, particulars=b"", content=b"")
    seen = {}

    for name, (subject, context) in ASKERS.items():
        expected = await allowed(asked, subject, context, labels)
        try:
            condition = (
                await asked.filter(subject, "document.list", ANASTA, context=context, timeout_s=30)
            ).condition
        except Denied:
            found = set()
        else:
            query = listing.page(ANASTA, condition, Search(statuses=()), size=LABELS + 1)
            with world.reader.connect() as conn:
                found = {row.id for row in conn.execute(query)}
        assert expected == found, name
        seen[name] = len(found)

    assert seen["authorised"] > seen["pharmacist"] > seen["stranger"] > 0
    assert 0 < seen["holder"] < LABELS
    assert seen["break-glass"] > seen["stranger"]
    assert seen["insurer"] == 0
