"""Runs the decision point: `python -m authz`, which is what `dmp serve authz` does."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import start_http_server

from audit.errors import Error as AuditError
from authz.errors import BundleError, Error
from authz.policies import default_folder
from authz.server import Listener
from authz.service import Service, Settings
from authz.servicelog import configure

USAGE = 2
UNREACHABLE = 3

EXAMPLES = """\
examples:
  dmp serve authz
  dmp serve authz --listen 127.0.0.1:7443=operator --listen unix:/run/dmp/dossier.sock=dossier
  dmp serve authz --database sqlite:////var/lib/dmp/authz.db --policies /etc/dmp/policies

A listener belongs to one calling service (policies/services): whoever can reach it is that service.
Without TLS only loopback addresses and unix sockets may be listened on.
Signals: SIGHUP reads the policies again, SIGTERM drains and stops.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until told to stop; 0 then, 2 for a wrong setting, 3 when the database can't be used."""
    parser = argparse.ArgumentParser(
        prog="dmp serve authz",
        description="Serves the decision point.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--listen",
        action="append",
        metavar="ADDRESS=SERVICE",
        help="default: 127.0.0.1:7443=operator; may be repeated",
    )
    parser.add_argument(
        "--database", default=os.environ.get("DMP_DATABASE", "sqlite:///var/dmp.db")
    )
    parser.add_argument("--policies", type=Path, default=None, help="default: the policies shipped")
    parser.add_argument("--origin", default="authz-1", help="the unique name of this process's log")
    parser.add_argument("--metrics", metavar="PORT", type=int, help="Prometheus, on loopback only")
    given = parser.parse_args(arguments)
    configure()
    try:
        settings = Settings(
            listeners=tuple(map(_listener, given.listen or ["127.0.0.1:7443=operator"])),
            database=given.database,
            policies=given.policies or default_folder(),
            origin=given.origin,
        )
        asyncio.run(_serve(settings, given.metrics))
    except BundleError as exc:
        for mistake in exc.mistakes:
            print(mistake, file=sys.stderr)  # noqa: T201 - for the officer at the terminal
        return USAGE
    except (Error, AuditError) as exc:
        print(f"dmp serve authz: {exc}", file=sys.stderr)  # noqa: T201 - as above
        return UNREACHABLE
    except (ValueError, RuntimeError) as exc:
        print(f"dmp serve authz: {exc}", file=sys.stderr)  # noqa: T201 - as above
        return USAGE
    return 0


def _listener(text: str) -> Listener:
    address, equals, service = text.rpartition("=")
    if not equals or not address or not service:
        raise ValueError(
            f"--listen `{text}`: write it as ADDRESS=SERVICE, e.g. 127.0.0.1:7443=dossier"
        )
    return Listener(address=address, service=service)


async def _serve(settings: Settings, metrics_port: int | None) -> None:
    service = Service(settings)
    stop = service.on_signals()
    async with service:
        for listener in settings.listeners:
            if listener.service not in service.services:
                raise ValueError(
                    f"--listen {listener.address}={listener.service}: unknown service, "
                    f"one of {', '.join(service.services)}"
                )
        if metrics_port is not None:
            _show_metrics(metrics_port, service)
        print(f"serving on {', '.join(service.addresses)}", flush=True)  # noqa: T201 - scripts wait for it
        await stop.wait()


def _show_metrics(port: int, service: Service) -> None:
    try:
        start_http_server(port, addr="127.0.0.1", registry=service.metrics.registry)
    except (OSError, OverflowError) as exc:
        raise ValueError(f"--metrics `{port}`: can't be listened on: {exc}") from exc


if __name__ == "__main__":
    sys.exit(main())
