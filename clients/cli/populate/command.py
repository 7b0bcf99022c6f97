"""`dmp populate`: fills a running record with invented patients and documents."""

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, NoReturn, TypeVar

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from clients import sdk
from clients.cli import show
from clients.cli.arguments import Roots, TlsChain, TlsKey
from clients.cli.link import Error, RefusedError, security
from clients.cli.populate.asking import Asking
from clients.cli.populate.cards import write
from clients.cli.populate.families import Patient, patients
from clients.cli.populate.load import Loader
from clients.cli.populate.papers import Paper, papers
from clients.cli.populate.visit import Count
from clients.cli.record.link import ADDRESS, Record

TIMEOUT_S: Final = 30.0
_ONWARD: Final = "what was done stays; the same command goes on from there"

Work = tuple[Patient, list[Paper]]
Result = TypeVar("Result")


def populate(
    *,
    patients_wanted: Annotated[
        int, typer.Option("--patients", min=1, max=1_000_000, help="How many.")
    ] = 100,
    documents: Annotated[
        int, typer.Option("--documents", min=0, max=50_000_000, help="How many, of all together.")
    ] = 1_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another one, other people.")] = 1,
    in_flight: Annotated[
        int, typer.Option("--in-flight", min=1, max=64, help="How many patients at once.")
    ] = 8,
    people: Annotated[
        Path | None,
        typer.Option(
            "--people", metavar="DIR", help="Write there who may speak, for --as; cards too."
        ),
    ] = None,
    address: Annotated[
        str, typer.Option("--address", envvar="DMP_DOSSIER", help="HOST:PORT, or unix:/PATH.")
    ] = ADDRESS,
    tls_key: TlsKey = None,
    tls_chain: TlsChain = None,
    roots: Roots = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object at the end.")] = False,
) -> None:
    """Fill a running record with an invented town: families, professionals, documents in all spaces.

    Everything goes by the contract: each dossier and each deposit is decided and logged. The same seed
    makes the same people, numbers and bytes; what is there already is left as it is, so that a run which
    was stopped goes on where it was.

    Examples:
      dmp populate --patients 100 --documents 1000
      dmp populate --patients 5000 --documents 50000 --seed 7 --people people
      dmp dossier patients --as people/gp-01.yaml

    Exit: 0 all is there, 1 something was refused, 2 wrong usage, 3 no answer.
    """
    people_drawn = list(patients(seed, patients_wanted))
    drawn = papers(seed, people_drawn, documents)
    if people is not None:
        _try(lambda: write(people, people_drawn), as_json=as_json)
    done, lock = Counter[str](), threading.Lock()
    with _bar(len(people_drawn), documents, shown=not as_json) as advance:

        def count(name: str, number: int) -> None:
            with lock:
                done[name] += number
            advance(name, number)

        began = time.monotonic()
        by = _try(lambda: security(tls_key, tls_chain, roots), as_json=as_json)
        _run(
            ((one, drawn.get(one.number, [])) for one in people_drawn),
            address=address,
            security=by,
            seed=seed,
            in_flight=in_flight,
            count=count,
            as_json=as_json,
        )
    _tell(done, time.monotonic() - began, as_json=as_json)


def _run(
    work: Iterator[Work],
    *,
    address: str,
    security: sdk.Security,
    seed: int,
    in_flight: int,
    count: Count,
    as_json: bool,
) -> None:
    """Loads all, several at once; the first failure ends it, after those under way."""
    try:
        with (
            Record(address, timeout_s=TIMEOUT_S, security=security) as record,
            _pool(in_flight) as pool,
        ):
            loader = Loader(record=Asking(record), seed=seed, count=count)
            under_way: set[Future[None]] = set()
            for patient, found in work:
                under_way.add(pool.submit(loader.load, patient, found))
                if len(under_way) >= 2 * in_flight:
                    under_way = _settled(under_way, FIRST_COMPLETED)
            while under_way:
                under_way = _settled(under_way, FIRST_COMPLETED)
    except Error as exc:
        _fail(exc, as_json=as_json)
    except KeyboardInterrupt:
        print(f"stopped: {_ONWARD}", file=sys.stderr)
        raise


@contextmanager
def _pool(size: int) -> Iterator[ThreadPoolExecutor]:
    """Threads; what waits when the block is left is not begun."""
    pool = ThreadPoolExecutor(size)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _settled(under_way: set[Future[None]], when: str) -> set[Future[None]]:
    done, rest = wait(under_way, return_when=when)
    try:
        for one in done:
            one.result()
    except Error:
        for one in rest:
            one.cancel()
        raise
    return rest


@contextmanager
def _bar(people: int, documents: int, *, shown: bool) -> Iterator[Count]:
    """A bar for patients and one for documents, on a terminal."""
    console = show.console(error=True)
    progress = Progress(
        TextColumn("{task.description:<9}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not shown or not console.is_terminal,
    )
    first = progress.add_task("patients", total=people, rate="")
    second = progress.add_task("documents", total=documents, rate="")
    tasks = {"created": first, "there": first, "deposited": second, "documents there": second}

    def advance(name: str, number: int) -> None:
        task = tasks.get(name)
        if task is not None:
            progress.advance(task, number)
            speed = progress.tasks[task].speed
            progress.update(task, rate=f"{speed:.0f}/s" if speed else "")

    with progress:
        yield advance


def _tell(done: Counter[str], took_s: float, *, as_json: bool) -> None:
    rate = (done["created"] + done["deposited"]) / max(took_s, 0.001)
    if as_json:
        found = {name.replace(" ", "_"): number for name, number in sorted(done.items()) if number}
        print(json.dumps({**found, "seconds": round(took_s, 1), "per_second": round(rate, 1)}))
        return
    console = show.console()
    there = ", {} there already"
    people, kept = done["there"], done["documents there"]
    console.print(
        Text(f"{done['created']} patients created{there.format(people) if people else ''}")
    )
    console.print(
        Text(f"{done['deposited']} documents deposited{there.format(kept) if kept else ''}")
    )
    others = ("hidden", "replaced", "masked", "archived", "deleted", "revoked", "blocked", "closed")
    told = ", ".join(f"{done[name]} {name}" for name in others if done[name])
    if told:
        console.print(Text(f"of them or of their dossiers: {told}", style="dim"))
    if not done["created"] and not done["deposited"]:
        console.print(Text("All was there: nothing was doubled."))
    console.print(Text(f"{took_s:.1f} s, {rate:.0f} a second", style="dim"))


def _try(work: Callable[[], Result], *, as_json: bool) -> Result:
    try:
        return work()
    except Error as exc:
        _fail(exc, as_json=as_json)


def _fail(error: Error, *, as_json: bool) -> NoReturn:
    known = isinstance(error, RefusedError)
    told = str(error).rstrip(".")
    if isinstance(error, RefusedError):
        told = f"{error.reason_code}: {told}"
    if error.violations:
        told += "".join(f"; {field}: {problem}" for field, problem in error.violations)
    if as_json:
        print(json.dumps({"error": told, "refused": known, "onward": _ONWARD}, ensure_ascii=False))
    else:
        print(f"error: {told}: {_ONWARD}", file=sys.stderr)
    raise typer.Exit(error.exit_code)
