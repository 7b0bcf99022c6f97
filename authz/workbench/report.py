"""What a policy folder holds and what is wrong with it, for people (text) and programs (JSON).

Whatever a policy file says is text here, never markup or control codes.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from rich.text import Text

from authz.bundle import Bundle
from authz.mistake import Mistake, suggest
from authz.model import ACTION, In
from authz.workbench.check import Checked

_TOKEN: Final = re.compile(r"""\"[^\"]*\"|'[^']*'|[^\s,:\[\]{}]+""")
_UNPRINTABLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_WIDEST: Final = 160
STYLES: Final = {"error": "bold red", "warning": "yellow", "FAIL": "bold red", "ok": "green"}


def mistake_text(mistake: Mistake, files: Mapping[str, bytes], prefix: str, kind: str) -> Text:
    """A mistake with the lines it is about, and a caret below the place.

    Args:
        mistake: what was found.
        files: contents by path, for the lines.
        prefix: stands before the path, so that editors find the file.
        kind: `error` or `warning`.
    """
    place = f"{prefix}{mistake.path}:{mistake.line}:{mistake.column}"
    text = Text.assemble((place, "bold"), ": ", (kind, STYLES[kind]), ": ")
    text.append(clean(f"{mistake.where}: {mistake.message}"))
    lines = files.get(mistake.path, b"").decode("utf-8", "replace").split("\n")
    if not 1 <= mistake.line <= len(lines) or not lines[mistake.line - 1].strip():
        return text.append(clean(f"\n      {mistake.hint}") if mistake.hint else "")
    start = max(0, mistake.column - _WIDEST // 2)
    for number in range(max(1, mistake.line - 1), mistake.line + 1):
        line = clean(lines[number - 1].rstrip("\r"))[start : start + _WIDEST]
        text.append(f"\n{number:>5} | ", "dim").append(line.rstrip())
    token = _TOKEN.match(clean(lines[mistake.line - 1]), mistake.column - 1)
    width = min(len(token[0]) if token else 1, _WIDEST // 2)
    text.append("\n      | ", "dim").append(" " * (mistake.column - 1 - start))
    text.append("^" * width, STYLES[kind]).append(clean(f" {mistake.hint}" if mistake.hint else ""))
    return text


def text_of(checked: Checked, prefix: str) -> Iterator[Text]:
    """The mistakes and warnings, and a line that sums up."""
    for mistake in checked.mistakes:
        yield mistake_text(mistake, checked.files, prefix, "error")
    for warning in checked.warnings:
        yield mistake_text(warning, checked.files, prefix, "warning")
    found = [many(len(checked.mistakes), "error")] if checked.mistakes else ["sound"]
    found += [many(len(checked.warnings), "warning")] if checked.warnings else []
    style = STYLES["error" if checked.mistakes else "ok"]
    yield Text.assemble((", ".join(found), style), f" in {many(len(checked.files), 'file')}")
    if checked.bundle is not None and checked.sound:
        counts = _counts(checked, checked.bundle)
        rules = f"{counts['rules']} rules (and {counts['inactive']} switched off by parameters)"
        yield Text(
            f"{counts['facts']} facts, {rules}, {counts['matrix_cells']} matrix cells, "
            f"{counts['services']} services, {counts['scenarios']} scenarios, "
            f"{counts['properties']} properties"
        )
        yield Text(f"digest {checked.bundle.digest}")


def document_of(checked: Checked) -> dict[str, object]:
    """The same for programs."""
    found: dict[str, object] = {
        "sound": checked.sound,
        "files": len(checked.files),
        "mistakes": [_mistake(mistake) for mistake in checked.mistakes],
        "warnings": [_mistake(warning) for warning in checked.warnings],
    }
    if checked.bundle is not None and checked.sound:
        found["bundle"] = {"digest": checked.bundle.digest, **_counts(checked, checked.bundle)}
    return found


def _counts(checked: Checked, bundle: Bundle) -> dict[str, int]:
    return {
        "facts": len(bundle.vocabulary.facts),
        "rules": len(bundle.rules),
        "inactive": len(checked.inactive),
        "matrix_cells": len(bundle.habilitations.cells),
        "services": len(bundle.vocabulary.services),
        "scenarios": len(checked.scenarios),
        "properties": len(checked.properties),
    }


def _mistake(mistake: Mistake) -> dict[str, object]:
    return {name: getattr(mistake, name) for name in Mistake.__slots__}


def rules(bundle: Bundle, action: str, language: str) -> list[dict[str, object]]:
    """The active rules that can apply to an action (or to any), those of highest priority first."""
    place = bundle.vocabulary.index[ACTION]
    names = bundle.vocabulary.facts[place].values
    found: list[dict[str, object]] = []
    for rule in sorted(bundle.rules, key=lambda rule: (-rule.priority, rule.uid)):
        reach: set[int] = set()
        for box in rule.boxes:
            named = [li.allowed for li in box if isinstance(li, In) and li.fact == place]
            reach.update(frozenset(range(1, len(names))).intersection(*named))
        actions = [names[one] for one in sorted(reach)]
        if not action or action in actions:
            told = rule.told.text(language)
            keys = ("uid", "effect", "priority", "reason", "source", "obligations", "place")
            found.append(
                {key: getattr(rule, key) for key in keys} | {"told": told, "actions": actions}
            )
    return found


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """A message about a name that nobody knows."""
    return f"unknown {what}: `{clean(name)}`: {suggest(name, known) or 'see vocabulary.yaml'}"


def many(count: int, what: str) -> str:
    """A number of things, as one says it."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def clean(text: str) -> str:
    """A text without what could command a terminal or spoil a report."""
    return _UNPRINTABLE.sub(
        lambda hit: (
            hit[0] if hit[0] == "\n" else " " if hit[0] == "\t" else "\N{REPLACEMENT CHARACTER}"
        ),
        text,
    )
