"""The audit service as commands meet it."""

from collections.abc import Iterator
from contextlib import closing
from typing import Final

from clients import sdk
from clients.cli.link import Link, Service
from clients.sdk.procedures import Procedure
from clients.sdk.retry import Request, Response

ADDRESS: Final = "127.0.0.1:7445"
TIMEOUT_S: Final = 10.0
STREAM_S: Final = 600.0
"""For answers that come piece by piece: so long at most, and between two of them, too."""

MAX_MESSAGE: Final = 17 << 20


class Audit(Link):
    """The audit service, while connected: `with Audit(address) as audit: audit.ask(COUNT, ...)`."""

    service = Service(
        name="audit",
        late="is it the audit? ask for less, or wait longer with --timeout",
        timeout_s=TIMEOUT_S,
        options=(("grpc.max_receive_message_length", MAX_MESSAGE),),
    )

    def stream(
        self, procedure: Procedure[Request, Response], request: Request, *, timeout_s: float
    ) -> Iterator[Response]:
        """One call that is answered piece by piece, for so long at most.

        Raises:
            RefusedError: it is denied, or can't be done as things stand.
            Error: the request is malformed.
            UnreachableError: there is no answer, or no more of it.
        """
        try:
            with closing(self._line.stream(procedure, request, timeout_s=timeout_s)) as answers:
                while (answer := answers.read(timeout_s)) is not None:
                    yield answer
        except sdk.Error as exc:
            raise self._told(exc) from exc
