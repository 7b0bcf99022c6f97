"""`dmp audit query`, `show`, `tail` and `export` at a terminal."""

import asyncio
import base64
import csv
import io
import json
import stat
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from audit.proof import Receipt
from audit.v1 import audit_pb2 as pb
from clients.cli.app import app
from clients.cli.audit import following, moments
from clients.cli.audit.link import Audit
from clients.cli.audit.session import Session
from clients.cli.link import Error
from clients.cli.show import Language
from tests.audit.office.served import running
from tests.service import ANASTA, auditor, doctor, reading, stranger

NOW = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)
runner = CliRunner(env={"NO_COLOR": "1", "COLUMNS": "200", "LC_ALL": "C"})


async def filled(audit):
    """One allowed and one denied reading; their ids."""
    await audit.open()
    ids = [(await audit.decide(reading(who()))).id for who in (doctor, stranger)]
    await audit.settled()
    return ids


async def dmp(audit, command, *arguments):
    """A command's result."""
    line = ["audit", command, *arguments, "--address", audit.service.addresses[0], "--lang", "en"]
    return await asyncio.to_thread(runner.invoke, app, line)


def records(result):
    """What was told to programs."""
    assert 0 == result.exit_code, result.output
    # The services of the test may say something meanwhile, too.
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


async def test_query_as_a_table(tmp_path):
    """Entries are a table, the latest first, patients by pseudonym, and the decision is told."""
    async with running(tmp_path) as audit:
        await filled(audit)
        result = await dmp(audit, "query", "--action", "document.read")
        assert 0 == result.exit_code, result.output
        assert result.output.index("DENY") < result.output.index("ALLOW")
        assert ANASTA not in result.output
        assert "~" in result.output
        assert "AUDITOR" in result.output
        named = await dmp(audit, "query", "--patient", ANASTA)
        assert ANASTA in named.output
        nothing = await dmp(audit, "query", "--since", "2020-01-01", "--until", "2020-01-02")
        assert "no entry" in nothing.output


async def test_query_for_programs(tmp_path):
    """With --json each page is an object on a line; all pages come one after the other, up to the limit."""
    async with running(tmp_path) as audit:
        ids = await filled(audit)
        (page,) = records(
            await dmp(audit, "query", "--who", doctor().id, "--who", stranger().id, "--json")
        )
        assert ids[::-1] == [one["id"] for one in page["entries"] if one["id"] in ids]
        assert page["look"]["pseudonymised"]
        (first,) = records(await dmp(audit, "query", "-n", "1", "--oldest-first", "--json"))
        more = records(
            await dmp(
                audit, "query", "-n", "0", "--oldest-first", "--cursor", first["cursor"], "--json"
            )
        )
        assert first["entries"][0]["index"] != more[0]["entries"][0]["index"]


async def test_count(tmp_path):
    """With --count it is said how many there are, in all and by what."""
    async with running(tmp_path) as audit:
        await filled(audit)
        result = await dmp(audit, "query", "--count", "effect", "--action", "document.read")
        assert ["2", "effect", "n", "allow", "1", "deny", "1"] == result.output.split()[:7]
        (alone,) = records(
            await dmp(audit, "query", "--count", "all", "--effect", "deny", "--json")
        )
        assert ("1", []) == (alone["total"], alone["facets"])


@pytest.mark.parametrize("form", ["ndjson", "csv", "parquet", "fhir", "adl"])
async def test_export(tmp_path, form):
    """A file is written anew, for its owner alone, in each form; nobody's number stands in it."""
    async with running(tmp_path) as audit:
        ids = await filled(audit)
        path = tmp_path / f"file.{form}"
        arguments = ("--action", "document.read", "--format", form, "-o", str(path))
        result = await dmp(audit, "export", *arguments)
        assert 0 == result.exit_code, result.output
        assert "2 entries" in result.output
        assert 0o600 == stat.S_IMODE(path.stat().st_mode)
        data = path.read_bytes()
        assert ANASTA.encode() not in data
        if form == "parquet":
            assert ids == pq.read_table(path).column("id").to_pylist()
        elif form == "csv":
            assert ids == [row["id"] for row in csv.DictReader(io.StringIO(data.decode()))]
        else:
            assert all(
                id_ in line for id_, line in zip(ids, data.decode().splitlines(), strict=True)
            )
        again = await dmp(audit, "export", *arguments)
        assert (2, data) == (again.exit_code, path.read_bytes())


async def test_export_in_clear_is_exact(tmp_path):
    """For one patient, who is named, the lines are the entries of the log as they stand there."""
    async with running(tmp_path) as audit:
        await filled(audit)
        found = records(await dmp(audit, "query", "--patient", ANASTA, "--format", "ndjson"))
        assert {ANASTA} == {one["patient"] for one in found}
        id_ = found[0]["id"]
        (shown,) = records(await dmp(audit, "show", id_, "--identify", "--json"))
        assert found[0] == json.loads(base64.b64decode(shown["entry"]["bytes"]))


async def test_who_is_denied_leaves_no_file(tmp_path):
    """A denial is told with its reason, and no file is there afterwards."""
    async with running(tmp_path) as audit:
        await filled(audit)
        path = tmp_path / "file.csv"
        result = await dmp(audit, "export", "--format", "csv", "-o", str(path), "--as", "doctor")
        assert 1 == result.exit_code
        assert not path.exists()


async def test_show(tmp_path):
    """One entry is shown with facts and rules; its proof is written where nothing is withheld."""
    async with running(tmp_path) as audit:
        id_, denied = await filled(audit)
        result = await dmp(audit, "show", denied)
        assert 0 == result.exit_code, result.output
        for text in ("subject.authorisation", "decided again: same", "DENY", "deciding rules"):
            assert text in result.output
        assert ANASTA not in result.output
        path = tmp_path / "41.tlog-proof"
        hidden = await dmp(audit, "show", id_, "--receipt", str(path))
        assert (2, True) == (hidden.exit_code, "--identify" in hidden.output)
        clear = await dmp(audit, "show", id_, "--identify", "--receipt", str(path))
        assert 0 == clear.exit_code, clear.output
        assert ANASTA in clear.output
        assert id_.encode() in Receipt.parse(path.read_bytes()).entry
        nothing = await dmp(audit, "show", "authz-1#99999")
        assert (1, True) == (nothing.exit_code, "no entry" in nothing.output)


async def test_replay(tmp_path):
    """Some decisions, or all, are decided again; one that comes out otherwise is told, and exit code 1."""
    async with running(tmp_path) as audit:
        ids = await filled(audit)
        some = await dmp(audit, "replay", *ids)
        assert (0, True) == (some.exit_code, "2 decisions come out the same" in some.output)
        (every,) = records(await dmp(audit, "replay", "--since", "2026-01-01", "--json"))
        assert (True, []) == (every["done"], every["different"])
        assert int(every["same"]) >= 3
        both = await dmp(audit, "replay", ids[0], "--effect", "deny")
        assert (2, True) == (both.exit_code, "filter" in both.output)


async def test_tail(tmp_path):
    """The last entries are printed, oldest first."""
    async with running(tmp_path) as audit:
        ids = await filled(audit)
        result = await dmp(audit, "tail", "-n", "2", "--action", "document.read", "--json")
        assert ids == [one["id"] for one in records(result)]


async def test_following_goes_on_where_a_stream_ended(tmp_path, monkeypatch):
    """However often a stream ends, what comes is told, in order and once."""
    monkeypatch.setattr(following, "STREAM_S", 1.0)
    async with running(tmp_path) as audit:
        ids = await filled(audit)

        def follow(told):
            with Audit(audit.service.addresses[0]) as link:
                session = Session(link=link, subject=auditor(), language=Language.EN, as_json=False)
                wanted = pb.Filter(actions=["document.read"])
                for entries in following.followed(session, wanted, last=1):
                    told += [one.id for one in entries]
                    if len(told) >= 4:
                        return

        told = []
        task = asyncio.create_task(asyncio.to_thread(follow, told))
        for _ in range(3):
            await asyncio.sleep(1.3)
            ids.append((await audit.decide(reading(doctor()))).id)
        await asyncio.wait_for(task, 30)
        assert ids[1:] == told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("query", "--since", "yesterday"), "--since"),
        (("query", "--since", "1d", "--until", "2d"), "filter.until"),
        (("query", "--effect", "maybe"), "filter.effect"),
        (("query", "--patient", "12"), "filter.patient"),
        (("query", "--format", "parquet"), "-o"),
        (("query", "-o", "x"), "--format"),
        (("query", "-f", "--count", "all"), "--follow"),
        (("query", "--count", "weather"), "facets"),
        (("query", "--cursor", "abc"), "cursor"),
        (("export", "--format", "table", "-o", "x"), "--format"),
        (("show", "12"), "id"),
        (("tail", "--kind", "x"), "filter.kinds"),
    ],
)
async def test_bad_input(tmp_path, arguments, said):
    """What can't be asked is told by the option or the field, with a remedy; exit code 2."""
    async with running(tmp_path) as audit:
        result = await dmp(audit, *arguments)
        assert 2 == result.exit_code, result.output
        assert said in result.output


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("90s", NOW - timedelta(seconds=90)),
        ("2d", NOW - timedelta(days=2)),
        ("3w", NOW - timedelta(weeks=3)),
        ("2026-05-04", datetime(2026, 5, 3, 22, tzinfo=UTC)),
        ("2026-01-01", datetime(2025, 12, 31, 23, tzinfo=UTC)),
        ("2026-05-04T10:00", datetime(2026, 5, 4, 8, tzinfo=UTC)),
        ("2026-05-04T10:00:00Z", NOW),
        ("2026-05-04T10:00:00+02:00", datetime(2026, 5, 4, 8, tzinfo=UTC)),
    ],
)
def test_moments(text, at):
    """An instant is said as so long ago, as a day in France, or exactly."""
    assert at == moments.read("--since", text, NOW)


@pytest.mark.parametrize("text", ["", "d", "2x", "-2d", "999999w", "2026-13-01", "0001-01-01"])
def test_no_moments(text):
    """What means no instant is refused, with the ways to say one."""
    with pytest.raises(Error, match="is no instant"):
        moments.read("--since", text, NOW)
