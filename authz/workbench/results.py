"""What became of scenarios and properties, for people (text) and programs (JSON)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from rich.text import Text

from authz.bundle import Bundle
from authz.model import ACTION, Has, In, Literal, Member, Same, Vector, Verdict, facts_of
from authz.workbench.check import Checked
from authz.workbench.report import STYLES, clean, document_of, many
from authz.workbench.scenarios import Outcome
from authz.workbench.verify import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """A run of scenarios and properties."""

    checked: Checked
    outcomes: tuple[Outcome, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def passed(self) -> int:
        """How many are as they should be."""
        return sum(o.passed for o in self.outcomes) + sum(f.holds for f in self.findings)

    @property
    def failed(self) -> int:
        """How many are not; a mistake counts as one."""
        done = len(self.outcomes) + len(self.findings)
        return done - self.passed + len(self.checked.mistakes)


def results_of(tested: Tested, prefix: str, *, language: str, verbose: bool) -> Iterator[Text]:
    """What failed, by theme (with `verbose`, what passed too), and a line that sums up.

    `prefix` stands before each path, so that editors find the file.
    """
    bundle = tested.checked.bundle
    if bundle is None:
        return
    for theme, group in groupby(tested.outcomes, key=lambda o: o.scenario.theme):
        outcomes = list(group)
        yield _heading(theme.text(language), [o.passed for o in outcomes])
        for outcome in outcomes:
            if verbose or not outcome.passed:
                yield _mark(
                    prefix + outcome.scenario.place, outcome.scenario.it, passed=outcome.passed
                )
            if not outcome.passed:
                yield from _indented(why(bundle, outcome))
    if tested.findings:
        title = "Propriétés" if language == "fr" else "Properties"
        yield _heading(title, [f.holds for f in tested.findings])
    for finding in tested.findings:
        if verbose or not finding.holds:
            sentence = f"{finding.stated.id}: {finding.stated.wording.text(language)}"
            extent = f" ({_extent(finding)})" if finding.holds else ""
            yield _mark(prefix + finding.stated.place, sentence + extent, passed=finding.holds)
        if not finding.holds:
            yield from _indented(against(bundle, finding, language))
    style = STYLES["FAIL" if tested.failed or not tested.passed else "ok"]
    yield Text(f"{tested.passed} passed, {tested.failed} failed", style)


def results_document(tested: Tested) -> dict[str, object]:
    """The same for programs."""
    bundle = tested.checked.bundle
    if bundle is None:
        return document_of(tested.checked) | {"passed": 0, "failed": tested.failed}
    return {
        "passed": tested.passed,
        "failed": tested.failed,
        **document_of(tested.checked),
        "scenarios": [_outcome(bundle, outcome) for outcome in tested.outcomes],
        "properties": [_finding(bundle, finding) for finding in tested.findings],
    }


def _heading(title: str, passed: list[bool]) -> Text:
    text = Text.assemble((title, "bold"), f"  {sum(passed)} passed")
    return text.append(f", {len(passed) - sum(passed)} failed") if not all(passed) else text


def _mark(place: str, sentence: str, *, passed: bool) -> Text:
    word = "ok" if passed else "FAIL"
    return Text.assemble("  ", (f"{word:<4}", STYLES[word]), clean(f" {place} {sentence}"))


def _indented(lines: Iterable[str]) -> Iterator[Text]:
    return (Text(f"         {clean(line)}") for line in lines)


def why(bundle: Bundle, outcome: Outcome) -> Iterator[str]:
    """What is other than expected, who decided, and the facts that the rules of the action look at."""
    yield from outcome.problems
    if outcome.verdict is None:
        return
    yield _decided(bundle, outcome.verdict)
    yield from (f"remark: {remark}" for remark in outcome.remarks)
    shown = _shown(bundle, outcome.vector).items()
    yield "facts: " + ", ".join(f"{name} = {value}" for name, value in shown)


def _decided(bundle: Bundle, verdict: Verdict) -> str:
    if not verdict.rules:
        return verdict.error or "no rule allows it"
    rules = (rule for uid in verdict.rules if (rule := bundle.rule(uid)) is not None)
    return "decided by " + ", ".join(f"{rule.uid} ({rule.place})" for rule in rules)


def _shown(bundle: Bundle, vector: Vector) -> dict[str, str]:
    """The facts that rules for the vector's action look at and that are not at their default, in codes."""
    vocabulary = bundle.vocabulary
    action = vocabulary.index[ACTION]
    asked = vector[action]
    places = {action}
    for rule in bundle.rules:
        for box in rule.boxes:
            named = [li.allowed for li in box if isinstance(li, In) and li.fact == action]
            if all(asked in allowed for allowed in named):
                places.update(place for literal in box for place in facts_of(literal))
    return {
        f.name: _code(f.decode(vector[p])) for p, f in enumerate(vocabulary.facts) if p in places
    }


def _code(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else " ".join(value)


def _extent(finding: Finding) -> str:
    if finding.exact:
        return f"every request, in {many(finding.checked, 'case')}"
    return f"a sample of {finding.checked} requests: there are too many cases"


def against(bundle: Bundle, finding: Finding, language: str) -> Iterator[str]:
    """The request that contradicts a property, in words."""
    if finding.vacuous:
        yield finding.vacuous
    if finding.counterexample is None or finding.verdict is None:
        return
    verdict, case = finding.verdict, finding.counterexample
    due = f", obligations: {', '.join(verdict.obligations) or 'none'}"
    yield f"this request gets {verdict.effect} ({verdict.reason}{due})"
    yield _decided(bundle, verdict)
    literals = sorted(case.box, key=lambda literal: (facts_of(literal), repr(literal)))
    yield from ("  " + _literal(bundle, li, case.witness, language) for li in literals)


def _literal(bundle: Bundle, literal: Literal, vector: Vector, language: str) -> str:
    """One thing that is true of a request."""
    facts = bundle.vocabulary.facts
    names = [facts[place].wording.text(language) for place in facts_of(literal)]
    match literal:
        case In(place):
            fact = facts[place]
            value = _code(fact.decode(vector[place]))
            known = fact.value_wordings.get(value)
            return f"{names[0]}: {known.text(language) if known else value}"
        case Has(place, bit, wanted):
            return f"{names[0]} {'∋' if wanted else '∌'} {facts[place].values[bit]}"
        case Same(_, _, wanted):
            return f"{names[0]} {'=' if wanted else '≠'} {names[1]}"
        case Member(_, _, wanted):
            return f"{names[0]} {'∈' if wanted else '∉'} {names[1]}"


def _outcome(bundle: Bundle, outcome: Outcome) -> dict[str, object]:
    scenario = outcome.scenario
    expected = {
        "effect": scenario.effect,
        "reason": scenario.reason,
        "obligations": scenario.obligations,
    }
    return {
        "it": scenario.it,
        "theme": {"fr": scenario.theme.fr, "en": scenario.theme.en},
        "place": scenario.place,
        "passed": outcome.passed,
        "expected": expected,
        "got": _verdict(outcome.verdict),
        "problems": outcome.problems,
        "remarks": outcome.remarks,
        "facts": _shown(bundle, outcome.vector) if outcome.vector else {},
    }


def _finding(bundle: Bundle, finding: Finding) -> dict[str, object]:
    stated = finding.stated
    case = finding.counterexample
    return {
        "id": stated.id,
        "fr": stated.wording.fr,
        "en": stated.wording.en,
        "place": stated.place,
        "holds": finding.holds,
        "checked": finding.checked,
        "exact": finding.exact,
        "vacuous": finding.vacuous,
        "counterexample": _shown(bundle, case.witness) if case else None,
        "got": _verdict(finding.verdict),
    }


def _verdict(verdict: Verdict | None) -> dict[str, object] | None:
    if verdict is None:
        return None
    names = ("effect", "reason", "obligations", "rules")
    return {name: getattr(verdict, name) for name in names}
