"""The invented town: the same by the same seed, possible in every trait, and nobody's."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from authz import ins
from authz.matrix import read_types
from clients.cli.populate.cards import write
from clients.cli.populate.dice import Dice
from clients.cli.populate.families import TODAY, patients
from clients.cli.populate.kinds import HOLDER, KINDS
from clients.cli.populate.papers import papers, team
from clients.cli.populate.town import TOWN
from clients.cli.record.speaker import speaker
from dossier import cda
from dossier.types import DocumentTypes
from dossier.vitale import FileReader
from serving.idnat import as_issued
from tests.shared import ROOT

SEED = 5
LATER = datetime(2030, 1, 1, tzinfo=UTC)
PEOPLE = list(patients(SEED, 300))
PAPERS = [paper for found in papers(SEED, PEOPLE, 2_000).values() for paper in found]
TYPES = DocumentTypes.read((ROOT / "policies/matrix/types.csv").read_text(encoding="utf-8"))


def test_the_same_seed_makes_the_same_people_and_bytes():
    """People, ids and bytes follow from the seed alone; another seed makes others."""
    again = list(patients(SEED, 300))
    found = [paper for some in papers(SEED, again, 2_000).values() for paper in some]

    assert again == PEOPLE
    assert [one.content() for one in found[:50]] == [one.content() for one in PAPERS[:50]]
    assert {one.ins for one in PEOPLE}.isdisjoint(one.ins for one in patients(SEED + 1, 300))


def test_more_people_begin_with_the_same():
    """A larger population begins with the smaller one."""
    assert list(patients(SEED, 40)) == PEOPLE[:40]


def test_numbers_follow_from_traits():
    """Each INS is that of the traits, no two are the same, and no NIR can be anybody's."""
    for one in PEOPLE:
        assert one.ins == ins.compute(one.given_names[0], f"{one.born:%y%m%d}", one.nir)
        assert one.nir[7:10] >= "990"
    assert len({one.ins for one in PEOPLE}) == len(PEOPLE)


def test_families():
    """Children share name and address with a parent, who is their representative; adults have none."""
    children = [one for one in PEOPLE if one.minor]

    assert 20 < len(children) < 200
    by_ins = {one.ins: one for one in PEOPLE}
    for child in children:
        parent = by_ins[child.parents[0][0]]
        assert (parent.street, parent.city) == (child.street, child.city)
        assert child.age < 12
        assert parent.age > 18
    assert all(one.born <= TODAY for one in PEOPLE)


def test_everyone_is_of_a_test_range():
    """Professionals and structures have numbers that are issued to nobody, and each another."""
    subjects = [feeder.subject for feeders in TOWN.values() for feeder in feeders]

    assert len({one.id for one in subjects}) == len(subjects)
    for one in subjects:
        assert as_issued(one.id) == one.id
        assert one.id.startswith(("89970", "10B0"))


def test_all_spaces_have_documents():
    """The documents stand in all eight spaces, and some people have many of them."""
    spaces = {TYPES.today(paper.kind.code).space for paper in PAPERS}
    most = Counter(paper.patient.number for paper in PAPERS).most_common(1)[0][1]

    assert spaces == set("12345678")
    assert len(PAPERS) == 2_000
    assert most > 15


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.code}-{kind.role}")
def test_each_kind_can_be_read(kind):
    """A document of each kind passes the checks of the record, about the right patient."""
    paper = next(one for one in PAPERS if one.kind is kind)

    header = cda.read(paper.content(), now=LATER, types=TYPES)
    found = cda.check_about(header, ins=paper.patient.ins, types=TYPES)

    assert found.code == kind.code
    assert header.unique_id == paper.unique_id()
    if paper.by is not None and paper.by.subject.kind == "professional":
        assert [author.id_nat for author in header.authors] == [paper.by.subject.id]


def test_types_are_known():
    """Each kind is of a type that may be deposited, and made by someone of the town or the holder."""
    types, mistakes = read_types(
        (ROOT / "policies/matrix/types.csv").read_text(encoding="utf-8"), path="types.csv"
    )

    assert not mistakes
    for kind in KINDS:
        assert types[kind.code].deposit
        assert kind.role in {HOLDER, *TOWN}


def test_a_new_version_replaces_the_old():
    """The second version names the first, and shares its set."""
    paper = next(one for one in PAPERS if one.later == "replaced")

    first = cda.read(paper.content(), now=LATER, types=TYPES)
    second = cda.read(paper.content(2), now=LATER, types=TYPES)

    assert second.replaces == (first.unique_id,)
    assert (second.set_id, second.version_number) == (first.set_id, 2)


def test_families_share_their_doctor():
    """All of a family go to the same doctor."""
    doctors = {}
    for one in PEOPLE:
        doctors.setdefault(one.family, set()).add(team(SEED, one)["gp"].subject.id)

    assert all(len(found) == 1 for found in doctors.values())


def test_files_let_people_speak(tmp_path):
    """The files that are written can be used with --as, and the cards be read."""
    write(tmp_path, PEOPLE)

    subject = speaker(str(tmp_path / "gp-01.yaml"), proven=True)
    card = FileReader(tmp_path / "card-00.yaml").read()

    assert subject == TOWN["gp"][0].subject
    assert [one.ins_c for one in card.persons] == [one.ins for one in PEOPLE if one.family == 0]
    assert speaker(str(tmp_path / "patient-00.yaml"), proven=True).id == PEOPLE[0].ins


def test_dice():
    """Throws depend on their path alone, and fall on everything."""
    assert [Dice(1, "a").below(1000) for _ in range(3)] == [Dice(1, "a").below(1000)] * 3
    dice = Dice("all")
    assert {dice.between(1, 6) for _ in range(200)} == set(range(1, 7))
    assert {dice.weighted(((1, "a"), (0, "b"), (3, "c"))) for _ in range(200)} == {"a", "c"}
    assert all(0 <= dice.skewed(10) < 10 for _ in range(200))
