"""Runs the decision point: `python -m authz`, which is what `dmp serve authz` does."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from prometheus_client import start_http_server

from audit.errors import Error as AuditError
from authz.errors import BundleError, Error
from authz.policies import default_folder
from authz.service import Service, Settings
from serving.callers import RECHECK, Tls
from serving.errors import Error as ServingError
from serving.errors import TrustError
from serving.listener import Listener, give_back
from serving.servicelog import configure
from storage.errors import Error as StorageError

USAGE = 2
UNREACHABLE = 3
MAX_RECHECK_S = 3600

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
    parser = argparse.ArgumentParser(
        prog="dmp serve authz",
        description="Serves the decision point.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--listen",
        action="append",
        metavar="ADDRESS[=SERVICE]",
        help="default: 127.0.0.1:7443=operator; may be repeated",
    )
    _add_identity(parser)
    parser.add_argument(
        "--database", default=os.environ.get("DMP_DATABASE", "sqlite:///var/dmp.db")
    )
    parser.add_argument("--policies", type=Path, default=None, help="default: the policies shipped")
    parser.add_argument("--origin", default="authz-1", help="the unique name of this process's log")
    parser.add_argument("--metrics", metavar="PORT", type=int, help="Prometheus, on loopback only")
    parser.add_argument(
        "--reflection", action="store_true", help="describe the procedures, for developers' tools"
    )
    given = parser.parse_args(arguments)
    configure()
    try:
        tls = _tls(given)
        settings = Settings(
            listeners=_listeners(given.listen or ["127.0.0.1:7443=operator"], tls=tls is not None),
            database=given.database,
            policies=given.policies or default_folder(),
            origin=given.origin,
            tls=tls,
            token_keys=given.token_keys,
            reflection=given.reflection,
        )
        asyncio.run(_serve(settings, given.metrics))
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


def _add_identity(parser: argparse.ArgumentParser) -> None:
    """What says who we are, and whom we believe."""
    group = parser.add_argument_group("identity (docs/identity.md)")
    group.add_argument("--tls-key", metavar="FILE", type=Path, help="our private key")
    group.add_argument(
        "--tls-chain", metavar="FILE", type=Path, help="our certificate with its authorities"
    )
    group.add_argument(
        "--trust", metavar="FOLDER", type=Path, help="authorities/ and crls/, as of `dmp pki`"
    )
    group.add_argument(
        "--trust-test", action="store_true", help="serve the test environment, and no real cards"
    )
    group.add_argument(
        "--recheck",
        metavar="SECONDS",
        type=float,
        default=RECHECK.total_seconds(),
        help="for how long a verdict on a certificate counts; default: %(default)g",
    )
    group.add_argument(
        "--token-keys",
        metavar="FOLDER",
        type=Path,
        help="ISSUER.pem: who signs tokens of end users",
    )


def _tls(given: argparse.Namespace) -> Tls | None:
    files = {
        "--tls-key": given.tls_key,
        "--tls-chain": given.tls_chain,
        "--trust": given.trust,
    }
    missing = [name for name, path in files.items() if path is None]
    if len(missing) == len(files):
        return None
    if missing:
        raise ValueError(f"{', '.join(missing)}: missing; TLS needs {', '.join(files)}")
    if not 0 <= given.recheck <= MAX_RECHECK_S:
        raise ValueError(f"--recheck `{given.recheck:g}`: give 0 to {MAX_RECHECK_S} seconds")
    return Tls(
        key=given.tls_key,
        chain=given.tls_chain,
        trust=given.trust,
        test=given.trust_test,
        recheck=timedelta(seconds=given.recheck),
    )


def _listeners(texts: Sequence[str], *, tls: bool) -> tuple[Listener, ...]:
    listeners = tuple(_listener(text, tls=tls) for text in texts)
    if tls and all(listener.service for listener in listeners):
        raise ValueError("--tls-key: no listener speaks TLS; add one with --listen ADDRESS")
    return listeners


def _listener(text: str, *, tls: bool) -> Listener:
    address, equals, service = text.rpartition("=")
    if tls and not equals and text:
        return Listener(address=text)
    if not address or not service:
        raise ValueError(
            f"--listen `{text}`: write it as ADDRESS=SERVICE, e.g. 127.0.0.1:7443=dossier; "
            "ADDRESS alone needs --tls-key, --tls-chain and --trust"
        )
    return Listener(address=address, service=service)


async def _serve(settings: Settings, metrics_port: int | None) -> None:
    service = Service(settings)
    stop = service.on_signals()
    async with service:
        for listener in settings.listeners:
            if listener.service and listener.service not in service.services:
                raise ValueError(
                    f"--listen {listener.address}={listener.service}: unknown service, "
                    f"one of {', '.join(service.services)}"
                )
        if metrics_port is not None:
            _show_metrics(metrics_port, service)
        print(f"serving on {', '.join(service.addresses)}", flush=True)  # noqa: T201 - scripts wait for it
        await stop.wait()
        await service.drain()
        give_back(service.addresses)
        os._exit(0)  # which closes all connections at one instant: no call is left to be cancelled


def _show_metrics(port: int, service: Service) -> None:
    try:
        start_http_server(port, addr="127.0.0.1", registry=service.metrics.registry)
    except (OSError, OverflowError) as exc:
        raise ValueError(f"--metrics `{port}`: can't be listened on: {exc}") from exc


if __name__ == "__main__":
    sys.exit(main())
