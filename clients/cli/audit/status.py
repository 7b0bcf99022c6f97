"""`dmp audit status`: how the audit itself stands."""

from collections.abc import Iterable
from datetime import UTC
from typing import Final

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from audit.v1 import audit_pb2 as pb
from clients.cli.audit.procedures import READ_STATUS
from clients.cli.audit.session import Session, command
from clients.cli.show import Said, as_data

app = typer.Typer()

_HEALTH: Final = {
    "dmp.log": Said("le journal est lisible", "the log can be read"),
    "dmp.index": Said("l'index suit le journal", "the index follows the log"),
    "dmp.replay": Said(
        "les décisions refaites sont les mêmes", "decisions that are made again come out the same"
    ),
    "dmp.tree": Said("le journal est scellé", "the log is sealed"),
    "dmp.witness": Said("les témoins contresignent", "the witnesses cosign"),
    "dmp.trust": Said("les certificats sont à jour", "the certificates are up to date"),
}
_HEADS: Final = (
    Said("journal", "log"),
    Said("entrées", "entries"),
    Said("indexées", "indexed"),
    Said("scellées", "sealed"),
    Said("témoins", "witnesses"),
)
_UNTIL: Final = Said("complet jusqu'au", "complete until")
_NOTHING: Final = Said("rien n'est encore indexé", "nothing is in the index yet")
_LAG: Final = Said("retard : index {}, sceau {}", "lag: index {}, seal {}")
_OTHERWISE: Final = Said(
    "{} décisions refaites autrement : `dmp audit replay` dit lesquelles",
    "{} decisions come out otherwise: `dmp audit replay` tells which",
)
_NEVER: Final = Said("jamais à jour", "never up to date")


@command(app)
def status(session: Session) -> None:
    """Tell how the audit stands: how far index and seal follow the log, and what is not well.

    Asks the service, and decides nothing: no entry is read for it.

    Examples:
      dmp audit status
      dmp audit status --json | jq .health

    Exit: 0 all is well, 1 something is not, 2 wrong usage, 3 no answer.
    """
    answer = session.ask(READ_STATUS, pb.ReadStatusRequest())
    if session.as_json:
        session.tell(as_data(answer))
    else:
        session.print(*_parts(answer, session))
    if not all(answer.health.values()):
        raise typer.Exit(1)


def _parts(answer: pb.ReadStatusResponse, session: Session) -> Iterable[RenderableType]:
    asked = any(one.witnesses for one in answer.logs)
    for name, said in _HEALTH.items():
        if name in answer.health and (asked or name != "dmp.witness"):
            mark = ("✓", "bold green") if answer.health[name] else ("✗", "bold red")
            yield Text.assemble(mark, " ", session.say(said))
    lags = [
        f"{getattr(answer, name):.1f} s" if answer.HasField(name) else session.say(_NEVER)
        for name in ("index_lag", "tree_lag")
    ]
    yield Text(session.say(_LAG).format(*lags))
    if answer.standing.HasField("complete_until"):
        at = answer.standing.complete_until.ToDatetime(UTC)
        yield Text(f"{session.say(_UNTIL)} {at:%Y-%m-%d %H:%M:%S} UTC")
    else:
        yield Text(session.say(_NOTHING))
    if answer.decided_otherwise:
        otherwise = session.say(_OTHERWISE).format(answer.decided_otherwise)
        yield Text(otherwise, style="red")
    if answer.index_trouble:
        yield Text(f"index: {answer.index_trouble}", style="red")
    if answer.logs:
        yield _table(answer.logs, session)
    for one in answer.logs:
        if one.trouble:
            yield Text(one.trouble, style="red")
        yield from (Text(f"{w.name}: {w.trouble}", style="red") for w in one.witnesses if w.trouble)


def _table(logs: Iterable[pb.LogStatus], session: Session) -> Table:
    table = Table(box=None, pad_edge=False)
    for said in _HEADS:
        table.add_column(session.say(said), justify="left" if said is _HEADS[0] else "right")
    for one in logs:
        good = sum(not witness.trouble for witness in one.witnesses)
        table.add_row(
            one.log,
            str(one.stored),
            str(one.indexed),
            str(one.sealed),
            f"{good}/{len(one.witnesses)}",
        )
    return table
