"""`dmp policy`: the compliance officer's commands. They read policy files and need no service."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final, Literal, NoReturn

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from authz.policies import VARIABLE, default_folder
from authz.product import DMP
from authz.workbench import folder, report
from authz.workbench.check import Checked, check
from authz.workbench.junit import junit_of
from authz.workbench.results import Tested, results_document, results_of
from authz.workbench.scenarios import run
from authz.workbench.verify import SAMPLES, verify

app = typer.Typer(help="Check and test the policies. Needs no service.", no_args_is_help=True)

_WIDE: Final = 10_000  # nothing is wrapped when the output is no terminal

Directory = Annotated[
    Path | None,
    typer.Argument(
        metavar="DIR",
        help=f"The policy folder; else {VARIABLE}, ./policies, or the one that came with dmp.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Language = Annotated[Literal["fr", "en"], typer.Option("--lang", help="Language of the sentences.")]


@app.command("check")
def show_mistakes(directory: Directory = None, as_json: AsJson = False) -> None:
    """Read the policy folder, and show every mistake with its place and a way out.

    Warnings tell what has no effect: facts that no rule names, rules that others
    always override, files that nobody reads.

    Examples:
      dmp policy check
      dmp policy check /etc/dmp/policies --json | jq '.mistakes[].message'

    JSON: sound, files, mistakes and warnings (path, line, column, where, message,
    hint), and, when sound, bundle (digest and counts).

    Exit: 0 sound, 1 mistakes, 2 wrong usage.
    """
    where, checked = _checked(directory)
    if as_json:
        _print_json(report.document_of(checked))
    else:
        _print(report.text_of(checked, f"{where}/"))
    raise typer.Exit(0 if checked.sound else 1)


@app.command("test")
def run_tests(  # noqa: PLR0917 - typer gives them by name
    directory: Directory = None,
    only: Annotated[
        str, typer.Option(metavar="TEXT", help="Only those with this in file name, sentence or id.")
    ] = "",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what passes too.")] = False,
    as_json: AsJson = False,
    junit: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a JUnit report too.", show_default=False),
    ] = None,
    language: Language = "fr",
    samples: Annotated[
        int,
        typer.Option(min=1, help="How many requests to try where a property has too many cases."),
    ] = SAMPLES,
) -> None:
    """Check the policies, decide all scenarios, and prove the properties.

    Properties are proved, not tried: all possible requests are split into cases in
    which the same rules apply, and one request of each is decided. Only where there
    are too many cases is a sample tried instead. A run that tests nothing fails.

    Examples:
      dmp policy test
      dmp policy test --only 40-emergency.yaml --verbose
      dmp policy test --junit report.xml --lang en

    JSON: as of `dmp policy check`, and passed, failed,
    scenarios (it, theme, place, passed, expected, got, problems, remarks, facts),
    properties (id, fr, en, place, holds, checked, exact, vacuous, counterexample,
    got).

    Exit: 0 all passed, 1 something failed, 2 wrong usage.
    """
    where, checked = _checked(directory)
    tested = _tested(checked, only, samples)
    if junit is not None:
        try:
            junit.write_bytes(junit_of(tested))
        except OSError as exc:
            _fail(f"can't write `{junit}`: {exc.strerror}")
    if as_json:
        _print_json(results_document(tested))
    else:
        if not checked.sound:
            _print(report.text_of(checked, f"{where}/"))
        _print(results_of(tested, f"{where}/", language=language, verbose=verbose))
        if not tested.passed + tested.failed:
            print(
                f"nothing was tested: `{only}` is in no scenario and no property", file=sys.stderr
            )
    raise typer.Exit(0 if tested.passed and not tested.failed else 1)


@app.command("rules")
def list_rules(
    directory: Directory = None,
    action: Annotated[
        str, typer.Option(metavar="NAME", help="Only the rules that can apply to this action.")
    ] = "",
    as_json: AsJson = False,
    language: Language = "fr",
) -> None:
    """List the active rules, those of highest priority first.

    Examples:
      dmp policy rules --action document.read
      dmp policy rules --json | jq -r '.[] | select(.effect == "deny") | .uid'

    JSON: a list of uid, effect, priority, reason, told, source, obligations, actions, place.

    Exit: 0 listed, 1 the policies have mistakes, 2 wrong usage.
    """
    where, checked = _checked(directory)
    if checked.bundle is None:
        _print(report.text_of(checked, f"{where}/"))
        raise typer.Exit(1)
    vocabulary = checked.bundle.vocabulary
    if action and action not in vocabulary.actions:
        _fail(report.unknown("action", action, vocabulary.actions))
    listed = report.rules(checked.bundle, action, language)
    if as_json:
        _print_json(listed)
        return
    if not sys.stdout.isatty():
        for row in listed:
            print("\t".join(str(row[key]) for key in ("uid", "effect", "reason", "told", "source")))
        return
    table = Table(box=None, pad_edge=False)
    for key in ("uid", "effect", "reason", "told", "source"):
        table.add_column(key, overflow="fold")
    for row in listed:
        table.add_row(
            *(Text(str(row[key])) for key in ("uid", "effect", "reason", "told", "source"))
        )
    _console().print(table)


def _tested(checked: Checked, only: str, samples: int) -> Tested:
    """Runs the scenarios and verifies the properties that `only` names."""
    bundle = checked.bundle
    if bundle is None:
        return Tested(checked=checked)
    return Tested(
        checked=checked,
        outcomes=tuple(run(bundle, s) for s in checked.scenarios if only in s.file or only in s.it),
        findings=tuple(
            verify(bundle, p, samples=samples)
            for p in checked.properties
            if any(only in text for text in (p.place, p.id, p.wording.fr, p.wording.en))
        ),
    )


def _checked(directory: Path | None) -> tuple[Path, Checked]:
    where = default_folder() if directory is None else directory
    if not where.is_dir():
        _fail(f"no such folder: `{where}`: name the folder that holds vocabulary.yaml")
    return where, check(folder.read(where), DMP)


def _print(texts: Iterable[Text]) -> None:
    console = _console()
    for text in texts:
        console.print(text, soft_wrap=True)


def _print_json(document: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
    sys.stdout.buffer.flush()


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)


def _fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    raise typer.Exit(2)
