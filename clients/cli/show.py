"""Shows decisions to people, in French or English. What comes from outside is text here, never markup."""

import os
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from authz.v1 import authz_pb2 as pb

WIDTH: Final = 100
"""Columns: lines longer than this are hard to read, however wide the terminal."""


class Language(StrEnum):
    """The languages of the project."""

    FR = "fr"
    EN = "en"


class Said(NamedTuple):
    """The same in French and in English."""

    fr: str
    en: str

    def text(self, language: Language) -> str:
        """It in one of them."""
        return self.fr if language is Language.FR else self.en


EFFECTS: Final[Mapping[int, str]] = {pb.EFFECT_ALLOW: "ALLOW", pb.EFFECT_DENY: "DENY"}

_STYLES: Final = {"ALLOW": "bold green", "DENY": "bold red"}
_DECIDED: Final = Said("décidé par", "decided by")
_NO_RULE: Final = Said("aucune règle ne le permet", "no rule allows it")
_NEAREST: Final = Said("au plus près du oui", "nearest to yes")
_NOTHING: Final = Said(
    "Rien de ce qui peut changer n'en ferait un oui.", "Nothing that can change would make it yes."
)
_OBLIGATIONS: Final = Said("obligations", "obligations")
_REMARK: Final = Said("remarque", "remark")
FACTS: Final = Said("faits", "facts")
DECISION: Final = Said("décision", "decision")
_POLICIES: Final = Said("politiques", "policies")
_REVISION: Final = Said("révision", "revision")


def spoken(environment: Mapping[str, str]) -> Language:
    """The language of a terminal: French where the locale is French, else English."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if environment.get(name):
            return Language.FR if environment[name].startswith("fr") else Language.EN
    return Language.EN


def console(*, error: bool = False) -> Console:
    """Standard output or error: colours on a terminal only, unless NO_COLOR forbids them there too."""
    made = Console(highlight=False, emoji=False, markup=False, stderr=error)
    known = made.is_terminal or "COLUMNS" in os.environ
    made.width = min(made.width, WIDTH) if known else WIDTH
    return made


def badge(effect: str) -> Text:
    """ALLOW or DENY, in its colour and of one width."""
    return Text(f"{effect:<5}", style=_STYLES.get(effect, "bold yellow"))


def told(decision: pb.Decision, language: Language) -> str:
    """The sentence of the deciding rule."""
    return decision.told_fr if language is Language.FR else decision.told_en


def explanation(
    answer: pb.ExplainResponse, language: Language, *, facts: bool = False
) -> RenderableType:
    """A decision with its reasons: which rules decided and, for a denial, how far it was from a yes."""
    decision = answer.decision
    effect = EFFECTS.get(decision.effect, "?")
    head = badge(effect)
    head.append(f" {decision.reason_code}", style="bold")
    parts: list[RenderableType] = [head, Text(told(decision, language)), reasons(answer, language)]
    if decision.obligations:
        parts.append(_labelled(_OBLIGATIONS.text(language), ", ".join(decision.obligations)))
    parts += [_labelled(_REMARK.text(language), remark) for remark in decision.remarks]
    if facts:
        parts.append(_facts(answer.facts, language))
    parts.append(_footer(decision, language))
    return Group(*parts)


def reasons(answer: pb.ExplainResponse, language: Language) -> RenderableType:
    """The deciding rules; for a denial the nearest rule, and what would have made it yes."""
    denied = answer.decision.effect == pb.EFFECT_DENY
    tree = _tree(Text(_DECIDED.text(language), style="dim"))
    for rule in answer.deciding:
        _rule(tree, rule, conditions=not denied)
    if not answer.deciding:
        tree.add(Text(_NO_RULE.text(language)))
    parts: list[RenderableType] = [tree]
    if denied and answer.HasField("nearest"):
        tree = _tree(Text(_NEAREST.text(language), style="dim"))
        _rule(tree, answer.nearest, conditions=True)
        parts.append(tree)
    if denied:
        texts = [remedy.text for remedy in answer.remedies] or [_NOTHING.text(language)]
        parts += [hanging("→", text) for text in texts]
    return Group(*parts)


def listed(rows: Iterable[tuple[str, str]]) -> Table:
    """Names, and what is to be said of each beside it."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, said in rows:
        table.add_row(name, Text(said))
    return table


def as_data(message: Message) -> dict[str, Any]:
    """A message as plain data: names as in the contract, effects as in the log (`allow`, `deny`)."""
    data: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return {name: _plain(value) for name, value in data.items()}


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, str) and value.startswith("EFFECT_"):
        return value.removeprefix("EFFECT_").lower()
    return value


def _tree(label: Text) -> Tree:
    return Tree(label, guide_style="dim")


def _rule(tree: Tree, rule: pb.RuleFinding, *, conditions: bool) -> None:
    label = Text(rule.uid, style="bold")
    label.append(f"  {rule.source}", style="dim not bold")
    branch = tree.add(label)
    for condition in rule.conditions if conditions else ():
        mark, style = ("✓", "green") if condition.holds else ("✗", "red")
        branch.add(hanging(mark, condition.text, style=style))


def hanging(mark: str, text: str, *, style: str = "cyan") -> Table:
    """A mark, and a text that wraps beside it rather than under it."""
    line = Table.grid(padding=(0, 1, 0, 0))
    line.add_column(no_wrap=True, style=style)
    line.add_column(overflow="fold")
    line.add_row(mark, Text(text))
    return line


def _labelled(label: str, text: str) -> Table:
    return hanging(f"{label}:", text, style="dim")


def _facts(facts: Mapping[str, str], language: Language) -> Tree:
    tree = _tree(Text(FACTS.text(language), style="dim"))
    names: Iterable[str] = sorted(facts)
    width = max((len(name) for name in names), default=0)
    for name in names:
        tree.add(Text.assemble((f"{name:<{width}}  ", "dim"), facts[name] or "-"))
    return tree


def _footer(decision: pb.Decision, language: Language) -> Text:
    at = decision.at.ToDatetime().strftime("%Y-%m-%d %H:%M:%S UTC")
    said = (
        f"{DECISION.text(language)} {decision.id}  {at}\n"
        f"{_POLICIES.text(language)} {decision.bundle[:12]}  "
        f"{_REVISION.text(language)} {decision.revision}"
    )
    return Text(said, style="dim")
