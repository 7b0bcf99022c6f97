"""The documents of the population: about whom, by whom, when, and what becomes of them."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final

from clients.cli.populate.dice import Dice
from clients.cli.populate.families import TODAY, Patient
from clients.cli.populate.kinds import HOLDER, KINDS, Kind
from clients.cli.populate.town import TOWN, Feeder
from dossier.cda.about import INS_C
from dossier.cda.header import Author, Identifier, Traits
from dossier.samples.documents import File, author, document, pdf
from dossier.types import LOINC

_ROOT: Final = "1.2.250.1.213.1.1.9.2025"
_LOCAL: Final = "1.2.250.1.213.1.1.4.12"
_PATIENT_ROLES: Final = "1.2.250.1.213.1.1.4.6"
_YEARS: Final = 9
_STEPS: Final = (7_919, 7_907, 7_901)
"""Primes, one of which divides no population of less than half a billion."""

_DRUGS: Final = (
    "Paracétamol 1 g",
    "Amoxicilline 500 mg",
    "Ramipril 5 mg",
    "Metformine 850 mg",
    "Repos",
)
_WHYS: Final = ("toux", "douleur du genou", "fièvre", "fatigue", "suivi", "chute", "maux de tête")
_EXAMS: Final = ("sans particularité", "auscultation normale", "gorge rouge", "genou stable")
_PASTS: Final = ("aucun", "hypertension", "asthme", "appendicectomie", "diabète de type 2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """One document before it is written.

    Attributes:
        seed: of the population.
        number: in the population.
        kind: what it is.
        patient: whom it is about.
        by: who deposits it; None for the holder.
        made_at: when it was made.
        masked: from other professionals, at the deposit.
        hidden_from_patient: until it is announced.
        hidden_from_representatives: of a minor.
        later: what becomes of it: "", replaced, masked, archived, deleted.
    """

    seed: int
    number: int
    kind: Kind
    patient: Patient
    by: Feeder | None
    made_at: datetime
    masked: bool = False
    hidden_from_patient: bool = False
    hidden_from_representatives: bool = False
    later: str = ""

    def unique_id(self, version: int = 1) -> str:
        """The id that its producer gives it."""
        return f"{_ROOT}.{self.seed}^{self.number}-{version}"

    def content(self, version: int = 1) -> bytes:
        """Its bytes, the same each time."""
        dice = Dice(self.seed, "content", self.number)
        words = {
            "drug": dice.pick(_DRUGS),
            "why": dice.pick(_WHYS),
            "exam": dice.pick(_EXAMS),
            "past": dice.pick(_PASTS),
            "days": dice.between(3, 30),
            "hb": f"1{dice.below(6)},{dice.below(10)}",
            "crp": dice.between(1, 40),
            "sugar": f"0,{dice.between(70, 99)}",
        }
        lines = [line.format(**words) for line in self.kind.lines]
        if version > 1:
            lines.append("Version corrigée.")
        text = "\n".join(lines)
        as_file = self.kind.file and dice.chance(700)
        return document(
            unique_id=self.unique_id(version),
            type_code=self.kind.code,
            type_system=LOINC if self.kind.code[0].isdigit() else _LOCAL,
            title=self.kind.title,
            patient=Identifier(root=INS_C, extension=self.patient.ins),
            traits=_traits(self.patient),
            authors=(self._author(),),
            made_at=self.made_at + timedelta(days=version - 1),
            set_id=f"{self.unique_id()}-set",
            version=version,
            replaces=self.unique_id(version - 1) if version > 1 else "",
            body=_file(f"{self.kind.title}\n\n{text}") if as_file else text,
        )

    def _author(self) -> Author:
        if self.by is None:
            one = self.patient
            return Author(
                ids=(Identifier(root=INS_C, extension=one.ins),),
                family_name=one.usage_name or one.family_name,
                given_name=one.given_names[0].title(),
                role="EXP_PATIENT",
                role_system=_PATIENT_ROLES,
            )
        subject = self.by.subject
        as_structure = subject.kind == "structure"
        return author(
            f"899700{subject.id[-6:]}" if as_structure else subject.id,
            family_name=self.by.family_name,
            given_name=self.by.given_name,
            role=self.by.role or "G15_10/SM26",
            structure=subject.structure,
            organisation=subject.structure_name,
        )


def papers(seed: int, people: list[Patient], count: int) -> dict[int, list[Paper]]:
    """So many documents, by the number of their patient, the oldest first."""
    found: dict[int, list[Paper]] = {}
    size = len(people)
    # Those who have many are spread over the whole population.
    step = next(one for one in _STEPS if size % one)
    for number in range(count):
        dice = Dice(seed, "paper", number)
        patient = people[dice.skewed(size) * step % size]
        found.setdefault(patient.number, []).append(_paper(seed, number, patient, dice))
    for one in found.values():
        one.sort(key=lambda paper: (paper.made_at, paper.number))
    return found


def team(seed: int, patient: Patient) -> dict[str, Feeder]:
    """Who cares for a patient: families share their doctor and pharmacist."""
    dice = Dice(seed, "team", patient.family)
    return {role: dice.pick(feeders) for role, feeders in TOWN.items()}


def _paper(seed: int, number: int, patient: Patient, dice: Dice) -> Paper:
    kind = dice.weighted([(one.weight, one) for one in KINDS if one.fits(patient)])
    since = max(patient.born + timedelta(days=2), date(TODAY.year - _YEARS, 1, 1))
    day = since + timedelta(days=dice.below(max((TODAY - since).days, 1)))
    at = datetime.combine(day, time(dice.between(7, 18), dice.below(60)), tzinfo=UTC)
    by = None if kind.role == HOLDER else team(seed, patient)[kind.role]
    own = by is not None and by.subject.kind == "professional"
    masked = own and dice.chance(25)
    tested = kind.code in ("60568-3", "11502-2", "18748-4")
    hidden = tested and not masked and not patient.minor and dice.chance(60)
    secret = own and patient.minor and not masked and dice.chance(30)
    later = "" if masked or hidden or secret else dice.weighted(_LATER)
    if (later == "deleted" and by is not None) or (later == "archived" and patient.minor):
        later = "masked"  # only the author deletes, and no representative archives
    if later == "replaced" and not own:
        later = ""
    return Paper(
        seed=seed,
        number=number,
        kind=kind,
        patient=patient,
        by=by,
        made_at=at,
        masked=masked,
        hidden_from_patient=hidden,
        hidden_from_representatives=secret,
        later=later,
    )


_LATER: Final = ((920, ""), (40, "replaced"), (20, "masked"), (15, "archived"), (5, "deleted"))
"""What becomes of documents later, of a thousand."""


@lru_cache(maxsize=1)
def _traits(one: Patient) -> Traits:
    return Traits(
        family_name=one.family_name,
        usage_name=one.usage_name,
        given_names=one.given_names,
        birth_date=one.born.isoformat(),
        sex=one.sex,
    )


def _file(text: str) -> File:
    return File(media_type="application/pdf", content=pdf(text))
