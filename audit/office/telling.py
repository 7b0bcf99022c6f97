"""Facts and deciding rules of an entry in words, by the policies that it was decided under. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from audit.entry import Entry
from audit.office.policies import Policies
from audit.v1 import audit_pb2 as pb


def facts(policies: Policies, entry: Entry) -> Iterator[pb.Fact]:
    """The facts in the order of the vocabulary, each with what it means in French and English."""
    declared = _declared(policies)
    for fact in policies.facts:
        name = fact["name"]
        value = policies.fact(entry, name)
        if value is None:
            continue
        said = declared.get(name, {})
        words = said.get("words", {})
        values = [value] if isinstance(value, str) else list(value)
        yield pb.Fact(
            name=name,
            value=", ".join(map(str, values)),
            fr=_sentence(said, words, values, "fr"),
            en=_sentence(said, words, values, "en"),
        )


def rules(policies: Policies, entry: Entry) -> Iterator[pb.DecidingRule]:
    """The rules that decided; one that the policies do not hold by its uid alone."""
    for uid in entry.get("rules", ()):
        rule = policies.rule(uid)
        if rule is None:
            yield pb.DecidingRule(uid=uid)
        else:
            yield pb.DecidingRule(
                uid=uid,
                effect=rule.effect,
                reason_code=rule.reason,
                fr=rule.told.fr,
                en=rule.told.en,
                source=rule.source,
            )


def tested(policies: Policies, uid: str) -> Iterator[str]:
    """The facts that a rule asks for, by name; none of a rule that the policies do not hold."""
    for element, tests in policies.conditions(uid).items():
        for path, test in tests.items():
            yield f"{element}.{path.removeprefix('$.')}"
            if isinstance(test, Mapping) and "ace" in test:
                yield f"{test['ace']}.{str(test.get('path', '')).removeprefix('$.')}"


def _declared(policies: Policies) -> Mapping[str, Mapping[str, Any]]:
    """What the vocabulary says of each fact, by name; nothing where it is of another form."""
    document = policies.content.get("vocabulary.yaml", {})
    found = document.get("facts", ()) if isinstance(document, Mapping) else ()
    return {one["name"]: one for one in found if isinstance(one, Mapping) and "name" in one}


def _sentence(
    said: Mapping[str, Any], words: Mapping[str, Any], values: Sequence[str], language: str
) -> str:
    """A value in words where the vocabulary has some; else what the fact is."""
    told = [str(words[one][language]) for one in values if one in words]
    return ", ".join(told) if told and len(told) == len(values) else str(said.get(language, ""))
