"""Scenarios: a sentence, what is true, who asks for what, and what the policies have to answer.

`policies/scenarios/people.yaml` holds the cast, each other file a theme. A scenario becomes a `Query` and
a `PatientState`, so that it can be decided here, over the wire and again from the log.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from authz.bundle import Bundle
from authz.decide import NO_RULE_ALLOWS
from authz.facts import COMPUTED, FactComputer
from authz.mistake import Mistake, suggest
from authz.model import Effect, Vector, Verdict, Vocabulary, Wording
from authz.query import Query, check
from authz.registry.state import PatientState, Standings
from authz.source import Mistakes, Node, parse
from authz.vocabulary import wording
from authz.workbench.asked import QueryReader
from authz.workbench.cast import Cast, CastReader, instant, read_cast
from authz.workbench.given import StateReader
from serving.errors import RequestError

FOLDER: Final = "scenarios"
PEOPLE: Final = f"{FOLDER}/people.yaml"

_SCENARIO: Final = ("it", "when", "then", "because")
_OPTIONAL: Final = ("given", "obligations", "source", "at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One case that the policies must decide as written.

    `place` is `file:line`; `obligations` are exactly those that are due, in alphabetical order.
    """

    it: str
    theme: Wording
    place: str
    query: Query
    state: PatientState
    at: datetime
    effect: Effect
    reason: str
    obligations: tuple[str, ...] = ()
    source: str = ""
    standings: Standings = field(default_factory=dict)

    @property
    def file(self) -> str:
        """The file it stands in."""
        return self.place.rpartition(":")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a scenario: passed when there are no `problems`."""

    scenario: Scenario
    verdict: Verdict | None
    vector: Vector
    remarks: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether everything is as expected."""
        return not self.problems


def read_scenarios(
    files: Mapping[str, bytes], vocabulary: Vocabulary
) -> tuple[tuple[Scenario, ...], tuple[Mistake, ...]]:
    """Reads all scenarios.

    Args:
        files: contents by path in the policy folder; those below `scenarios/` are read.
        vocabulary: what the scenarios may speak of.

    Returns:
        The scenarios in the order of the files, and every mistake.
    """
    mistakes = Mistakes()
    trees: dict[str, Node] = {}
    for name in sorted(name for name in files if name.startswith(f"{FOLDER}/")):
        node, found = parse(files[name], path=name)
        mistakes.found += found
        if node is not None:
            trees[name] = node
    scenarios: list[Scenario] = []
    people = trees.pop(PEOPLE, None)
    if people is None:
        if trees and PEOPLE not in files:
            mistakes.at(Node(None, PEOPLE, 1, 1), "file", "missing file", "it holds the cast")
        return (), tuple(sorted(mistakes.found))
    cast = read_cast(people, mistakes)
    if cast is not None:
        reader = _Reader(cast, vocabulary, mistakes)
        for tree in trees.values():
            scenarios += reader.file(tree)
    return tuple(scenarios), tuple(sorted(set(mistakes.found)))


def run(bundle: Bundle, scenario: Scenario) -> Outcome:
    """Decides a scenario under a bundle, and compares with what was expected."""
    try:
        check(scenario.query, bundle.vocabulary, COMPUTED, scenario.at)
    except RequestError as exc:
        problems = tuple(f"malformed: {f}: {wrong}; {cure}" for f, wrong, cure in exc.violations)
        return Outcome(scenario=scenario, verdict=None, vector=(), remarks=(), problems=problems)
    facts = FactComputer(bundle).compute(
        scenario.query, scenario.state, scenario.at, scenario.standings
    )
    verdict = bundle.decide(facts.vector)
    return Outcome(
        scenario=scenario,
        verdict=verdict,
        vector=facts.vector,
        remarks=facts.remarks,
        problems=tuple(_differences(bundle, scenario, verdict)),
    )


def _differences(bundle: Bundle, scenario: Scenario, verdict: Verdict) -> list[str]:
    found = []
    if (verdict.effect, verdict.reason) != (scenario.effect, scenario.reason):
        reasons = {NO_RULE_ALLOWS, *(rule.reason for rule in bundle.rules)}
        hint = "" if scenario.reason in reasons else suggest(scenario.reason, reasons)
        wanted, got = f"{scenario.effect} {scenario.reason}", f"{verdict.effect} {verdict.reason}"
        found.append(f"expected {wanted}, got {got}{hint and f' ({hint})'}")
    due = tuple(sorted(verdict.obligations))
    if due != scenario.obligations:
        named = (", ".join(one) or "none" for one in (scenario.obligations, due))
        found.append("expected obligations {}, got {}".format(*named))
    if verdict.error:
        found.append(verdict.error)
    return found


class _Reader:
    """Reads the files of scenarios; mistakes are collected, not raised."""

    def __init__(self, cast: Cast, vocabulary: Vocabulary, mistakes: Mistakes) -> None:
        names = CastReader(cast, vocabulary, mistakes)
        self._at = cast.at
        self._states = StateReader(names, mistakes)
        self._queries = QueryReader(names, vocabulary, mistakes)
        self._vocabulary = vocabulary
        self._mistakes = mistakes
        names.check()
        self._states.check()

    def file(self, root: Node) -> list[Scenario]:
        """The scenarios of one file."""
        if not self._mistakes.keys(root, "file", required=("theme", "scenarios")):
            return []
        theme = Wording(fr="", en="")
        if self._mistakes.keys(root.items["theme"], "theme", required=("fr", "en")):
            theme = wording(self._mistakes, root.items["theme"], "theme")
        seen: set[str] = set()
        found = []
        for node in root.items["scenarios"].sequence:
            scenario = self._scenario(node, theme)
            if scenario is None:
                continue
            if scenario.it in seen:
                self._mistakes.at(node, "scenario", f"twice in this file: `{scenario.it}`")
            seen.add(scenario.it)
            found.append(scenario)
        return found

    def _scenario(self, node: Node, theme: Wording) -> Scenario | None:
        where = "scenario"
        before = len(self._mistakes.found)
        if not self._mistakes.keys(node, where, required=_SCENARIO, optional=_OPTIONAL):
            return None
        items = node.items
        it = self._mistakes.text(items["it"], where, "it")
        at = self._at
        if "at" in items:
            at = instant(items["at"], where, self._mistakes) or at
        given = items.get("given", Node({}, node.path, node.line, node.column))
        state = self._states.read(given, where)
        standings = self._states.standings(given, where)
        query = self._queries.read(items["when"], state.patient if state else "", where, at)
        effect = self._mistakes.one_of(items["then"], where, "effect", [e.value for e in Effect])
        reason = self._mistakes.text(items["because"], where, "because")
        due = items["obligations"].sequence if "obligations" in items else []
        known = self._vocabulary.obligations
        obligations = [self._mistakes.one_of(o, where, "obligation", known) for o in due]
        source = self._mistakes.text(items.get("source"), where, "source")
        if len(self._mistakes.found) > before or query is None or state is None:
            return None
        return Scenario(
            it=it,
            theme=theme,
            place=f"{node.path}:{node.line}",
            query=query,
            state=state,
            at=at,
            effect=Effect(effect),
            reason=reason,
            obligations=tuple(sorted(obligations)),
            source=source,
            standings=standings,
        )
