"""Runs the audit: `python -m audit`, which is what `dmp serve audit` does."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from audit.errors import AddressError, FormatError, UnreachableError
from audit.errors import Error as AuditError
from audit.office.service import Service, Settings, security
from audit.trusted import Trust
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

DEFAULT: Final = ("127.0.0.1:7445=operator",)

EXAMPLES: Final = """\
examples:
  dmp serve audit
  dmp serve audit --listen 127.0.0.1:7445=portal --witnesses trusted-logs.txt
  dmp serve audit --listen '[::]:7445' --caller portal --tls-key audit.key --tls-chain audit.pem \\
      --trust /etc/dmp/trust --authz authz.example.org:7443 --authz-roots roots.pem

It follows the decision log within a second, seals it, and answers those who may look into it; each look is
decided by the decision point first (--authz; start one with `dmp serve authz`). The log is only read. The
index holds nothing that can't be made again: `dmp audit reindex`.
Signals: SIGTERM drains and stops.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until told to stop; 0 then, 2 for a wrong setting, 3 when a database can't be used."""
    given = _parser().parse_args(arguments)
    configure()
    try:
        secured = tls(given)
        settings = Settings(
            listeners=listeners(given.listen or DEFAULT, tls=secured is not None),
            expected=tuple(given.caller or ["portal"]),
            authz=given.authz,
            security=security(authz_files(given)),
            database=given.database,
            index=given.index,
            evidence=given.evidence,
            key=given.index_key,
            trust=_trust(given.witnesses),
            prefix=given.log_prefix,
            tls=secured,
            reflection=given.reflection,
        )
        asyncio.run(run(Service(settings), metrics_port=given.metrics))
    except (AddressError, FormatError) as exc:
        print(f"dmp serve audit: {exc}", file=sys.stderr)  # noqa: T201 - for whoever starts it
        return USAGE
    except (StorageError, UnreachableError, OSError) as exc:
        print(f"dmp serve audit: {exc}", file=sys.stderr)  # noqa: T201 - as above
        return UNREACHABLE
    except (AuditError, ServingError, ValueError, RuntimeError) as exc:
        print(f"dmp serve audit: {exc}", file=sys.stderr)  # noqa: T201 - as above
        return USAGE
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = service_parser("audit", "Serves the audit.", examples=EXAMPLES, listen=DEFAULT)
    add_callers(parser)
    add_tls(parser)
    add_authz(parser, default="127.0.0.1:7447")
    log = parser.add_argument_group("the log (docs/log.md)")
    log.add_argument("--database", default=os.environ.get("DMP_DATABASE", "sqlite:///var/dmp.db"))
    index = parser.add_argument_group("the index, which can be made again")
    index.add_argument(
        "--index", default=os.environ.get("DMP_AUDIT_INDEX", "sqlite:///var/audit.db")
    )
    index.add_argument(
        "--index-key",
        type=Path,
        default=Path(os.environ.get("DMP_AUDIT_KEY", "var/audit.key")),
        metavar="FILE",
        help="hides who is who in the index; made if it is not there; default: %(default)s",
    )
    evidence = parser.add_argument_group("evidence (docs/evidence.md)")
    evidence.add_argument(
        "--evidence",
        type=Path,
        default=Path(os.environ.get("DMP_EVIDENCE", "var/evidence")),
        metavar="FOLDER",
        help="keys, tiles and checkpoints; default: %(default)s",
    )
    evidence.add_argument(
        "--witnesses",
        type=Path,
        metavar="FILE",
        help="witnesses with their urls, and a quorum, as of C2SP tlog-policy",
    )
    evidence.add_argument(
        "--log-prefix",
        default="",
        metavar="NAME",
        help="what the key of a new log is called, before the log's own name: dmp.example/",
    )
    return parser


def _trust(path: Path | None) -> Trust:
    return Trust() if path is None else Trust.parse(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
