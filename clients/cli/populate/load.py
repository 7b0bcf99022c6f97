"""Brings one patient after the other into a running record, by its contract alone.

What is there already is left as it is, so a run that was stopped goes on where it was. Whether there is a
dossier is asked first; what is in it, its holder sees; documents that the holder does not see are known by
their unique ids when they are deposited again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from clients.cli.populate.asking import Asking
from clients.cli.populate.families import Patient
from clients.cli.populate.papers import Paper
from clients.cli.populate.visit import Count, Visit
from dossier.v1 import dossier_pb2 as pb

BATCH: Final = 8
"""So many documents are deposited at once, by the same person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader:
    """Loads patients; several threads may share it.

    Attributes:
        record: where to.
        seed: of the population.
        count: is told what was done, by name and number.
    """

    record: Asking
    seed: int
    count: Count

    def load(self, patient: Patient, papers: Sequence[Paper]) -> None:
        """Creates the dossier of a patient, says who may see it, and deposits the documents.

        Raises:
            RefusedError: something was refused that policy should allow.
            UnreachableError: there is no answer, also after some attempts.
        """
        visit = Visit(record=self.record, seed=self.seed, patient=patient, count=self.count)
        state = visit.state()
        if state == "closed":
            self.count("there", 1)
            self.count("documents there", len(papers))
            return
        labels: dict[str, pb.Label] = {}
        if state == "none":
            visit.create()
            visit.rights(())
        else:
            self.count("there", 1)
            visit.rights(visit.admitted())
            labels = visit.labels()
        there = {paper.number: labels.get(paper.unique_id()) for paper in papers}
        self.count("documents there", sum(label is not None for label in there.values()))
        missing = [paper for paper in papers if there[paper.number] is None]
        ids: dict[int, str] = {}
        for _, group in groupby(sorted(missing, key=_depositor), key=_depositor):
            batch = list(group)
            for start in range(0, len(batch), BATCH):
                ids |= visit.deposit(batch[start : start + BATCH])
        for paper in papers:
            if paper.later and not _is_done(paper, there[paper.number]):
                visit.follow(paper, ids.get(paper.number, ""))
        visit.close()


def _is_done(paper: Paper, label: pb.Label | None) -> bool:
    """Whether what becomes of a paper later has become of the document that was there already."""
    if label is None:
        return False
    match paper.later:
        case "replaced":
            return bool(label.replaced_by)
        case "masked":
            return label.visibility.masked
        case "archived":
            return label.status == "archived"
        case _:
            return False


def _depositor(paper: Paper) -> str:
    return "" if paper.by is None else paper.by.subject.id
