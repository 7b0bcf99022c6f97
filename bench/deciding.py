"""A decision from facts, against the peers; and the pieces of one Check."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from audit.log import Log
from authz import product, wire
from authz.batch import Batcher, Call
from authz.bundle import Bundle
from authz.clock import utc_now
from authz.decision import Decision
from authz.facts import COMPUTED, FactComputer
from authz.query import Query, check
from authz.record import draft
from authz.registry.database import connect, migrate
from authz.registry.store import Store
from bench import samples
from bench.contest import Contender, compete, first_time
from bench.peers.cedar import Cedar
from bench.peers.ours import Ours
from bench.peers.pyabac import PyAbac
from bench.peers.pycasbin import PyCasbin
from bench.report import Figure, Section, Tell
from bench.scale import Scale

TARGET_US = 2.0
TARGET_RATIO = {"cedarpy, in a batch": 30, "pycasbin": 100, "py-abac": 100}
BATCH = 32


def run(scale: Scale, tell: Tell) -> list[Section]:
    """Measures decisions on the policies that are shipped."""
    bundle = samples.shipped()
    tell("deciding: the same requests by us and by each peer")
    return [_peers(bundle, scale), _pieces(bundle, scale, tell)]


def _peers(bundle: Bundle, scale: Scale) -> Section:
    rules, vectors = samples.policies(bundle), samples.vectors(bundle, scale.requests)
    ours, *peers = compete(
        [
            Ours(rules),
            Cedar(rules, batch=True),
            Cedar(rules, batch=False),
            PyCasbin(rules),
            PyAbac(rules),
        ],
        vectors,
        scale,
    )
    allowed = sum(ours.answers)
    first_us, new = first_time(rules, vectors, scale)
    return Section(
        title="One decision, from facts",
        note=f"{len(rules.rules)} rules, {len(vectors)} requests, {allowed / len(vectors):.0%} allowed; "
        "all engines gave the same answers",
        figures=(
            _ours(ours),
            Figure(
                what=f"dmp, a combination of rules for the first time ({new:.0%} of the requests)",
                value=first_us,
                unit="us",
                ratio=first_us / ours.median_us,
            ),
            *(_peer(peer, ours) for peer in peers),
        ),
    )


def _ours(ours: Contender) -> Figure:
    return Figure(
        what=ours.peer.name,
        value=ours.median_us,
        unit="us",
        ratio=1.0,
        target=f"<= {TARGET_US:.0f} us",
        met=ours.median_us <= TARGET_US,
    )


def _peer(peer: Contender, ours: Contender) -> Figure:
    ratio, target = peer.median_us / ours.median_us, TARGET_RATIO.get(peer.peer.name)
    return Figure(
        what=peer.peer.name,
        value=peer.median_us,
        unit="us",
        ratio=ratio,
        target=f">= {target} x" if target else "",
        met=ratio >= target if target else None,
    )


@contextmanager
def batcher(bundle: Bundle, folder: Path) -> Iterator[Batcher]:
    """The decision point without its transport, on a database of its own."""
    engine = connect(f"sqlite:///{folder / 'bench.db'}")
    migrate(engine)
    made = Batcher(
        engine=engine,
        log=Log("bench"),
        store=Store(),
        bundle=bundle,
        product=product.DMP,
        clock=utc_now,
        random=os.urandom,
    )
    made.open()
    try:
        yield made
    finally:
        made.close()


def _pieces(bundle: Bundle, scale: Scale, tell: Tell) -> Section:
    """What one Check consists of, each piece alone and warm."""
    tell("deciding: the pieces of one Check")
    asked = [a for a in samples.asked(bundle) if a.query.change is None][: scale.requests]
    computer = FactComputer(bundle)
    facts = [computer.compute(a.query, a.state, a.at) for a in asked]
    queries = [replace(a.query, caller="operator") for a in asked]
    messages = [samples.message(query) for query in queries]
    with tempfile.TemporaryDirectory() as folder, batcher(bundle, Path(folder)) as durable:
        decisions = [durable.run([Call((query,))])[0][0] for query in queries]
        timed = {
            "read the message": _each(
                lambda: [wire.query(m, caller="", rpc="", trace_id="") for m in messages], scale
            ),
            "check its form": _each(lambda: _check_all(bundle, queries), scale),
            "compute the facts": _each(
                lambda: [computer.compute(a.query, a.state, a.at) for a in asked], scale
            ),
            "decide": _each(lambda: [bundle.decide(f.vector) for f in facts], scale),
            "draft the log entry": _each(lambda: [draft(d, d.id) for d in decisions], scale),
            "write the answer": _each(lambda: _answers(decisions), scale),
        }
        whole = _durable_us(durable, queries, scale)
    each = {what: seconds / len(asked) * 1e6 for what, seconds in timed.items()}
    inside = sum(each[k] for k in ("compute the facts", "decide", "draft the log entry"))
    each[f"the rest of a durable batch of {BATCH}: ids, bytes, chain, SQL, commit"] = max(
        0.0, whole - inside
    )
    return Section(
        title="The pieces of one Check",
        note="in one process, without the transport; microseconds a decision",
        figures=tuple(Figure(what=what, value=us, unit="us") for what, us in each.items()),
    )


def _check_all(bundle: Bundle, queries: list[Query]) -> None:
    now = utc_now()
    for query in queries:
        check(query, bundle.vocabulary, COMPUTED, now)


def _answers(decisions: list[Decision]) -> list[bytes]:
    return [wire.decision(decision).SerializeToString() for decision in decisions]


def _each(work: Callable[[], object], scale: Scale) -> float:
    """Seconds of one run of `work`, the median of the rounds."""
    took = []
    for _ in range(scale.rounds):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def _durable_us(durable: Batcher, queries: list[Query], scale: Scale) -> float:
    """Microseconds a decision when `BATCH` are decided, recorded and committed together."""
    calls = [Call((queries[i % len(queries)],)) for i in range(BATCH)]
    return _each(lambda: durable.run(calls), scale) / BATCH * 1e6
