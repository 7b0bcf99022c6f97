"""Messages are handed over, or it is told that they were not; and nobody else learns of them."""

import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest

from dossier.errors import SendError
from dossier.notices import Kind
from dossier.senders import FileOutbox, Mail, Message
from dossier.texts import text
from tests.dossier.mailserver import HOST, Mailbox, certificate, running
from tests.dossier.world import NOW

TO = "jean.essai@example.org"
TEXT = "Bonjour,\n\nvotre dossier a été créé « ici ».\n"
MESSAGE = Message(id="a1b2", to=TO, subject="Dossier médical partagé : créé", text=TEXT)

# Of the server of the tests: by TLS from the beginning, it can't know that there is TLS.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")


def mail(port, **changes):
    """A sender to the server on loopback."""
    plain = {"host": HOST, "port": port, "sender": "dmp@example.org", "security": "none"}
    return Mail(**{**plain, "clock": lambda: NOW, "timeout_s": 5.0, **changes})


def test_mail_arrives():
    """A mail arrives as it was meant, says who it is from and that no human wrote it."""
    box = Mailbox()
    with running(box) as port:
        mail(port).send(MESSAGE)

    (got,) = box.mails
    assert (TO, "dmp@example.org", MESSAGE.subject) == (got["To"], got["From"], got["Subject"])
    assert TEXT == got.get_content().replace("\r\n", "\n")
    assert "<a1b2@example.org>" == got["Message-ID"]
    assert ("auto-generated", "fr, en") == (got["Auto-Submitted"], got["Content-Language"])
    assert NOW == got["Date"].datetime


@pytest.mark.parametrize("kind", Kind)
def test_words_arrive_whole(kind):
    """Every subject and every text arrives to the letter, however long and accented."""
    said = text(kind, at=NOW, mode="centre_15", portal="https://dmp.example.org")
    box = Mailbox()
    with running(box) as port:
        mail(port).send(Message(id="1", to=TO, subject=said.subject, text=said.body))

    (got,) = box.mails
    assert said.subject == got["Subject"]
    assert said.body == got.get_content().replace("\r\n", "\n")


def test_mail_sent_again_is_the_same():
    """A mail that is sent again has the same Message-ID, by which mailboxes can tell."""
    box = Mailbox()
    with running(box) as port:
        for _ in range(2):
            mail(port).send(MESSAGE)

    assert 1 == len({got["Message-ID"] for got in box.mails})


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_by_tls(tmp_path, security):
    """A mail goes by TLS, from the beginning or after STARTTLS, with a password."""
    box, (context, roots) = Mailbox(), certificate(tmp_path)
    with running(box, tls=context, implicit=security == "tls", password="p") as port:
        mail(port, security=security, roots=roots, user="dmp", password="p").send(MESSAGE)

    assert 1 == len(box.mails)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_unknown_server_gets_nothing(tmp_path, security):
    """A server whose certificate is not trusted gets neither mail nor password."""
    box, (context, _) = Mailbox(), certificate(tmp_path)
    with running(box, tls=context, implicit=security == "tls", password="p") as port:
        sender = mail(port, security=security, user="dmp", password="p")
        with pytest.raises(SendError, match="SSLCertVerificationError") as error:
            sender.send(MESSAGE)

    assert ([], 0, False) == (box.mails, box.tries, error.value.final)


def test_server_of_another_name_gets_nothing(tmp_path):
    """A server with somebody else's certificate gets nothing."""
    box, (context, roots) = Mailbox(), certificate(tmp_path, host="192.0.2.1")
    with running(box, tls=context) as port, pytest.raises(SendError):
        mail(port, security="starttls", roots=roots).send(MESSAGE)

    assert [] == box.mails


def test_server_without_starttls_gets_nothing():
    """Where STARTTLS was wanted and is not offered, no mail goes in the clear."""
    box = Mailbox()
    with running(box) as port, pytest.raises(SendError, match="SMTPNotSupportedError"):
        mail(port, security="starttls").send(MESSAGE)

    assert 0 == box.tries


def test_wrong_password(tmp_path):
    """A wrong password is told as such, and will be tried again: it is not the recipient's fault."""
    box, (context, roots) = Mailbox(), certificate(tmp_path)
    with running(box, tls=context, password="p") as port:
        sender = mail(port, security="starttls", roots=roots, user="dmp", password="q")
        with pytest.raises(SendError, match="SMTPAuthenticationError 535") as error:
            sender.send(MESSAGE)

    assert (False, False) == (error.value.final, error.value.about_recipient)


@pytest.mark.parametrize(
    ("answer", "final"),
    [
        ("550 5.1.1 no such user", True),
        ("550 no such user", True),
        ("553 5.1.3 bad address", True),
        ("550 5.7.1 relaying denied", False),
        ("552 5.2.2 mailbox full", False),
        ("554 5.7.1 blocked", False),
        ("450 4.2.0 greylisted", False),
        ("451 try later", False),
    ],
)
def test_refused_recipient(answer, final):
    """A mailbox that does not exist is final; full, slow or strict servers are tried again."""
    box = Mailbox(refuse=answer)
    with running(box) as port, pytest.raises(SendError, match=answer[:3]) as error:
        mail(port).send(MESSAGE)

    assert (True, final) == (error.value.about_recipient, error.value.final)


@pytest.mark.parametrize("box", [Mailbox(after_data="554 no"), Mailbox(lose=True)])
def test_refused_mail(box):
    """A mail that is refused, or whose connection is lost on the way, was not sent."""
    with running(box) as port, pytest.raises(SendError) as error:
        mail(port).send(MESSAGE)

    assert (False, []) == (error.value.final, box.mails)


def test_slow_server():
    """A server that says nothing is given up."""
    box = Mailbox(hang_s=1.0)
    with running(box) as port, pytest.raises(SendError, match=r"SMTPServerDisconnected|Timeout"):
        mail(port, timeout_s=0.2).send(MESSAGE)


def test_no_server():
    """Where nobody listens, nothing is sent."""
    with running(Mailbox()) as port:
        pass

    with pytest.raises(SendError, match="ConnectionRefusedError"):
        mail(port).send(MESSAGE)


def test_errors_name_nobody():
    """No error repeats the address, even where the server does."""
    box = Mailbox(refuse=f"550 5.1.1 <{TO}> unknown")
    with running(box) as port, pytest.raises(SendError) as error:
        mail(port).send(MESSAGE)

    assert TO not in str(error.value)
    assert TO not in repr(MESSAGE)


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "mail.example.org"},
        {"host": "192.0.2.1"},
        {"user": "dmp", "password": "p"},
        {"sender": "dmp"},
        {"sender": "dmp@example.org\r\nBcc: all@example.org"},
    ],
)
def test_settings_that_would_tell_strangers(changes):
    """Mail in the clear stays on this machine, and carries no password."""
    with pytest.raises(ValueError, match=r"TLS|tls|clear|address"):
        mail(25, **changes)


def test_line_of_the_outbox(tmp_path):
    """A message is one line of JSON in a file of its owner alone."""
    path = tmp_path / "out" / "sms.jsonl"

    for number in "12":
        FileOutbox(path).send(Message(id=number, to="+33612345678", subject="", text="é\n☎"))

    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    assert [{"id": n, "to": "+33612345678", "text": "é\n☎"} for n in "12"] == lines
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_file_that_others_could_read_is_closed_to_them(tmp_path):
    """A file that was there before is its owner's alone afterwards."""
    path = tmp_path / "sms.jsonl"
    path.touch(0o644)

    FileOutbox(path).send(MESSAGE)

    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_line_after_one_that_broke_off(tmp_path):
    """A line that a killed process left unfinished does not spoil the next one."""
    path = tmp_path / "sms.jsonl"
    path.write_bytes(b'{"id":"0"')

    FileOutbox(path).send(MESSAGE)

    _, line = path.read_bytes().splitlines()
    assert "a1b2" == orjson.loads(line)["id"]


def test_many_write_whole_lines(tmp_path):
    """However many write at the same time, each line is whole."""
    path = tmp_path / "sms.jsonl"

    def send(number):
        FileOutbox(path).send(Message(id=str(number), to="+336", subject="", text="x" * 5_000))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(send, range(80)))

    found = [int(orjson.loads(line)["id"]) for line in path.read_bytes().splitlines()]
    assert [*range(80)] == sorted(found)


def test_nothing_is_lost_to_who_reads(tmp_path):
    """While somebody renames the file, locks and reads it, no message is lost or comes twice."""
    import fcntl  # noqa: PLC0415 - as the reader does

    path, read, done = tmp_path / "sms.jsonl", [], threading.Event()

    def collect():
        while not done.is_set() or path.exists():
            taken = tmp_path / "taken"
            try:
                path.rename(taken)
            except FileNotFoundError:
                continue
            with taken.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                read.extend(orjson.loads(line)["id"] for line in file.read().splitlines())

    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(collect)
        for number in range(300):
            FileOutbox(path).send(Message(id=str(number), to="+336", subject="", text=""))
        done.set()
        reading.result(30)

    assert [str(number) for number in range(300)] == read


def test_full_disk(tmp_path, monkeypatch):
    """Where there is no room, nothing is sent, and no half of a line stays behind."""
    path = tmp_path / "sms.jsonl"
    FileOutbox(path).send(MESSAGE)
    before = path.read_bytes()
    real, written = os.write, []

    def write(file, data):
        if written:
            raise OSError(28, "No space left on device")
        written.append(real(file, data[:10]))
        return written[0]

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(SendError, match="No space left"):
        FileOutbox(path).send(MESSAGE)

    assert before == path.read_bytes()


def test_link_is_not_followed(tmp_path):
    """A link in place of the file is not written through."""
    aim = tmp_path / "aim"
    aim.touch()
    (tmp_path / "sms.jsonl").symlink_to(aim)

    with pytest.raises(SendError):
        FileOutbox(tmp_path / "sms.jsonl").send(MESSAGE)

    assert b"" == aim.read_bytes()
