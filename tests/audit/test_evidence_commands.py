"""`dmp audit verify`, `receipt` and `keys` as their users meet them."""

import shutil
from base64 import b64encode

import orjson
import pytest
from typer.testing import CliRunner

from audit.commands import audit as app
from audit.database import reader as reading
from audit.evidence import Evidence
from audit.keys import Verifier
from audit.note import Note
from audit.proof import Receipt
from audit.reader import read
from audit.sealing import Sealer
from tests.audit import harm
from tests.audit.keys import log_key, witness_key
from tests.audit.world import ORIGIN, append, draft, fill
from tests.audit.world import opened as log_opened

NAME = "dmp.test/log"


@pytest.fixture
def folder(tmp_path):
    """Of the evidence."""
    return tmp_path / "evidence"


@pytest.fixture
def dmp(url, folder):
    """Runs `dmp audit`; its exit code and what it says."""

    def run(*words, database=True, evidence=folder):
        more = ["--evidence", str(evidence)]
        if database:
            more += ["--database", url]
        done = CliRunner().invoke(app, [*words, *more])
        return done.exit_code, done.output

    return run


@pytest.fixture
def sealed(url, conn, folder, dmp):
    """A log of twelve entries, sealed."""
    fill(conn)
    assert 0 == dmp("keys", "make", ORIGIN, "--name", NAME, database=False)[0]
    evidence = Evidence(folder, ORIGIN)
    seal(url, evidence)
    return evidence


def seal(url, evidence):
    sealer = Sealer(reading(url), evidence)
    sealer.step()
    sealer.close()


def first_id(conn):
    """The id of entry 0."""
    entry = next(iter(read(conn, origin=ORIGIN))).entry
    conn.rollback()
    return entry["id"]


# Keys


def test_a_key_is_made_and_shown(dmp, folder):
    """The key is made once; its public half is printed then and later; the secret half is its owner's."""
    code, said = dmp("keys", "make", ORIGIN, "--name", NAME, database=False)
    key = Evidence(folder, ORIGIN).folder / "key"

    assert 0 == code
    assert NAME == Verifier.parse(said.strip()).name
    assert (0, said) == dmp("keys", database=False)
    assert 0o600 == key.stat().st_mode & 0o777
    assert key.read_text().split("+")[4] not in said
    code, said = dmp("keys", "make", ORIGIN, database=False)
    assert 2 == code
    assert "it has a key, which can't be replaced" in said


def test_keys_as_json(dmp):
    """Each log with its key, a line each."""
    dmp("keys", "make", "a", database=False)
    dmp("keys", "make", "b", "--name", "dmp.test/b", database=False)

    found = [orjson.loads(line) for line in dmp("keys", "--json", database=False)[1].splitlines()]

    assert [("a", "a"), ("b", "dmp.test/b")] == [
        (one["log"], Verifier.parse(one["key"]).name) for one in found
    ]


@pytest.mark.parametrize(
    ("origin", "name", "message"),
    [
        ("x", "a b", "a name has no spaces"),
        ("..", "x", "can't have a folder"),
        ("a b", "", "no spaces"),
    ],
)
def test_a_wrong_name_is_told(dmp, origin, name, message):
    """A key needs a name, and its log a folder."""
    code, said = dmp("keys", "make", origin, "--name", name, database=False)

    assert 2 == code
    assert message in said


def test_no_keys(dmp):
    """Without keys it is said how to make one."""
    code, said = dmp("keys", database=False)

    assert 1 == code
    assert "dmp audit keys make ORIGIN" in said


def test_an_interrupted_key_is_finished(dmp, folder):
    """Whoever was killed while making a key makes that one, not another."""
    said = dmp("keys", "make", ORIGIN, "--name", NAME, database=False)[1]
    (Evidence(folder, ORIGIN).folder / "key.pub").unlink()

    assert (0, said) == dmp("keys", "make", ORIGIN, "--name", NAME, database=False)


def test_options_stand_behind_the_command(dmp, folder):
    """An option before a command that it does not reach is refused, not passed over."""
    for words in (
        ["keys", "--evidence", str(folder), "make", "x"],
        ["verify", "--json", "receipt", "x"],
    ):
        done = CliRunner().invoke(app, words)

        assert 2 == done.exit_code
        assert "stands behind" in done.output
    assert 1 == dmp("keys", database=False)[0]


# Verify


@pytest.mark.usefixtures("sealed")
def test_an_intact_log(dmp):
    """A sound log is told with what it is under."""
    code, said = dmp("verify")

    assert 0 == code
    assert f"log `{ORIGIN}`: 12 entries intact" in said
    assert f"12 of them under a checkpoint signed as `{NAME}`" in said
    verdict = orjson.loads(dmp("verify", "--json")[1])
    assert (True, 12, 12) == (verdict["intact"], verdict["count"], verdict["sealed"])


@pytest.mark.usefixtures("sealed")
@pytest.mark.parametrize(
    ("how", "where", "message"),
    [
        (harm.altered, 7, "entry 7: altered"),
        (harm.missing, 3, "entry 3: missing"),
        (harm.swapped, 6, "entry 6: reordered"),
        (harm.cut, 9, "entry 9: cut"),
        (harm.rolled_back, 2, "entry 6: rolled back"),
    ],
)
def test_damage_is_told(dmp, conn, how, where, message):
    """The first entry that is wrong, what happened, and exit code 1."""
    how(conn, where)

    code, said = dmp("verify")

    assert 1 == code
    assert message in said
    verdict = orjson.loads(dmp("verify", "--json")[1])
    assert (False, message.split(": ")[1]) == (verdict["intact"], verdict["damage"])


def test_a_log_that_is_not_sealed_is_not_verified(dmp, conn):
    """Without evidence nothing is proved, and it is said what to do."""
    fill(conn)

    code, said = dmp("verify")

    assert 1 == code
    assert f"dmp audit keys make {ORIGIN}" in said


@pytest.mark.usefixtures("sealed")
def test_evidence_without_a_log_is_damage(dmp, conn):
    """If the database no longer knows of a log, that does not pass for sound."""
    harm.emptied(conn)

    code, said = dmp("verify")

    assert 1 == code
    assert "entry 0: rolled back" in said


def test_no_log_yet(dmp, conn):
    """An empty database is no damage."""
    conn.rollback()

    assert (0, "no log yet: nothing to verify\n") == dmp("verify")


def test_kept_checkpoints_are_compared(dmp, conn, sealed, tmp_path, url):
    """A checkpoint that was kept elsewhere shows what was taken back here, and must be of a log here."""
    shutil.copytree(sealed.folder, tmp_path / "older")
    append(conn, log_opened(conn), draft())
    seal(url, sealed)
    kept = tmp_path / "kept"
    kept.write_bytes(sealed.checkpoint())
    assert 0 == dmp("verify", "--checkpoint", str(kept))[0]
    harm.rolled_back(conn, 4)
    shutil.rmtree(sealed.folder)
    shutil.copytree(tmp_path / "older", sealed.folder)

    assert 0 == dmp("verify")[0]
    code, said = dmp("verify", "--checkpoint", str(kept))
    assert 1 == code
    assert "entry 12: rolled back" in said
    kept.write_bytes(b"example.org/other\n" + kept.read_bytes().partition(b"\n")[2])
    code, said = dmp("verify", "--checkpoint", str(kept))
    assert 2 == code
    assert "none of the logs here" in said
    kept.write_bytes(f"{NAME}\nnonsense\n".encode())
    assert 2 == dmp("verify", "--checkpoint", str(kept))[0]


def test_trust_names_log_and_quorum(dmp, sealed, tmp_path):
    """With a file of whom to believe, its keys count and its quorum is asked for."""
    trust, witness = tmp_path / "trust", witness_key("witness.example/1")
    trust.write_text(f"log {sealed.verifier()}\nwitness w {witness.verifier}\nquorum w\n")

    code, said = dmp("verify", "--trust", str(trust))
    assert 1 == code
    assert "not the quorum `w`" in said

    note = Note.parse(sealed.checkpoint())
    sealed.publish(note.signed_also([witness.cosign(note.text, 5)]))
    code, said = dmp("verify", "--trust", str(trust))
    assert 0 == code
    assert "cosigned by witness.example/1" in said

    trust.write_text(f"log {log_key(NAME).verifier}\nquorum none\n")
    code, said = dmp("verify", "--trust", str(trust))
    assert 1 == code
    assert "no known key has signed it" in said


@pytest.mark.usefixtures("sealed")
@pytest.mark.parametrize("content", [b"nonsense\n", b"\xff", b"log x\nquorum none\n"])
def test_a_wrong_file_of_trust_is_told(dmp, tmp_path, content):
    """A file that says nothing usable is wrong input."""
    trust = tmp_path / "trust"
    trust.write_bytes(content)

    assert 2 == dmp("verify", "--trust", str(trust))[0]
    assert 3 == dmp("verify", "--trust", str(tmp_path / "absent"))[0]


# Receipts


@pytest.fixture
def file(dmp, conn, sealed, tmp_path):
    """The receipt of entry 0."""
    path = tmp_path / "out" / "access.tlog-proof"
    code, said = dmp("receipt", first_id(conn), "-o", str(path))
    assert 0 == code, said
    assert f"entry 0 of log `{NAME}`, of 12 sealed" in said
    assert sealed.verifier() in Receipt.parse(path.read_bytes()).keys
    return path


def verify_receipt(path, *words, folder="nowhere"):
    """Verifies a receipt where nothing but the file is."""
    words = ["verify", "receipt", str(path), *words, "--evidence", str(folder)]
    done = CliRunner().invoke(app, words)
    return done.exit_code, done.output


def test_a_receipt_is_verified_offline(file, sealed):
    """The file and the published key suffice; only its owner may read the file."""
    key = str(sealed.verifier())

    code, said = verify_receipt(file, "--key", key)

    assert 0 == code
    assert f"entry 0 of log `{NAME}`" in said
    assert f"signed by {key}" in said
    assert 0o600 == file.stat().st_mode & 0o777
    assert [file] == [*file.parent.iterdir()]
    verdict = orjson.loads(verify_receipt(file, "--key", key, "--json")[1])
    assert (True, 0, 12) == (verdict["proved"], verdict["index"], verdict["size"])


def test_the_keys_beside_the_evidence_serve(file, folder):
    """Where the evidence is, its keys are believed."""
    assert 0 == verify_receipt(file, folder=folder)[0]


def test_a_receipt_alone_does_not_prove(file):
    """Without a key from elsewhere it is said what it says, and that this is no proof."""
    code, said = verify_receipt(file)

    assert 1 == code
    assert "unaltered" in said
    assert "that key is the receipt's own" in said


def test_a_receipt_of_another_log_is_refused(file):
    """Another log's key, or a namesake's, proves nothing."""
    for other, message in (
        (log_key("example.org/other"), "whose key is not known here"),
        (log_key(NAME), "no known key has signed it"),
    ):
        code, said = verify_receipt(file, "--key", str(other.verifier))
        assert 1 == code
        assert message in said


def test_an_altered_receipt_is_refused(file, sealed):
    """An altered entry does not pass."""
    good = Receipt.parse(file.read_bytes())
    other = good.proof.extra.replace(b'"AUTHORISED"', b'"AUTHORIZED"')
    text = file.read_bytes().replace(b64encode(good.proof.extra), b64encode(other))
    file.write_bytes(text)

    code, said = verify_receipt(file, "--key", str(sealed.verifier()))

    assert 1 == code
    assert "leads to another root" in said


def test_the_entry_is_shown_on_demand(file, sealed):
    """Personal data are printed when asked for, and not else."""
    key = str(sealed.verifier())

    assert "MEDECIN3857" not in verify_receipt(file, "--key", key)[1]
    assert "MEDECIN3857" in verify_receipt(file, "--key", key, "--show")[1]


def test_cosignatures_are_told_with_their_time(dmp, sealed, tmp_path):
    """A receipt carries the cosignatures of the known witnesses, and when they were made."""
    trust, witness = tmp_path / "trust", witness_key("witness.example/1")
    trust.write_text(f"log {sealed.verifier()}\nwitness w {witness.verifier}\nquorum w\n")
    note = Note.parse(sealed.checkpoint())
    sealed.publish(note.signed_also([witness.cosign(note.text, 1_794_997_600)]))
    path = tmp_path / "3.tlog-proof"
    assert 0 == dmp("receipt", "3", "-o", str(path), "--trust", str(trust))[0]

    code, said = verify_receipt(path, "--trust", str(trust))

    assert 0 == code
    assert "cosigned by witness.example/1 at 2026-11-18T10:26:40+00:00" in said


@pytest.mark.parametrize("content", [b"", b"nonsense", b"c2sp.org/tlog-proof@v1\nindex 0\n\n"])
def test_what_is_no_receipt_is_wrong_input(tmp_path, content):
    """A file that is no receipt, or not there, or a key that is none, is told."""
    path = tmp_path / "file"
    path.write_bytes(content)

    assert 2 == verify_receipt(path)[0]
    assert 3 == verify_receipt(tmp_path / "absent")[0]


def test_a_key_that_is_none_is_wrong_input(file):
    """A key that can't be read is told."""
    assert 2 == verify_receipt(file, "--key", "nonsense")[0]


@pytest.mark.usefixtures("sealed")
def test_an_entry_that_is_not_sealed_yet(dmp, conn, tmp_path):
    """An entry behind the checkpoint has no receipt yet; it is said to try again."""
    append(conn, log_opened(conn), draft())

    code, said = dmp("receipt", "12", "-o", str(tmp_path / "x"))

    assert 3 == code
    assert "12 entries are sealed so far: try again in a second" in said
    assert not (tmp_path / "x").exists()


@pytest.mark.usefixtures("sealed")
def test_no_receipt_of_what_is_not_there(dmp, conn, tmp_path):
    """An unknown id, one that is none, an altered entry, a file that can't be written: told by exit code."""
    place = str(tmp_path / "x")
    assert 1 == dmp("receipt", "99", "-o", place)[0]
    assert 1 == dmp("receipt", "0198c5a0-7e1c-7d3a-9b57-3f5a1c9e2b44", "-o", place)[0]
    assert 2 == dmp("receipt", "nonsense", "-o", place)[0]
    assert 1 == dmp("receipt", "0", "-o", place, "--origin", "other")[0]
    (tmp_path / "file").write_text("")
    assert 3 == dmp("receipt", "0", "-o", str(tmp_path / "file" / "x"))[0]
    harm.altered(conn, 0)
    code, said = dmp("receipt", "0", "-o", place)
    assert 1 == code
    assert "it is not what was sealed" in said
    assert not (tmp_path / "x").exists()


@pytest.mark.usefixtures("sealed")
def test_several_logs_have_the_same_numbers(dmp, conn, tmp_path):
    """A number that is in several logs needs the name of one."""
    fill(conn, "dmp.test/2")

    code, said = dmp("receipt", "0", "-o", str(tmp_path / "x"))
    assert 2 == code
    assert "say which by --origin" in said
    assert 0 == dmp("receipt", "0", "-o", str(tmp_path / "x"), "--origin", ORIGIN)[0]
