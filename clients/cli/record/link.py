"""The dossier service as commands meet it."""

from typing import Final

from clients.cli.link import Link, Service

ADDRESS: Final = "127.0.0.1:7444"
TIMEOUT_S: Final = 10.0
MAX_MESSAGE: Final = 17 << 20


class Record(Link):
    """The dossier service, while connected: `with Record(address) as record: record.ask(FIND, ...)`."""

    service = Service(
        name="dossier",
        late="is it the dossier? what was asked may be done",
        timeout_s=TIMEOUT_S,
        options=(
            ("grpc.max_receive_message_length", MAX_MESSAGE),
            ("grpc.max_send_message_length", MAX_MESSAGE),
        ),
    )
