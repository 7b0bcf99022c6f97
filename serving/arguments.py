"""The arguments that all services take: where they listen, who they are, and whom they believe."""

import argparse
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final, TypedDict

from serving.callers import RECHECK, Tls
from serving.listener import Listener

MAX_RECHECK_S: Final = 3600


class AuthzFiles(TypedDict):
    """Our private key, our certificate with its authorities, and the authorities of the decision point."""

    key: Path
    chain: Path
    roots: Path


def service_parser(
    name: str, description: str, *, examples: str, listen: Sequence[str]
) -> argparse.ArgumentParser:
    """The command line of `dmp serve NAME`, with what every service takes.

    Args:
        name: of the service.
        description: what it serves.
        examples: how it is called, and its signals.
        listen: where it listens when `--listen` is left out; whoever parses puts it in.
    """
    parser = argparse.ArgumentParser(
        prog=f"dmp serve {name}",
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--listen",
        action="append",
        metavar="ADDRESS[=SERVICE]",
        help=f"default: {', '.join(listen)}; may be repeated",
    )
    parser.add_argument("--metrics", metavar="PORT", type=int, help="Prometheus, on loopback only")
    parser.add_argument(
        "--reflection", action="store_true", help="describe the procedures, for developers' tools"
    )
    return parser


def add_tls(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """What says who we are, and whom we believe; the group it stands in."""
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
    return group


def add_callers(parser: argparse.ArgumentParser) -> None:
    """Which services may call by TLS: a list, None when it is left out."""
    parser.add_argument(
        "--caller",
        action="append",
        metavar="SERVICE",
        help="a service that may call by TLS; default: portal; may be repeated",
    )


def add_authz(parser: argparse.ArgumentParser, *, default: str) -> None:
    """Where the decision point is, and how it is reached; `default` is its address when it is left out."""
    group = parser.add_argument_group("the decision point")
    group.add_argument("--authz", default=default, metavar="ADDRESS", help="default: %(default)s")
    group.add_argument(
        "--authz-roots",
        type=Path,
        metavar="FILE",
        help="authorities of its certificate; then it is asked by TLS, with --tls-key and --tls-chain",
    )


def authz_files(given: argparse.Namespace) -> AuthzFiles | None:
    """What the decision point is reached with by TLS; None when it is plainly.

    Raises:
        ValueError: there is no certificate to show it.
    """
    if given.authz_roots is None:
        return None
    if given.tls_key is None or given.tls_chain is None:
        raise ValueError("--authz-roots: needs --tls-key and --tls-chain as well")
    return AuthzFiles(key=given.tls_key, chain=given.tls_chain, roots=given.authz_roots)


def tls(given: argparse.Namespace) -> Tls | None:
    """What listeners with TLS need; None when nothing of it is given.

    Raises:
        ValueError: only a part of it is, or a number is out of range.
    """
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


def listeners(texts: Sequence[str], *, tls: bool) -> tuple[Listener, ...]:
    """Where to listen, as `ADDRESS=SERVICE` or with TLS `ADDRESS`.

    Raises:
        ValueError: one is written otherwise, or TLS is given and no listener speaks it.
    """
    found = tuple(_listener(text, tls=tls) for text in texts)
    if tls and all(listener.service for listener in found):
        raise ValueError("--tls-key: no listener speaks TLS; add one with --listen ADDRESS")
    return found


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
