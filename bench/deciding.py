"""A decision from facts, against the peers."""

from authz.bundle import Bundle
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


def run(scale: Scale, tell: Tell) -> list[Section]:
    """Measures decisions on the policies that are shipped."""
    bundle = samples.shipped()
    tell("deciding: the same requests by us and by each peer")
    return [_peers(bundle, scale)]


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
