"""Checks a policy folder as a whole: every mistake in it, and what looks like one.

A mistake keeps a bundle from being activated, or a scenario or property from being checked. A warning is
about policies that are sound, but say something that has no effect.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from authz.bundle import VOCABULARY, Bundle, Product, build
from authz.errors import BundleError
from authz.mistake import Mistake
from authz.model import Effect, Rule, facts_of
from authz.source import parse
from authz.workbench.cases import TooManyError, cases
from authz.workbench.folder import Files
from authz.workbench.properties import Property, read_properties
from authz.workbench.scenarios import Scenario, read_scenarios

_MOST: Final = 10_000
"""So many cases of one rule are looked at; a rule with more surely decides some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a policy folder holds, as far as it can be read; `bundle` is None when it is no bundle.

    `inactive` are the uids of the rules that the parameters switch off.
    """

    files: Mapping[str, bytes]
    bundle: Bundle | None
    inactive: tuple[str, ...]
    scenarios: tuple[Scenario, ...]
    properties: tuple[Property, ...]
    mistakes: tuple[Mistake, ...]
    warnings: tuple[Mistake, ...]

    @property
    def sound(self) -> bool:
        """Whether there is no mistake."""
        return not self.mistakes


def check(files: Files, product: Product) -> Checked:
    """Builds the bundle for a product, reads scenarios and properties, and looks for what has no effect."""
    contents = files.contents
    mistakes = list(files.unreadable)
    try:
        bundle = build(contents, product)
    except BundleError as exc:
        known = {mistake.path for mistake in mistakes}
        mistakes += [mistake for mistake in exc.mistakes if mistake.path not in known]
        return _checked(files, mistakes)
    if mistakes:
        return _checked(files, mistakes)  # a bundle without a file of its own would mislead
    scenarios, wrong = read_scenarios(contents, bundle.vocabulary)
    properties, wrong_too = read_properties(contents, bundle.vocabulary)
    return _checked(
        files,
        [*wrong, *wrong_too],
        bundle=bundle,
        scenarios=scenarios,
        properties=properties,
    )


def _checked(
    files: Files,
    mistakes: list[Mistake],
    *,
    bundle: Bundle | None = None,
    scenarios: tuple[Scenario, ...] = (),
    properties: tuple[Property, ...] = (),
) -> Checked:
    vocabulary = files.contents.get(VOCABULARY, b"")
    warnings = [*files.ignored, *(warnings_of(bundle, vocabulary) if bundle else ())]
    return Checked(
        files=files.contents,
        bundle=bundle,
        inactive=_inactive(bundle) if bundle else (),
        scenarios=scenarios,
        properties=properties,
        mistakes=tuple(sorted(mistakes)),
        warnings=tuple(sorted(warnings)),
    )


def warnings_of(bundle: Bundle, vocabulary: bytes) -> Iterator[Mistake]:
    """What a sound bundle says without effect: facts that no rule names, rules that are always overridden.

    `vocabulary` is the content of `vocabulary.yaml`, for the places of the facts.
    """
    yield from _unnamed(bundle, vocabulary)
    denies = [rule for rule in bundle.rules if rule.effect is Effect.DENY]
    for rule in bundle.rules:
        if rule.effect is Effect.ALLOW:
            by = _overriders(bundle, rule, denies)
            if by:
                path, _, line = rule.place.rpartition(":")
                message = f"never decides: always overridden by {', '.join(f'`{u}`' for u in by)}"
                hint = "narrow the denial, or remove this rule"
                yield Mistake(
                    path=path,
                    line=int(line),
                    column=1,
                    where=f"rule {rule.uid}",
                    message=message,
                    hint=hint,
                )


def _overriders(bundle: Bundle, rule: Rule, denies: list[Rule]) -> list[str]:
    """The deny rules that leave nothing of an allow rule; none when something is left.

    Those that do it alone, if there are any, else all that have a part in it.
    """
    found: list[set[str]] = []
    try:
        for box in rule.boxes:
            for case in cases(bundle.vocabulary, [rule, *denies], box, most=_MOST):
                against = set(case.rules) - {rule.uid}
                if not against:
                    return []
                found.append(against)
    except TooManyError:
        return []
    return sorted(set.intersection(*found) or set.union(*found)) if found else []


def _unnamed(bundle: Bundle, vocabulary: bytes) -> Iterator[Mistake]:
    named = {
        place
        for rule in bundle.rules
        for box in rule.boxes
        for literal in box
        for place in facts_of(literal)
    }
    # A rule that a parameter switches off waits for its facts.
    waiting = {name for rule in _switched_off(bundle) for name in _facts_named(rule)}
    root, _ = parse(vocabulary, path=VOCABULARY)
    nodes = root.items["facts"].sequence if root is not None else []
    lines = {str(node.items["name"].value): node.items["name"] for node in nodes}
    for place, fact in enumerate(bundle.vocabulary.facts):
        if place not in named and fact.name in lines and fact.name not in waiting:
            yield Mistake(
                path=VOCABULARY,
                line=lines[fact.name].line,
                column=lines[fact.name].column,
                where=f"fact {fact.name}",
                message="no active rule names it",
                hint="it changes no decision",
            )


def _facts_named(rule: Mapping[str, Any]) -> Iterator[str]:
    """The facts that the conditions of a rule's document name, but for those it compares others with."""
    for element, said in rule["rules"].items():
        for mapping in said if isinstance(said, list) else [said]:
            yield from (f"{element}.{path.removeprefix('$.')}" for path in mapping)


def _switched_off(bundle: Bundle) -> Iterator[Mapping[str, Any]]:
    """The documents of the rules of the bundle that its parameters switch off."""
    documents = orjson.loads(bundle.content)["documents"]
    for name, document in documents.items():
        if name.startswith("rules/"):
            yield from (rule for rule in document["rules"] if rule["uid"] not in bundle.documents)


def _inactive(bundle: Bundle) -> tuple[str, ...]:
    """The rules of the bundle that its parameters switch off."""
    return tuple(sorted(rule["uid"] for rule in _switched_off(bundle)))
