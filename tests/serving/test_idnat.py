"""The numbers of professionals and structures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import idnat
from serving.errors import IdentityError
from serving.idnat import Number, as_issued


@pytest.mark.parametrize(
    ("value", "employer", "test"),
    [
        ("00B1038575", "", True),
        ("899700218896", "", True),
        ("810001234567", "", False),
        ("0751234567", "", False),
        ("02B1234567", "", False),
        ("09B1234567", "", False),
        ("30B0037750/CPET0001", "10B0037750", True),
        ("3750000001/A-1", "1750000001", False),
        ("10B1038575/12", "00B1038575", True),
        ("4123456789/7", "2123456789", None),
        ("512345678901234/7", "312345678901234", None),
        ("699700024450014/7", "499700024450014", True),
    ],
)
def test_person(value, employer, test):
    """The prefix tells the register, and the number whether it exists in tests only."""
    read = idnat.person(value)

    assert Number(value=value, employer=employer, test=test) == read


@pytest.mark.parametrize(
    ("value", "test"),
    [
        ("00B1038575", True),
        ("10B0193488", True),
        ("12B0000012", False),
        ("2123456789", None),
        ("312345678901234", None),
        ("499700024450014", True),
        ("410001234567001", False),
    ],
)
def test_structure(value, test):
    """A structure's number tells by its range whether it exists in tests only."""
    read = idnat.structure(value)

    assert Number(value=value, test=test) == read


@pytest.mark.parametrize(
    "value",
    [
        "",
        "0",
        "2123456789",
        "7123456789",
        "0B1038575",
        "00b1038575",
        "00B10385750",
        "03B1038575",
        "89970021889",
        "8997002188961",
        "8\N{FULLWIDTH DIGIT NINE}9700218896",
        "899700218896\n",
        " 899700218896",
        "30B0037750",
        "30B0037750/",
        "30B0037750//A",
        "30B0037750/A B",
        "30B0037750/" + "A" * 33,
    ],
)
def test_no_person(value):
    """What has not the form of an idNat_PS is refused, and is not repeated."""
    with pytest.raises(IdentityError, match="no idNat_PS") as caught:
        idnat.person(value)

    assert len(value) < 2 or value not in str(caught.value)


@pytest.mark.parametrize(
    "value", ["", "5123456789", "899700218896", "10B019348", "2123456789/1", "31234567890123"]
)
def test_no_structure(value):
    """What has not the form of an idNat_Struct is refused."""
    with pytest.raises(IdentityError, match="no idNat_Struct"):
        idnat.structure(value)


@given(st.text(max_size=40) | st.from_regex(r"[0-9][0-9A-F/]{8,20}", fullmatch=True))
def test_an_employer_is_a_structure(value):
    """Whatever is read as an employee's number names a structure that is read as one."""
    try:
        read = idnat.person(value)
    except IdentityError:
        return

    assert not read.employer or idnat.structure(read.employer).test == read.test


@pytest.mark.parametrize(
    ("value", "issued"),
    [
        ("00b1038575", "00B1038575"),
        ("10b0193488", "10B0193488"),
        ("30b0037750/CPET0001", "30B0037750/CPET0001"),
        ("30b0037750/cpet0001", "30B0037750/cpet0001"),
        ("30B0037750/cpet0001", "30B0037750/cpet0001"),
        ("00B1038575", "00B1038575"),
        ("899700218896", "899700218896"),
        ("doc-1", "doc-1"),
        ("aud-0001", "aud-0001"),
        ("", ""),
    ],
)
def test_as_issued(value, issued):
    """Numbers have capital letters; what is none, and what an employer gave, stays as it is."""
    assert issued == as_issued(value)
