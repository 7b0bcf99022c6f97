"""A load counts only if every answer was the right one, and what had to be recorded is on record."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bench import asking, contestants, processes
from bench.asking import Questions
from bench.load import H2load, InPython, Outcome
from bench.processes import Keys
from bench.report import DisagreementError
from bench.server import CALLER
from bench.sides import Side, compete

h2load = pytest.mark.skipif(not shutil.which("h2load"), reason="h2load is not installed")


class Told:
    """A driver that makes no calls, and says what came of them."""

    name = "told"

    def __init__(self, outcome):
        self.outcome = outcome

    def run(self, *_, **__):
        return self.outcome


OUTCOME = Outcome(rate=1.0, p50_ms=1.0, p90_ms=1.0, p99_ms=1.0, answered=10, errors={})
RUN = {"size": 1, "calls": 10, "in_flight": 2, "rounds": 1}


def side_of(running, folder, keys=None):
    """An empty server, and what it is asked."""
    checks = tuple(map(asking.check, asking.patients(2)))
    kinds = contestants.kinds(folder, Questions(checks=checks, facts=()))
    return Side(name="empty", address=running.address, pids=(running.pid,), kinds=kinds, keys=keys)


@pytest.fixture(scope="module")
def side(tmp_path_factory):
    with processes.empty() as running:
        yield side_of(running, tmp_path_factory.mktemp("sides"))


@pytest.mark.parametrize("size", [1, contestants.BATCH])
def test_from_python(side, size):
    """Our own client gets all answers, and tells how long they took."""
    found = compete([side], InPython(), **RUN | {"size": size})["empty"]

    outcome = found.outcome
    assert (10, {}) == (outcome.answered, outcome.errors)
    assert 0 < outcome.p50_ms <= outcome.p90_ms <= outcome.p99_ms
    assert found.cpu_us >= 0


@h2load
@pytest.mark.parametrize("size", [1, contestants.BATCH])
def test_from_h2load(side, size, tmp_path):
    """h2load gets all answers, and tells how long they took and how many bytes they were."""
    found = compete([side], H2load(tmp_path), **RUN | {"size": size})["empty"]

    outcome = found.outcome
    assert (10, {}) == (outcome.answered, outcome.errors)
    assert outcome.body == 10 * (5 + len(side.ask(size)))
    assert 0 < outcome.p50_ms <= outcome.p90_ms <= outcome.p99_ms


@h2load
@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
def test_h2load_shows_a_certificate(tmp_path):
    """A server that wants a certificate is measured by h2load, and by our own client."""
    keys = Keys.make(tmp_path / "pki")
    drivers = (H2load(tmp_path, keys.of(CALLER)), InPython(keys.of(CALLER)))

    with processes.empty(keys=keys) as running:
        side = side_of(running, tmp_path, keys)
        found = [compete([side], driver, **RUN)["empty"].outcome for driver in drivers]

    assert [(10, {})] * 2 == [(outcome.answered, outcome.errors) for outcome in found]


@h2load
def test_errors_are_no_answers(side, tmp_path):
    """Calls that the server refuses with an HTTP 200 are found out by what they lack."""
    kind = side.kinds[1]
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"\x00\x00\x00\x00\x02\xff\xff")
    driver = H2load(tmp_path)
    refused = driver.run(side.address, kind.method, garbage, calls=10, in_flight=2)

    with pytest.raises(DisagreementError, match="other answers"):
        compete([side], Told(refused), **RUN)

    assert (10, {}, 0) == (refused.answered, refused.errors, refused.body)


def test_denials_are_no_answers(side):
    """A server that does not allow what is asked is not measured."""
    kinds = {1: replace(side.kinds[1], allows=lambda _: False)}

    with pytest.raises(DisagreementError, match="does not allow"):
        compete([replace(side, kinds=kinds)], Told(OUTCOME), **RUN)


def test_failed_calls(side):
    """A load with errors is no result."""
    with pytest.raises(RuntimeError, match="UNAVAILABLE"):
        compete([side], Told(replace(OUTCOME, errors={"UNAVAILABLE": 1})), **RUN)


def test_answers_without_record(side):
    """A server that answered more than it recorded is no result."""
    counts = iter([100, 109])

    with pytest.raises(RuntimeError, match="9 on record"):
        compete([replace(side, recorded=lambda: next(counts))], Told(OUTCOME), **RUN)


def test_processor_time_of_a_family(side):
    """The processor time of a process is counted, with that of those which it started."""
    (pid,) = side.pids

    own = processes.processor_s(pid)
    all_of_us = processes.processor_s(int(Path("/proc/self/stat").read_text().split()[0]))

    assert 0 < own <= all_of_us
