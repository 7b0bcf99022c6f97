"""Larger sets of rules over the same vocabulary: the real rules, and narrower variants of them.

A variant is a real rule with two more conditions. An allow rule is narrowed to values that are not the
default, a deny rule by values that are not the default, so that no variant opens a door that the original
keeps shut, and the set loads as a bundle. Actions are named as often as the real rules name them.
"""

import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

import orjson

from authz.bundle import Bundle
from authz.model import ACTION, Fact, Kind
from authz.parameters import Parameters
from authz.rules import RuleReader
from authz.source import Mistakes, Node, node_of, parse
from bench.peers import Policies

Document = dict[str, Any]

_A_FILE = 100  # rules
_MORE = 2  # conditions that a variant has beside those of its original


def originals(bundle: Bundle, files: dict[str, bytes]) -> list[Document]:
    """The active rules as they stand in the files, with all their keys."""
    found: list[Document] = []
    for name, data in sorted(files.items()):
        if name.startswith("rules/"):
            root, _ = parse(data, path=name)
            if root is not None:
                found += [_plain(node) for node in root.items["rules"].sequence]
    return [rule for rule in found if rule["uid"] in bundle.documents]


def _plain(node: Node) -> Document:
    return {key: value.plain() for key, value in node.items.items()}


def grown(bundle: Bundle, rules: list[Document], count: int, *, seed: int = 2011) -> list[Document]:
    """`count` rules: those given, in random order, then variants of them."""
    dice = random.Random(seed)
    mixed = dice.sample(rules, len(rules))
    return list(islice(_endless(bundle, mixed, dice), count))


def _endless(bundle: Bundle, rules: list[Document], dice: random.Random) -> Iterator[Document]:
    yield from rules
    number = 0
    while True:
        rule = dice.choice(rules)
        conditions = {k: v for k, v in rule["rules"].items() if isinstance(v, dict)}
        if len(conditions) < len(rule["rules"]):
            continue  # an element that is a list of alternatives cannot be narrowed by a key
        number += 1
        narrowed = {element: dict(facts) for element, facts in conditions.items()}
        for fact in dice.sample(_free(bundle, rule), _MORE):
            narrowed.setdefault(fact.element, {})[fact.path] = _narrowing(
                fact, rule["effect"], dice
            )
        yield {**rule, "uid": f"{rule['uid']}-variant-{number}", "rules": narrowed}


def _free(bundle: Bundle, rule: Document) -> list[Fact]:
    """The choices that a rule says nothing about."""
    return [
        fact
        for fact in bundle.vocabulary.facts
        if fact.kind is Kind.CHOICE
        and fact.name != ACTION
        and fact.path not in rule["rules"].get(fact.element, {})
    ]


def _narrowing(fact: Fact, effect: str, dice: random.Random) -> Document:
    """A condition that leaves at least one value: with the default for a denial, without it else."""
    known = [value for place, value in enumerate(fact.values) if place != fact.default]
    some = dice.sample(known, dice.randrange(1, len(known)) if len(known) > 1 else 1)
    return {"condition": "IsIn" if effect == "allow" else "IsNotIn", "values": some}


def on_one_action(rules: list[Document], action: str) -> list[Document]:
    """The same rules, all of them about one action: the worst that an index can meet."""
    return [{**rule, "targets": {"action_id": [action]}} for rule in rules]


def read(bundle: Bundle, rules: list[Document]) -> Policies:
    """Rules read as a bundle reads them, without its other checks."""
    mistakes = Mistakes()
    parameters: Parameters = bundle.parameters
    reader = RuleReader(bundle.vocabulary, parameters, mistakes)
    reader.read(node_of(_file(rules), "synthetic"))
    if mistakes.found:
        raise ValueError(str(mistakes.found[0]))
    return Policies(
        vocabulary=bundle.vocabulary,
        rules=tuple(sorted(reader.rules, key=lambda rule: rule.uid)),
        documents=reader.documents,
    )


def in_files(files: dict[str, bytes], rules: list[Document]) -> dict[str, bytes]:
    """The files of a policy folder with `rules` in place of its own, as JSON, which is YAML too."""
    kept = {name: data for name, data in files.items() if not name.startswith("rules/")}
    # The vocabulary names the files of the real rules, which are not there.
    kept["vocabulary.yaml"] = kept["vocabulary.yaml"].partition(b"\nthemes:")[0] + b"\n"
    for number, start in enumerate(range(0, len(rules), _A_FILE)):
        piece = _file(rules[start : start + _A_FILE])
        kept[f"rules/{number:03}.yaml"] = orjson.dumps(piece, option=orjson.OPT_INDENT_2)
    return kept


def _file(rules: list[Document]) -> Document:
    return {"theme": {"fr": "Essai", "en": "Trial"}, "rules": rules}
