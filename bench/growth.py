"""How the time of a decision grows with the number of rules."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from authz.bundle import Bundle, read_folder
from authz.model import ACTION, Vector
from authz.policies import default_folder
from bench import samples, synthetic
from bench.contest import compete, first_time
from bench.peers import Peer, Policies
from bench.peers.cedar import Cedar
from bench.peers.ours import Ours
from bench.peers.pyabac import PyAbac
from bench.peers.pycasbin import PyCasbin
from bench.report import Figure, Section, Tell
from bench.scale import Scale

CROWDED = "document.read"
PEERS_UP_TO = 1_000
"""Beyond, py-abac and pycasbin need a tenth of a second and more for one decision."""

_WORK = 100_000  # rules times requests that the slowest engine gets through in some seconds


def run(scale: Scale, tell: Tell) -> list[Section]:
    """Measures rules spread over the actions as the real ones are, and all on one action."""
    bundle = samples.shipped()
    rules = synthetic.originals(bundle, read_folder(default_folder()))
    vectors = samples.vectors(bundle, scale.requests)
    found = {}
    for count in scale.rules:
        tell(f"growth: {count:,} rules")
        documents = synthetic.grown(bundle, rules, count)
        crowded = synthetic.on_one_action(documents, CROWDED)
        found[count] = (
            _race(synthetic.read(bundle, documents), vectors, scale),
            _race(synthetic.read(bundle, crowded), _asking(bundle, vectors), scale),
        )
    sections = [_section(count, spread, crowded) for count, (spread, crowded) in found.items()]
    return [*sections, _growth(found)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """What came of one set of rules: all times in microseconds a decision."""

    ours: float
    first_time: float
    peers: Mapping[str, float]


def _race(policies: Policies, vectors: Sequence[Vector], scale: Scale) -> Race:
    """Us on all requests, the peers on as many as they get through; the answers to those compared."""
    few = vectors[: max(10, min(len(vectors), _WORK // len(policies.rules)))]
    _, *peers = compete([Ours(policies), *_peers(policies)], few, scale)
    (ours,) = compete([Ours(policies)], vectors, scale)
    first_us, _ = first_time(policies, vectors, scale)
    return Race(
        ours=ours.median_us,
        first_time=first_us,
        peers={contender.peer.name: contender.median_us for contender in peers},
    )


def _peers(policies: Policies) -> list[Peer]:
    peers: list[Peer] = [Cedar(policies, batch=True)]
    if len(policies.rules) <= PEERS_UP_TO:
        peers += [PyCasbin(policies), PyAbac(policies)]
    return peers


def _asking(bundle: Bundle, vectors: Sequence[Vector]) -> list[Vector]:
    """The same requests, all for the one action."""
    place = bundle.vocabulary.index[ACTION]
    action = bundle.vocabulary.facts[place].values.index(CROWDED)
    return [(*v[:place], action, *v[place + 1 :]) for v in vectors]


def _section(count: int, spread: Race, crowded: Race) -> Section:
    return Section(
        title=f"{count:,} rules",
        note="variants of the real rules; all engines gave the same answers",
        figures=(*_rows(spread, ""), *_rows(crowded, ", all rules on one action")),
    )


def _rows(race: Race, where: str) -> Iterator[Figure]:
    times = {"dmp": race.ours, "dmp, a combination for the first time": race.first_time}
    for name, us in (times | dict(race.peers)).items():
        yield Figure(what=name + where, value=us, unit="us", ratio=us / race.ours)


def _growth(found: Mapping[int, tuple[Race, Race]]) -> Section:
    """How many times longer the last set of rules takes than the first."""
    least, most = min(found), max(found)
    (spread, crowded), (last, last_crowded) = found[least], found[most]
    grown = {
        "dmp": last.ours / spread.ours,
        "dmp, all rules on one action": last_crowded.ours / crowded.ours,
    } | {name: us / spread.peers[name] for name, us in last.peers.items()}
    return Section(
        title=f"Growth of the time from {least:,} to {most:,} rules",
        note="a decision looks at the facts that the rules for its action name, not at the rules",
        figures=tuple(Figure(what=what, value=times, unit="x") for what, times in grown.items()),
    )
