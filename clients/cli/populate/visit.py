"""What is done for one patient of the population, each step as one call."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf.message import Message

from authz.v1 import authz_pb2 as authz
from clients.cli.link import RefusedError
from clients.cli.populate.asking import Asking
from clients.cli.populate.dice import Dice
from clients.cli.populate.families import Patient
from clients.cli.populate.papers import Paper, team
from clients.cli.record import procedures
from dossier.v1 import dossier_pb2 as pb

_PAGE: Final = 200
_STATUSES: Final = ("approved", "deprecated", "archived")
_DONE: Final = ("DUPLICATE", "TRANSITION", "REPLACED", "DOCUMENT_UNAVAILABLE")
"""Refusals that say that it was done before."""

Count = Callable[[str, int], None]


@dataclass(slots=True, kw_only=True)
class Visit:
    """What is done for one patient.

    Attributes:
        record: where.
        seed: of the population.
        patient: for whom.
        count: is told what was done, by name and number.
    """

    record: Asking
    seed: int
    patient: Patient
    count: Count
    _asked: Counter[str] = field(default_factory=Counter)

    @property
    def doctor(self) -> authz.Subject:
        """The family doctor, who creates the dossier."""
        return team(self.seed, self.patient)["gp"].subject

    @property
    def holder(self) -> authz.Subject:
        """Who decides: the patient, or a parent."""
        if self.patient.parents:
            ident, _, family, given = self.patient.parents[0]
            kind, name = "representative", f"{given.title()} {family}"
        else:
            one = self.patient
            kind, ident = "patient", one.ins
            name = f"{one.given_names[0].title()} {one.usage_name or one.family_name}"
        return authz.Subject(
            kind=kind, id=ident, name=name, authentication="patient_code", capacity="self"
        )

    def state(self) -> str:
        """Of the dossier: none, open, closed."""
        request = pb.FindDossierRequest(**self._about(self.doctor))
        return self.record.ask(procedures.FIND, request).dossier

    def create(self) -> None:
        """Creates the dossier, with answers that most people give."""
        dice, one = self._dice("answers"), self.patient
        contact = pb.Contact(
            address=[one.street], postal_code=one.postal_code, city=one.city, phone=one.phone
        )
        request = pb.CreateDossierRequest(
            **self._about(self.doctor, authz.Context(mode="normal", agreement=True)),
            request_id=self._request_id("create"),
            answers=pb.Answers(
                create=True,
                authorise=True,
                treating_doctor=dice.chance(750),
                samu=dice.chance(960),
                break_glass=dice.chance(950),
            ),
            administrative=pb.Administrative(
                family_name=one.family_name,
                usage_name=one.usage_name,
                given_names=" ".join(one.given_names),
                birth_date=one.born.isoformat(),
                sex=one.sex,
                contact=contact,
            ),
            guardians=[
                pb.Guardian(
                    id=ident,
                    relation=relation,
                    family_name=family,
                    given_names=given,
                    contact=contact,
                )
                for ident, relation, family, given in one.parents
            ],
        )
        try:
            self.record.ask(procedures.CREATE, request)
        except RefusedError as exc:
            if exc.reason_code != "DOSSIER_EXISTS":
                raise
            self.count("there", 1)
            return
        self.count("created", 1)

    def admitted(self) -> tuple[str, ...]:
        """Who is authorised, or blocked, in a dossier that is there already."""
        answer = self.record.ask(
            procedures.READ_DOSSIER, pb.ReadDossierRequest(**self._about(self.holder))
        )
        granted = (one.grantee.id for one in answer.rights.authorisations)
        return (*granted, *(one.id for one in answer.rights.blocks))

    def labels(self) -> dict[str, pb.Label]:
        """The documents that are there already and that the holder sees, by unique id."""
        request = pb.ListRequest(
            **self._about(self.holder), search=pb.Search(statuses=_STATUSES), page_size=_PAGE
        )
        found: dict[str, pb.Label] = {}
        while True:
            page = self.record.ask(procedures.LIST, request)
            found |= {one.unique_id: one for one in page.documents}
            request.cursor = page.cursor
            if not page.cursor:
                return found

    def rights(self, known: Collection[str]) -> None:
        """Whom the patient authorises besides the doctor, takes it back from, or shuts out.

        In a dossier that was there before (someone is `known`), what was taken back is not given again.
        """
        dice, cares = self._dice("rights"), team(self.seed, self.patient)
        for role, per_mille in (
            ("pharmacist", 800),
            ("nurse", 250),
            ("physiotherapist", 80),
            ("hospital", 150),
        ):
            wanted, takes_back = dice.chance(per_mille), dice.chance(60)
            who = _grantee(cares[role].subject)
            if not wanted or who.id in known or (takes_back and known):
                continue
            self._change("grant_authorisation", authz.GrantAuthorisation(grantee=who))
            if takes_back:
                self._change("revoke_authorisation", authz.RevokeAuthorisation(grantee=who))
                self.count("revoked", 1)
        who = _grantee(cares["psychiatrist"].subject)
        if dice.chance(30) and who.id not in known:
            self._change("set_block", authz.SetBlock(grantee=who))
            self.count("blocked", 1)

    def deposit(self, papers: Sequence[Paper]) -> dict[int, str]:
        """The ids of those that were deposited now; of those that were there already, none."""
        request = pb.SubmitRequest(
            **self._about(self._speaker(papers[0])),
            deposits=[
                pb.Deposit(content=paper.content(), visibility=_visibility(paper))
                for paper in papers
            ],
        )
        try:
            answer = self.record.ask(procedures.SUBMIT, request)
        except RefusedError as exc:
            if exc.reason_code != "DUPLICATE":
                raise
            if len(papers) == 1:
                self.count("documents there", 1)
                return {}
            # Another number of documents may have been wanted before: each on its own, then.
            return {k: v for paper in papers for k, v in self.deposit([paper]).items()}
        self.count("deposited", len(papers))
        self.count("hidden", sum(_is_hidden(paper) for paper in papers))
        return {
            paper.number: one.document for paper, one in zip(papers, answer.deposited, strict=True)
        }

    def follow(self, paper: Paper, document: str) -> None:
        """What becomes of a document later; of one that was there already, only if it was not done."""
        try:
            document = document or self._locate(paper)
            if paper.later == "replaced":
                new = pb.Deposit(content=paper.content(2), replaces=document)
                request = pb.SubmitRequest(**self._about(self._speaker(paper)), deposits=[new])
                self.record.ask(procedures.SUBMIT, request)
            else:
                act = pb.ChangeRequest(
                    **self._about(self.holder), document=document, act=_ACTS[paper.later]
                )
                self.record.ask(procedures.CHANGE, act)
        except RefusedError as exc:
            if exc.reason_code not in _DONE:
                raise
            return
        self.count(paper.later, 1)

    def close(self) -> None:
        """Closes the dossier, of a few."""
        if not self._dice("close").chance(12):
            return
        context = authz.Context(mode="normal", agreement=True, closure="patient_request")
        request = pb.CloseDossierRequest(
            **self._about(self.doctor, context),
            request_id=self._request_id("close"),
            reason="FERMETURE_DEMANDE_PATIENT",
            text="Demande du patient",
        )
        self.record.ask(procedures.CLOSE, request)
        self.count("closed", 1)

    def _locate(self, paper: Paper) -> str:
        request = pb.LocateRequest(**self._about(self._speaker(paper)), unique_id=paper.unique_id())
        return self.record.ask(procedures.LOCATE, request).document

    def _change(self, name: str, wanted: Message) -> None:
        request = pb.ChangeRightsRequest(
            **self._about(self.holder), request_id=self._request_id(name)
        )
        getattr(request, name).CopyFrom(wanted)
        self.record.ask(procedures.CHANGE_RIGHTS, request)

    def _speaker(self, paper: Paper) -> authz.Subject:
        return self.holder if paper.by is None else paper.by.subject

    def _about(self, who: authz.Subject, context: authz.Context | None = None) -> dict[str, Any]:
        stated = context or authz.Context(mode="normal")
        return {"subject": who, "context": stated, "patient": self.patient.ins}

    def _request_id(self, name: str) -> str:
        """The same each time that the same is asked."""
        self._asked[name] += 1
        return f"populate-{self.seed}-{self.patient.ins}-{name}-{self._asked[name]}"

    def _dice(self, name: str) -> Dice:
        return Dice(self.seed, name, self.patient.number)


_ACTS: Final[dict[str, pb.Act.ValueType]] = {
    "masked": pb.ACT_MASK,
    "archived": pb.ACT_ARCHIVE,
    "deleted": pb.ACT_DELETE,
}


def _grantee(subject: authz.Subject) -> authz.Grantee:
    return authz.Grantee(id=subject.id, kind=subject.kind, profession=subject.profession)


def _is_hidden(paper: Paper) -> bool:
    return paper.masked or paper.hidden_from_patient or paper.hidden_from_representatives


def _visibility(paper: Paper) -> pb.Visibility:
    return pb.Visibility(
        masked=paper.masked,
        hidden_from_patient=paper.hidden_from_patient,
        hidden_from_representatives=paper.hidden_from_representatives,
    )
