"""`dmp log` as its users meet it: output, exit codes, and messages for what is wrong."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from sqlalchemy import delete, text, update
from typer.testing import CliRunner

from audit import reader
from audit.commands import app
from audit.display import named_facts
from audit.entry import uuid7
from audit.tables import log_batches, metadata
from audit.verify import verify
from storage.database import connect
from tests.audit.world import ALICE, ORIGIN, START_MS, append, draft, fill, opened

ROOT = Path(__file__).parents[2]
VOCABULARY = {
    "vocabulary": {
        "facts": [
            {"name": "context.mode", "type": "choice", "values": ["normal", "bris_de_glace"]},
            {"name": "subject.roles", "type": "choices", "values": ["a", "b", "c"]},
            {"name": "subject.id", "type": "identifier"},
            {"name": "resource.authors", "type": "identifiers"},
            {"name": "resource.owner", "type": "identifier"},
        ]
    }
}


def dmp_log(url, *arguments):
    """Runs `dmp log` on the database at `url`."""
    return CliRunner().invoke(app, [*arguments, "--database", url])


def lines(conn):
    """The stored entries, as text."""
    return [one.bytes.decode() for one in reader.read(conn)]


def keep_bundle(conn, content):
    """Keeps the bundle that drafts name."""
    row = {"digest": "ab" * 32, "content": content}
    conn.execute(text("INSERT INTO bundles VALUES (:digest, 'once', :content)"), row)
    conn.commit()


def test_tail_shows_who_did_what(conn, url):
    """A line of the tail says who asked for what about whom, what was decided, and why."""
    log = opened(conn)
    append(conn, log, draft(effect="deny", reason_code="BLOCKED", mode="bris_de_glace"))

    done = dmp_log(url, "tail")

    [header, line] = done.stdout.splitlines()
    assert done.exit_code == 0
    assert header.split()[:2] == ["#", "time"]
    shown = ["2026-11-18 10:26:40.000", "Hélène MEDECIN3857", "document:read (bris_de_glace)"]
    for word in [*shown, ALICE, "DENY", "BLOCKED"]:
        assert word in line


def test_tail_prints_as_many_as_wanted(conn, url):
    """The option -n counts entries."""
    fill(conn)

    done = dmp_log(url, "tail", "-n", "2")

    assert [line.split()[0] for line in done.stdout.splitlines()] == ["#", "10", "11"]


def test_tail_prints_exact_entries_as_json(conn, url):
    """With --json each line is the stored entry, byte for byte."""
    fill(conn)

    done = dmp_log(url, "tail", "--json", "-n", "5")

    assert lines(conn)[-5:] == done.stdout.splitlines()


def test_an_entry_cannot_paint_the_terminal(conn, url):
    """Control characters, markup and direction marks in an entry are shown, not obeyed."""
    subject = {"id": "1", "name": "\x1b[2Jx\r[red]y[/red]\u202ez\n"}
    append(conn, opened(conn), draft(subject=subject))

    tail, show = dmp_log(url, "tail"), dmp_log(url, "show", "0")

    for done in (tail, show):
        assert r"\x1b[2Jx\r[red]y[/red]\u202ez\n" in done.stdout
        assert "\x1b" not in done.stdout


def test_show_by_id_and_by_number(conn, url):
    """An entry is shown by its id or by its number, with a label for each field."""
    [recorded] = append(conn, opened(conn), draft(reason={"code": "X", "text": "coma"}))

    by_id, by_number = dmp_log(url, "show", recorded.id), dmp_log(url, "show", "0")

    assert by_id.exit_code == 0
    assert by_id.stdout == by_number.stdout
    shown = [line.split("  ")[0] for line in by_id.stdout.splitlines()]
    for label in ("decision", "effect", "subject, name", "structure, name", "reason given", "salt"):
        assert label in shown


def test_show_prints_the_exact_entry_as_json(conn, url):
    """With --json the entry is printed byte for byte."""
    [recorded] = append(conn, opened(conn), draft())

    done = dmp_log(url, "show", "--json", recorded.id)

    assert lines(conn) == done.stdout.splitlines()


def test_show_puts_facts_in_words(conn, url):
    """Where the bundle is known, its vocabulary names the facts and their values."""
    keep_bundle(conn, orjson.dumps(VOCABULARY))
    append(conn, opened(conn), draft())

    done = dmp_log(url, "show", "0")

    facts = [line.split() for line in done.stdout.splitlines() if line.startswith("  ")]
    assert facts == [
        ["context.mode", "bris_de_glace"],
        ["subject.roles", "a,", "c"],
        ["subject.id", "899700218896"],
        ["resource.authors", "899700218896,", "899700218870"],
        ["resource.owner", "none"],
    ]


@pytest.mark.parametrize("content", [None, b"no json", b"[]", b"{}", b'{"vocabulary":{"facts":1}}'])
def test_show_numbers_facts_of_unknown_bundles(conn, url, content):
    """Where the bundle is not known or not readable, facts are shown by their number."""
    if content is not None:
        keep_bundle(conn, content)
    append(conn, opened(conn), draft())

    done = dmp_log(url, "show", "0")

    assert done.exit_code == 0
    assert "their bundle is not known here" in done.stdout
    assert "[1]" in done.stdout


def test_show_where_no_bundle_is_kept(blank):
    """A database with a log and nothing else can be looked at too."""
    engine = connect(blank.url)
    metadata.create_all(engine)
    with engine.connect() as conn:
        append(conn, opened(conn), draft())
    engine.dispose()

    done = dmp_log(blank.url, "show", "0")

    assert done.exit_code == 0
    assert "their bundle is not known here" in done.stdout


def test_show_an_entry_that_decides_nothing(conn, url):
    """An entry of another kind shows the few fields it has, and those that are new to us."""
    log = opened(conn)
    start = {"id": uuid7(START_MS, bytes(10)), "kind": "start", "build": {"digest": "c0ffee"}}
    append(conn, log, start)

    tail, show = dmp_log(url, "tail"), dmp_log(url, "show", "0")

    assert tail.stdout.splitlines()[1].split()[3:] == ["start"]
    assert ["build.digest", "c0ffee"] in [line.split() for line in show.stdout.splitlines()]
    assert "facts" not in show.stdout


@pytest.mark.parametrize("bundle", [b"{}", b"7", b'"\\u0000"', b"null"])
def test_a_forged_entry_is_shown_all_the_same(conn, url, bundle):
    """Whatever the types of the fields, an entry can be looked at."""
    append(conn, opened(conn), draft())
    forged = (
        b'{"at":5,"subject":"x","effect":[],"facts":[7],"patient":{},"index":"0","mode":{"a":1},'
        b'"bundle":' + bundle + b"}\n"
    )
    conn.execute(update(log_batches).values(entries=forged))
    conn.commit()

    tail, show, verify = (dmp_log(url, *a) for a in (["tail"], ["show", "0"], ["verify"]))

    assert [done.exit_code for done in (tail, show, verify)] == [0, 0, 1]


def test_a_number_that_was_removed_is_not_another(conn, url):
    """Where a batch is gone, the entry behind it is not shown in its place."""
    fill(conn)
    conn.execute(delete(log_batches).where(log_batches.c.first_index == 3))
    conn.commit()

    assert dmp_log(url, "show", "4").exit_code == 1


def test_facts_beyond_the_vocabulary_are_told():
    """A value that the vocabulary does not know is shown as such."""
    facts = [7, 9, "x"]
    vocabulary = VOCABULARY["vocabulary"]["facts"][:2]

    shown = list(named_facts(facts, vocabulary))

    assert shown == [
        ("context.mode", "unknown value 7"),
        ("subject.roles", "a, unknown bit 3"),
        ("[2]", "x"),
    ]


def test_verify_intact(conn, url):
    """An intact log is told with its length and hash."""
    fill(conn)
    verified = verify(conn, ORIGIN)

    plain, as_json = dmp_log(url, "verify"), dmp_log(url, "verify", "--json")

    assert (plain.exit_code, as_json.exit_code) == (0, 0)
    assert plain.stdout == f"log `{ORIGIN}`: 12 entries intact, hash {verified.hash.hex()}\n"
    wanted = {
        "origin": ORIGIN,
        "intact": True,
        "count": 12,
        "erased": 0,
        "hash": verified.hash.hex(),
    }
    assert wanted == orjson.loads(as_json.stdout)


def test_verify_damaged(conn, url):
    """A damaged log is told with where and what, and exit code 1; other logs are told too."""
    fill(conn)
    fill(conn, "dmp.test/2")
    damaged = (log_batches.c.first_index == 3) & (log_batches.c.origin == ORIGIN)
    conn.execute(delete(log_batches).where(damaged))
    conn.commit()

    plain, as_json = dmp_log(url, "verify"), dmp_log(url, "verify", "--json")

    what = f"log `{ORIGIN}`, entry 3: missing: entries 3 to 5 are gone"
    assert (plain.exit_code, as_json.exit_code) == (1, 1)
    assert plain.stdout.splitlines()[0] == what
    one, two = map(orjson.loads, as_json.stdout.splitlines())
    wanted = {"origin": ORIGIN, "intact": False, "index": 3, "damage": "missing", "error": what}
    assert wanted == one
    assert two["intact"] is True


def test_verify_without_any_log(engine, url):
    """A database whose log was never opened is no error."""
    engine.connect().close()

    done = dmp_log(url, "verify")

    assert (done.exit_code, done.stdout) == (0, "no log yet: nothing to verify\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["show", "nonsense"], 2, "error: id: `nonsense` is no UUID"),
        (["show", "9" * 30], 2, f"error: id: `{'9' * 30}` is no UUID"),
        (["show", "01890a5d-ac96-774b-bcce-b302099a8057"], 1, "error: no entry `01890a5d-ac96-"),
        (["show", "999"], 1, "error: no entry `999` in the log"),
        (["tail", "-n", "-1"], 2, "Invalid value for '-n'"),
        (["tail", "-n", "x"], 2, "Invalid value for '-n'"),
        (["eat"], 2, "No such command 'eat'"),
    ],
)
def test_wrong_use(conn, url, arguments, code, message):
    """Wrong ids and options are told on standard error, with an exit code and no traceback."""
    fill(conn)

    done = dmp_log(url, *arguments)

    assert (code, "") == (done.exit_code, done.stdout)
    assert message in done.stderr


@pytest.mark.parametrize("command", [["tail"], ["show", "0"], ["verify"]])
@pytest.mark.parametrize(
    ("url", "code", "message"),
    [
        ("sqlite:///absent/dmp.db", 3, "no database file `absent/dmp.db`"),
        ("sqlite:///{folder}", 3, "no database file"),
        ("sqlite:///{folder}/text", 3, "cannot be read: file is not a database"),
        ("sqlite:///{folder}/empty", 3, "holds no decision log"),
        ("sqlite://", 2, "an SQLite address names a file"),
        ("sqlite:///:memory:", 2, "an SQLite address names a file"),
        ("nonsense", 2, "no usable database address (`nonsense:...`)"),
        ("oracle9://scott:tiger@host/x", 2, "no usable database address (`oracle9:...`)"),
        ("postgresql+psycopg://a:b@127.0.0.1:1/x", 3, "`x` cannot be read: connection failed"),
    ],
)
def test_databases_that_cannot_be_read(tmp_path, command, url, code, message):
    """An address that leads nowhere is told on standard error, without its password."""
    (tmp_path / "text").write_text("hello, this is a text and no database\n" * 50)
    (tmp_path / "empty").touch()

    done = CliRunner().invoke(app, [*command, "--database", url.format(folder=tmp_path)])

    assert (code, "") == (done.exit_code, done.stdout)
    assert message in done.stderr
    assert "tiger" not in done.stderr


def test_the_database_is_named_by_the_environment(conn, url, monkeypatch):
    """Without an option the address comes from DMP_DATABASE."""
    fill(conn)
    monkeypatch.setenv("DMP_DATABASE", url)

    done = CliRunner().invoke(app, ["tail", "-n", "1"])

    assert done.exit_code == 0
    assert done.stdout.splitlines()[1].startswith("11")


@pytest.mark.parametrize("command", ["tail", "show", "verify"])
def test_help_has_examples(command):
    """The help of each command shows how it is used, and its exit codes."""
    done = CliRunner().invoke(app, [command, "--help"])

    assert f"dmp log {command}" in done.stdout
    assert "Exit: 0" in done.stdout


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_reading_leaves_the_files_alone(conn, database):
    """No command changes a byte of the database, even while the service holds it."""
    fill(conn)
    conn.rollback()
    files = [database.folder / f"dmp.db{end}" for end in ("", "-wal")]
    before = [file.read_bytes() for file in files]

    for command in (["tail"], ["show", "1"], ["verify"]):
        assert dmp_log(database.url, *command).exit_code == 0

    assert before == [file.read_bytes() for file in files]


def test_following(conn, url):
    """With -f new entries of old and new logs are printed as they come, until Ctrl-C."""
    log = fill(conn)
    code = "from audit.commands import app; app(prog_name='dmp log')"
    arguments = ["tail", "-f", "-n", "1", "--json", "--database", url]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, stdout=subprocess.PIPE, env=os.environ
    )
    with process:
        try:
            first = process.stdout.readline()
            append(conn, log, draft(), draft(), batch=4)
            append(conn, opened(conn, "dmp.test/2"), draft(), batch=5)
            more = [process.stdout.readline() for _ in range(3)]
            process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=30)
        finally:
            process.kill()  # or what went wrong here would be waited for without end

    seen = [orjson.loads(line)["index"] for line in (first, *more)]
    assert seen == [11, 12, 13, 0]
    assert (rest, process.returncode) == (b"", 0)
