"""Parameters: whatever a deployment sets them to, its rules stay sound, and no missing fact opens a door."""

from functools import cache

import pytest

from authz.bundle import build
from authz.facts import FactComputer
from authz.parameters import read_parameters
from authz.product import DMP
from authz.rules import RuleReader
from authz.safety import open_doors
from authz.source import Mistakes, Node, parse
from authz.workbench.scenarios import read_scenarios
from tests.authz.workbench.world import edited, files, words

PARAMETERS = "parameters.yaml"


@cache
def rules() -> tuple[Node, ...]:
    """The project's files of rules, parsed once."""
    names = sorted(name for name in files() if name.startswith("rules/"))
    return tuple(parse(files()[name], path=name)[0] for name in names)


def settings():
    """Each boolean turned, each choice made otherwise, each list with one value more or less."""
    root, _ = parse(files()[PARAMETERS], path=PARAMETERS)
    for node in root.items["parameters"].sequence:
        name, now = node.items["name"].value, node.items["value"]
        listed = [n.value for n in node.items["values"].sequence] if "values" in node.items else []
        others: list[object] = []
        match node.items["type"].value:
            case "boolean":
                others = ["false" if now.value else "true"]
            case "choice":
                others = [value for value in listed if value != now.value]
            case "list":
                turned = ([v for v in listed if (v in now.plain()) != (v == one)] for one in listed)
                others = [chosen for chosen in turned if chosen]
        for other in others:
            yield pytest.param(now.line, str(other), id=f"{name}={other}")


@pytest.mark.parametrize(("line", "value"), list(settings()))
def test_each_setting_is_sound(line, value):
    """Every value that a parameter lists gives sound rules, in which no missing fact opens a door."""
    lines = files()[PARAMETERS].decode().split("\n")
    lines[line - 1] = f"    value: {value}"
    noted = Mistakes()
    root, noted.found = parse("\n".join(lines).encode(), path=PARAMETERS)
    vocabulary, _ = words()
    reader = RuleReader(vocabulary, read_parameters(root, noted), noted)

    for theme in rules():
        reader.read(theme)
    doors = [(door.rule.uid, door.fact.name) for door in open_doors(vocabulary, reader.rules)]

    assert [str(mistake) for mistake in noted.found] == []
    assert doors == []


def test_unknown_proof():
    """A proof of the regulator that nobody can check is never given, and stops no request."""
    old = "values: [profession, flag, structure]\n    value: [profession, flag, structure]"
    new = "values: [profession, badge]\n    value: [profession, badge]"
    strict = build(edited(PARAMETERS, old, new), DMP)
    found, _ = read_scenarios(files(), strict.vocabulary)
    scenario = next(one for one in found if one.reason == "CENTRE_15")

    facts = FactComputer(strict).compute(scenario.query, scenario.state, scenario.at)

    assert strict.vocabulary.decode(facts.vector)["subject.regulator"] == "no"
