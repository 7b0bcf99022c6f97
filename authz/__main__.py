"""Runs the decision point: `python -m authz`, which is what `dmp serve authz` does."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop

from audit.errors import Error as AuditError
from authz.errors import BundleError, Error
from authz.policies import default_folder
from authz.service import Service, Settings
from serving.arguments import add_tls, listeners, service_parser, tls
from serving.errors import Error as ServingError
from serving.errors import TrustError
from serving.served import run
from serving.servicelog import configure
from storage.errors import Error as StorageError

USAGE = 2
UNREACHABLE = 3

DEFAULT = ("127.0.0.1:7443=operator", "127.0.0.1:7446=dossier", "127.0.0.1:7447=audit")

EXAMPLES = """\
examples:
  dmp serve authz
  dmp serve authz --listen 127.0.0.1:7443=operator --listen unix:/run/dmp/dossier.sock=dossier
  dmp serve authz --listen '[::]:7443' --tls-key authz.key --tls-chain authz.pem --trust /etc/dmp/trust
  dmp serve authz --database sqlite:////var/lib/dmp/authz.db --policies /etc/dmp/policies

A listener without a service speaks mutual TLS: the caller is the service that its certificate names.
One with a service belongs to it (policies/services): whoever can reach it is that service, so only
loopback addresses and unix sockets may be listened on. Certificates, lists and keys are read again
when they change.
Signals: SIGHUP reads the policies again, SIGTERM drains and stops.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until told to stop; 0 then, 2 for a wrong setting, 3 when the database can't be used."""
    parser = service_parser(
        "authz", "Serves the decision point.", examples=EXAMPLES, listen=DEFAULT
    )
    add_tls(parser).add_argument(
        "--token-keys",
        metavar="FOLDER",
        type=Path,
        help="ISSUER.pem: who signs tokens of end users",
    )
    parser.add_argument(
        "--database", default=os.environ.get("DMP_DATABASE", "sqlite:///var/dmp.db")
    )
    parser.add_argument("--policies", type=Path, default=None, help="default: the policies shipped")
    parser.add_argument("--origin", default="authz-1", help="the unique name of this process's log")
    given = parser.parse_args(arguments)
    configure()
    try:
        secured = tls(given)
        settings = Settings(
            listeners=listeners(given.listen or DEFAULT, tls=secured is not None),
            database=given.database,
            policies=given.policies or default_folder(),
            origin=given.origin,
            tls=secured,
            token_keys=given.token_keys,
            reflection=given.reflection,
        )
        # A call costs the door a sixth less in this loop than in asyncio's own.
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, given.metrics))
    except BundleError as exc:
        for mistake in exc.mistakes:
            print(mistake, file=sys.stderr)  # noqa: T201 - for the officer at the terminal
        return USAGE
    except TrustError as exc:
        print(f"dmp serve authz: {exc}", file=sys.stderr)  # noqa: T201 - as above
        return USAGE
    except (Error, AuditError, ServingError, StorageError) as exc:
        print(f"dmp serve authz: {exc}", file=sys.stderr)  # noqa: T201 - as above
        return UNREACHABLE
    except (ValueError, RuntimeError) as exc:
        print(f"dmp serve authz: {exc}", file=sys.stderr)  # noqa: T201 - as above
        return USAGE
    return 0


async def _serve(settings: Settings, metrics_port: int | None) -> None:
    service = Service(settings)

    def check() -> None:
        for listener in settings.listeners:
            if listener.service and listener.service not in service.services:
                raise ValueError(
                    f"--listen {listener.address}={listener.service}: unknown service, "
                    f"one of {', '.join(service.services)}"
                )

    await run(service, metrics_port=metrics_port, check=check)


if __name__ == "__main__":
    sys.exit(main())
