"""How the time of a decision grows with the number of rules."""

from collections.abc import Sequence

from authz.bundle import Bundle, read_folder
from authz.model import ACTION, Vector
from authz.policies import default_folder
from bench import samples, synthetic
from bench.contest import Contender, compete
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

_WORK = 200_000  # rules times requests that the slowest engine gets through in some seconds


def run(scale: Scale, tell: Tell) -> list[Section]:
    """Measures rules spread over the actions as the real ones are, and all on one action."""
    bundle = samples.shipped()
    rules = synthetic.originals(bundle, read_folder(default_folder()))
    vectors = samples.vectors(bundle, scale.requests)
    sections = []
    spread: dict[int, float] = {}
    crowded: dict[int, float] = {}
    for count in scale.rules:
        tell(f"growth: {count:,} rules")
        documents = synthetic.grown(bundle, rules, count)
        few = vectors[: max(10, min(len(vectors), _WORK // count))]
        found = compete(_engines(synthetic.read(bundle, documents), count), few, scale)
        one = synthetic.read(bundle, synthetic.on_one_action(documents, CROWDED))
        worst = compete([Ours(one), Cedar(one, batch=True)], _asking(bundle, few), scale)
        spread[count], crowded[count] = found[0].median_us, worst[0].median_us
        sections.append(_section(count, found, worst))
    return [*sections, _growth(spread, crowded)]


def _engines(policies: Policies, count: int) -> list[Peer]:
    peers: list[Peer] = [Ours(policies), Cedar(policies, batch=True)]
    if count <= PEERS_UP_TO:
        peers += [PyCasbin(policies), PyAbac(policies)]
    return peers


def _asking(bundle: Bundle, vectors: Sequence[Vector]) -> list[Vector]:
    """The same requests, all for the one action."""
    place = bundle.vocabulary.index[ACTION]
    action = bundle.vocabulary.facts[place].values.index(CROWDED)
    return [(*v[:place], action, *v[place + 1 :]) for v in vectors]


def _section(count: int, spread: list[Contender], crowded: list[Contender]) -> Section:
    def rows(contenders: list[Contender], where: str) -> list[Figure]:
        first = contenders[0].median_us
        return [
            Figure(
                what=c.peer.name + where, value=c.median_us, unit="us", ratio=c.median_us / first
            )
            for c in contenders
        ]

    return Section(
        title=f"{count:,} rules",
        note="variants of the real rules; all engines gave the same answers",
        figures=(*rows(spread, ""), *rows(crowded, ", all rules on one action")),
    )


def _growth(spread: dict[int, float], crowded: dict[int, float]) -> Section:
    least, most = min(spread), max(spread)
    return Section(
        title=f"Growth from {least:,} to {most:,} rules, dmp",
        note="",
        figures=(
            Figure(
                what="spread as the real ones are", value=spread[most] / spread[least], unit="x"
            ),
            Figure(what="all on one action", value=crowded[most] / crowded[least], unit="x"),
        ),
    )
