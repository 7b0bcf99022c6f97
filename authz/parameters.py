"""Reads `policies/parameters.yaml`: the choices that law and sources leave open, set by the deployment.

A parameter is a `boolean`, a `choice` (one of its values), a `list` (any of its values), an `integer`, a
`duration` (ISO 8601) or a `zone` (of the time zone database). Rules name parameters in `when:` and in
`{parameter: name}`; facts are computed with the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from zoneinfo import available_timezones

from authz.mistake import suggest
from authz.model import Wording
from authz.source import Mistakes, Node
from authz.vocabulary import wording
from serving import duration
from serving.duration import Duration
from serving.errors import DurationError

ParameterValue = bool | int | str | tuple[str, ...] | Duration
TYPES: Final = ("boolean", "choice", "list", "integer", "duration", "zone")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One open question and its answer."""

    name: str
    type: str
    value: ParameterValue
    values: tuple[str, ...]
    wording: Wording
    source: str


Parameters = Mapping[str, Parameter]


def read_parameters(root: Node, mistakes: Mistakes) -> Parameters:
    """Reads the parameters; those with a mistake are left out."""
    found: dict[str, Parameter] = {}
    if not mistakes.keys(root, "parameters", required=("parameters",)):
        return found
    for node in root.items["parameters"].sequence:
        parameter = _parameter(node, mistakes)
        if parameter is None:
            continue
        if parameter.name in found:
            where = f"parameter {parameter.name}"
            mistakes.at(node, where, "declared twice", "keep one of the two")
        found[parameter.name] = parameter
    return found


def _parameter(node: Node, mistakes: Mistakes) -> Parameter | None:
    required = ("name", "type", "value", "fr", "en", "source")
    if not mistakes.keys(node, "parameters", required=required, optional=("values",)):
        return None
    name = mistakes.text(node.items["name"], "parameters", "name")
    where = f"parameter {name}"
    before = len(mistakes.found)
    kind = mistakes.one_of(node.items["type"], where, "type", TYPES)
    listed = node.items["values"].sequence if "values" in node.items else []
    values = tuple(mistakes.text(item, where, "values") for item in listed)
    if kind in ("choice", "list") and not values:
        mistakes.at(node, where, f"a {kind} needs its closed list of `values`")
    value = _value(node.items["value"], where, kind, values, mistakes)
    text = wording(mistakes, node, where)
    source = mistakes.text(node.items["source"], where, "source")
    if value is None or len(mistakes.found) > before:
        return None
    return Parameter(name=name, type=kind, value=value, values=values, wording=text, source=source)


def _value(  # noqa: PLR0911 - one answer a type
    node: Node, where: str, kind: str, values: tuple[str, ...], mistakes: Mistakes
) -> ParameterValue | None:
    plain = node.value
    if kind == "boolean":
        if isinstance(plain, bool):
            return plain
        mistakes.at(node, where, f"`value` is true or false, not `{plain}`")
    elif kind == "integer":
        if isinstance(plain, int) and not isinstance(plain, bool) and plain >= 0:
            return plain
        mistakes.at(node, where, f"`value` is a whole number, not `{plain}`")
    elif kind == "choice":
        return mistakes.one_of(node, where, "value", values) or None
    elif kind == "list":
        return tuple(mistakes.one_of(item, where, "value", values) for item in node.sequence)
    elif kind == "duration":
        try:
            return duration.parse(mistakes.text(node, where, "value"))
        except DurationError as exc:
            mistakes.at(node, where, str(exc), "write it as ISO 8601, e.g. `P1Y` or `PT4H`")
    elif kind == "zone":
        return mistakes.one_of(node, where, "time zone", available_timezones()) or None
    return None


def holds(parameters: Parameters, condition: Node, mistakes: Mistakes, where: str) -> bool:
    """Tells whether a rule's `when:` holds: each parameter named has (or lists) the value named."""
    satisfied = True
    if not condition.items:
        message = "a mapping of `parameter: value` is expected here"
        mistakes.at(condition, where, message, "or leave `when` out")
    for name, wanted in condition.items.items():
        parameter = parameters.get(name)
        if parameter is None:
            hint = suggest(name, parameters)
            mistakes.at(condition, where, f"unknown parameter: `{name}`", hint, key=name)
            continue
        if parameter.type in ("choice", "list"):
            value = mistakes.one_of(wanted, where, f"value of `{name}`", parameter.values)
            listed = parameter.value if isinstance(parameter.value, tuple) else (parameter.value,)
            satisfied &= value in listed
        elif parameter.type == "boolean" and isinstance(wanted.value, bool):
            satisfied &= wanted.value is parameter.value
        else:
            message = (
                f"`when` compares booleans, choices and lists, not `{name}` ({parameter.type})"
            )
            mistakes.at(wanted, where, message)
    return satisfied
