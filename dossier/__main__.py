"""Runs the dossier: `python -m dossier`, which is what `dmp serve dossier` does."""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from authz.policies import default_folder
from clients.sdk import PLAIN
from clients.sdk import Error as SdkError
from clients.sdk import Tls as ByTls
from dossier.errors import Error
from dossier.senders import FileOutbox, Mail, Sender
from dossier.service import Service, Settings
from serving.arguments import (
    add_authz,
    add_callers,
    add_tls,
    authz_files,
    listeners,
    service_parser,
    tls,
)
from serving.errors import Error as ServingError
from serving.served import run
from serving.servicelog import configure
from storage.errors import Error as StorageError

USAGE: Final = 2
UNREACHABLE: Final = 3

DEFAULT: Final = ("127.0.0.1:7444=operator",)

EXAMPLES: Final = """\
examples:
  dmp serve dossier
  dmp serve dossier --listen 127.0.0.1:7444=portal --smtp 127.0.0.1:25 --mail-from dmp@example.org
  dmp serve dossier --listen '[::]:7444' --caller portal --tls-key dossier.key --tls-chain dossier.pem \\
      --trust /etc/dmp/trust --authz authz.example.org:7443 --authz-roots roots.pem

Each read and write is decided by the decision point first (--authz; start one with `dmp serve authz`).
A listener without a service speaks mutual TLS, and by TLS the decision point is asked then too, with the
same certificate. The keys of the documents lie in a database of their own; keep its backups apart.
Signals: SIGTERM drains and stops.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until told to stop; 0 then, 2 for a wrong setting, 3 when a database can't be used."""
    given = _parser().parse_args(arguments)
    configure()
    try:
        secured, files = tls(given), authz_files(given)
        settings = Settings(
            listeners=listeners(given.listen or DEFAULT, tls=secured is not None),
            expected=tuple(given.caller or ["portal"]),
            authz=given.authz,
            security=ByTls(**files) if files else PLAIN,
            database=given.database,
            keys=given.keys,
            masters=given.masters,
            policies=given.policies or default_folder(),
            tls=secured,
            schemas=given.schemas,
            senders=_senders(given),
            portal=given.portal,
            reflection=given.reflection,
        )
        asyncio.run(run(Service(settings), metrics_port=given.metrics))
    except (StorageError, OSError) as exc:
        print(f"dmp serve dossier: {exc}", file=sys.stderr)  # noqa: T201 - for whoever starts it
        return UNREACHABLE
    except (Error, ServingError, SdkError, ValueError, RuntimeError) as exc:
        print(f"dmp serve dossier: {exc}", file=sys.stderr)  # noqa: T201 - as above
        return USAGE
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = service_parser(
        "dossier", "Serves the record itself.", examples=EXAMPLES, listen=DEFAULT
    )
    add_callers(parser)
    add_tls(parser)
    add_authz(parser, default="127.0.0.1:7446")
    kept = parser.add_argument_group("what is kept (docs/keys.md)")
    kept.add_argument(
        "--database", default=os.environ.get("DMP_DOSSIER_DATABASE", "sqlite:///var/dossier.db")
    )
    kept.add_argument(
        "--keys", default=os.environ.get("DMP_DOSSIER_KEYS", "sqlite:///var/dossier-keys.db")
    )
    kept.add_argument(
        "--masters", type=Path, default=Path("var/masters"), metavar="FOLDER", help="master keys"
    )
    kept.add_argument("--policies", type=Path, help="for the types of documents; default: shipped")
    kept.add_argument(
        "--schemas",
        type=Path,
        metavar="FOLDER",
        help="XSD and schematron to hold documents against",
    )
    told = parser.add_argument_group("notices (docs/notices.md)")
    told.add_argument("--smtp", metavar="HOST:PORT", help="where e-mail is handed over")
    told.add_argument("--smtp-security", choices=("starttls", "tls", "none"), default="starttls")
    told.add_argument("--smtp-user", help="its password is read from DMP_SMTP_PASSWORD")
    told.add_argument("--mail-from", default="dmp@localhost", metavar="ADDRESS")
    told.add_argument("--sms-outbox", type=Path, default=Path("var/sms.jsonl"), metavar="FILE")
    told.add_argument(
        "--portal", default="", metavar="URL", help="named in notices as the place to look"
    )
    return parser


def _senders(given: argparse.Namespace) -> Mapping[str, Sender]:
    senders: dict[str, Sender] = {"sms": FileOutbox(given.sms_outbox)}
    if given.smtp:
        host, _, port = given.smtp.rpartition(":")
        if not host or not port.isdigit():
            raise ValueError(f"--smtp `{given.smtp}`: write it as HOST:PORT")
        senders["email"] = Mail(
            host=host.strip("[]"),
            port=int(port),
            security=given.smtp_security,
            user=given.smtp_user or "",
            password=os.environ.get("DMP_SMTP_PASSWORD", ""),
            sender=given.mail_from,
        )
    return senders


if __name__ == "__main__":
    sys.exit(main())
