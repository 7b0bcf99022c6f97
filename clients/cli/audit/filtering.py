"""The options by which all commands of the log are narrowed, and the filter that they make."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

from audit.v1 import audit_pb2 as pb
from clients.cli.audit import moments

_WHICH: Final = "Which entries"


def _option(*names: str, metavar: str, text: str) -> Any:  # noqa: ANN401 - typer says so
    return typer.Option(*names, metavar=metavar, help=text, rich_help_panel=_WHICH)


def _several(name: str, metavar: str, text: str) -> Any:  # noqa: ANN401 - as above
    kind: Any = list[str] | None
    return Annotated[kind, _option(name, metavar=metavar, text=f"{text}; may be repeated.")]


def _one(name: str, metavar: str, text: str) -> Any:  # noqa: ANN401 - as above
    kind: Any = str
    return Annotated[kind, _option(name, metavar=metavar, text=text)]


_TIME: Final = "2d, 12h, 2026-05-04 (France) or 2026-05-04T10:00:00Z"
_OPTIONS: Final[dict[str, tuple[Any, Any]]] = {
    "patient": (
        _one("--patient", "INS", "In clear then, and on record in this patient's own trace."),
        "",
    ),
    "subjects": (_several("--who", "ID", "idNat_PS, or what another subject is called"), None),
    "structures": (_several("--structure", "ID", "idNat_Struct"), None),
    "documents": (_several("--document", "ID", "Its id"), None),
    "actions": (_several("--action", "NAME", "Such as document.read"), None),
    "effect": (_one("--effect", "EFFECT", "allow or deny."), ""),
    "rules": (_several("--rule", "UID", "Of a rule that decided"), None),
    "reason_codes": (_several("--reason-code", "CODE", "Of the answer"), None),
    "modes": (_several("--mode", "MODE", "normal, bris_de_glace, centre_15"), None),
    "emergency": (
        Annotated[
            bool,
            typer.Option("--emergency", help="Emergencies only.", rich_help_panel=_WHICH),
        ],
        False,
    ),
    "since": (_one("--since", "TIME", f"From then on: {_TIME}."), ""),
    "until": (_one("--until", "TIME", "Before then; as --since."), ""),
    "bundle": (_one("--bundle", "DIGEST", "Of the policies; 8 digits will do."), ""),
    "callers": (_several("--caller", "SERVICE", "That asked"), None),
    "kinds": (
        _several("--kind", "KIND", "decision, filter, change, activation, start, purge"),
        None,
    ),
    "logs": (_several("--log", "NAME", "Of several logs"), None),
}


def filtered(work: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options of a filter: it gets what they say as its argument `wanted`."""

    def run(*args: Any, **given: Any) -> None:  # noqa: ANN401 - whatever its signature says
        asked = {name: given.pop(name) for name in _OPTIONS}
        work(*args, wanted=wanted(**asked), **given)

    own = [one for one in inspect.signature(work).parameters.values() if one.name != "wanted"]
    made = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)
        for name, (kind, default) in _OPTIONS.items()
    ]
    run.__signature__ = inspect.Signature([*own, *made])  # type: ignore[attr-defined]  # a function has one
    run.__name__, run.__doc__ = work.__name__, work.__doc__
    return run


def wanted(*, since: str, until: str, **asked: Any) -> pb.Filter:  # noqa: ANN401 - by their names
    """The filter that options make.

    Raises:
        Error: an instant is none.
    """
    made = pb.Filter(**{name: value for name, value in asked.items() if value})
    moments.fill(made, since, until)
    return made
