"""What carries notices out: e-mail over SMTP, and a file from which somebody else's program sends SMS."""

import contextlib
import fcntl
import os
import re
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from email.header import Header
from email.mime.text import MIMEText
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Literal, Protocol

import orjson

from dossier.errors import SendError
from serving.clock import utc_now

TIMEOUT_S: Final = 10.0
"""For each answer of the mail server, in seconds."""

_NOBODY: Final = (550, 551, 553)
"""RFC 5321, 4.2.3: no such mailbox, as servers say that give no enhanced code."""
_ENHANCED: Final = re.compile(rb"5\.([0-9]{1,3})\.[0-9]{1,3}\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A notice on its way.

    Attributes:
        id: the same whenever it is sent again, so that whoever gets it twice can tell.
        to: e-mail address or phone number; not shown in its text.
        subject: of an e-mail.
        text: what it says.
    """

    id: str
    to: str = field(repr=False)
    subject: str
    text: str


class Sender(Protocol):
    """Sends by one channel. Called in threads, one message after the other."""

    def send(self, message: Message) -> None:
        """Hands a message over; it is on its way when this returns.

        Raises:
            SendError: it could not be, without saying to whom.
        """
        ...


class Mail:
    """Hands e-mails over to a mail server (RFC 5321), each over a connection of its own.

    * Without TLS it speaks to this machine only, and never says a password.
    * The certificate of the server is verified; STARTTLS that is not offered is an error.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        sender: str,
        security: Literal["starttls", "tls", "none"] = "starttls",
        user: str = "",
        password: str = "",
        roots: Path | None = None,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Connects to nothing yet.

        Args:
            host: of the mail server.
            port: mostly 587 with STARTTLS, 465 with TLS from the beginning.
            sender: the address that mails come from.
            security: `starttls`, `tls`, or `none`.
            user: to log in with; "" to not.
            password: of that user.
            roots: authorities of the server's certificate; those of the system if left out.
            timeout_s: for each answer of the server.
            clock: the instant, for the date of a mail.

        Raises:
            ValueError: mail would leave this machine, or a password be said, in the clear; or the sender is
                no address.
        """
        if security == "none" and not _is_here(host):
            raise ValueError(f"`{host}` is another machine: mail goes there by `starttls` or `tls`")
        if security == "none" and user:
            raise ValueError("a password is not said in the clear: choose `starttls` or `tls`")
        name, _, self._domain = sender.rpartition("@")
        if not (name and self._domain and sender.isascii() and sender.isprintable()):
            raise ValueError(f"`{sender}` is no sender's address: write it as dmp@example.org")
        self._host, self._port = host, port
        self._sender = sender
        self._security = security
        self._user, self._password = user, password
        self._timeout_s = timeout_s
        self._clock = clock
        self._tls = ssl.create_default_context(cafile=roots) if security != "none" else None

    def send(self, message: Message) -> None:
        """Hands a message over."""
        mail = self._mail(message)
        try:
            smtp = self._connected()
        except (smtplib.SMTPException, OSError) as exc:
            raise SendError(f"no mail server: {_told(exc)}") from exc
        try:
            smtp.send_message(mail, self._sender, [message.to])
        except smtplib.SMTPRecipientsRefused as exc:
            code, text = exc.recipients.get(message.to, (0, b""))
            final = _is_final(code, text)
            raise SendError(f"recipient: {code}", about_recipient=True, final=final) from exc
        except (smtplib.SMTPException, OSError, ValueError) as exc:
            raise SendError(f"not taken: {_told(exc)}") from exc
        finally:
            # It has been taken, or not: how the two part does not matter any more.
            with contextlib.suppress(smtplib.SMTPException, OSError):
                smtp.quit()
            smtp.close()

    def _connected(self) -> smtplib.SMTP:
        """A connection that is ready for a mail.

        Raises:
            SMTPException: the server refuses, or offers too little.
            OSError: there is none, or its certificate is not trusted.
        """
        if self._security == "tls":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                self._host, self._port, self._domain, timeout=self._timeout_s, context=self._tls
            )
        else:
            smtp = smtplib.SMTP(self._host, self._port, self._domain, timeout=self._timeout_s)
        try:
            if self._security == "starttls":
                smtp.starttls(context=self._tls)
            if self._user:
                smtp.login(self._user, self._password)
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _mail(self, message: Message) -> MIMEText:
        # The newer EmailMessage loses blanks where it folds a subject with accents.
        mail = MIMEText(message.text, "plain", "utf-8")
        mail["From"] = self._sender
        mail["To"] = message.to
        subject = Header(message.subject, "utf-8")
        mail["Subject"] = subject  # type: ignore[assignment] # typeshed knows text only
        mail["Date"] = format_datetime(self._clock())
        mail["Message-ID"] = f"<{message.id}@{self._domain}>"
        mail["Content-Language"] = "fr, en"
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence is answered
        return mail


class FileOutbox:
    """Appends each message to a file, one line of JSON: `id`, `to`, `text`; on disk when `send` returns.

    Who sends the SMS renames the file, locks it (flock), reads it, and knows by `id` what comes twice.
    """

    def __init__(self, path: Path) -> None:
        """Opens nothing yet; the file is made for its owner alone."""
        self._path = path

    def send(self, message: Message) -> None:
        """Appends a message."""
        line = orjson.dumps({"id": message.id, "to": message.to, "text": message.text}) + b"\n"
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._append(line)
        except OSError as exc:
            raise SendError(f"the outbox can't be written: {exc.strerror}") from exc

    def _append(self, line: bytes) -> None:
        file = self._locked()
        try:
            size = os.fstat(file).st_size
            if size and os.pread(file, 1, size - 1) != b"\n":
                line = b"\n" + line  # who wrote before was killed in the middle
            try:
                _write_all(file, line)
                os.fsync(file)
            except OSError:
                os.ftruncate(file, size)  # else the next line would join half of this one
                raise
            if not size:
                _sync_folder(self._path.parent)
        finally:
            os.close(file)

    def _locked(self) -> int:
        """The file, ours alone until it is closed; not one that somebody has just renamed."""
        while True:
            file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                os.fchmod(file, 0o600)
                if _is_at(self._path, file):
                    return file
            except OSError:
                os.close(file)
                raise
            os.close(file)


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _is_at(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _sync_folder(folder: Path) -> None:
    """A new file is there for good once its folder is on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _told(error: Exception) -> str:
    """What went wrong, without what a server says of it: it may repeat an address."""
    code = getattr(error, "smtp_code", "")
    return f"{type(error).__name__} {code}".strip()


def _is_final(code: int, text: bytes) -> bool:
    """Whether there is no such mailbox; not that the server refuses us (RFC 3463, 3.2)."""
    if enhanced := _ENHANCED.match(text):
        return enhanced[1] == b"1"
    return code in _NOBODY
