"""What is true of a request: each fact at each of its edges, from registry state, request and instant."""

import re
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from authz import product
from authz.bundle import Bundle
from authz.facts import COMPUTED, PARAMETERS, FactComputer
from authz.model import Kind
from authz.query import Query, Voucher, check
from authz.registry.changes import (
    AddRepresentative,
    CloseDossier,
    GrantAuthorisation,
    OpenDossier,
    ReopenDossier,
    SetBlock,
    SetConsents,
)
from authz.registry.state import (
    NO_CONSENT,
    Authorisation,
    Block,
    DossierStatus,
    Grantee,
    GranteeKind,
    PatientState,
    Representative,
    ReviewStanding,
    Standings,
    TreatingDoctor,
    unknown,
)
from serving.errors import RequestError
from tests.authz.drawn import STANDINGS, STATES, queries
from tests.authz.samples import (
    CLINIC,
    COLLEAGUE,
    DOCTOR,
    NOW,
    PARENT,
    PATIENT,
    READ,
    STATE,
    TARGET,
    query,
)
from tests.authz.worlds import our_bundle

PERSON, STRUCTURE = GranteeKind.PROFESSIONAL, GranteeKind.STRUCTURE
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
SAMU = {
    "subject__profession": "10",
    "subject__regulator": True,
    "subject__structure_kind": "SAMU_SMUR",
}
WITH_TARGET = {"action": "block.set", "document": None, "target": TARGET}
REASON = {
    "context__mode": "bris_de_glace",
    "context__reason_code": "autre",
    "context__reason_text": "Malaise",
}
SELF = {"subject__kind": "patient", "subject__id": PATIENT, "subject__profession": ""}
REASONS = "risque_vital, conscience_alteree, urgence_medicale, autre"
ANSWERS = {"samu": False, "break_glass": False}
ONESELF = Grantee(identifier=DOCTOR, kind=PERSON)


def authorised(
    until: datetime, whom: str = DOCTOR, kind: GranteeKind = PERSON
) -> dict[str, object]:
    """A state in which somebody is authorised until an instant."""
    entry = Authorisation(grantee=whom, kind=kind, granted_at=NOW - DAY, expires_at=until)
    return {"authorisations": (entry,)}


def blocked(whom: str = DOCTOR, kind: GranteeKind = PERSON) -> dict[str, object]:
    """A state in which somebody is blocked."""
    return {"blocks": (Block(grantee=whom, kind=kind, since=NOW - DAY),)}


def treating(whom: str = DOCTOR) -> dict[str, object]:
    """A state in which somebody is treating doctor."""
    return {"treating_doctors": (TreatingDoctor(professional=whom, since=NOW - DAY),)}


def parent(whom: str = PARENT) -> dict[str, object]:
    """A state in which somebody is legal representative."""
    return {"representatives": (Representative(representative=whom, relation="FTH", since=NOW),)}


def born(day: date | None) -> dict[str, object]:
    """A state with a day of birth."""
    return {"birth_date": day}


def consents(**changes: bool) -> dict[str, object]:
    """A state with answers other than the usual ones."""
    return {"consents": replace(STATE.consents, **changes)}


def change(action: str, wanted: object, **more: object) -> dict[str, object]:
    """A request for a change."""
    return {"action": action, "document": None, "change": wanted, **more}


def grant(*, treating_doctor: bool = False) -> GrantAuthorisation:
    """A grant to the colleague."""
    return GrantAuthorisation(grantee=COLLEAGUE, kind=PERSON, treating_doctor=treating_doctor)


SERVICE = {"subject__kind": "service", "subject__authentication": "service_channel"}
CASES: list[tuple[str, object, dict[str, object], dict[str, object]]] = [
    # Who asks.
    ("action.name", "document.read", {}, {}),
    ("subject.kind", "professional", {}, {}),
    ("subject.kind", "employee", {"subject__kind": "employee"}, {}),
    ("subject.kind", "structure", {"subject__kind": "structure"}, {}),
    ("subject.kind", "patient", SELF, {}),
    ("subject.kind", "representative", {"subject__kind": "representative"}, {}),
    ("subject.kind", "auditor", {"subject__kind": "auditor"}, {}),
    ("subject.kind", "compliance_officer", {"subject__kind": "compliance_officer"}, {}),
    ("context.service", "dossier", {}, {}),
    ("context.service", "unknown", {"caller": "nobody"}, {}),
    ("subject.kind", "service", SERVICE, {}),
    ("subject.authentication", "service_channel", SERVICE, {}),
    ("subject.id", DOCTOR, {}, {}),
    ("subject.structure", CLINIC, {}, {}),
    ("subject.structure", "", {"subject__structure": ""}, {}),
    ("subject.profession", "10", {}, {}),
    ("subject.profession", "unlisted", {"subject__profession": ""}, {}),
    ("subject.profession", "unlisted", {"subject__profession": "93"}, {}),
    ("subject.profession", "unlisted", {"subject__profession": "patient"}, {}),
    ("subject.authentication", "individual_card", {}, {}),
    ("subject.authentication", "unknown", {"subject__authentication": ""}, {}),
    ("subject.capacity", "care", {}, {}),
    ("subject.capacity", "unknown", {"subject__capacity": ""}, {}),
    ("subject.capacity", "self", SELF | {"subject__capacity": ""}, {}),
    ("subject.capacity", "self", {"subject__kind": "representative", "subject__capacity": ""}, {}),
    ("subject.capacity", "insurance", SELF | {"subject__capacity": "insurance"}, {}),
    ("subject.regulator", "yes", SAMU, {}),
    ("subject.regulator", "no", SAMU | {"subject__profession": "60"}, {}),
    ("subject.regulator", "no", SAMU | {"subject__regulator": False}, {}),
    ("subject.regulator", "no", SAMU | {"subject__structure_kind": "ETABLISSEMENT"}, {}),
    # Authorisations.
    ("subject.authorisation", "none", {}, {}),
    ("subject.authorisation", "valid", {}, authorised(NOW + SECOND)),
    ("subject.authorisation", "expired", {}, authorised(NOW)),
    ("subject.authorisation", "expired", {}, authorised(NOW - SECOND)),
    ("subject.authorisation", "none", {}, authorised(NOW + DAY, COLLEAGUE)),
    ("subject.authorisation", "valid", {}, authorised(NOW + DAY, CLINIC, STRUCTURE)),
    ("subject.authorisation", "none", {"subject__structure": ""}, authorised(NOW + DAY, CLINIC, STRUCTURE)),
    ("subject.authorisation", "none", {"subject__structure": ""}, authorised(NOW + DAY, "", STRUCTURE)),
    ("subject.authorisation", "none", {}, authorised(NOW + DAY, CLINIC, PERSON)),
    ("subject.authorisation", "unknown", {"subject__structure": ""}, blocked(CLINIC, STRUCTURE)),
    # What says who asks.
    ("context.subject_proof", "asserted", {}, {}),
    ("context.subject_proof", "token", {"voucher": Voucher(issuer="portal", id="1")}, {}),
    ("context.subject_proof", "token", {"voucher": Voucher(issuer="dossier", id="1")}, {}),
    ("context.subject_proof", "unproven", {"voucher": Voucher(issuer="audit", id="1")}, {}),
    ("context.subject_proof", "unproven", {"voucher": Voucher(issuer="nobody", id="1")}, {}),
    (
        "context.subject_proof",
        "unproven",
        {"voucher": Voucher(issuer="portal", id="1", contradicted=("id",))},
        {},
    ),
    ("resource.masked", "yes", {"document__visibility": ()}, {}),
    ("resource.hidden_from_patient", "yes", {"document__visibility": ()}, {}),
    (
        "context.names_representatives",
        "yes",
        change(
            "dossier.create",
            OpenDossier(
                **ANSWERS, representatives=(AddRepresentative(representative="r", relation="MTH"),)
            ),
        ),
        {},
    ),
    ("subject.authorisation", "none", {"subject__kind": "employee"}, authorised(NOW + DAY)),
    (
        "subject.authorisation",
        "valid",
        {"subject__kind": "employee"},
        authorised(NOW + DAY, CLINIC, STRUCTURE),
    ),
    ("subject.authorisation", "forbidden", {}, blocked()),
    ("subject.authorisation", "forbidden", {}, blocked(CLINIC, STRUCTURE)),
    ("subject.authorisation", "forbidden", {}, blocked(CLINIC, STRUCTURE) | authorised(NOW + DAY)),
    ("subject.authorisation", "none", {}, blocked(COLLEAGUE)),
    ("subject.authorisation", "none", {}, blocked(DOCTOR, STRUCTURE)),
    # The treating doctor, as long as the authorisation lasts.
    ("subject.treating_doctor", "yes", {}, treating() | authorised(NOW + SECOND)),
    ("subject.treating_doctor", "no", {}, treating() | authorised(NOW)),
    ("subject.treating_doctor", "no", {}, treating()),
    ("subject.treating_doctor", "no", {}, treating() | authorised(NOW + DAY) | blocked()),
    ("subject.treating_doctor", "no", {}, treating(COLLEAGUE) | authorised(NOW + DAY)),
    ("subject.treating_doctor", "no", {"subject__kind": "patient"}, treating() | authorised(NOW + DAY)),
    # The representative.
    ("subject.representative", "yes", {"subject__kind": "representative", "subject__id": PARENT}, parent()),
    ("subject.representative", "no", {"subject__kind": "representative"}, parent()),
    ("subject.representative", "no", {"subject__kind": "patient", "subject__id": PARENT}, parent()),
    ("subject.representative", "no", {"subject__id": PARENT}, parent()),
    # The patient.
    ("resource.patient", PATIENT, {}, {}),
    *(("resource.dossier", status.value, {}, {"status": status}) for status in DossierStatus),
    ("resource.minor", "no", {}, born(date(2008, 5, 4))),
    ("resource.minor", "yes", {}, born(date(2008, 5, 5))),
    ("resource.minor", "yes", {}, born(date(2026, 5, 4))),
    ("resource.minor", "no", {}, born(date(1900, 1, 1))),
    ("resource.minor", "no", {}, born(None)),
    ("resource.samu_access", "permitted", {}, consents(samu=True)),
    ("resource.samu_access", "opposed", {}, consents(samu=False)),
    ("resource.break_glass_access", "permitted", {}, consents(break_glass=True)),
    ("resource.break_glass_access", "opposed", {}, consents(break_glass=False)),
    ("resource.masked_in_emergency", "permitted", {}, consents(masked_in_emergency=True)),
    ("resource.masked_in_emergency", "opposed", {}, consents(masked_in_emergency=False)),
    ("resource.feeding", "accepted", {}, consents(feeding=True)),
    ("resource.feeding", "opposed", {}, consents(feeding=False)),
    # The document.
    ("resource.habilitation", "permitted", {}, {}),
    ("resource.habilitation", "denied", {"subject__profession": "60", "document__type": "75496-0"}, {}),
    ("resource.habilitation", "unlisted", {"document__type": "00000-0"}, {}),
    ("resource.habilitation", "unlisted", {"subject__profession": "93"}, {}),
    ("resource.habilitation", "unlisted", {"subject__profession": "patient"}, {}),
    ("resource.habilitation", "unlisted", {"subject__profession": ""}, {}),
    ("resource.habilitation", "unlisted", {"subject__kind": "auditor"}, {}),
    ("resource.habilitation", "denied", {"document": None}, {}),
    ("resource.authors", (COLLEAGUE,), {}, {}),
    ("resource.authors", (), {"document__authors": ()}, {}),
    ("resource.author_structure", CLINIC, {}, {}),
    ("resource.masked", "no", {}, {}),
    ("resource.masked", "yes", {"document__visibility": ("N", "MASQUE_PS")}, {}),
    ("resource.masked", "yes", {"document": None}, {}),
    ("resource.hidden_from_patient", "no", {}, {}),
    ("resource.hidden_from_patient", "yes", {"document__visibility": ("INVISIBLE_PATIENT",)}, {}),
    ("resource.hidden_from_patient", "yes", {"document": None}, {}),
    ("resource.hidden_from_representatives", "no", {}, {}),
    (
        "resource.hidden_from_representatives",
        "yes",
        {"document__visibility": ("INVISIBLE_REPRESENTANTS_LEGAUX",)},
        {},
    ),
    ("resource.hidden_from_representatives", "unknown", {"document": None}, {}),
    *(
        ("resource.status", status, {"document__status": status}, {})
        for status in ("approved", "deprecated", "archived", "deleted")
    ),
    ("resource.signature", "no", {}, {}),
    ("resource.signature", "yes", {"document__type": "E1762"}, {}),
    # Whom the act aims at.
    ("resource.target", "", {}, {}),
    ("resource.target", COLLEAGUE, WITH_TARGET, {}),
    ("resource.target_profession", "60", WITH_TARGET, {}),
    ("resource.target_profession", "unlisted", WITH_TARGET | {"target__profession": "93"}, {}),
    ("resource.target_authorisation", "unknown", {}, {}),
    ("resource.target_authorisation", "none", WITH_TARGET, {}),
    ("resource.target_authorisation", "valid", WITH_TARGET, authorised(NOW + SECOND, COLLEAGUE)),
    ("resource.target_authorisation", "expired", WITH_TARGET, authorised(NOW, COLLEAGUE)),
    ("resource.target_authorisation", "forbidden", WITH_TARGET, blocked(COLLEAGUE)),
    ("resource.target_authorisation", "none", WITH_TARGET, authorised(NOW + DAY, CLINIC, STRUCTURE)),
    (
        "resource.target_authorisation",
        "valid",
        WITH_TARGET | {"target__kind": "structure", "target__id": CLINIC},
        authorised(NOW + DAY, CLINIC, STRUCTURE),
    ),
    ("resource.target_authorisation", "none", WITH_TARGET | {"target__kind": "person"}, blocked(COLLEAGUE)),
    ("resource.target_treating_doctor", "yes", {}, {}),
    ("resource.target_treating_doctor", "no", WITH_TARGET, {}),
    ("resource.target_treating_doctor", "yes", WITH_TARGET, treating(COLLEAGUE)),
    ("subject.concerned", "yes", {}, {}),
    ("subject.concerned", "no", WITH_TARGET, {}),
    ("subject.concerned", "yes", WITH_TARGET | {"target__id": DOCTOR}, {}),
    # The circumstances.
    ("context.caller", "permitted", {}, {}),
    ("context.caller", "refused", {"caller": "portal", "rpc": product.ACTIVATE_BUNDLE}, {}),
    ("context.caller", "refused", {"caller": "nobody"}, {}),
    ("context.mode", "normal", {}, {}),
    ("context.mode", "unknown", {"context__mode": ""}, {}),
    ("context.reason", "missing", {}, {}),
    ("context.reason", "given", REASON, {}),
    ("context.reason", "missing", REASON | {"context__reason_code": ""}, {}),
    ("context.reason", "missing", REASON | {"context__reason_code": "curiosite"}, {}),
    ("context.reason", "missing", REASON | {"context__reason_text": ""}, {}),
    ("context.reason", "missing", REASON | {"context__reason_text": " \n\t"}, {}),
    ("context.reason", "missing", REASON | {"context__reason_text": "\u200b\u00a0..."}, {}),
    ("context.declaration", "current", {}, {}),
    ("context.declaration", "current", {"context__declared_at": NOW}, {}),
    ("context.declaration", "current", {"context__declared_at": NOW + SECOND}, {}),
    ("context.declaration", "current", {"context__declared_at": NOW - 4 * HOUR + SECOND}, {}),
    ("context.declaration", "lapsed", {"context__declared_at": NOW - 4 * HOUR}, {}),
    ("context.declaration", "lapsed", {"context__declared_at": NOW - 365 * DAY}, {}),
    ("context.secret_connection", "no", {}, {}),
    ("context.secret_connection", "yes", {"context__secret_connection": True}, {}),
    ("context.agreement", "missing", {}, {}),
    ("context.agreement", "given", {"context__agreement": True}, {}),
    ("context.announced", "no", {}, {}),
    ("context.announced", "yes", {"context__announced": True}, {}),
    ("context.closure", "missing", {}, {}),
    ("context.closure", "death", {"context__closure": "death"}, {}),
    ("context.closure", "death", change("dossier.close", CloseDossier(reason="DECES")), {}),
    (
        "context.closure",
        "patient_request",
        change("dossier.close", CloseDossier(reason="FERMETURE_DEMANDE_PATIENT")),
        {},
    ),
    (
        "context.closure",
        "missing",
        change("dossier.close", CloseDossier(reason="AUTRE"), context__closure="death"),
        {},
    ),
    # What a change would bring.
    ("context.asks_authorisation", "no", {}, {}),
    ("context.asks_authorisation", "yes", change("authorisation.grant", grant()), {}),
    (
        "context.asks_authorisation",
        "yes",
        change("dossier.create", OpenDossier(**ANSWERS, authorise=ONESELF)),
        {},
    ),
    ("context.asks_authorisation", "no", change("dossier.create", OpenDossier(**ANSWERS)), {}),
    ("context.asks_treating_doctor", "no", change("authorisation.grant", grant()), {}),
    ("context.asks_treating_doctor", "yes", change("authorisation.grant", grant(treating_doctor=True)), {}),
    (
        "context.asks_treating_doctor",
        "yes",
        change("dossier.reopen", ReopenDossier(**ANSWERS, authorise=ONESELF, treating_doctor=True)),
        {},
    ),
    ("context.asks_masked_in_emergency", "no", {}, consents(masked_in_emergency=True)),
    (
        "context.asks_masked_in_emergency",
        "yes",
        change("consent.update", SetConsents(masked_in_emergency=True)),
        {},
    ),
    (
        "context.asks_masked_in_emergency",
        "no",
        change("consent.update", SetConsents(masked_in_emergency=False)),
        {},
    ),
    (
        "context.asks_masked_in_emergency",
        "yes",
        change("dossier.create", OpenDossier(**ANSWERS, masked_in_emergency=True)),
        {},
    ),
    ("context.keeps_emergency_access", "yes", {}, {}),
    ("context.keeps_emergency_access", "no", {}, {"consents": NO_CONSENT}),
    (
        "context.keeps_emergency_access",
        "no",
        change("consent.update", SetConsents(samu=False, break_glass=False)),
        {},
    ),
    ("context.keeps_emergency_access", "yes", change("consent.update", SetConsents(samu=False)), {}),
    (
        "context.keeps_emergency_access",
        "yes",
        change("consent.update", SetConsents(samu=True)),
        {"consents": NO_CONSENT},
    ),
    ("context.keeps_emergency_access", "no", change("dossier.create", OpenDossier(**ANSWERS)), {}),
    ("context.withdraws_treating_doctor", "no", {}, {}),
    (
        "context.withdraws_treating_doctor",
        "no",
        change("block.set", SetBlock(grantee=COLLEAGUE, kind=PERSON)),
        {},
    ),
    (
        "context.withdraws_treating_doctor",
        "yes",
        change(
            "block.set", SetBlock(grantee=COLLEAGUE, kind=PERSON, withdraw_treating_doctor=True)
        ),
        {},
    ),
]  # fmt: skip


def facts(
    asked: Query,
    state: PatientState = STATE,
    at: datetime = NOW,
    bundle: Bundle | None = None,
    standings: Standings | None = None,
):
    """The facts of a request in words, and the remarks."""
    bundle = bundle or our_bundle()
    found = FactComputer(bundle).compute(asked, state, at, standings)
    for fact, value in zip(bundle.vocabulary.facts, found.vector, strict=True):
        assert fact.holds(value), (fact.name, value)
    return bundle.vocabulary.decode(found.vector), found.remarks


def parameters(**changes: object) -> Bundle:
    """Our bundle with other parameters: `mt__requires_valid` stands for `mt.requires_valid`."""
    ours = our_bundle()
    named = {name.replace("__", "."): value for name, value in changes.items()}
    known = dict(ours.parameters)
    for name, value in named.items():
        known[name] = replace(known[name], value=value)
    return replace(ours, parameters=known)


@pytest.mark.parametrize(
    ("name", "expected", "asked", "state"),
    CASES,
    ids=[f"{n}: {case[0]} is {case[1]}" for n, case in enumerate(CASES)],
)
def test_facts(name, expected, asked, state):
    """A fact is what follows from the request, the state of the patient and the instant."""
    found, _ = facts(query(**asked), replace(STATE, **state))

    assert found[name] == expected


def test_services_that_must_prove_for_whom_they_ask():
    """A listed service without a token proves nothing; with one, for itself, or not listed, it is heard."""
    strict = parameters(subject__proof__required_of=("portal", "audit"))
    voucher = Voucher(issuer="portal", id="1")

    found = [
        facts(query(**asked), bundle=strict)
        for asked in (
            {"caller": "portal"},
            {"caller": "portal", "voucher": voucher},
            {"caller": "portal", "subject__kind": "service"},
            {"caller": "dossier"},
        )
    ]

    assert [words["context.subject_proof"] for words, _ in found] == [
        "unproven",
        "token",
        "asserted",
        "asserted",
    ]
    assert "token: missing; `portal` must prove for whom it asks" in found[0][1]


def test_what_is_wrong_with_a_token_is_told():
    """The remarks name each field in which the request says something else, or the issuer."""
    liar = Voucher(issuer="portal", id="1", contradicted=("id", "structure"))
    stranger = Voucher(issuer="audit", id="1")

    _, of_liar = facts(query(voucher=liar))
    _, of_stranger = facts(query(voucher=stranger))

    assert of_liar == (
        "subject.id: not what the token says; leave it out",
        "subject.structure: not what the token says; leave it out",
    )
    assert of_stranger == (
        (
            "token: `audit` may not vouch for a `professional` here; "
            "get one from a service that could ask this itself"
        ),
    )


def test_every_value_is_computed():
    """Each value that may be computed is computed by one of the cases, and nothing else is."""
    produced = defaultdict(set)
    for _, _, asked, state in CASES:
        for name, value in facts(query(**asked), replace(STATE, **state))[0].items():
            produced[name].add(value)
    for standing in ReviewStanding:
        found, _ = facts(READ, standings={DOCTOR: standing})
        produced["subject.review"].add(found["subject.review"])

    never = {
        name: values - produced[name]
        for name, (kind, values) in COMPUTED.items()
        if kind is Kind.CHOICE and values - produced[name]
    }
    assert never == {}
    closed = {
        "subject.review",
        "subject.kind",
        "resource.dossier",
        "resource.habilitation",
        "resource.status",
    }
    assert all(produced[name] == COMPUTED[name][1] for name in closed)
    assert set(produced) == {"action.name", *COMPUTED}


@pytest.mark.parametrize(
    ("standings", "asked", "expected"),
    [
        (None, {}, "unknown"),
        ({}, {}, "none"),
        ({DOCTOR: ReviewStanding.OVERDUE}, {}, "overdue"),
        ({DOCTOR: ReviewStanding.MISUSE}, {}, "misuse"),
        ({COLLEAGUE: ReviewStanding.MISUSE}, {}, "none"),
        ({DOCTOR: ReviewStanding.MISUSE}, {"subject__kind": "auditor"}, "unknown"),
    ],
)
def test_what_reviews_have_left(standings, asked, expected):
    """A professional has the standing that was told of them; unless it was read, nothing is known."""
    found, _ = facts(query(**asked), standings=standings)

    assert found["subject.review"] == expected


def test_a_standing_that_changes_within_a_batch_is_seen():
    """Two requests at one instant have each the standings of their own moment."""
    computer = FactComputer(our_bundle())
    place = our_bundle().vocabulary.index["subject.review"]

    before = computer.compute(READ, STATE, NOW, {}).vector[place]
    after = computer.compute(READ, STATE, NOW, {DOCTOR: ReviewStanding.MISUSE}).vector[place]

    values = our_bundle().vocabulary.fact("subject.review").values
    assert (values[before], values[after]) == ("none", "misuse")


ITSELF = SERVICE | {"subject__id": "dossier", "action": "obligation.report"}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (ITSELF, "permitted"),
        (ITSELF | {"caller": "audit"}, "refused"),
        (ITSELF | {"caller": "audit", "subject__id": "audit"}, "permitted"),
        (ITSELF | {"subject__id": ""}, "refused"),
        (ITSELF | {"action": "document.read"}, "refused"),
        (ITSELF | {"rpc": product.FILTER}, "refused"),
        ({"caller": "audit"}, "refused"),
        ({"caller": "audit", "action": "trace.read"}, "permitted"),
        ({"caller": "audit", "action": "trace.read", "rpc": product.FILTER}, "refused"),
    ],
)
def test_a_service_asks_for_itself_alone_and_for_no_more_than_its_acts(asked, expected):
    """Who asks on its own behalf names itself; an act that the model names apart opens no other."""
    found, _ = facts(query(**asked))

    assert found["context.caller"] == expected


def test_an_issuer_vouches_for_what_it_could_ask():
    """The audit service vouches for a professional who reads a trace, and for none who reads a document."""
    voucher = Voucher(issuer="audit", id="1")

    found = [
        facts(query(voucher=voucher, action=action))[0]
        for action in ("trace.read", "document.read")
    ]

    assert [words["context.subject_proof"] for words in found] == ["token", "unproven"]


@pytest.mark.parametrize(
    ("action", "code", "expected"),
    [
        ("document.read", "autre", "given"),
        ("document.read", "justified", "missing"),
        ("emergency.review", "justified", "given"),
        ("emergency.review", "misuse", "given"),
        ("emergency.review", "autre", "missing"),
        ("obligation.report", "notify_holder", "given"),
        ("obligation.report", "justified", "missing"),
        ("log.query", "Query", "given"),
        ("log.query", "", "missing"),
        ("trace.read", "ListAccesses", "given"),
    ],
)
def test_the_codes_of_a_reason_are_those_of_the_act(action, code, expected):
    """A reason for break-glass is no verdict, an obligation is neither, and a look has its own words."""
    reason = {"context__reason_code": code, "context__reason_text": "Malaise"}

    found, remarks = facts(query(action=action, **reason))

    assert found["context.reason"] == expected
    assert bool(remarks) == (expected == "missing" and code != "")


def test_without_a_list_of_codes_there_is_no_reason():
    """Where a deployment accepts no code, no reason is given, whatever is said."""
    reason = {"context__reason_code": "autre", "context__reason_text": "Malaise"}

    found, _ = facts(query(**reason), bundle=parameters(break_glass__reason_codes=()))

    assert found["context.reason"] == "missing"


def test_vocabulary_fits():
    """The vocabulary has exactly the facts that are computed, with the values that they may get."""
    vocabulary = our_bundle().vocabulary

    assert {fact.name for fact in vocabulary.facts[1:]} == set(COMPUTED)
    for name, (kind, values) in COMPUTED.items():
        assert vocabulary.fact(name).kind is kind
        assert values <= set(vocabulary.fact(name).values)


def test_parameters_fit():
    """The parameters that facts are computed with are in the bundle, of the right type."""
    found = {name: our_bundle().parameters[name].type for name in PARAMETERS}

    assert found == PARAMETERS


@pytest.mark.parametrize(
    ("requires", "asked", "expected"),
    [
        (("flag",), SAMU | {"subject__profession": "", "subject__structure_kind": ""}, "yes"),
        (("profession",), {"subject__regulator": False}, "yes"),
        (("structure",), SAMU | {"subject__regulator": False, "subject__profession": "60"}, "yes"),
        (("profession", "structure"), SAMU | {"subject__regulator": False}, "yes"),
        (("profession", "structure"), SAMU | {"subject__profession": "60"}, "no"),
        (("profession", "flag", "structure"), SAMU, "yes"),
        ((), SAMU, "no"),
    ],
)
def test_regulator_proofs(requires, asked, expected):
    """A regulator is who gives all the proofs that are required; when none is, nobody is."""
    found, _ = facts(query(**asked), bundle=parameters(centre15__requires=requires))

    assert found["subject.regulator"] == expected


@pytest.mark.parametrize(
    ("requires_valid", "state", "expected"),
    [
        (False, treating(), "yes"),
        (False, treating() | authorised(NOW), "yes"),
        (True, treating() | authorised(NOW), "no"),
        (False, {}, "no"),
    ],
)
def test_treating_doctor_parameter(requires_valid, state, expected):
    """Whether a treating doctor needs a valid authorisation is a parameter."""
    bundle = parameters(mt__requires_valid=requires_valid)

    found, _ = facts(READ, replace(STATE, **state), bundle=bundle)

    assert found["subject.treating_doctor"] == expected


@pytest.mark.parametrize(
    ("age", "day", "zone", "at", "expected"),
    [
        (18, date(2008, 5, 5), "Europe/Paris", datetime(2026, 5, 4, 21, 59, 59, tzinfo=UTC), "yes"),
        (18, date(2008, 5, 5), "Europe/Paris", datetime(2026, 5, 4, 22, 0, tzinfo=UTC), "no"),
        (18, date(2008, 5, 5), "Pacific/Tahiti", datetime(2026, 5, 5, 9, 59, tzinfo=UTC), "yes"),
        (18, date(2008, 5, 5), "Pacific/Tahiti", datetime(2026, 5, 5, 10, 0, tzinfo=UTC), "no"),
        (18, date(2008, 2, 29), "Europe/Paris", datetime(2026, 2, 28, 12, 0, tzinfo=UTC), "yes"),
        (18, date(2008, 2, 29), "Europe/Paris", datetime(2026, 3, 1, 12, 0, tzinfo=UTC), "no"),
        (15, date(2011, 5, 4), "Europe/Paris", NOW, "no"),
        (15, date(2011, 5, 5), "Europe/Paris", NOW, "yes"),
        (0, date(2026, 5, 4), "Europe/Paris", NOW, "no"),
    ],
)
def test_majority(age, day, zone, at, expected):
    """One is of age from the first moment of the birthday, in the legal day of the deployment."""
    bundle = parameters(minor__majority_age=age, minor__zone=zone)

    found, _ = facts(READ, replace(STATE, birth_date=day), at, bundle)

    assert found["resource.minor"] == expected


@pytest.mark.parametrize(
    ("asked", "remarks"),
    [
        ({}, ()),
        ({"subject__profession": ""}, ()),
        (
            {"subject__profession": "93"},
            ("subject.profession: `93` is not listed; give a TRE_G15 code",),
        ),
        (
            {"document__type": "00000-0"},
            ("resource.document.type: `00000-0` is not a current type; give a code of JDV_J07",),
        ),
        (
            REASON | {"context__reason_code": "curiosite"},
            (f"context.reason.code: `curiosite` is not listed; give one of {REASONS}",),
        ),
        (
            WITH_TARGET | {"target__profession": "93"},
            ("resource.target.profession: `93` is not listed; give a TRE_G15 code",),
        ),
        (WITH_TARGET | {"target__profession": ""}, ()),
    ],
)
def test_remarks(asked, remarks):
    """What was stated but is of no use is told with its field, its value and what would be of use."""
    _, found = facts(query(**asked))

    assert found == remarks


def test_habilitation_follows_the_act():
    """The matrix is asked about depositing for a deposit, and about reading for everything else."""
    cells = our_bundle().habilitations
    unlike = [
        (profession, code)
        for profession, code, act in cells.cells
        if act == "read" and profession.isdigit()
        if cells.cell(profession, code, "read") != cells.cell(profession, code, "deposit")
    ]

    for profession, code in unlike[:50]:
        asked = query(subject__profession=profession, document__type=code)
        for action, act in (("read", "read"), ("mask", "read"), ("deposit", "deposit")):
            found, _ = facts(query(asked, action=f"document.{action}"))
            assert found["resource.habilitation"] == cells.cell(profession, code, act)
    assert unlike


def test_unknown_patient():
    """Of a patient without dossier nothing is permitted, and nobody is authorised."""
    found, _ = facts(READ, unknown(PATIENT))

    restrictive = ("samu_access", "break_glass_access", "masked_in_emergency", "feeding")
    assert {found[f"resource.{name}"] for name in restrictive} == {"opposed"}
    assert (found["resource.dossier"], found["subject.authorisation"]) == ("none", "none")


def test_instants_of_other_zones():
    """An instant is the same one in whatever time zone it is written."""
    zone = timezone(timedelta(hours=-10))
    asked = query(context__declared_at=(NOW - 4 * HOUR + SECOND).astimezone(zone))
    state = replace(STATE, **authorised((NOW + SECOND).astimezone(zone)))

    found = facts(asked, state, NOW.astimezone(zone))

    assert found == facts(asked, state)
    assert (found[0]["context.declaration"], found[0]["subject.authorisation"]) == (
        "current",
        "valid",
    )


# Random requests that are well formed.


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_request(data):
    """For every well-formed request in every state, every fact has one of its values."""
    asked, state = data.draw(queries()), data.draw(STATES)
    try:
        check(asked, our_bundle().vocabulary, COMPUTED, NOW)
    except RequestError as exc:
        assume("the identifier is of the other kind" not in str(exc))
        pytest.fail(str(exc))

    found, remarks = facts(asked, state, standings=data.draw(STANDINGS))

    assert found["action.name"] == asked.action
    assert all(re.search(r": (`|missing).*; give ", remark) for remark in remarks)
    assert our_bundle().decide(our_bundle().vocabulary.encode(found)).error == ""


def test_documents_of_one_call_share_all_but_themselves():
    """What is computed once for many documents is what each of them would get alone."""
    computer, at = FactComputer(our_bundle()), NOW
    queries = [
        query(document__id=f"d{n}", document__type=kind, document__visibility=seen)
        for n, (kind, seen) in enumerate(
            [(k, v) for k in ("11488-4", "11502-2") for v in (("N",), (), ("MASQUE_PS",))]
        )
    ]
    subject, context = queries[0].subject, queries[0].context
    shared = [replace(one, subject=subject, context=context) for one in queries]
    others = [
        replace(shared[0], action="document.mask"),
        replace(shared[0], subject=replace(subject, profession="60")),
        replace(shared[0], context=replace(context, mode="bris_de_glace")),
        replace(shared[0], caller="audit"),
        replace(shared[0], document=None),
    ]

    asked = [one for pair in zip(shared, [*others, shared[1]], strict=True) for one in pair]

    found = [computer.compute(one, STATE, at) for one in asked]

    expected = [FactComputer(our_bundle()).compute(one, STATE, at) for one in asked]
    assert found == expected
    blocked = replace(STATE, consents=NO_CONSENT)
    assert computer.compute(shared[0], blocked, at) != computer.compute(shared[0], STATE, at)
