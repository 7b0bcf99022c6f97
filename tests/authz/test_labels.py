"""What a label says as facts, and which labels say what a rule asks, are inverses of each other."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authz.criteria import EVERYTHING, has, has_none, meets
from authz.errors import FormlessError
from authz.facts import COMPUTED, FactComputer
from authz.labels import OPEN, Labels
from authz.model import In, Kind, Member, Same, holds
from authz.query import Document
from tests.authz.drawn import labels, likely
from tests.authz.samples import CLINIC, NOW, READ, STATE
from tests.authz.worlds import our_bundle

BUNDLE = our_bundle()
FACTS = FactComputer(BUNDLE)
ACTIONS = sorted(a.name for a in BUNDLE.vocabulary.actions.values() if "document" in a.needs)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_forms_are_the_inverse_of_facts(data):
    """A label meets a form of a literal exactly when the literal holds of the facts of this label."""
    vocabulary = BUNDLE.vocabulary
    asked = data.draw(likely())
    document = data.draw(labels(asked.subject))
    action = data.draw(st.sampled_from(ACTIONS))
    vector = FACTS.compute(replace(asked, action=action, document=document), STATE, NOW).vector
    name = data.draw(st.sampled_from(OPEN))
    fact, place = vocabulary.fact(name), vocabulary.index[name]
    who = vocabulary.index[data.draw(st.sampled_from(["subject.id", "subject.structure"]))]
    if fact.kind is Kind.CHOICE:
        allowed = data.draw(st.sets(st.sampled_from(range(len(fact.values))), min_size=1))
        literal = In(place, frozenset(allowed))
    elif fact.kind is Kind.IDENTIFIER:
        literal = Same(min(who, place), max(who, place), data.draw(st.booleans()))
    else:
        literal = Member(who, place, data.draw(st.booleans()))

    forms = BUNDLE.labels.forms(literal, vector)

    assert any(meets(form, document) for form in forms) == holds(literal, vector)


def test_open_facts_are_those_of_labels():
    """What a label says are the facts that are taken for open, and all of them are computed."""
    document = Document(id="d", type="11488-4", visibility=("N",), status="approved")

    words = BUNDLE.labels.facts(document, role="10", action="document.read", remarks=[])

    assert set(words) == set(OPEN)
    assert set(OPEN) <= set(COMPUTED)


@pytest.mark.parametrize("wanted", [True, False])
def test_a_set_that_the_request_names(wanted):
    """Whether the structure is in a set that the request names is told of labels, too."""
    vocabulary = vocabulary_with("subject.homes")
    index = vocabulary.index
    literal = Member(index["resource.author_structure"], index["subject.homes"], wanted)
    labels_of = Labels(vocabulary, BUNDLE.habilitations, BUNDLE.types)
    homes = [(), ("",), (CLINIC, "")]

    found = [labels_of.forms(literal, vocabulary.encode({"subject.homes": home})) for home in homes]

    inside = has("author_structure", {CLINIC})
    nowhere = () if wanted else (EVERYTHING,)
    assert found == [nowhere, nowhere, (inside if wanted else outside(CLINIC),)]


def outside(structure: str):
    """The structure is not this one."""
    return has_none("author_structure", {structure})


def vocabulary_with(name: str):
    """Our vocabulary with one more set of identifiers."""
    more = replace(BUNDLE.vocabulary.fact("resource.authors"), name=name)
    return replace(BUNDLE.vocabulary, facts=(*BUNDLE.vocabulary.facts, more))


def test_a_label_compared_with_itself_has_no_form():
    """Whether the structure is among the authors is nothing that criteria can say: no condition is made."""
    index = BUNDLE.vocabulary.index
    literal = Member(index["resource.author_structure"], index["resource.authors"], wanted=True)
    vector = FACTS.compute(READ, STATE, NOW).vector

    assert not BUNDLE.labels.has_form(literal)
    with pytest.raises(FormlessError, match=r"`resource\.authors`"):
        BUNDLE.labels.forms(literal, vector)


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ({"status": "deleted"}, {"resource.status": "deleted"}),
        ({"status": ""}, {}),
        ({"status": "Approved"}, {}),
        (
            {"visibility": ("N",)},
            {
                "resource.masked": "no",
                "resource.hidden_from_patient": "no",
                "resource.hidden_from_representatives": "no",
            },
        ),
        (
            {"visibility": ("MASQUE_PS", "X")},
            {
                "resource.masked": "yes",
                "resource.hidden_from_patient": "no",
                "resource.hidden_from_representatives": "no",
            },
        ),
        ({"visibility": ("X",)}, {}),
        ({"visibility": ()}, {}),
    ],
)
def test_what_a_label_does_not_say(label, said):
    """Of a status that is none, and of a visibility without known code, nothing is said."""
    document = Document(**{"id": "d", "type": "11488-4", **label})

    words = BUNDLE.labels.facts(document, role="10", action="document.read", remarks=[])

    left_out = ("resource.status", "resource.masked", "resource.hidden_from_")
    assert said == {name: word for name, word in words.items() if name.startswith(left_out)}
