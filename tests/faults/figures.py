"""The figures of a run: each long form leaves its own, `python -m tests.faults.figures FOLDER` adds them up.

The folder is named by the variable DMP_FAULTS; without it nothing is written. `progress` in it grows while
the run goes on.
"""

import json
import os
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path

FOLDER = "DMP_FAULTS"


@dataclass(slots=True)
class Figures:
    """What one test did and found."""

    name: str
    faults: Counter[str] = field(default_factory=Counter)
    """By kind, how often it happened."""
    answers: int = 0
    """Answers that were compared with the record."""
    refusals: Counter[str] = field(default_factory=Counter)
    """Calls without an answer, by status."""
    restarts: dict[str, list[float]] = field(default_factory=dict)
    """By what was restarted, the seconds until it served again."""
    other: dict[str, float] = field(default_factory=dict)
    """What else was measured; the largest of all runs is shown."""
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def restarted(self, what: str, seconds: float) -> None:
        """Adds a time to serve again."""
        self.restarts.setdefault(what, []).append(seconds)

    def tell(self, what: str) -> None:
        """Says how far it has come."""
        if FOLDER in os.environ:
            folder = Path(os.environ[FOLDER])
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "progress").open("a") as file:
                minutes = (time.monotonic() - self.began) / 60
                file.write(f"{minutes:6.1f} min {self.name}: {what}\n")

    def save(self) -> None:
        """Writes the figures of a test that has passed."""
        self.seconds = time.monotonic() - self.began
        self.tell(f"done, {self.faults.total()} faults, {self.answers} answers")
        if FOLDER in os.environ:
            path = Path(os.environ[FOLDER], f"{self.name}-{uuid.uuid4().hex[:8]}.json")
            shown = {one.name: getattr(self, one.name) for one in fields(self)}
            path.write_text(json.dumps(shown, indent=1), encoding="utf-8")


def add_up(found: Iterable[dict]) -> str:
    """All figures as Markdown."""
    faults: dict[str, Counter[str]] = {}
    restarts: dict[str, list[float]] = {}
    other: dict[str, float] = {}
    answers: Counter[str] = Counter()
    refusals: Counter[str] = Counter()
    for one in found:
        faults.setdefault(one["name"], Counter()).update(one["faults"])
        answers[one["name"]] += one["answers"]
        refusals.update(one["refusals"])
        for what, seconds in one["restarts"].items():
            restarts.setdefault(what, []).extend(seconds)
        for what, value in one["other"].items():
            other[what] = max(value, other.get(what, value))
    lines = ["| what | how often | answers compared | violations |", "| --- | --- | --- | --- |"]
    for name in sorted(faults):
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(faults[name].items()))
        lines.append(f"| {name} | {kinds} | {answers[name]:,} | 0 |")
    lines += ["", "| served again after | times | p50 s | p99 s | max s |"]
    lines += ["| --- | --- | --- | --- | --- |"]
    for what in sorted(restarts):
        times = sorted(restarts[what])
        p50, p99 = (times[min(len(times) - 1, int(len(times) * q))] for q in (0.5, 0.99))
        lines.append(f"| {what} | {len(times):,} | {p50:.2f} | {p99:.2f} | {times[-1]:.2f} |")
    lines += ["", "| also | |", "| --- | --- |"]
    lines += [f"| {what} | {value:,.2f} |" for what, value in sorted(other.items())]
    lines += [f"| calls refused: {code} | {count:,} |" for code, count in sorted(refusals.items())]
    return "\n".join(lines)


def main() -> None:
    """Prints the sum of a folder of figures, and keeps it beside them."""
    folder = Path(sys.argv[1])
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    if not found:
        return
    text = add_up(found)
    (folder / "summary.md").write_text(text + "\n")
    print(text)  # noqa: T201 - for whoever runs it


if __name__ == "__main__":
    main()
