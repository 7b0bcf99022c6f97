"""A witness: sees that logs only grow, and cosigns that over HTTP (C2SP tlog-witness).

    python -m audit.witness --folder var/witness --name witness.example/1 --log KEY

It is meant for another authority than the log's: another machine, its own key, its own disk. It holds
one checkpoint of each log and never cosigns one that contradicts it. What it cosigns is on disk before
it answers, so a kill can't make it forget.

The server is the standard library's: the two requests that there are fit on a page, nobody logs in, and
everything it says is public. What that server leaves open is bounded here: connections, the time of
each, and the length of what is read. It speaks plain HTTP, behind whatever ends TLS.
"""

import argparse
import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import structlog

from audit.cosigning import MAX_REQUEST, TEXT, RefusalError
from audit.durable import alone
from audit.errors import Error, FormatError
from audit.keys import Verifier
from audit.observer import Witness, founded
from audit.trusted import Trust
from serving.clock import utc_now
from serving.servicelog import configure

CONNECTIONS: Final = 64
"""At once; others wait in the queue of the system, or are hung up on."""

WAIT_S: Final = 1.0
"""For a place."""

IDLE_S: Final = 30.0
"""Of a connection, between two requests or within one."""

LIFE_S: Final = 120.0
"""Of a connection, however busy: who sends a byte now and then does not hold it for ever."""

_log = structlog.get_logger("audit.witness")


class _Handler(BaseHTTPRequestHandler):
    """One connection. Says little, and reads what it must, within bounds."""

    server: "Server"
    protocol_version = "HTTP/1.1"
    server_version = "witness"
    sys_version = ""
    timeout = IDLE_S

    def setup(self) -> None:
        """Sees to it that the connection ends."""
        super().setup()
        self._end = threading.Timer(LIFE_S, self._hang_up)
        self._end.daemon = True
        self._end.start()

    def finish(self) -> None:
        """Lets go of the connection."""
        self._end.cancel()
        with contextlib.suppress(OSError):
            super().finish()

    def do_POST(self) -> None:
        """`add-checkpoint`."""
        if self.path != "/add-checkpoint":
            self._answer(HTTPStatus.NOT_FOUND, "no such path\n")
            return
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            self._answer(HTTPStatus.LENGTH_REQUIRED, "say how long the request is\n")
            return
        if len(length) > len(str(MAX_REQUEST)) or int(length) > MAX_REQUEST:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{MAX_REQUEST} bytes at most\n")
            return
        body = self.rfile.read(int(length))
        try:
            self._answer(HTTPStatus.OK, self.server.witness.cosign(body), read=True)
        except RefusalError as exc:
            _log.warning("refused", status=exc.status, cause=str(exc)[:200])
            self._answer(exc.status, exc.body, exc.content_type, read=True)
        except OSError as exc:
            _log.error("not_remembered", cause=exc.strerror)
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "nothing can be remembered now\n")

    def do_GET(self) -> None:
        """What was last cosigned of a log."""
        found = self.server.witness.shown(self.path.removeprefix("/"))
        if found is None:
            self._answer(HTTPStatus.NOT_FOUND, "nothing was cosigned under this path\n", read=True)
        else:
            self._answer(HTTPStatus.OK, found.decode(), read=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Nothing: who asks is nobody's business, and refusals are told above."""

    def _answer(
        self, status: int, text: str, content_type: str = TEXT, *, read: bool = False
    ) -> None:
        """Answers; ends the connection unless all of the request was read."""
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        if not read:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(data)

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


class Server(ThreadingHTTPServer):
    """Listens, and serves so many connections at once and no more."""

    daemon_threads = True
    request_queue_size = CONNECTIONS

    def __init__(self, address: tuple[str, int], witness: Witness) -> None:
        """Listens.

        Raises:
            OSError: the address can't be used.
        """
        self.witness = witness
        self._places = threading.BoundedSemaphore(CONNECTIONS)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def process_request(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Waits a moment for a place: connections can't fill the memory, nor hold up the end."""
        if not self._places.acquire(timeout=WAIT_S):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._places.release()
            raise

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Gives the place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(
        self,
        request: socket.socket | tuple[bytes, socket.socket],  # noqa: ARG002 - socketserver's signature
        client_address: object,  # noqa: ARG002 - as above
    ) -> None:
        """A connection that broke is told by its kind."""
        _log.info("connection_broke", cause=type(sys.exception()).__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM or SIGINT; 2 for wrong usage, 3 when folder or address can't be used."""
    parser = argparse.ArgumentParser(
        prog="python -m audit.witness", description="A witness of logs."
    )
    parser.add_argument(
        "--folder", type=Path, required=True, help="of its key and what it remembers"
    )
    parser.add_argument("--name", required=True, help="of its key, best like witness.example/1")
    parser.add_argument(
        "--log", metavar="KEY", action="append", required=True, help="a log, as of `dmp audit keys`"
    )
    parser.add_argument("--listen", metavar="HOST:PORT", default="127.0.0.1:7480")
    given = parser.parse_args(arguments)
    configure()
    host, _, port = given.listen.rpartition(":")
    try:
        trust = Trust(logs=tuple(Verifier.parse(key) for key in given.log))
        address = host.strip("[]"), int(port)
    except (FormatError, ValueError) as exc:
        print(f"error: {exc}", file=sys.stderr)  # noqa: T201 - told to who starts it
        return 2
    try:
        with alone(given.folder / "lock"):
            signer = founded(given.folder, given.name, os.urandom)
            witness = Witness(given.folder, signer, trust, lambda: int(utc_now().timestamp()))
            with Server(address, witness) as server:
                _serve(server)
    except (Error, OSError, OverflowError) as exc:
        print(f"error: {exc}", file=sys.stderr)  # noqa: T201 - as above
        return 3
    return 0


def _serve(server: Server) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        # Not in this thread: it is the one that has to come to an end.
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    host, port = server.server_address[:2]
    print(f"witness {server.witness.verifier} on {host!s}:{port}", flush=True)  # noqa: T201 - the sign that it serves
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
