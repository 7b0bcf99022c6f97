"""A bundle becoming the one that decides: how long it takes to build, and what callers notice of it."""

import gc
import os
import shutil
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import pairwise
from math import inf
from pathlib import Path

from authz.bundle import build, read_folder, restore
from authz.compile import compile_rules
from authz.engines import abac_objects_to
from authz.policies import default_folder
from authz.product import DMP
from authz.safety import open_doors
from authz.source import parse
from bench import asking, load, processes, samples, synthetic
from bench.client import frames
from bench.peers import Policies
from bench.report import Figure, Section, Tell
from bench.scale import Scale

BUILD = "build from files"
TARGET_MS = 2_000.0
IN_FLIGHT = 32
_EDITED = "rules/10-who-never.yaml"
_MARK = 'description: "'


def run(scale: Scale, tell: Tell) -> list[Section]:
    """Measures building, and activation under load."""
    return [_shipped(scale, tell), *_grown(scale, tell), _under_load(scale, tell)]


def _shipped(scale: Scale, tell: Tell) -> Section:
    tell("activation: building the bundle")
    files, bundle = read_folder(default_folder()), samples.shipped()
    rules = samples.policies(bundle)
    work = _work(files, rules) | {
        "build again from its stored content": partial(restore, bundle.content, DMP)
    }
    took = {
        what: statistics.median(_ms(call) for _ in range(scale.builds))
        for what, call in work.items()
    }
    note = f"{len(bundle.rules)} rules in {len(files)} files"
    return _section("Building the bundle", note, took, aimed=True)


def _grown(scale: Scale, tell: Tell) -> Iterator[Section]:
    """Bundles of many rules."""
    files, bundle = read_folder(default_folder()), samples.shipped()
    originals = synthetic.originals(bundle, files)
    for count in scale.built:
        tell(f"activation: building {count:,} rules")
        documents = synthetic.grown(bundle, originals, count)
        work = _work(synthetic.in_files(files, documents), synthetic.read(bundle, documents))
        took = {what: _ms(call) for what, call in work.items()}
        yield _section(f"Building {count:,} rules", "variants of the real ones", took)


def _work(files: Mapping[str, bytes], rules: Policies) -> dict[str, Callable[[], object]]:
    """Building a bundle, and the parts of it that could grow."""
    return {
        BUILD: partial(build, files, DMP),
        "of that: read the YAML": partial(_parse, files),
        "of that: let py-abac read each rule": partial(abac_objects_to, rules.documents),
        "of that: look for open doors": lambda: list(open_doors(rules.vocabulary, rules.rules)),
        "of that: compile": partial(compile_rules, rules.vocabulary, rules.rules),
    }


def _section(title: str, note: str, took: Mapping[str, float], *, aimed: bool = False) -> Section:
    whole = took[BUILD]
    return Section(
        title=title,
        note=note,
        figures=tuple(
            Figure(
                what=what,
                value=ms,
                unit="ms",
                ratio=ms / whole,
                target=f"<= {TARGET_MS:,.0f} ms" if aimed and what == BUILD else "",
                met=ms <= TARGET_MS if aimed and what == BUILD else None,
            )
            for what, ms in took.items()
        ),
    )


def _parse(files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        if name.endswith(".yaml"):
            parse(data, path=name)


def _ms(call: Callable[[], object]) -> float:
    gc.collect()
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1e3


def _under_load(scale: Scale, tell: Tell) -> Section:
    """Policies edited while a client asks without a pause: by file change and by signal in turn."""
    tell(f"activation: {scale.activations} under load")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        policies = folder / "policies"
        shutil.copytree(default_folder(), policies)
        database = processes.sqlite(folder)
        with processes.decision_point(database, policies=policies) as service:
            who = asking.patients(scale.patients)
            questions = asking.prepare(service.address, who, bundle=samples.shipped())
            requests = folder / "requests"
            requests.write_bytes(frames([check.SerializeToString() for check in questions.checks]))
            seconds = scale.activations * scale.gap_s + 2
            options = ["--follow", "--in-flight", str(IN_FLIGHT), "--seconds", str(seconds)]
            client = load.start(service.address, requests, *options)
            time.sleep(1.0)
            edits = []
            for number in range(scale.activations):
                edits.append(_edit(policies, number, service.pid))
                time.sleep(scale.gap_s)
            found = load.outcome(client)
    return _activations(found, edits)


def _edit(policies: Path, number: int, pid: int) -> float:
    """Changes the wording of a rule, and on every other turn says so; answers when."""
    path = policies / _EDITED
    text = path.read_text(encoding="utf-8")
    before, _, after = text.partition(_MARK)
    new = path.with_suffix(".new")
    new.write_text(f"{before}{_MARK}({number}) {after}", encoding="utf-8")
    new.replace(path)
    at = time.time()
    if number % 2:
        os.kill(pid, signal.SIGHUP)
    return at


def _activations(found: load.Outcome, edits: list[float]) -> Section:
    """What callers saw: from each edit to the first answer under the new bundle, and no way back."""
    reigns = sorted(found.reigns, key=lambda reign: reign.first_ns)
    mixed = sum(later.first_ns < earlier.last_ns for earlier, later in pairwise(reigns))
    seen = [reign.seen for reign in reigns]
    took = [min((at - edit for at in seen if at > edit), default=inf) * 1e3 for edit in edits]
    failed = sum(found.errors.values())
    return Section(
        title="Activation under load",
        note=f"{len(edits)} edits, {IN_FLIGHT} Checks in flight, {found.answered:,} answered; "
        "every other edit is left to the watch, which looks each half second",
        figures=(
            Figure(what="calls that failed", value=failed, unit="", target="0", met=not failed),
            Figure(
                what="bundles that decided among another's decisions",
                value=mixed,
                unit="",
                target="0",
                met=not mixed and len(reigns) == len(edits) + 1,
            ),
            Figure(
                what="from edit to new answers, median", value=statistics.median(took), unit="ms"
            ),
            Figure(
                what="from edit to new answers, slowest",
                value=max(took),
                unit="ms",
                target=f"<= {TARGET_MS:,.0f} ms",
                met=max(took) <= TARGET_MS,
            ),
        ),
    )
