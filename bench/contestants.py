"""The contestants of the serving benches, started and ready to be asked."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from authz.bundle import Bundle
from authz.model import ACTION, UNKNOWN_ACTION, Effect
from bench import asking, download, processes, samples
from bench.asking import Questions
from bench.client import frames
from bench.peers import cerbos
from bench.processes import Keys, Running
from bench.report import DisagreementError, Tell
from bench.scale import Scale
from bench.sides import Kind, Side

BATCH: Final = 50
EMPTY: Final = "empty server"
SQLITE: Final = "dmp on SQLite"
POSTGRESQL: Final = "dmp on PostgreSQL"
OURS: Final = (SQLITE, POSTGRESQL)
CERBOS: Final = "Cerbos"


@contextmanager
def all_of_them(
    folder: Path, scale: Scale, tell: Tell, *, keys: Keys | None = None
) -> Iterator[list[Side]]:
    """Every contestant; with `keys`, over TLS."""
    with ExitStack() as opened:
        bundle = samples.shipped()
        postgres, url = opened.enter_context(processes.postgresql())
        databases = {SQLITE: (processes.sqlite(folder), ()), POSTGRESQL: (url, (postgres,))}
        who, asked, ours = asking.patients(scale.patients), [], []
        for name, (database, pids) in databases.items():
            running = opened.enter_context(processes.decision_point(database, keys=keys))
            tell(f"serving: opening dossiers, {name}")
            asked.append(asking.prepare(running.address, who, bundle=bundle, keys=keys))
            ours.append(
                Side(
                    name=name,
                    address=running.address,
                    pids=(running.pid, *pids),
                    kinds=kinds(folder, asked[0]),
                    recorded=partial(processes.recorded, database),
                    keys=keys,
                )
            )
        running = opened.enter_context(processes.empty(keys=keys))
        sides = [_empty(running, kinds(folder, asked[0]), keys), *ours]
        try:
            program = download.cerbos() if scale.cerbos else None
        except download.MissingError as exc:
            tell(f"SKIPPED, NOT MEASURED: no Cerbos: {exc}")
            program = None
        if program is not None:
            rules = samples.policies(bundle)
            running = opened.enter_context(
                processes.cerbos(program, folder / "cerbos", cerbos.policies(rules), keys=keys)
            )
            asking_it = cerbos.Asking(rules)
            count = agree(bundle, asking_it, running.address, scale.requests, keys)
            tell(f"serving: Cerbos and dmp agree on {count} sampled requests")
            sides.append(_cerbos(running, folder, asking_it, asked[0], keys))
        yield sides


def _empty(running: Running, asked: Mapping[int, Kind], keys: Keys | None) -> Side:
    return Side(name=EMPTY, address=running.address, pids=(running.pid,), kinds=asked, keys=keys)


def kinds(folder: Path, questions: Questions) -> dict[int, Kind]:
    """One request a call, or many in one, for those who speak our protocol."""
    one, batch = folder / "checks", folder / "batches"
    one.write_bytes(frames([check.SerializeToString() for check in questions.checks]))
    batch.write_bytes(frames([questions.batch(BATCH)]))
    return {
        1: Kind(method=asking.CHECK, requests=one, allows=asking.allowed),
        BATCH: Kind(method=asking.CHECK_BATCH, requests=batch, allows=asking.all_allowed),
    }


def _cerbos(
    running: Running,
    folder: Path,
    asking_it: cerbos.Asking,
    questions: Questions,
    keys: Keys | None,
) -> Side:
    one, batch = folder / "checks for Cerbos", folder / "batches for Cerbos"
    one.write_bytes(frames([asking_it.request([facts]) for facts in questions.facts]))
    batch.write_bytes(frames([asking_it.request(questions.many(BATCH))]))
    return Side(
        name=CERBOS,
        address=running.address,
        pids=(running.pid,),
        kinds={
            1: Kind(method=cerbos.METHOD, requests=one, allows=partial(_allows, 1)),
            BATCH: Kind(method=cerbos.METHOD, requests=batch, allows=partial(_allows, BATCH)),
        },
        keys=keys,
    )


def _allows(count: int, answer: bytes) -> bool:
    return cerbos.allowed(answer) == [True] * count


def agree(
    bundle: Bundle, asking_it: cerbos.Asking, address: str, count: int, keys: Keys | None = None
) -> int:
    """Asks Cerbos what we decide from facts; answers on how many requests both agree.

    Raises:
        DisagreementError: it gave another answer.
    """
    place = bundle.vocabulary.index[ACTION]
    unknown = bundle.vocabulary.facts[place].values.index(UNKNOWN_ACTION)
    vectors = [v for v in samples.vectors(bundle, count) if v[place] != unknown]
    with processes.channel(address, keys) as channel:
        for number, vector in enumerate(vectors):
            answer = asking.call(channel, cerbos.METHOD, asking_it.vector(vector))
            if cerbos.allowed(answer) != [bundle.decide(vector).effect is Effect.ALLOW]:
                raise DisagreementError(f"Cerbos disagrees with dmp on request {number}")
    return len(vectors)
