"""The sample documents pass every check, whatever they are made of."""

import time
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from dossier.cda import Author, Custodian, Identifier, Traits
from dossier.samples.documents import DOCTOR, File, document, pdf
from tests.dossier.cda.samples import TYPES, read

words = st.text("aBéŒ漢🙂&<>\"'^]-;", min_size=1, max_size=8)
numbers = st.text("09Bx/.-", min_size=1, max_size=8)
oids = st.integers(0, 1 << 40).map("1.2.250.{}".format)
ids = st.builds(Identifier, root=oids, extension=numbers | st.just(""))
instants = st.datetimes(
    datetime(2005, 1, 1),  # noqa: DTZ001 - the zone is the next argument
    datetime(2026, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
).map(lambda instant: instant.replace(microsecond=0))
traits = st.builds(
    Traits,
    family_name=words,
    usage_name=words | st.just(""),
    given_names=st.lists(words, min_size=1, max_size=3, unique=True).map(tuple),
    used_name=words | st.just(""),
    birth_date=st.sampled_from(["1979-03-28", "1979-03", "1979", ""]),
    sex=st.sampled_from(["F", "M", "UN"]),
)
custodians = st.builds(Custodian, id=ids, name=words)
authors = st.builds(
    Author,
    ids=st.lists(ids, min_size=1, max_size=2).map(tuple),
    family_name=words,
    given_name=words,
    role=numbers,
    role_system=oids,
    organisation_ids=st.lists(ids, min_size=1, max_size=1).map(tuple),
    organisation=words,
)
bodies = words | st.builds(File, media_type=st.just("application/pdf"), content=words.map(pdf))


@given(
    st.fixed_dictionaries(
        {
            "unique_id": ids.map(str),
            "type_code": st.sampled_from([one.code for one in TYPES]),
            "title": words,
            "patient": ids,
            "traits": traits,
            "authors": st.lists(authors, min_size=1, max_size=3),
            "custodian": custodians,
            "made_at": instants,
            "confidentiality": st.sampled_from(["N", "R", "V"]),
            "version": st.integers(2, 99),
            "replaces": oids.map("{}.9^other".format),
            "body": bodies,
        }
    )
)
def test_what_goes_in_comes_out(made):
    """A document gives back what it was made of, whatever characters that is."""
    known = TYPES.today(made["type_code"])
    assert known is not None
    data = document(**made, type_system=known.system)

    header = read(data)

    told = [
        Author(
            ids=one.ids,
            family_name=one.family_name,
            given_name=one.given_name,
            role=one.role,
            role_system=one.role_system,
            organisation_ids=one.organisation_ids,
            organisation=one.organisation,
        )
        for one in header.authors
    ]
    assert made["authors"] == told
    assert {made["made_at"]} == {header.effective_time, *(one.time for one in header.authors)}
    assert (made["unique_id"], made["title"]) == (header.unique_id, header.title)
    assert (made["traits"], (made["patient"],)) == (header.patient, header.patient_ids)
    assert made["custodian"] == header.custodian
    assert (made["replaces"],) == header.replaces
    assert (made["version"], made["confidentiality"]) == (
        header.version_number,
        header.confidentiality,
    )


def test_same_arguments_same_bytes():
    """Documents are made without clock or chance."""
    assert document(unique_id="1.2.3") == document(unique_id="1.2.3")
    assert pdf("é\n(ligne)") == pdf("é\n(ligne)")


def test_thousands_are_made_quickly():
    """A document takes far less than a millisecond to make."""
    begun = time.process_time()

    for number in range(1000):
        document(unique_id=f"1.2.3^{number}", authors=(DOCTOR,), body="Une ligne.\n" * 10)

    assert time.process_time() - begun < 1
