"""The benches run at next to no size, and the peers agree with us; nobody looks at the clock."""

import io
import json
import subprocess
import sys

import pytest

from authz.bundle import read_folder
from authz.model import Effect
from authz.policies import default_folder
from bench import __main__ as program
from bench import (
    activating,
    deciding,
    evidence,
    following,
    growth,
    populating,
    profiling,
    query,
    samples,
    serving,
    synthetic,
    transports,
)
from bench.client import frames, messages
from bench.contest import compete
from bench.peers.cedar import Cedar
from bench.peers.ours import Ours
from bench.peers.pyabac import PyAbac
from bench.peers.pycasbin import PyCasbin
from bench.report import DisagreementError, Figure, Section, plain, show
from bench.scale import SMOKE


@pytest.fixture(scope="module")
def bundle():
    return samples.shipped()


def peers_of(policies):
    return [
        Ours(policies),
        Cedar(policies, batch=True),
        Cedar(policies, batch=False),
        PyCasbin(policies),
        PyAbac(policies),
    ]


@pytest.mark.parametrize(
    "run",
    [
        *(
            deciding.run,
            growth.run,
            serving.run,
            activating.run,
            profiling.run,
            query.run,
            evidence.run,
        ),
        *(
            pytest.param(run, marks=pytest.mark.slow)
            for run in (serving.over_tls, transports.run, populating.run, following.run)
        ),
    ],
    ids=lambda run: f"{run.__module__}.{run.__name__}",
)
def test_each_bench_runs(run):
    """Each bench runs to its end and reports figures that are no less than nothing."""
    sections = run(SMOKE, str)

    figures = [figure for section in sections for figure in section.figures]
    assert figures
    assert all(figure.value >= 0 for figure in figures)


def test_peers_agree(bundle):
    """Every peer gives the same answers as we do, some of them yes and some of them no."""
    vectors = samples.vectors(bundle, 60, seed=7)

    ours, *peers = (p.decide(p.prepare(vectors)) for p in peers_of(samples.policies(bundle)))

    assert set(ours) == {True, False}
    assert peers == [ours] * len(peers)


def test_peers_agree_on_variants(bundle):
    """The peers agree on rules that were made for the bench, too."""
    originals = synthetic.originals(bundle, read_folder(default_folder()))
    policies = synthetic.read(bundle, synthetic.grown(bundle, originals, 250))
    vectors = samples.vectors(bundle, 30, seed=8)

    ours, *peers = (p.decide(p.prepare(vectors)) for p in peers_of(policies))

    assert peers == [ours] * len(peers)


def test_disagreement_is_no_result(bundle):
    """A peer that gives another answer is not measured: the run ends."""
    policies = samples.policies(bundle)
    opposite = Ours(policies)
    opposite.decide = lambda requests: [not yes for yes in Ours(policies).decide(requests)]

    with pytest.raises(DisagreementError, match="disagrees"):
        compete([Ours(policies), opposite], samples.vectors(bundle, 5), SMOKE)


def test_sample_has_both(bundle):
    """The requests of the bench are the same in each run, and both effects are among them."""
    vectors = samples.vectors(bundle, 200)

    again = samples.vectors(bundle, 200)

    assert again == vectors
    assert {bundle.decide(v).effect for v in vectors} == set(Effect)


def test_frames():
    """Messages come out of their framing as they went in."""
    sent = [b"", b"a", b"\x00" * 300]

    read = messages(frames(sent))

    assert read == sent


def test_table_and_data():
    """The table shows each figure with its ratio and target, and the data hold the same."""
    figure = Figure(what="dmp", value=1.5, unit="us", ratio=1.0, target="<= 2 us", met=True)
    load = Figure(what="Check", value=3_000, unit="/s", latency_ms=(1.0, 2.0, 40.0), cpu_us=210.0)
    section = Section(title="One", note="noted", figures=(figure, load))
    written = io.StringIO()

    show([section], written, width=100)

    shown = ("One", "noted", "1.50 us", "1.00 x", "<= 2 us: met", "1.00 / 2.00 / 40.0", "210")
    assert all(part in written.getvalue() for part in shown)
    assert json.loads(json.dumps(plain([section])))[0]["figures"][0]["value"] == 1.5


def test_unknown_name():
    """A bench that does not exist is refused with those that do."""
    done = subprocess.run(
        [sys.executable, "-m", "bench", "decidding"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "unknown bench: `decidding`" in done.stderr


def test_what_fails_is_told(monkeypatch, capsys, tmp_path):
    """A bench that fails is told and costs the others nothing; the run ends with 1."""

    def failing(_scale, _tell):
        raise RuntimeError("no such server")

    def working(_scale, _tell):
        return [Section(title="One", note="", figures=(Figure(what="dmp", value=1, unit="us"),))]

    monkeypatch.setattr(program, "BENCHES", {"failing": failing, "working": working})
    monkeypatch.setattr(sys, "argv", ["bench", "--json", str(tmp_path / "figures.json")])

    code = program.main()

    said = capsys.readouterr()
    assert 1 == code
    assert "FAILED, NOT MEASURED: failing: RuntimeError: no such server" in said.err
    assert "One" in said.out
    (section,) = json.loads((tmp_path / "figures.json").read_bytes())["sections"]
    assert "dmp" == section["figures"][0]["what"]
