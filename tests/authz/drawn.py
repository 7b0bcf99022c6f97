"""Random requests and states, to be decided: any that are well formed, and likely ones."""

from dataclasses import fields, replace
from datetime import date, timedelta

from hypothesis import strategies as st

from authz import product
from authz.query import CONFIDENTIALITY, Context, Document, Query, Subject, Target
from authz.registry.changes import (
    AddRepresentative,
    CloseDossier,
    GrantAuthorisation,
    LiftBlock,
    OpenDossier,
    RemoveRepresentative,
    RenewAuthorisation,
    ReopenDossier,
    RevokeAuthorisation,
    SetBlock,
    SetConsents,
    SetReviewStanding,
    SetTreatingDoctor,
    WithdrawTreatingDoctor,
)
from authz.registry.state import (
    Authorisation,
    Block,
    Consents,
    DossierStatus,
    Grantee,
    GranteeKind,
    PatientState,
    Representative,
    ReviewStanding,
    TreatingDoctor,
)
from tests.authz.samples import CLINIC, COLLEAGUE, DOCTOR, LETTER, NOW, PARENT, PATIENT
from tests.authz.worlds import our_bundle

IDS = st.sampled_from([DOCTOR, COLLEAGUE, CLINIC, PARENT])
MAYBE = st.one_of(st.just(""), IDS)


def one_of(name: str) -> st.SearchStrategy[str]:
    """A value of a choice that can be stated, or none."""
    values = our_bundle().vocabulary.fact(name).values
    return st.sampled_from(["", *(v for v in values if v not in ("unknown", "missing"))])


INSTANTS = st.integers(0, 6 * 365).map(lambda days: NOW - timedelta(days=days))
KINDS = st.sampled_from(GranteeKind)
ON = {"grantee": IDS, "kind": KINDS}
BOOL = st.booleans()
MAYBE_BOOL = st.one_of(st.none(), BOOL)
OPENING = {f.name: BOOL for f in fields(Consents) if f.name != "feeding"} | {
    "authorise": st.one_of(st.none(), st.builds(Grantee, identifier=IDS, kind=KINDS)),
    "treating_doctor": BOOL,
}
CHANGES = st.one_of(
    st.none(),
    st.builds(OpenDossier, **OPENING),
    st.builds(ReopenDossier, **OPENING),
    st.builds(CloseDossier, reason=st.sampled_from(["DECES", "X", ""])),
    st.builds(SetConsents, **{f.name: MAYBE_BOOL for f in fields(SetConsents)}),
    st.builds(GrantAuthorisation, **ON, treating_doctor=BOOL),
    *(st.builds(kind, **ON) for kind in (RenewAuthorisation, RevokeAuthorisation, LiftBlock)),
    st.builds(SetBlock, **ON, withdraw_treating_doctor=BOOL),
    *(st.builds(kind, professional=IDS) for kind in (SetTreatingDoctor, WithdrawTreatingDoctor)),
    st.builds(AddRepresentative, representative=IDS, relation=st.just("FTH")),
    st.builds(RemoveRepresentative, representative=IDS),
    st.builds(SetReviewStanding, professional=IDS, standing=st.sampled_from(ReviewStanding)),
)
STANDINGS = st.one_of(st.none(), st.dictionaries(IDS, st.sampled_from(ReviewStanding), max_size=2))
STATES = st.builds(
    PatientState,
    patient=st.just(PATIENT),
    status=st.sampled_from(DossierStatus),
    birth_date=st.one_of(st.none(), st.dates(date(1900, 1, 1), date(2026, 5, 4))),
    consents=st.builds(Consents, **{f.name: BOOL for f in fields(Consents)}),
    authorisations=st.lists(
        st.builds(Authorisation, **ON, granted_at=INSTANTS, expires_at=INSTANTS), max_size=2
    ).map(tuple),
    treating_doctors=st.lists(
        st.builds(TreatingDoctor, professional=IDS, since=INSTANTS), max_size=2
    ).map(tuple),
    blocks=st.lists(st.builds(Block, **ON, since=INSTANTS), max_size=1).map(tuple),
    representatives=st.lists(
        st.builds(Representative, representative=IDS, relation=st.just("MTH"), since=INSTANTS),
        max_size=1,
    ).map(tuple),
)


@st.composite
def queries(draw: st.DrawFn) -> Query:
    """Any well-formed request."""
    kind = draw(one_of("subject.kind").filter(bool))
    identity = PATIENT if kind == "patient" else draw(IDS)
    subject = st.builds(
        Subject,
        kind=st.just(kind),
        id=st.just(identity),
        profession=st.sampled_from(["", "10", "60", "93", "patient"]),
        structure=st.sampled_from(["", identity]) if kind == "structure" else MAYBE,
        structure_kind=st.sampled_from(["", "SAMU_SMUR", "ETABLISSEMENT"]),
        authentication=one_of("subject.authentication"),
        capacity=one_of("subject.capacity"),
        regulator=BOOL,
    )
    document = st.builds(
        Document,
        id=IDS,
        type=st.sampled_from([LETTER, "E1762", "00000-0"]),
        authors=st.lists(IDS, max_size=3).map(tuple),
        author_structure=MAYBE,
        visibility=st.lists(st.sampled_from(CONFIDENTIALITY), max_size=3).map(tuple),
        status=one_of("resource.status").filter(bool),
    )
    context = st.builds(
        Context,
        mode=one_of("context.mode"),
        reason_code=st.sampled_from(["", "autre", "x"]),
        reason_text=st.sampled_from(["", " ", "Malaise"]),
        declared_at=st.one_of(st.none(), INSTANTS),
        secret_connection=BOOL,
        agreement=BOOL,
        announced=BOOL,
        closure=one_of("context.closure"),
    )
    target = st.builds(
        Target,
        id=IDS,
        kind=st.sampled_from(["professional", "structure", "person"]),
        profession=st.sampled_from(["", "10", "93"]),
    )
    return draw(
        st.builds(
            Query,
            caller=st.sampled_from(["dossier", "portal", "nobody"]),
            rpc=st.sampled_from([product.CHECK, product.CHANGE, ""]),
            subject=subject,
            action=st.sampled_from(sorted(our_bundle().vocabulary.actions)),
            patient=st.just(PATIENT),
            document=document,
            target=target,
            about=st.just("019dfd5b-2800-7000-8000-000000000000"),
            context=context,
            change=CHANGES,
        )
    )


# Requests that may well be allowed, and documents that are all they can be.

DAY = timedelta(days=1)
CARD = {
    "professional": "individual_card",
    "employee": "employee_card",
    "structure": "structure_certificate",
    "patient": "patient_code",
    "representative": "patient_code",
}
NORMAL = Context(mode="normal")
CONTEXTS = st.one_of(
    st.just(NORMAL),
    st.builds(Context, mode=st.just("normal"), agreement=BOOL, announced=BOOL),
    st.builds(
        Context,
        mode=st.sampled_from(["bris_de_glace", "centre_15"]),
        reason_code=st.sampled_from(["autre", "autre", ""]),
        reason_text=st.just("Malaise"),
    ),
)
HOMES = (CLINIC, CLINIC, "", COLLEAGUE)
PROFESSIONS = ("10", "10", "21", "50", "60", "41", "93")
LIKELY_STATES = st.builds(
    lambda state, born, end, who, blocked: replace(
        state,
        status=DossierStatus.OPEN,
        birth_date=born,
        blocks=state.blocks if blocked else (),
        authorisations=tuple(
            Authorisation(
                grantee=one,
                kind=GranteeKind.STRUCTURE if one == CLINIC else GranteeKind.PROFESSIONAL,
                granted_at=NOW - 2 * DAY,
                expires_at=NOW + end * DAY,
            )
            for one in who
        ),
    ),
    STATES,
    st.sampled_from([date(1960, 5, 4), date(2015, 5, 4)]),
    st.sampled_from([1, 1, 1, -1]),
    st.sets(st.sampled_from([DOCTOR, CLINIC])),
    st.sampled_from([False, False, True]),
)


@st.composite
def likely(draw: st.DrawFn) -> Query:
    """A request by somebody who has identified as they should."""
    kind = draw(st.sampled_from(["professional"] * 6 + [*CARD]))
    subject = Subject(
        kind=kind,
        id=PATIENT if kind == "patient" else draw(st.sampled_from([DOCTOR, DOCTOR, PARENT])),
        profession=draw(st.sampled_from(PROFESSIONS)),
        structure="" if kind in ("patient", "representative") else draw(st.sampled_from(HOMES)),
        structure_kind="SAMU_SMUR",
        authentication=CARD[kind],
        capacity="care",
        regulator=draw(BOOL),
    )
    return Query(
        caller="dossier",
        rpc=product.CHECK,
        subject=subject,
        action=draw(st.sampled_from(["document.list", "document.read"])),
        patient=PATIENT,
        context=draw(CONTEXTS),
    )


@st.composite
def labels(draw: st.DrawFn, who: Subject, *, sound: bool = False) -> Document:
    """Any label; a `sound` one has only what the contract knows."""
    types = st.sampled_from([*sorted(our_bundle().types), "E1762", "00000-0"])
    people = st.sampled_from([who.id, who.structure or who.id, COLLEAGUE, PARENT])
    codes = st.sampled_from(CONFIDENTIALITY)
    statuses = st.sampled_from(["approved", "approved", "deprecated", "archived", "deleted"])
    if not sound and draw(st.integers(0, 3)) == 0:
        strange = st.sampled_from(["", " ", "%", "N", "é", "Approved", "masque_ps"])
        types, people, codes, statuses = (
            types | strange,
            people | strange,
            codes | strange,
            strange,
        )
    return Document(
        id="1.2.3",
        type=draw(types),
        authors=tuple(draw(st.lists(people, max_size=3))),
        author_structure=draw(st.sampled_from(["", who.structure, CLINIC, who.id])),
        visibility=tuple(draw(st.just(["N"]) | st.lists(codes, max_size=4))),
        status=draw(statuses),
    )
