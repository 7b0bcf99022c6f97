"""How much is measured: the whole, a quick look, or next to nothing for the tests."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Sizes of a run.

    A round is one contender's turn, `round_s` seconds long; rounds are interleaved, and so are the `runs`
    under load, of `calls` each. `gap_s` are the seconds between two activations, so that one is over when
    the next begins. `population` is how many patients a large registry has, `entries` how long a long log is.
    `profile_s` are the seconds in which the pieces of work are looked at. `cerbos` tells whether its server
    may be fetched.
    """

    requests: int = 1_000
    rounds: int = 9
    round_s: float = 0.3
    rules: tuple[int, ...] = (10, 100, 1_000, 10_000)
    built: tuple[int, ...] = (1_000, 2_000, 10_000)
    builds: int = 5
    in_flight: tuple[int, ...] = (1, 8, 32, 128)
    calls: int = 4_000
    runs: int = 5
    patients: int = 200
    population: int = 1_000_000
    entries: int = 1_000_000
    activations: int = 10
    gap_s: float = 3.0
    profile_s: float = 10.0
    cerbos: bool = True


FULL = Scale()
QUICK = Scale(
    requests=300,
    rounds=3,
    round_s=0.1,
    rules=(10, 100, 1_000),
    built=(1_000,),
    builds=2,
    in_flight=(1, 32),
    calls=1_500,
    runs=2,
    patients=50,
    population=50_000,
    entries=50_000,
    activations=3,
    profile_s=3.0,
)
SMOKE = Scale(
    requests=20,
    rounds=1,
    round_s=0.001,
    rules=(10, 200),
    built=(),
    builds=1,
    in_flight=(2,),
    calls=20,
    runs=1,
    patients=3,
    population=60,
    entries=300,
    activations=1,
    gap_s=2.0,
    profile_s=0.2,
    cerbos=False,
)
