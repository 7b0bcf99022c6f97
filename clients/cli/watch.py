"""`dmp watch`: follows the registry of a running service, one line an event."""

import json
from typing import Annotated, Final, NoReturn

import typer
from rich.text import Text

from clients import sdk
from clients.cli import show
from clients.cli.arguments import Roots, TlsChain, TlsKey
from clients.cli.link import Error, security
from clients.cli.point import ADDRESS

DENIED: Final = 1
_USAGE: Final = 2
_NO_ANSWER: Final = 3
_FIRST_S: Final = 2.0  # how long to look for a service that has not been heard of yet
_EVERYONE: Final = "-"


def watch(
    *,
    after: Annotated[
        int, typer.Option("--after", metavar="REVISION", min=0, help="The last that is known.")
    ] = 0,
    once: Annotated[
        bool, typer.Option("--once", help="End when all that has happened is told.")
    ] = False,
    address: Annotated[
        str, typer.Option("--address", envvar="DMP_AUTHZ", help="HOST:PORT, or unix:/PATH.")
    ] = ADDRESS,
    tls_key: TlsKey = None,
    tls_chain: TlsChain = None,
    roots: Roots = None,
    patience_s: Annotated[
        float,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            min=0.1,
            max=86_400,
            show_default=True,
            help="End when nothing is heard for so long.",
        ),
    ] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Follow the registry of a running service: revision, instant (UTC), act, patient.

    Patients' numbers are shown, as to any service that may watch; `-` stands for new policies.

    Examples:
      dmp watch
      dmp watch --after 41
      dmp watch --once --json | jq -r .action | sort | uniq -c

    Exit: 0 all is told (--once), 1 denied, 2 wrong usage or no such revision yet, 3 no answer.
    """
    try:
        by = security(tls_key, tls_chain, roots)
        with sdk.connect(address, by) as client:
            _follow(client, after, follow=not once, patience_s=patience_s, as_json=as_json)
    except Error as exc:
        _fail(str(exc), exc.exit_code, as_json=as_json)
    except sdk.Denied as exc:
        _fail(f"{exc}: {exc.decision.told.en}", DENIED, as_json=as_json)
    except (sdk.SettingsError, sdk.InvalidError, sdk.AheadError) as exc:
        _fail(str(exc), _USAGE, as_json=as_json)
    except _LostError as exc:
        _fail(_told(exc.cause, address, exc.known), _NO_ANSWER, as_json=as_json)


class _LostError(Exception):
    """There is no answer any more; `known` is the last revision that was told."""

    def __init__(self, cause: sdk.Error, known: int) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.known = known


def _follow(
    client: sdk.Client, known: int, *, follow: bool, patience_s: float, as_json: bool
) -> None:
    """Prints events; a service that was there is waited for, one that never was is not."""
    wait_s, told = min(_FIRST_S, patience_s), False
    while not told:
        with client.watch(known, follow=follow, patience_s=wait_s) as events:
            try:
                for event in events:
                    _print(event, as_json=as_json)
                told = True
            except (sdk.SettingsError, sdk.InvalidError, sdk.AheadError):
                raise
            except sdk.Error as exc:
                known, wait_s = events.revision, patience_s
                gone = isinstance(exc, sdk.UnavailableError | sdk.OverloadedError)
                if not gone or not events.head:
                    raise _LostError(exc, known) from exc


def _print(event: sdk.Event, *, as_json: bool) -> None:
    if as_json:
        told = {
            "revision": event.revision,
            "at": event.at.isoformat(),
            "action": event.action,
            "patient": event.patient,
            "decision_id": event.decision_id,
        }
        print(json.dumps(told), flush=True)
        return
    at = event.at.strftime("%Y-%m-%d %H:%M:%S")
    print(
        f"{event.revision:>8}  {at}  {event.action:<24}  {event.patient or _EVERYONE}", flush=True
    )


def _told(error: sdk.Error, address: str, known: int) -> str:
    onward = f"go on with `dmp watch --after {known}`" if known else ""
    match error:
        case sdk.UnavailableError(reason=""):
            what = f"no service at `{address}`"
            cure = onward or "start one with `dmp serve authz`, or name another with --address"
        case sdk.FailedError():
            what, cure = str(error), "the log of the service says why"
        case _:
            what, cure = str(error), onward
    return f"{what}: {cure}" if cure else what


def _fail(message: str, code: int, *, as_json: bool) -> NoReturn:
    if as_json:
        print(json.dumps({"error": message}, ensure_ascii=False))
    else:
        show.console(error=True).print(Text(f"error: {message}"), soft_wrap=True)
    raise typer.Exit(code)
