"""A witness over HTTP: what it answers, what it remembers, and that nobody can wear it out."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager, suppress

import pytest

from audit import witness as module
from audit.checkpoint import Checkpoint, opened
from audit.cosigning import Submission, place
from audit.durable import alone
from audit.errors import EvidenceError, FormatError
from audit.keys import KeyType, Signer, Verifier
from audit.note import Note, signature_lines, signed
from audit.observer import Witness, founded
from audit.trusted import Trust
from audit.witness import Server, main
from tests.audit.keys import log_key
from tests.reference import tree

LOG = log_key("example.org/log")
OTHER = log_key("example.org/other")
NAME = "witness.example/1"
LEAVES = [f"leaf {number}".encode() for number in range(40)]
KNOWN = Trust(logs=(LOG.verifier, OTHER.verifier))
TIME = 1_794_997_600


def request(old, new, *, signer=LOG, leaves=LEAVES):
    """The body of a request to cosign."""
    text = str(Checkpoint(origin=signer.name, size=new, root=tree.tree_hash(leaves[:new])))
    proof = tree.proof(old, leaves[:new]) if 0 < old < new else []
    return bytes(Submission(old=old, proof=tuple(proof), note=signed(text, signer)))


def made(folder, logs=KNOWN):
    """A witness in a folder."""
    return Witness(folder, founded(folder, NAME, os.urandom), logs, lambda: TIME)


@contextmanager
def serving(folder, logs=KNOWN):
    """A witness that is served in a thread; its server."""
    with Server(("127.0.0.1", 0), made(folder, logs)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def server(tmp_path):
    """A witness."""
    with serving(tmp_path / "witness") as found:
        yield found


@pytest.fixture
def ask(server):
    """Asks it, on one connection that is kept."""
    conn = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)

    def call(method, path, body=None, headers=None):
        conn.request(method, path, body, headers or {})
        answer = conn.getresponse()
        return answer.status, answer.headers.get("Content-Type"), answer.read()

    yield call
    conn.close()


def test_a_growing_log_is_cosigned_and_shown(server, ask):
    """What is cosigned is over the checkpoint, at the time, by its key, and can be fetched."""
    for old, new in ((0, 3), (3, 3), (3, 40)):
        body = request(old, new)
        status, kind, answer = ask("POST", "/add-checkpoint", body)

        assert (200, "text/plain; charset=utf-8") == (status, kind)
        (signature,) = signature_lines(answer)
        note = Submission.parse(body).note
        assert server.witness.verifier.accepts(note.text, signature)
        assert TIME == server.witness.verifier.time(signature)

        status, _, shown = ask("GET", f"/{place(LOG.name)}")
        found = opened(shown, [LOG.verifier], [server.witness.verifier])
        assert (200, new, 1) == (status, found.checkpoint.size, len(found.witnesses))


def test_only_known_signatures_are_shown(ask):
    """Signatures of strangers on what was sent are not passed on."""
    stranger = log_key("example.org/stranger")
    asked = Submission.parse(request(0, 3))
    note = asked.note.signed_also([stranger.sign(asked.note.text)])
    ask("POST", "/add-checkpoint", bytes(Submission(old=0, proof=(), note=note)))

    shown = Note.parse(ask("GET", f"/{place(LOG.name)}")[2])
    assert [LOG.name, NAME] == [one.name for one in shown.signatures]


def test_refusals_have_their_status(ask):
    """Each refusal of the specification comes over the wire, and the connection stays of use."""
    stranger = log_key("example.org/stranger")
    forked = [b"fork", *LEAVES[1:]]
    assert 200 == ask("POST", "/add-checkpoint", request(0, 5))[0]

    assert (409, "text/x.tlog.size", b"5\n") == ask("POST", "/add-checkpoint", request(0, 9))
    assert 400 == ask("POST", "/add-checkpoint", b"nonsense")[0]
    assert 400 == ask("POST", "/add-checkpoint", b"")[0]
    assert 403 == ask("POST", "/add-checkpoint", request(5, 9).replace(b"\n9\n", b"\n8\n"))[0]
    assert 404 == ask("POST", "/add-checkpoint", request(0, 9, signer=stranger))[0]
    assert 422 == ask("POST", "/add-checkpoint", request(5, 9, leaves=forked))[0]
    assert 404 == ask("GET", f"/{place('example.org/stranger')}")[0]
    assert 404 == ask("GET", f"/{place(OTHER.name)}")[0]
    assert 404 == ask("GET", "/key")[0]
    assert 404 == ask("GET", "/../key")[0]
    assert 200 == ask("POST", "/add-checkpoint", request(5, 9))[0]


def test_logs_are_apart(ask):
    """Each log has its own size."""
    assert 200 == ask("POST", "/add-checkpoint", request(0, 9))[0]
    assert 200 == ask("POST", "/add-checkpoint", request(0, 5, signer=OTHER))[0]
    assert b"9\n" == ask("POST", "/add-checkpoint", request(0, 9))[2]


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/elsewhere", {"Content-Length": "0"}, 404),
        ("POST", "/add-checkpoint", {"Content-Length": "-1"}, 411),
        ("POST", "/add-checkpoint", {"Content-Length": "1e3"}, 411),
        ("POST", "/add-checkpoint", {"Transfer-Encoding": "chunked"}, 411),
        ("POST", "/add-checkpoint", {"Content-Length": "9" * 400}, 413),
        ("POST", "/add-checkpoint", {"Content-Length": "1000000"}, 413),
        ("PUT", "/add-checkpoint", {"Content-Length": "0"}, 501),
        ("DELETE", "/", {}, 501),
    ],
)
def test_other_requests_are_refused(server, method, path, headers, status):
    """What is not one of the two requests is refused, unread, and the connection ends."""
    with socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=10) as conn:
        lines = [f"{method} {path} HTTP/1.1", "Host: x", *(f"{k}: {v}" for k, v in headers.items())]
        conn.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = b""
        while data := conn.recv(65536):
            answer += data

    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Python" not in answer


def test_too_long_headers_are_refused(server):
    """Endless headers end the connection."""
    with socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=10) as conn:
        conn.sendall(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n")
        assert conn.recv(65536).startswith(b"HTTP/1.1 431 ")


def test_who_dawdles_is_hung_up_on(server, ask, monkeypatch):
    """A connection that sends a byte now and then ends all the same, and others are served meanwhile."""
    monkeypatch.setattr(module, "LIFE_S", 0.5)
    with socket.create_connection(("127.0.0.1", server.server_address[1]), timeout=10) as conn:
        began = time.monotonic()
        with suppress(OSError):  # a reset or a broken pipe
            while time.monotonic() < began + 10:
                conn.sendall(b"P")
                time.sleep(0.05)
        assert time.monotonic() - began < 9
    assert 200 == ask("POST", "/add-checkpoint", request(0, 5))[0]


def test_connections_are_bounded(server, monkeypatch):
    """Beyond so many connections newcomers are hung up on, and when they are gone all is well."""
    monkeypatch.setattr(module, "WAIT_S", 0.05)
    address = "127.0.0.1", server.server_address[1]
    held = [socket.create_connection(address, timeout=10) for _ in range(module.CONNECTIONS)]
    time.sleep(0.3)
    with socket.create_connection(address, timeout=10) as late:
        assert late.recv(1) == b""
    for conn in held:
        conn.close()
    until = time.monotonic() + 10
    status = 0
    while status != 200 and time.monotonic() < until:
        conn = http.client.HTTPConnection(*address, timeout=10)
        try:
            conn.request("POST", "/add-checkpoint", request(0, 5))
            status = conn.getresponse().status
        except OSError:
            time.sleep(0.05)
        conn.close()
    assert 200 == status


def test_of_two_at_once_one_is_cosigned(tmp_path):
    """Two histories that are asked for at one instant are never both cosigned."""
    forked = [*LEAVES[:5], b"fork", *LEAVES[6:]]
    for round_ in range(10):
        one = made(tmp_path / str(round_))
        one.cosign(request(0, 5))
        told = []

        def ask(body, one=one, told=told):
            try:
                told.append(one.cosign(body))
            except Exception as exc:  # noqa: BLE001 - told to the test
                told.append(type(exc).__name__)

        threads = [
            threading.Thread(target=ask, args=(request(5, 9, leaves=leaves),))
            for leaves in (LEAVES, forked) * 4
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert 1 == sum(said.startswith("— ") for said in told), told


# What it remembers


def test_it_remembers(tmp_path):
    """A new process goes on from what was cosigned."""
    folder = tmp_path / "witness"
    made(folder).cosign(request(0, 5))

    made(folder).cosign(request(5, 9))
    with pytest.raises(Exception, match=r"^9$"):
        made(folder).cosign(request(0, 9))


def test_it_has_one_key(tmp_path):
    """The key is made once, readable by nobody else, and belongs to one name."""
    folder = tmp_path / "witness"
    first = founded(folder, NAME, os.urandom)

    assert first == founded(folder, NAME, os.urandom)
    assert KeyType.COSIGNATURE is first.type
    assert 0o600 == (folder / "key").stat().st_mode & 0o777
    with pytest.raises(
        EvidenceError, match=r"holds the key of `witness\.example/1`, not of `other`"
    ):
        founded(folder, "other", os.urandom)


def test_a_witness_without_memory_does_not_start(tmp_path):
    """If what was cosigned is gone or damaged, it must not begin anew under the same key."""
    folder = tmp_path / "witness"
    made(folder).cosign(request(0, 5))
    path = folder / place(LOG.name)
    data = path.read_bytes()

    path.unlink()
    with pytest.raises(
        EvidenceError, match=r"what was cosigned of log `example\.org/log` is gone: retire"
    ):
        made(folder)
    for damaged in (b"", data[:-5], data.replace(b"\n5\n", b"\n4\n")):
        path.write_bytes(damaged)
        with pytest.raises(EvidenceError, match="is damaged: retire"):
            made(folder)
    path.write_bytes(data)
    (folder / place(OTHER.name)).parent.mkdir()
    (folder / place(OTHER.name)).write_bytes(data)
    with pytest.raises(EvidenceError, match="is of another log"):
        made(folder)


def test_a_folder_of_something_else_is_not_taken(tmp_path):
    """No key is made where there are other files."""
    (tmp_path / "note.txt").write_text("mine")

    with pytest.raises(EvidenceError, match="not empty, and holds no key"):
        founded(tmp_path, NAME, os.urandom)


def test_a_damaged_key_is_told(tmp_path):
    """A key that can't be read is not replaced."""
    folder = tmp_path / "witness"
    key = founded(folder, NAME, os.urandom).secret
    for damaged in ("", key[:-3], "PRIVATE+KEY+x", key.replace("PRIVATE", "private")):
        (folder / "key").write_text(damaged)
        with pytest.raises(FormatError):
            founded(folder, NAME, os.urandom)


def test_what_can_not_be_remembered_is_not_cosigned(ask, monkeypatch):
    """With a disk that fails there is no cosignature, and later there is."""

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("audit.observer.replace", fail)
    assert 503 == ask("POST", "/add-checkpoint", request(0, 5))[0]
    assert 404 == ask("GET", f"/{place(LOG.name)}")[0]

    monkeypatch.undo()
    assert 200 == ask("POST", "/add-checkpoint", request(0, 5))[0]


# The process


@contextmanager
def process(folder, *more):
    """A witness in a process of its own, and its port."""
    command = [sys.executable, "-m", "audit.witness", "--folder", str(folder), "--name", NAME]
    command += ["--log", str(LOG.verifier), "--listen", "127.0.0.1:0", *more]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as found:
        try:
            words = found.stdout.readline().split()
            yield found, int(words[3].rpartition(":")[2]), Verifier.parse(words[1])
        finally:
            found.kill()


def post(port, body):
    """Asks for a cosignature."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as conn:
        conn.request("POST", "/add-checkpoint", body)
        answer = conn.getresponse()
        return answer.status, answer.read()


def test_a_killed_witness_forgets_nothing(tmp_path):
    """Killed at any instant, it remembers at least what it has answered, and never begins another history."""
    size, key = 0, None
    for round_ in range(4):
        with process(tmp_path / "witness") as (found, port, verifier):
            assert verifier == (key or verifier)
            key = verifier
            killer = threading.Timer(0.02 * (round_ + 1), found.send_signal, (signal.SIGKILL,))
            killer.start()
            answered = size
            with suppress(OSError, http.client.HTTPException):
                while True:
                    status, data = post(port, request(size, min(size + 1, 40)))
                    if status == 409:
                        size = int(data)
                        continue
                    assert 200 == status
                    size = answered = min(size + 1, 40)
            killer.join()
        with process(tmp_path / "witness") as (_, port, _):
            status, data = post(port, request(40, 40))
            remembered = 40 if status == 200 else int(data)
            assert remembered >= answered
            size = remembered


def test_it_ends_when_told(tmp_path):
    """SIGTERM ends it with 0; a second process on the same folder ends with 3."""
    with process(tmp_path / "witness") as (found, port, _):
        assert 200 == post(port, request(0, 5))[0]
        arguments = ["--folder", str(tmp_path / "witness"), "--name", NAME]
        assert 3 == main([*arguments, "--log", str(LOG.verifier), "--listen", "127.0.0.1:0"])
        found.send_signal(signal.SIGTERM)

        assert 0 == found.wait(20)
        assert "" == found.stderr.read()


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--log", "nonsense"], 2),
        (["--log", str(LOG.verifier), "--listen", "nowhere"], 2),
        (["--log", str(LOG.verifier), "--listen", "127.0.0.1:99999"], 3),
        (["--log", str(LOG.verifier), "--listen", "192.0.2.1:1"], 3),
    ],
)
def test_wrong_settings_are_told(tmp_path, capsys, arguments, status):
    """What can't be used is told in a line, by an exit code."""
    assert status == main(["--folder", str(tmp_path / "w"), "--name", NAME, *arguments])
    assert capsys.readouterr().err.startswith("error: ")


def test_a_name_must_be_one(tmp_path, capsys):
    """A name with spaces can't be that of a key."""
    arguments = ["--folder", str(tmp_path / "w"), "--name", "a b", "--log", str(LOG.verifier)]

    assert 3 == main(arguments)
    assert "a name has no spaces" in capsys.readouterr().err


def test_the_folder_is_its_own(tmp_path, capsys):
    """While somebody else holds the folder, it does not start."""
    with alone(tmp_path / "lock"):
        arguments = ["--folder", str(tmp_path), "--name", NAME, "--log", str(LOG.verifier)]

        assert 3 == main(arguments)
    assert "another process is at work" in capsys.readouterr().err


def test_signer_of_the_log_is_no_witness(tmp_path):
    """The key of a log does not serve as a witness's."""
    tmp_path.joinpath("key").write_text(
        Signer(name=NAME, type=KeyType.ED25519, seed=bytes(32)).secret
    )

    with pytest.raises(EvidenceError, match="holds the key of"):
        founded(tmp_path, NAME, os.urandom)
