"""`dmp audit cases`, `case`, `close`, `statistics`, `unusual`: what they ask, show and refuse."""

import asyncio
import json
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from clients.cli.app import app
from tests.audit.office.served import running
from tests.audit.office.test_reviews import Clock, broken, report
from tests.service import ANASTA, stranger

UNKNOWN = "0197b0a0-0000-7000-8000-000000000000"


async def run(audit, *arguments, language="en", **how):
    """A command, against a running audit."""
    address = audit.service.addresses[0]
    command = ["audit", *arguments, "--address", address, "--lang", language]
    runner = CliRunner(env={"NO_COLOR": "1", "COLUMNS": "200", "LC_ALL": "C"})
    return await asyncio.to_thread(runner.invoke, app, command, **how)


@pytest.fixture
async def case(tmp_path):
    """An audit with one case, its id, and the clock."""
    async with running(tmp_path, clock=(clock := Clock())) as audit:
        await audit.open()
        yield audit, await broken(audit), clock


async def test_queue(case):
    """The queue shows who waits until when, whose record by pseudonym, and whom nobody told yet."""
    audit, id_, _ = case
    shown = await run(audit, "cases")
    assert shown.exit_code == 0, shown.output
    assert "emergency cases to review: 1, overdue: 0" in shown.stdout
    for part in (id_, stranger().id, "risque_vital: found unconscious", "holder: not told yet"):
        assert part in shown.stdout
    assert ANASTA not in shown.stdout


async def test_queue_in_french(case):
    """The same in French, and what is overdue is said to be."""
    audit, _, clock = case
    clock.now += timedelta(days=8)
    shown = await run(audit, "cases", "--overdue", language="fr")
    assert "accès d'urgence à examiner : 1, dont en retard : 1" in shown.stdout
    assert "titulaire : pas encore prévenu" in shown.stdout


async def test_one_case(case):
    """A case names its patient, its accesses, and what was done with it."""
    audit, id_, _ = case
    await audit.decide(report(id_))
    await audit.settled()
    shown = await run(audit, "case", id_)
    assert shown.exit_code == 0, shown.output
    for part in (ANASTA, "holder told by e-mail", "opened by an access", "steps"):
        assert part in shown.stdout


async def test_closing(case):
    """A case is closed after a question, and then it waits no more; it can't be closed again."""
    audit, id_, _ = case
    refused = await run(audit, "close", id_, "justified", "--why", "the ward's file")
    assert refused.exit_code == 2
    assert "--yes" in refused.stderr
    closed = await run(audit, "close", id_, "justified", "--why", "the ward's file", "--yes")
    assert closed.exit_code == 0, closed.output
    assert "case closed: justified" in closed.stdout
    assert "none" in (await run(audit, "cases")).stdout
    again = await run(audit, "close", id_, "misuse", "--why", "no", "--yes")
    assert again.exit_code == 1
    assert "justified" in again.stderr


async def test_json(case):
    """Programs get the whole answer."""
    audit, id_, _ = case
    found = json.loads((await run(audit, "cases", "--all", "--json")).stdout)
    assert [one["id"] for one in found["cases"]] == [id_]
    closed = await run(audit, "close", id_, "misuse", "--why", "no emergency", "-y", "--json")
    assert json.loads(closed.stdout)["case"]["state"] == "misuse"


async def test_statistics(case):
    """Who has how many, with the share of emergencies."""
    audit, _, _ = case
    for by, who in (("structure", stranger().structure), ("professional", stranger().id)):
        shown = await run(audit, "statistics", "--by", by)
        assert who in shown.stdout, shown.output
        assert "100.0 %" in shown.stdout
    empty = await run(audit, "statistics", "--since", "2026-05-05")
    assert "none" in empty.stdout
    lately = await run(audit, "statistics", "--until", "500000h")
    assert "none" in lately.stdout


async def test_unusual(case):
    """What was found is told in the language of the terminal, with its limit."""
    audit, id_, clock = case
    clock.now += timedelta(hours=1)
    shown = await run(audit, "unusual", "--all")
    assert shown.exit_code == 0, shown.output
    assert "no known relation in care" in shown.stdout
    assert "Limit: none" in " ".join(shown.stdout.split())
    assert id_ in shown.stdout
    none = await run(audit, "unusual", "--sign", "night", language="fr")
    assert "rien d'inhabituel" in none.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("case", UNKNOWN), 1, UNKNOWN),
        (("case", "x"), 2, "id"),
        (("close", UNKNOWN, "perhaps", "--why", "x"), 2, "perhaps"),
        (("close", UNKNOWN, "misuse", "--why", "", "--yes"), 2, "why"),
        (("cases", "--since", "yesterday"), 2, "yesterday"),
        (("cases", "--since", "2026-05-04", "--until", "2026-05-03"), 2, "from"),
        (("cases", "--patient", "1"), 2, "patient"),
        (("cases", "--as", "stranger"), 1, "CALLER_REFUSED"),
        (("unusual", "--since", "2025-01-01"), 2, "31 days"),
    ],
)
async def test_what_goes_wrong(case, arguments, code, said):
    """Each mistake has its exit code, and names the value."""
    audit, _, _ = case
    shown = await run(audit, *arguments)
    assert shown.exit_code == code, shown.output
    assert said in shown.output
