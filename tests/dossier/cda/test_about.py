"""Whether a document is about this patient, and where it is filed."""

import pytest

from dossier import cda
from dossier.cda import ROOTS, Identifier
from dossier.cda.about import INS_C, INS_NIR, INS_NIR_TEST
from dossier.errors import CdaError
from dossier.samples.documents import DOMINIQUE, document
from tests.dossier.cda.samples import TYPES, find, read

JEAN = Identifier(root=INS_C, extension="1541187387477485562488")
OTHER = "1113109067725142806651"


def about(data: bytes, ins: str = DOMINIQUE.extension, **said: object) -> str:
    """The space in which a document is filed in a patient's record."""
    return cda.check_about(read(data), ins=ins, types=TYPES, **said).space


def refusals(data: bytes, ins: str = DOMINIQUE.extension, **said: object) -> list[str]:
    """What speaks against it; each place is found in the document."""
    with pytest.raises(CdaError) as refused:
        about(data, ins, **said)
    assert all(len(find(data, one.xpath)) == 1 for one in refused.value.mistakes)
    assert ins not in str(refused.value)
    return [one.wrong for one in refused.value.mistakes]


@pytest.mark.parametrize("root", [root for root in ROOTS if root != INS_C])
def test_number_of_today(root):
    """A document with the patient's NIR is about the patient, whoever is said to have given it."""
    patient = Identifier(root=root, extension=DOMINIQUE.extension)

    assert "3" == about(document(unique_id="1.2.3", patient=patient))


def test_number_of_2011():
    """A document with the patient's INS-C is about the patient."""
    assert "3" == about(document(unique_id="1.2.3", patient=JEAN), JEAN.extension)


@pytest.mark.parametrize(
    ("patient", "ins"),
    [
        (DOMINIQUE, "279035121518988"),
        (Identifier(root=INS_NIR, extension="277076322082910"), DOMINIQUE.extension),
        (JEAN, OTHER),
    ],
)
def test_another_patient(patient, ins):
    """A document about another patient is refused, and nobody's number is told."""
    wrong = refusals(document(unique_id="1.2.3", patient=patient), ins)

    assert ["is about another patient than the one whose record this is"] == wrong


@pytest.mark.parametrize(
    ("patient", "ins"),
    [
        (DOMINIQUE, OTHER),
        (JEAN, DOMINIQUE.extension),
        (Identifier(root="1.2.3.4", extension=DOMINIQUE.extension), DOMINIQUE.extension),
        (Identifier(root=INS_C, extension=DOMINIQUE.extension), DOMINIQUE.extension),
        (Identifier(root=INS_NIR, extension=OTHER), OTHER),
    ],
)
def test_a_number_of_another_kind_says_nothing(patient, ins):
    """A number under a root of another kind does not show that the document is about the patient."""
    (wrong,) = refusals(document(unique_id="1.2.3", patient=patient), ins)

    assert wrong.startswith("no number of the patient of the kind")


def test_two_numbers_that_disagree():
    """A document that names the patient and somebody else is refused."""
    data = document(unique_id="1.2.3").replace(
        b"<patientRole>",
        b'<patientRole><id root="1.2.250.1.213.1.4.8" extension="277076322082910"/>',
    )

    assert ["is about another patient than the one whose record this is"] == refusals(data)


def test_local_numbers_do_not_count():
    """The number that a hospital gave stands beside the patient's, and says nothing."""
    data = document(unique_id="1.2.3").replace(
        b"<patientRole>", b'<patientRole><id root="1.2.3.4" extension="277076322082910"/>'
    )

    assert "3" == about(data)


def test_an_operator_may_take_real_numbers_only():
    """Where the authorities of test numbers are not taken, a document with one is refused."""
    real = tuple(root for root in ROOTS if root != INS_NIR_TEST)

    (wrong,) = refusals(document(unique_id="1.2.3"), roots=real)

    assert wrong.startswith("no number of the patient of the kind")


def test_old_code():
    """A document of 2012 keeps its code and is filed under the one of today."""
    data = document(unique_id="1.2.3", type_code="11528-7")

    found = cda.check_about(read(data), ins=DOMINIQUE.extension, types=TYPES)

    assert "11528-7" == read(data).type_code
    assert ("18748-4", "31", "4") == (found.code, found.class_code, found.space)


def test_what_is_said_beside_must_agree():
    """A depositor who says another type or class than the document's is refused, with all reasons."""
    data = document(unique_id="1.2.3", type_code="11528-7")

    agreeing = about(data, type_code="18748-4", class_code="31")
    old = about(data, type_code="11528-7")
    wrong = refusals(data, type_code="11488-4", class_code="10")

    assert ("4", "4") == (agreeing, old)
    assert [
        "deposited as another type than the document's",
        "deposited in another class than the type's",
    ] == wrong


def test_types_that_nobody_deposits():
    """A type that nobody may deposit is refused with the reason that the table gives."""
    with pytest.raises(CdaError, match="`101881-1` is not deposited here: because: no published"):
        about(document(unique_id="1.2.3", type_code="101881-1"))


def test_all_at_once():
    """Another patient and another class are told in one answer."""
    wrong = refusals(document(unique_id="1.2.3"), "277076322082910", class_code="31")

    assert 2 == len(wrong)


def test_a_type_that_left_the_table():
    """A header that was read under another table is refused when its type is not known any more."""
    header = read(document(unique_id="1.2.3"))
    fewer = type(TYPES)({one.code: one for one in TYPES if one.code != "11488-4"})

    with pytest.raises(CdaError, match="no type of document: `11488-4`"):
        cda.check_about(header, ins=DOMINIQUE.extension, types=fewer)
