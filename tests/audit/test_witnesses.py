"""A log and its witnesses: they cosign what grew, stop nothing when away, and prove what was forgotten."""

import os
import shutil
import socket
import threading
import time
from contextlib import closing, contextmanager, suppress

import pytest

from audit import witnesses as module
from audit.checkpoint import Checkpoint
from audit.cosigning import SIZE, place
from audit.database import reader as reading
from audit.errors import FormatError, RefusedError
from audit.evidence import Evidence
from audit.note import Note, signed
from audit.sealing import Sealer
from audit.trusted import Trust
from audit.trusted import Witness as Known
from audit.witnesses import Cosigner, Http, WitnessError, Witnesses
from tests.audit.harm import rolled_back
from tests.audit.keys import log_key, witness_key
from tests.audit.test_witness import serving
from tests.audit.world import ORIGIN, append, draft, fill
from tests.audit.world import opened as log_opened
from tests.reference import tree

LOG = log_key("example.org/log")
WITNESS = witness_key("witness.example/1")
LEAVES = [f"leaf {number}".encode() for number in range(40)]
NODES = tree.nodes(LEAVES)


def checkpoint(size, leaves=LEAVES):
    return Checkpoint(origin=LOG.name, size=size, root=tree.tree_hash(leaves[:size]))


def note(size, leaves=LEAVES):
    return signed(str(checkpoint(size, leaves)), LOG)


class Answers:
    """A witness that answers as it was told, in turn; what was asked is kept."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def call(self, method, path, body=b""):
        self.asked.append((method, path, body))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            return answer(body)
        return answer

    def close(self):
        pass


def cosigning(body):
    """A sound answer."""
    text = Note.parse(body.partition(b"\n\n")[2]).text
    return 200, "text/plain", f"{WITNESS.cosign(text, 5)}\n".encode()


def cosigner(*answers):
    """One witness with such answers, and the way to it."""
    link = Answers(*answers)
    return Cosigner(Known(name="w", key=WITNESS.verifier), link), link


def ask(one, size):
    """Asks for a cosignature on so many entries."""
    return one.cosign(note(size), checkpoint(size), LOG.verifier, NODES)


def test_a_witness_is_asked_from_where_it_stands():
    """It is told the old size and the proof from there; when it says another size, from that."""
    one, link = cosigner((409, SIZE, b"5\n"), cosigning, cosigning)

    assert WITNESS.verifier.accepts(note(9).text, ask(one, 9))
    assert WITNESS.verifier.accepts(note(20).text, ask(one, 20))
    old = [body.split(b"\n", 1)[0] for _, _, body in link.asked]
    assert [b"old 0", b"old 5", b"old 9"] == old
    assert tree.proof(9, LEAVES[:20]) == tree.proof(9, LEAVES[:20])


SHOWN = 200, "text/plain", bytes(note(9))


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([WitnessError("no answer: x")], "no answer: x"),
        ([(200, "text/plain", b"")], "no signature"),
        ([(200, "text/plain", "— a AAAAAAA=\n".encode())], "not of its key"),
        ([(200, "text/plain", f"{WITNESS.cosign('other', 5)}\n".encode())], "not of its key"),
        ([(409, SIZE, b"five\n")], "409 without a size"),
        ([(409, SIZE, b"5\n"), (409, SIZE, b"6\n"), SHOWN], "it answers 409: 6"),
        ([(409, "text/plain", b"5\n"), SHOWN], "it answers 409"),
        ([(422, "text/plain", b"no \x1b[31m!\n" * 99), SHOWN], r"it answers 422: no  \[31m!"),
        ([(500, "text/html", b"oops"), SHOWN], "it answers 500: oops"),
        ([(500, "text/html", b"oops"), (500, "", b"")], "it answers 500"),
        (
            [(409, SIZE, b"30\n"), (200, "text/plain", b"nonsense")],
            "shows no checkpoint of this log",
        ),
        ([(409, SIZE, b"30\n"), (404, "text/plain", b"")], "it answers 409: 30"),
        ([(409, SIZE, b"30\n"), SHOWN], "it answers 409: 30"),
    ],
)
def test_what_a_witness_does_wrong_is_told(answers, message):
    """A witness that is away, wrong, or says what it can't prove, is told and stops nothing."""
    one, _ = cosigner(*answers)

    with pytest.raises(WitnessError, match=message):
        ask(one, 20)


def test_a_forger_proves_nothing():
    """A larger checkpoint that the log did not sign proves nothing."""
    namesake = log_key(LOG.name, 1)
    shown = bytes(signed(str(checkpoint(30)), namesake))
    one, _ = cosigner((409, SIZE, b"30\n"), (200, "text/plain", shown))

    with pytest.raises(WitnessError, match="shows no checkpoint of this log"):
        ask(one, 20)


def test_a_witness_that_has_seen_more_stops_the_log():
    """If the log signed more than is here, what is here is an older copy."""
    one, link = cosigner((409, SIZE, b"30\n"), (200, "text/plain", bytes(note(30))))

    with pytest.raises(
        RefusedError, match="of 30 entries, here are 20: what is here is an older copy"
    ):
        ask(one, 20)
    assert ("GET", place(LOG.name), b"") == link.asked[1]


def test_a_witness_that_has_seen_something_else_stops_the_log():
    """If the log signed another history, nothing more is signed."""
    forked = [b"fork", *LEAVES[1:]]
    one, _ = cosigner((422, "text/plain", b"x"), (200, "text/plain", bytes(note(9, forked))))

    with pytest.raises(RefusedError, match="of 9 entries that are not those here: two histories"):
        ask(one, 20)


@pytest.mark.parametrize(
    "url",
    ["", "witness.example", "ftp://x/", "http://", "http://x:y/", "http://x/?a", "http://x:99999/"],
)
def test_a_url_must_be_one(url):
    """What is no url of HTTP is told at once."""
    with pytest.raises(FormatError, match="witness"):
        Http(url)


@contextmanager
def listening(behaviour):
    """Something that listens, and does this with each connection; its url."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while True:
                try:
                    conn, _ = server.accept()
                except OSError:
                    return
                with conn:
                    behaviour(conn)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/prefix/"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_prefix_is_kept():
    """The path of the url stands before what is asked for."""
    seen = []

    def answer(conn):
        seen.append(conn.recv(65536).split(b"\r\n", 1)[0])
        conn.sendall(b"HTTP/1.1 404 x\r\nContent-Length: 1\r\n\r\nx")

    with listening(answer) as url, closing(Http(url)) as link:
        assert (404, "text/plain", b"x") == link.call("GET", "a/checkpoint")
    assert [b"GET /prefix/a/checkpoint HTTP/1.1"] == seen


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no answer"),
        (b"nonsense\r\n\r\n", "no answer"),
        (b"HTTP/1.1 200 x\r\nContent-Length: 9\r\n\r\nx", "no answer"),
        (b"HTTP/1.1 200 x\r\n" + b"X: y\r\n" * 300 + b"\r\n", "no answer"),
        (b"HTTP/1.1 200 x\r\nContent-Length: 999999\r\n\r\n" + bytes(999_999), "too long"),
    ],
)
def test_a_broken_answer_is_told(data, message):
    """Whatever comes over the wire, it is no answer or too long a one."""

    def answer(conn):
        conn.recv(65536)
        with suppress(OSError):
            conn.sendall(data)

    with (
        listening(answer) as url,
        closing(Http(url)) as link,
        pytest.raises(WitnessError, match=message),
    ):
        link.call("GET", "x")


def test_nobody_listens():
    """A witness that is not there is told at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    with pytest.raises(WitnessError, match="no answer: ConnectionRefusedError"):
        Http(f"http://127.0.0.1:{port}").call("GET", "x")


# Together with a log


@pytest.fixture
def evidence(tmp_path):
    """A folder with a key."""
    made = Evidence(tmp_path / "evidence", ORIGIN)
    made.make_key(LOG.name, os.urandom)
    return made


@pytest.fixture
def served(tmp_path, evidence):
    """A witness that serves this log."""
    with serving(tmp_path / "witness", Trust(logs=(evidence.verifier(),))) as server:
        yield server


def known(server, name="w"):
    """A witness as the log knows it."""
    url = f"http://127.0.0.1:{server.server_address[1]}"
    return Known(name=name, key=server.witness.verifier, url=url)


@pytest.fixture
def sealers(url, evidence):
    """Makes sealers with witnesses; each takes over from the one before."""
    made = []

    def new(*witnesses, patience_s=10.0):
        for one in made:
            one.close()
        asked = Witnesses([Cosigner(one) for one in witnesses], patience_s=patience_s)
        made.append(Sealer(reading(url), evidence, witnesses=asked))
        return made[-1]

    yield new
    for one in made:
        one.close()


def cosigned(evidence, *witnesses):
    """The names of these witnesses that cosigned what is published, and its size."""
    trust = Trust(logs=(evidence.verifier(),), witnesses=witnesses)
    found = trust.opened(evidence.checkpoint())
    return found.checkpoint.size, [one.name for one in found.witnesses]


def test_every_checkpoint_is_cosigned(conn, evidence, sealers, served):
    """As the log grows, each published checkpoint has the signatures of log and witness."""
    witness = known(served)
    log, sealer = fill(conn), sealers(witness)
    for _ in range(3):
        sealer.step()
        assert (log.next_index, [served.witness.verifier.name]) == cosigned(evidence, witness)
        assert (("w", ""),) == sealer.standing.witnesses
        append(conn, log, draft(), draft())
    assert 1 == evidence.signed().count("—".encode())


def test_a_missing_witness_stops_nothing(conn, evidence, sealers, served):
    """With one witness away, the checkpoint is published with the other's signature, and it is told."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        gone = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    away = Known(name="away", key=WITNESS.verifier, url=gone)
    fill(conn)
    sealer = sealers(known(served), away)

    sealer.step()

    assert (12, [served.witness.verifier.name]) == cosigned(evidence, known(served), away)
    told = dict(sealer.standing.witnesses)
    assert "" == told["w"]
    assert told["away"].startswith("no answer: ConnectionRefusedError")
    assert "" == sealer.standing.trouble


def test_a_slow_witness_is_not_waited_for(conn, evidence, sealers):
    """A witness that says nothing, or dribbles, holds the log up for a bounded time, and once."""
    end = threading.Event()

    def dribble(conn):
        conn.sendall(b"HTTP/1.1 200 x\r\nContent-Length: 99\r\n\r\n")
        while not end.wait(0.05):
            try:
                conn.sendall(b"x")
            except OSError:
                return

    log = fill(conn)
    with listening(dribble) as url:
        sealer = sealers(Known(name="slow", key=WITNESS.verifier, url=url), patience_s=0.2)
        began = time.monotonic()
        sealer.step()
        first = time.monotonic() - began
        append(conn, log, draft())
        began = time.monotonic()
        sealer.step()
        second = time.monotonic() - began
        told = dict(sealer.standing.witnesses)
        end.set()

    assert 13 == cosigned(evidence)[0]
    assert {"slow": "it does not answer in time"} == told
    assert first < 5
    assert second < first


def test_a_stuck_witness_is_hung_up_on(conn, sealers, monkeypatch):
    """A witness that never comes to an end is given up, and asked again later."""
    monkeypatch.setattr(module, "_CALL_S", 0.2)
    monkeypatch.setattr(module, "_PAUSE_S", 0.01)
    calls = []

    def dribble(conn):
        calls.append(conn)
        conn.sendall(b"HTTP/1.1 200 x\r\nContent-Length: 99\r\n\r\n")
        with suppress(OSError):
            for _ in range(200):
                conn.sendall(b"x")
                time.sleep(0.05)
                if conn.recv(65536) == b"":
                    return

    fill(conn)
    with listening(dribble) as url:
        sealer = sealers(Known(name="slow", key=WITNESS.verifier, url=url), patience_s=0.05)
        until = time.monotonic() + 20
        while len(calls) < 3 and time.monotonic() < until:
            sealer.step()
            time.sleep(0.02)

    assert 3 == len(calls)


def test_a_witness_that_comes_late_cosigns_what_is_there(
    conn, evidence, sealers, served, monkeypatch
):
    """A quiet log gets its cosignature when the witness is back, without a new entry."""
    monkeypatch.setattr(module, "_PAUSE_S", 0.01)
    fill(conn)
    witness = known(served)
    port = served.server_address[1]
    away = Known(name="w", key=witness.key, url=f"http://127.0.0.1:{port}/elsewhere")
    sealer = sealers(away)
    sealer.step()
    assert (12, []) == cosigned(evidence, witness)

    cosigner = sealer._witnesses._asks[0].cosigner
    cosigner.close()
    cosigner._link = Http(witness.url)
    until = time.monotonic() + 20
    while not cosigned(evidence, witness)[1] and time.monotonic() < until:
        assert sealer.step() is None
        time.sleep(0.01)
    assert (12, [witness.key.name]) == cosigned(evidence, witness)
    before = evidence.checkpoint()
    sealer.step()
    assert before == evidence.checkpoint()


def test_one_that_failed_is_left_alone_for_a_while(conn, sealers, monkeypatch):
    """A witness that failed is not asked again at each step."""
    monkeypatch.setattr(module, "_PAUSE_S", 1000.0)
    fill(conn)
    asked = []
    sealer = sealers(Known(name="w", key=WITNESS.verifier, url="http://127.0.0.1:9"))
    link = Answers(*[WitnessError("no") for _ in range(9)])
    sealer._witnesses._asks[0].cosigner._link = link
    for _ in range(4):
        sealer.step()
        asked.append(len(link.asked))

    assert [1, 1, 1, 1] == asked


def test_a_restarted_log_keeps_its_cosignature(conn, evidence, sealers, served):
    """A new sealer asks the witness again, and publishes one signature of it, not two."""
    witness = known(served)
    fill(conn)
    sealers(witness).step()
    sealers(witness).step()

    assert (12, [witness.key.name]) == cosigned(evidence, witness)
    assert 2 == evidence.checkpoint().count("—".encode())


def test_all_taken_back_is_seen_by_the_witness(conn, evidence, sealers, served, tmp_path):
    """Database and evidence together taken back to an older copy: the witness alone knows, and says so."""
    log = fill(conn)
    sealers(known(served)).step()
    shutil.copytree(evidence.folder, tmp_path / "older")
    append(conn, log, draft())
    sealers(known(served)).step()
    sealers()
    rolled_back(conn, 4)
    shutil.rmtree(evidence.folder)
    shutil.copytree(tmp_path / "older", evidence.folder)

    with pytest.raises(RefusedError, match="holds a signed checkpoint of 13 entries, here are 12"):
        sealers(known(served)).step()

    append(conn, log_opened(conn), draft(), draft())
    with pytest.raises(RefusedError, match="of 13 entries, here are 12"):
        sealers(known(served)).step()
    assert 12 == cosigned(evidence)[0]


def test_another_history_is_seen_by_the_witness(conn, evidence, sealers, served, tmp_path):
    """Taken back and continued while the witness was away: it is told as soon as the witness is there."""
    log = fill(conn)
    sealers(known(served)).step()
    shutil.copytree(evidence.folder, tmp_path / "older")
    append(conn, log, draft())
    sealers(known(served)).step()
    sealers()
    rolled_back(conn, 4)
    shutil.rmtree(evidence.folder)
    shutil.copytree(tmp_path / "older", evidence.folder)
    append(conn, log_opened(conn), draft(), draft(), draft())
    sealers().step()

    sealer = sealers(known(served))
    with pytest.raises(RefusedError, match="of 13 entries that are not those here: two histories"):
        sealer.step()
    assert sealer.standing.refused
