"""Where py-abac 0.4.1 answers otherwise than its manual says, or than is safe: the whole list.

Each divergence must still be there. When one is gone, py-abac has changed, and what was built around it
(the refusals of `authz.conditions`, the sentinels of the oracle) is to be thought over.
"""

import pytest
from py_abac import PDP, Policy
from py_abac.exceptions import PolicyCreateError
from py_abac.provider.base import AttributeProvider
from py_abac.storage.memory import MemoryStorage

from authz.model import Effect, Kind
from tests.authz.oracle_abac import Oracle, request
from tests.authz.worlds import fact_document, read_rules, rule_document, vocabulary_of

ALLOW, DENY = "allow", "deny"


def policy(rules, targets=None, effect=ALLOW, uid="p"):
    """A document of py-abac, with its own keys only."""
    return {"uid": uid, "effect": effect, "rules": rules, "targets": targets or {}}


def pdp(*documents, providers=()):
    """A decision point of py-abac that denies when in doubt."""
    storage = MemoryStorage()
    for document in documents:
        storage.add(Policy.from_json(document))
    return PDP(storage, providers=list(providers))


def answer(documents, **elements):
    """What py-abac says of a request, given by element."""
    return ALLOW if pdp(*documents).is_allowed(request(elements)) else DENY


def on(element, attribute, condition, **more):
    """Rules with one condition on one attribute."""
    return {element: {f"$.{attribute}": {"condition": condition, **more}}}


EVERYTHING = policy({"subject": {"$.id": {"condition": "Any"}}}, uid="everything")
BANNED = ["banned", "ok"]


@pytest.mark.parametrize(
    ("documents", "elements", "theirs"),
    [
        pytest.param(
            [policy(on("subject", "tags", "AllNotIn", values=["banned"]))],
            {"subject": {"tags": BANNED}},
            ALLOW,
            id="P2: AllNotIn holds though one of them is in",
        ),
        pytest.param(
            [policy(on("subject", "tags", "AnyNotIn", values=["banned"]))],
            {"subject": {"tags": BANNED}},
            DENY,
            id="P2: AnyNotIn does not hold though one of them is not in",
        ),
        pytest.param(
            [policy(on("subject", "id", "EqualsAttribute", ace="resource", path="$.owner"))],
            {},
            ALLOW,
            id="P3: two absent attributes are equal",
        ),
        pytest.param(
            [EVERYTHING, policy(on("subject", "rank", "NotEquals", value="high"), effect=DENY)],
            {"subject": {"id": "x"}},
            ALLOW,
            id="P4: a denial by NotEquals is skipped when the attribute is absent",
        ),
        pytest.param(
            [EVERYTHING, policy(on("subject", "rank", "NotContains", value="high"), effect=DENY)],
            {"subject": {"id": "x"}},
            ALLOW,
            id="P4: a denial by NotContains is skipped when the attribute is absent",
        ),
        pytest.param(
            [EVERYTHING, policy(on("subject", "age", "Lt", value=18), effect=DENY)],
            {"subject": {"id": "x"}},
            ALLOW,
            id="P4: a denial by a number is skipped when the attribute is absent",
        ),
        pytest.param(
            [policy(on("subject", "rank", "IsNotIn", values=["low"]))],
            {},
            ALLOW,
            id="P4: an allow by IsNotIn fits when the attribute is absent",
        ),
        pytest.param(
            [policy(on("subject", "rank", "Not", value={"condition": "Equals", "value": "low"}))],
            {},
            ALLOW,
            id="P4: an allow by Not Equals fits when the attribute is absent",
        ),
        pytest.param(
            [policy(on("subject", "role", "RegexMatch", value="doctor"))],
            {"subject": {"role": "not_a_doctor_x"}},
            ALLOW,
            id="P6: a pattern matches a part of the value",
        ),
        pytest.param(
            [policy(on("subject", "level", "Gte", value=1))],
            {"subject": {"level": True}},
            ALLOW,
            id="P6: True counts as 1",
        ),
        pytest.param(
            [policy({}, {"action_id": "doc[1]"})],
            {"action": {"name": "doc1"}},
            ALLOW,
            id="P7: a target with brackets is a pattern",
        ),
        pytest.param(
            [policy({}, {"action_id": "doc[1]"})],
            {"action": {"name": "doc[1]"}},
            DENY,
            id="P7: and does not match itself",
        ),
        pytest.param(
            [policy({}, {"action_id": "document.*"})],
            {"action": {"name": "document.delete"}},
            ALLOW,
            id="P7: a target with a star matches what nobody thought of",
        ),
        pytest.param(
            [policy(on("subject", "a-b", "Equals", value="x"))],
            {"subject": {"a-b": "x"}},
            DENY,
            id="P11: a path with a hyphen loads and never matches",
        ),
        pytest.param(
            [policy({})],
            {},
            ALLOW,
            id="P12: empty rules and targets allow everything",
        ),
        pytest.param(
            [policy({"subject": [{}]})],
            {},
            ALLOW,
            id="P12: so does a list with an empty mapping",
        ),
    ],
)
def test_answers(documents, elements, theirs):
    """py-abac still gives the answer that nobody meant."""
    found = answer(documents, **elements)

    assert found == theirs


class Interleaved(AttributeProvider):
    """Supplies the subject's identifier, after somebody else's request was decided in between."""

    def __init__(self) -> None:
        self.pdp: PDP | None = None

    def get_attribute_value(self, ace, attribute_path, _):
        if self.pdp is None or (ace, attribute_path) != ("subject", "$.id"):
            return None
        point, self.pdp = self.pdp, None
        point.is_allowed(request({"subject": {"id": "bob"}, "resource": {"owner": "mallory"}}))
        return "mallory"


def test_shared_state():
    """P1: a request that is decided in between makes an allow of a denial, as another thread would."""
    provider = Interleaved()
    rules = on("subject", "id", "EqualsAttribute", ace="resource", path="$.owner")
    point = pdp(policy(rules), providers=[provider])
    asked = {"resource": {"owner": "alice"}}

    alone = point.is_allowed(request({**asked, "subject": {"id": "mallory"}}))
    provider.pdp = point
    interleaved = point.is_allowed(request(asked))

    assert (alone, interleaved) == (False, True)


def test_exceptions_in_place_of_decisions():
    """P5: a list of mappings in a set condition raises; a path that is none raises as well."""
    document = policy(on("subject", "tags", "AnyIn", values=["x"]))

    with pytest.raises(TypeError):
        answer([document], subject={"tags": [{}]})
    with pytest.raises(PolicyCreateError):
        Policy.from_json(policy(on("subject", "n", "Equals", value="x")))


# What we do about them.

VOCABULARY = vocabulary_of(
    fact_document("subject.rank", Kind.CHOICE, ("unknown", "low", "high")),
    fact_document("subject.tags", Kind.CHOICES, ("banned", "ok")),
    fact_document("subject.id", Kind.IDENTIFIER),
    fact_document("resource.owner", Kind.IDENTIFIER),
)


@pytest.mark.parametrize(
    ("targets", "rules"),
    [
        ({}, on("subject", "tags", "AllNotIn", values=["banned"])),
        ({}, on("subject", "tags", "AnyNotIn", values=["banned"])),
        ({}, on("subject", "rank", "NotContains", value="high")),
        ({}, on("subject", "rank", "Lt", value=18)),
        ({}, on("subject", "rank", "RegexMatch", value="high")),
        ({"action_id": "thing[.]see"}, {}),
        ({"action_id": "thing.*"}, {}),
        ({"subject_id": "x"}, {}),
        ({}, on("subject", "a-b", "Equals", value="x")),
        ({}, on("subject", "n", "Equals", value="x")),
        ({}, {}),
        ({"action_id": "*"}, {"subject": [{}]}),
    ],
)
def test_refused(targets, rules):
    """What py-abac reads otherwise than it is written does not load."""
    reader, wrong = read_rules(VOCABULARY, rule_document("r", Effect.ALLOW, targets, rules))

    assert wrong != []
    assert reader.rules == []


def test_oracle_tells_absent_identifiers_apart():
    """The oracle does not let two absent identifiers be equal, as the evaluator does not."""
    same = {"condition": "EqualsAttribute", "ace": "resource", "path": "$.owner"}
    document = rule_document("r", Effect.ALLOW, {}, {"subject": {"$.id": same}})
    reader, _ = read_rules(VOCABULARY, document)
    oracle = Oracle(reader.documents)
    facts = VOCABULARY.decode(VOCABULARY.defaults())

    found = [
        oracle.decide(facts | {"subject.id": one, "resource.owner": other})
        for one, other in (("", ""), ("x", ""), ("x", "y"), ("x", "x"))
    ]

    assert found == [DENY, DENY, DENY, ALLOW]
