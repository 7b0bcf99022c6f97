"""Scenarios: what a lawyer writes becomes a state and a query, and is decided as written."""

from datetime import UTC, date, datetime, timedelta

import pytest

from authz import product
from authz.model import Effect
from authz.query import Target
from authz.registry import changes
from authz.registry.state import (
    NO_CONSENT,
    AuthorisationState,
    Consents,
    DossierStatus,
    Grantee,
    GranteeKind,
    ReviewStanding,
    unknown,
)
from authz.workbench.change import CHANGES
from authz.workbench.scenarios import PEOPLE, read_scenarios, run
from tests.authz.workbench.world import bundle, files, words

AT = datetime(2026, 5, 4, 10, tzinfo=UTC)
ANASTA = "1541187387477485562488"
CAST = f"""
at: "2026-05-04T10:00:00Z"
people:
  doctor:
    {{kind: professional, id: "00B1038575", profession: "10", structure: chu,
    authentication: individual_card, capacity: care, name: "Dr Paul"}}
  pharmacist:
    {{kind: professional, id: "899700301718", profession: "21", structure: "10B0252419",
    authentication: individual_card, capacity: care}}
  hospital:
    {{kind: structure, id: "10B0193488", structure: chu,
    authentication: structure_certificate, capacity: care}}
  anasta: {{kind: patient, id: "{ANASTA}", authentication: patient_code}}
  father: {{kind: representative, id: "father-1", authentication: patient_code}}
  auditor: {{kind: auditor, id: "audit-1", authentication: individual_card}}
  watcher: {{kind: service, id: audit, authentication: service_channel}}
  officer: {{kind: compliance_officer, id: "officer-1", authentication: individual_card}}
structures:
  chu: {{id: "10B0193488", kind: SAMU_SMUR, name: "CHU"}}
documents:
  report: {{id: doc-1, type: 11502-2, authors: [doctor], author_structure: chu, visibility: [N]}}
patients:
  anasta: {{ins: "{ANASTA}", born: "1979-03-28", consents: {{masked_in_emergency: opposed}}}}
  nora: {{ins: "1687776243550221336383", born: "2015-04-02"}}
"""
READS = "when: {who: pharmacist, does: document.read, document: report}"


def read(*lines, then="then: deny, because: NOT_AUTHORISED", cast=CAST):
    """Reads one scenario: its scenarios and mistakes."""
    told = ", ".join(part for part in ('it: "Essai."', *lines, then) if part)
    text = f"theme: {{fr: Essai, en: Try}}\nscenarios:\n  - {{{told}}}\n"
    contents = {PEOPLE: cast.encode(), "scenarios/10-try.yaml": text.encode()}
    return read_scenarios(contents, words()[0])


def one(*lines, **options):
    """The one scenario of these lines, read without mistake."""
    found, mistakes = read(*lines, **options)
    assert mistakes == ()
    return found[0]


def wrong(*lines, **options):
    """What is wrong, as (line, message, hint)."""
    _, mistakes = read(*lines, **options)
    return [(m.line, m.message, m.hint) for m in mistakes]


# The project's scenarios.


def test_the_project_decides_as_written():
    """All scenarios of the project are decided as written."""
    found, mistakes = read_scenarios(files(), bundle().vocabulary)

    outcomes = [run(bundle(), scenario) for scenario in found]

    assert mistakes == ()
    assert len(outcomes) >= 150
    assert [(o.scenario.it, o.problems) for o in outcomes if not o.passed] == []


def test_each_rule_has_its_scenario():
    """Each active rule decides at least one scenario, so that none can be lost unnoticed."""
    found, _ = read_scenarios(files(), bundle().vocabulary)

    verdicts = (run(bundle(), scenario).verdict for scenario in found)
    deciding = {uid for verdict in verdicts if verdict for uid in verdict.rules}

    assert {rule.uid for rule in bundle().rules} - deciding == set()


# What is asked.


def test_query():
    """Who, what, which document, in which circumstances: a query as the dossier service would send it."""
    scenario = one(
        "when: {who: doctor, does: document.read, document: report, mode: bris_de_glace, "
        'reason: {code: risque_vital, text: "Inconscient"}, agreement: given, announced: yes, '
        "secret_connection: yes, closure: death, declared: PT5H}",
        "source: CSP",
    )

    query = scenario.query
    assert (query.caller, query.rpc, query.patient) == ("dossier", product.CHECK, ANASTA)
    assert (query.subject.id, query.subject.structure_kind) == ("00B1038575", "SAMU_SMUR")
    assert (query.subject.structure, query.subject.structure_name) == ("10B0193488", "CHU")
    assert (query.document.authors, query.document.author_structure) == (
        ("00B1038575",),
        "10B0193488",
    )
    assert query.document.status == "approved"
    context = query.context
    assert (context.mode, context.reason_code, context.closure) == (
        "bris_de_glace",
        "risque_vital",
        "death",
    )
    assert (context.agreement, context.announced, context.secret_connection) == (True, True, True)
    assert context.declared_at == AT - timedelta(hours=5)
    assert (scenario.place, scenario.file) == ("scenarios/10-try.yaml:3", "scenarios/10-try.yaml")
    assert (scenario.theme.en, scenario.source, scenario.effect) == ("Try", "CSP", Effect.DENY)


def test_circumstances_unless_stated():
    """Unless a scenario says otherwise the mode is normal and nothing is ticked."""
    context = one(READS).query.context

    assert (context.mode, context.reason_code, context.reason_text) == ("normal", "", "")
    assert (context.agreement, context.announced, context.secret_connection) == (
        False,
        False,
        False,
    )
    assert (context.closure, context.declared_at) == ("", None)


def test_mode_not_stated():
    """A mode that is unknown is one that was not stated."""
    scenario = one("when: {who: pharmacist, does: dossier.read, mode: unknown}")

    assert scenario.query.context.mode == ""


@pytest.mark.parametrize(
    ("who", "service"), [("auditor", "audit"), ("officer", "workbench"), ("anasta", "dossier")]
)
def test_service(who, service):
    """People of the record come through the dossier service, auditors and officers through theirs."""
    scenario = one(f"when: {{who: {who}, does: policy.read}}")

    assert (scenario.query.caller, scenario.query.patient) == (service, "")


def test_other_service():
    """A scenario may name another service."""
    scenario = one("when: {who: pharmacist, does: dossier.read, service: portal}")

    assert scenario.query.caller == "portal"


def test_like():
    """A person or document may be like another, with some keys other than they are."""
    scenario = one(
        "when: {who: {like: doctor, authentication: password, regulator: yes}, "
        "does: document.read, document: {like: report, visibility: [N, MASQUE_PS], status: archived}}"
    )

    query = scenario.query
    assert (query.subject.id, query.subject.authentication) == ("00B1038575", "password")
    assert query.subject.regulator
    assert (query.document.visibility, query.document.status) == (("N", "MASQUE_PS"), "archived")
    assert query.document.type == "11502-2"


@pytest.mark.parametrize(
    ("whom", "target"),
    [
        ("doctor", Target(id="00B1038575", kind="professional", profession="10")),
        ("chu", Target(id="10B0193488", kind="structure")),
        ("hospital", Target(id="10B0193488", kind="structure")),
        ("father", Target(id="father-1", kind="person")),
        (
            '{like: doctor, profession: "60"}',
            Target(id="00B1038575", kind="professional", profession="60"),
        ),
        ('{like: chu, id: "1"}', Target(id="1", kind="structure")),
        ("{id: x, kind: person}", Target(id="x", kind="person")),
    ],
)
def test_whom(whom, target):
    """Whom an act aims at is a person, a structure, or one like them."""
    assert one(f"when: {{who: anasta, does: block.set, whom: {whom}}}").query.target == target


CHU = {"grantee": "10B0193488", "kind": GranteeKind.STRUCTURE}
DOCTOR = {"grantee": "00B1038575", "kind": GranteeKind.PROFESSIONAL}


@pytest.mark.parametrize(
    ("asked", "change"),
    [
        (
            "who: doctor, does: dossier.create",
            changes.OpenDossier(samu=True, break_glass=True),
        ),
        (
            (
                "who: doctor, does: dossier.create, change: {OpenDossier: {samu: no, break_glass: opposed, "
                'birth_date: "2015-04-02", authorise: yes, treating_doctor: yes, representatives: [father]}}'
            ),
            changes.OpenDossier(
                birth_date=date(2015, 4, 2),
                samu=False,
                break_glass=False,
                authorise=Grantee(identifier="00B1038575", kind=GranteeKind.PROFESSIONAL),
                treating_doctor=True,
                representatives=(
                    changes.AddRepresentative(representative="father-1", relation="RESPRSN"),
                ),
            ),
        ),
        (
            (
                "who: hospital, does: dossier.reopen, "
                "change: {ReopenDossier: {masked_in_emergency: permitted, authorise: yes}}"
            ),
            changes.ReopenDossier(
                samu=True,
                break_glass=True,
                masked_in_emergency=True,
                authorise=Grantee(identifier="10B0193488", kind=GranteeKind.STRUCTURE),
            ),
        ),
        (
            "who: doctor, does: dossier.close, closure: death",
            changes.CloseDossier(reason="DECES"),
        ),
        (
            "who: doctor, does: dossier.close, change: {CloseDossier: {reason: AUTRE, text: t}}",
            changes.CloseDossier(reason="AUTRE", text="t"),
        ),
        (
            "who: anasta, does: consent.update, change: {SetConsents: {samu: opposed, feeding: yes}}",
            changes.SetConsents(samu=False, feeding=True),
        ),
        (
            (
                "who: doctor, does: authorisation.grant, whom: doctor, "
                "change: {GrantAuthorisation: {treating_doctor: yes}}"
            ),
            changes.GrantAuthorisation(**DOCTOR, treating_doctor=True),
        ),
        ("who: anasta, does: authorisation.grant, whom: chu", changes.GrantAuthorisation(**CHU)),
        (
            "who: doctor, does: authorisation.renew, whom: doctor",
            changes.RenewAuthorisation(**DOCTOR),
        ),
        ("who: anasta, does: authorisation.revoke, whom: chu", changes.RevokeAuthorisation(**CHU)),
        (
            "who: anasta, does: treating_doctor.set, whom: doctor",
            changes.SetTreatingDoctor(professional="00B1038575"),
        ),
        (
            "who: anasta, does: treating_doctor.withdraw, whom: doctor",
            changes.WithdrawTreatingDoctor(professional="00B1038575"),
        ),
        (
            (
                "who: anasta, does: block.set, whom: doctor, "
                "change: {SetBlock: {withdraw_treating_doctor: yes}}"
            ),
            changes.SetBlock(**DOCTOR, withdraw_treating_doctor=True),
        ),
        ("who: anasta, does: block.lift, whom: chu", changes.LiftBlock(**CHU)),
        (
            (
                "who: doctor, does: representative.add, whom: father, "
                "change: {AddRepresentative: {relation: FTH}}"
            ),
            changes.AddRepresentative(representative="father-1", relation="FTH"),
        ),
        (
            "who: doctor, does: representative.remove, whom: father",
            changes.RemoveRepresentative(representative="father-1"),
        ),
        (
            "who: watcher, does: standing.set, whom: doctor",
            changes.SetReviewStanding(professional="00B1038575", standing=ReviewStanding.OVERDUE),
        ),
        (
            (
                "who: watcher, does: standing.set, whom: doctor, "
                'change: {SetReviewStanding: {standing: none, why: "Revu"}}'
            ),
            changes.SetReviewStanding(
                professional="00B1038575", standing=ReviewStanding.NONE, why="Revu"
            ),
        ),
    ],
)
def test_change(asked, change):
    """An act of management asks for its change, through the RPC for changes."""
    query = one(f"when: {{{asked}}}").query

    assert (query.change, query.rpc) == (change, product.CHANGE)


def test_each_change_has_an_action():
    """Each change that the registry knows is about one action of the vocabulary."""
    kinds = set(changes.Change.__args__)

    assert set(CHANGES.values()) == kinds
    assert CHANGES.keys() <= words()[0].actions.keys()


# What is true.


def test_state():
    """What is given becomes the patient's state at the common instant."""
    scenario = one(
        "given: {authorised: [pharmacist], expired: [chu], treating_doctors: [doctor], "
        "representatives: [father], consents: {samu: opposed, feeding: opposed}}",
        READS,
    )

    state = scenario.state
    assert (state.patient, state.status, state.birth_date) == (
        ANASTA,
        DossierStatus.OPEN,
        date(1979, 3, 28),
    )
    assert state.consents == Consents(samu=False, feeding=False)
    assert state.authorisation_of("899700301718", None, AT) is AuthorisationState.VALID
    assert state.authorisation_of("00B1038575", None, AT) is AuthorisationState.VALID
    assert state.authorisation_of(None, "10B0193488", AT) is AuthorisationState.EXPIRED
    assert state.authorisation_of("other", None, AT) is AuthorisationState.NONE
    assert state.is_treating_doctor("00B1038575")
    assert state.is_representative("father-1")


def test_what_reviews_have_left():
    """Professionals are given what reviews have left them with; nobody else has anything."""
    scenario = one("given: {overdue: [pharmacist], misuse: [doctor]}", READS)

    assert scenario.standings == {
        "899700301718": ReviewStanding.OVERDUE,
        "00B1038575": ReviewStanding.MISUSE,
    }
    assert one(READS).standings == {}


def test_about():
    """An act that needs an earlier decision is about the one that is named, or else about any."""
    named = "019dfd5b-2800-7000-8000-0000000c0d00"
    report = "who: watcher, does: obligation.report"

    found = [one(f"when: {{{report}{more}}}").query for more in ("", f', about: "{named}"')]

    assert [query.about == named for query in found] == [False, True]
    assert found[0].about
    assert one(READS).query.about == ""
    assert found[0].caller == "audit"


def test_block():
    """Whom the patient has blocked has no authorisation."""
    state = one("given: {blocked: [pharmacist, chu]}", READS).state

    assert state.authorisation_of("899700301718", None, AT) is AuthorisationState.FORBIDDEN
    assert state.authorisation_of(None, "10B0193488", AT) is AuthorisationState.FORBIDDEN


def test_doctor_whose_authorisation_expired():
    """A treating doctor may be one whose authorisation has expired."""
    state = one("given: {expired: [doctor], treating_doctors: [doctor]}", READS).state

    assert state.authorisation_of("00B1038575", None, AT) is AuthorisationState.EXPIRED
    assert state.is_treating_doctor("00B1038575")


def test_later_instant():
    """A scenario with a later instant finds the same state, older."""
    scenario = one('at: "2027-04-04T10:00:00Z"', "given: {authorised: [pharmacist]}", READS)

    before = scenario.at - timedelta(microseconds=1)
    states = [
        scenario.state.authorisation_of("899700301718", None, t) for t in (before, scenario.at)
    ]
    assert states == [AuthorisationState.VALID, AuthorisationState.EXPIRED]


def test_other_patient():
    """A scenario may be about another patient than the first of the cast."""
    scenario = one("given: {patient: nora, born: unknown}", READS)

    assert (scenario.state.patient, scenario.state.birth_date) == ("1687776243550221336383", None)
    assert scenario.query.patient == scenario.state.patient


def test_no_dossier():
    """Of a patient without dossier nothing is known."""
    assert one("given: {dossier: none}", READS).state == unknown(ANASTA)


@pytest.mark.parametrize(
    ("status", "consents"), [("closed", Consents()), ("destroyed", NO_CONSENT)]
)
def test_closed(status, consents):
    """A dossier that is over says since when and why."""
    state = one(f"given: {{dossier: {status}}}", READS).state

    assert (state.status, state.consents) == (status, consents)
    assert state.closed_at == AT - timedelta(days=30)
    assert state.closure_reason == "FERMETURE_DEMANDE_PATIENT"


# What went wrong.


def test_differences():
    """A failed scenario tells what was expected, and what came instead."""
    read_one = one(
        "given: {authorised: [pharmacist]}",
        "obligations: [notify_holder]",
        READS,
        then="then: deny, because: NOT_AUTHORISD",
    )

    outcome = run(bundle(), read_one)

    assert not outcome.passed
    assert outcome.problems == (
        "expected deny NOT_AUTHORISD, got allow AUTHORISED (did you mean `NOT_AUTHORISED`?)",
        "expected obligations notify_holder, got none",
    )
    assert outcome.verdict.rules == ("read-authorised",)


def test_malformed():
    """A scenario whose request would be refused for its form fails, and says why."""
    outcome = run(bundle(), one("when: {who: pharmacist, does: document.read}"))

    assert outcome.verdict is None
    assert outcome.problems == (
        "malformed: resource.document: missing, `document.read` needs it; give the document's label",
    )


@pytest.mark.parametrize(
    ("lines", "message", "hint"),
    [
        (
            ["when: {who: pharmcist, does: dossier.read}"],
            "unknown person: `pharmcist`",
            "did you mean `pharmacist`?",
        ),
        (
            ["when: {who: {like: pharmcist}, does: dossier.read}"],
            "unknown person: `pharmcist`",
            "did you mean `pharmacist`?",
        ),
        (
            ["when: {who: [doctor], does: dossier.read}"],
            "name a person, or write `{like: name, key: value}`",
            "",
        ),
        (
            ["when: {who: {like: doctor, professio: x}, does: dossier.read}"],
            "unknown key: `professio`",
            "did you mean `profession`?",
        ),
        (
            ["when: {who: {like: doctor, authentication: passwort}, does: dossier.read}"],
            "unknown subject.authentication: `passwort`",
            "did you mean `password`?",
        ),
        (
            ["when: {who: {like: doctor, profession: 10}, does: dossier.read}"],
            "`profession` must be a text that is not blank",
            "put it in quotes",
        ),
        (
            ["when: {who: {like: doctor, structure: chuu}, does: dossier.read}"],
            "unknown structure: `chuu`",
            "did you mean `chu`?",
        ),
        (
            ["when: {who: doctor, does: document.reads, document: report}"],
            "unknown action: `document.reads`",
            "did you mean `document.read`?",
        ),
        (
            ["when: {who: doctor, does: document.read, document: reprt}"],
            "unknown document: `reprt`",
            "did you mean `report`?",
        ),
        (
            [
                "when: {who: doctor, does: document.read, document: {like: report, visibility: [MASQUE]}}"
            ],
            "unknown visibility: `MASQUE`",
            "did you mean `MASQUE_PS`?",
        ),
        (
            [
                "when: {who: doctor, does: document.read, document: {like: report, authors: [doctr]}}"
            ],
            "unknown person: `doctr`",
            "did you mean `doctor`?",
        ),
        (
            ["when: {who: anasta, does: block.set, whom: doctr}"],
            "unknown person or structure: `doctr`",
            "did you mean `doctor`?",
        ),
        (
            ["when: {who: doctor, does: dossier.read, mode: bris_glace}"],
            "unknown context.mode: `bris_glace`",
            "did you mean `bris_de_glace`?",
        ),
        (
            ["when: {who: doctor, does: dossier.read, service: dosier}"],
            "unknown service: `dosier`",
            "did you mean `dossier`?",
        ),
        (
            ["when: {who: doctor, does: dossier.read, agreement: yes}"],
            "unknown context.agreement: `yes`",
            "known: `given`, `missing`",
        ),
        (
            ["when: {who: doctor, does: dossier.read, announced: given}"],
            "unknown answer to `announced`: `given`",
            "known: `no`, `opposed`, `permitted`, `yes`",
        ),
        (
            ["when: {who: doctor, does: dossier.read, declared: 5h}"],
            "duration `5h` is not ISO 8601: write one like `P1Y`, `P6M`, `P30D` or `PT4H`",
            "",
        ),
        (
            ["when: {who: doctor, does: dossier.read, declared: P1M}"],
            "`P1M` ago is no fixed time",
            "give days or hours",
        ),
        (
            ["when: {who: doctor, does: dossier.read, reason: urgence}"],
            "a mapping of `key: value` is expected here",
            "",
        ),
        (
            ["when: {who: doctor, does: dossier.read, change: {OpenDossier: {}}}"],
            "`dossier.read` changes nothing in the registry",
            "leave it out",
        ),
        (
            ["when: {who: doctor, does: dossier.create, change: {SetConsents: {}}}"],
            "`dossier.create` is not the change `SetConsents`",
            "did you mean `OpenDossier`?",
        ),
        (
            ["when: {who: doctor, does: dossier.create, change: {OpenDossier: {samu: maybe}}}"],
            "unknown answer to `samu`: `maybe`",
            "known: `no`, `opposed`, `permitted`, `yes`",
        ),
        (
            [
                "when: {who: doctor, does: dossier.create, change: {OpenDossier: {birth_date: 2015}}}"
            ],
            "`birth_date` must be a text that is not blank",
            "put it in quotes",
        ),
        (
            [
                "when: {who: doctor, does: dossier.create, change: {OpenDossier: {birth_date: spring}}}"
            ],
            "`birth_date` is not a day: `spring`",
            'write "2015-04-02"',
        ),
        (["when: {who: doctor}"], "missing key: `does`", ""),
        (
            [READS, "given: {autorised: [doctor]}"],
            "unknown key: `autorised`",
            "did you mean `authorised`?",
        ),
        (
            [READS, "given: {authorised: [doctr]}"],
            "unknown person or structure: `doctr`",
            "did you mean `doctor`?",
        ),
        ([READS, "given: {patient: nra}"], "unknown patient: `nra`", "did you mean `nora`?"),
        (
            [READS, "given: {dossier: shut}"],
            "unknown dossier: `shut`",
            "known: `closed`, `destroyed`, `none`, `open`",
        ),
        ([READS, "given: {born: young}"], "`born` is not a day: `young`", 'write "2015-04-02"'),
        (
            [READS, "given: {consents: {smau: opposed}}"],
            "unknown key: `smau`",
            "did you mean `samu`?",
        ),
        (
            [
                READS,
                "given: {consents: {samu: opposed, break_glass: opposed, masked_in_emergency: permitted}}",
            ],
            "`masked_in_emergency` can't be permitted when samu and break_glass are opposed",
            "oppose it too",
        ),
        (
            [READS, "given: {blocked: [doctor], authorised: [doctor]}"],
            "`00B1038575` can't be blocked and authorised at once",
            "a block ends both",
        ),
        (
            [READS, "given: {misuse: [chu]}"],
            "`misuse`: name professionals, and each of them once",
            "",
        ),
        (
            [READS, "given: {misuse: [doctor], overdue: [doctor]}"],
            "`misuse`: name professionals, and each of them once",
            "",
        ),
        (
            [
                (
                    "when: {who: watcher, does: standing.set, whom: doctor, "
                    "change: {SetReviewStanding: {standing: misused}}}"
                )
            ],
            "unknown standing: `misused`",
            "did you mean `misuse`?",
        ),
        (
            [READS, "given: {expired: [doctor], authorised: [doctor]}"],
            "someone is both authorised and expired",
            "",
        ),
        (
            [READS, "given: {dossier: none, authorised: [doctor]}"],
            "`authorised` of a patient without dossier: nothing is recorded",
            "",
        ),
        (
            [READS, 'at: "2026-05-04T10:00:00"'],
            "not an instant with a time zone: `2026-05-04T10:00:00`",
            'write "2026-05-04T10:00:00Z"',
        ),
        (
            [READS, "obligations: [notify]"],
            "unknown obligation: `notify`",
            "did you mean `notify_holder`?",
        ),
        ([READS, "sauce: CSP"], "unknown key: `sauce`", "did you mean `source`?"),
    ],
)
def test_mistake(lines, message, hint):
    """A scenario that can't be read is told with its place and what would be right."""
    found = wrong(*lines)

    assert (3, message) in [(line, told) for line, told, _ in found]
    assert hint in next(cure for _, told, cure in found if told == message)


@pytest.mark.parametrize(
    ("then", "message"),
    [
        ("then: allowz, because: AUTHORISED", "unknown effect: `allowz`"),
        ("then: allow", "missing key: `because`"),
    ],
)
def test_expectation(then, message):
    """What is expected must be told, and be possible."""
    assert message in [told for _, told, _ in wrong(READS, then=then)]


@pytest.mark.parametrize(
    ("old", "new", "where", "message"),
    [
        ("at:", "when:", "people", "missing key: `at`"),
        (
            'at: "2026-05-04T10:00:00Z"',
            'at: "noon"',
            "people",
            "not an instant with a time zone: `noon`",
        ),
        ("  chu:", "  doctor:", "person doctor", "a structure has the same name"),
        (
            "kind: professional",
            "kind: professionl",
            "person doctor",
            "unknown subject.kind: `professionl`",
        ),
        ("authors: [doctor]", "authors: [docteur]", "document report", "unknown person: `docteur`"),
        ("type: 11502-2, ", "", "document report", "missing key: `type`"),
        (
            "masked_in_emergency: opposed",
            "masked: opposed",
            "patient anasta",
            "unknown key: `masked`",
        ),
        (
            "structures:\n",
            "structures: none\nnothing:\n",
            "structures",
            "a mapping of `name: {key: value}` is expected here",
        ),
    ],
)
def test_cast(old, new, where, message):
    """The cast is checked too, even where no scenario needs it."""
    assert old in CAST
    _, mistakes = read(READS, cast=CAST.replace(old, new, 1))

    assert (PEOPLE, where, message) in [(m.path, m.where, m.message) for m in mistakes]


def test_same_sentence_twice():
    """Two scenarios of a file that say the same are one too many."""
    line = f'  - {{it: "Essai.", {READS}, then: deny, because: X}}\n'
    text = f"theme: {{fr: E, en: T}}\nscenarios:\n{line}{line}"
    contents = {PEOPLE: CAST.encode(), "scenarios/10-try.yaml": text.encode()}

    _, mistakes = read_scenarios(contents, words()[0])

    assert [(m.line, m.message) for m in mistakes] == [(4, "twice in this file: `Essai.`")]


def test_no_cast():
    """Scenarios without a cast are a mistake; no scenarios at all are none."""
    text = b"theme: {fr: E, en: T}\nscenarios: []\n"

    without = read_scenarios({"scenarios/10-try.yaml": text}, words()[0])
    nothing = read_scenarios({}, words()[0])

    assert [(m.path, m.message) for m in without[1]] == [(PEOPLE, "missing file")]
    assert nothing == ((), ())


def test_files_that_are_no_yaml():
    """A file of scenarios that can't be read is told, and the others are read."""
    good = (
        f'theme: {{fr: E, en: T}}\nscenarios:\n  - {{it: "E.", {READS}, then: deny, because: X}}\n'
    )
    contents = {
        PEOPLE: CAST.encode(),
        "scenarios/10-bad.yaml": b"theme: [",
        "scenarios/20-bad.yaml": b"scenarios: []",
        "scenarios/30-good.yaml": good.encode(),
    }

    found, mistakes = read_scenarios(contents, words()[0])

    assert [scenario.file for scenario in found] == ["scenarios/30-good.yaml"]
    assert [m.path for m in mistakes] == ["scenarios/10-bad.yaml", "scenarios/20-bad.yaml"]
