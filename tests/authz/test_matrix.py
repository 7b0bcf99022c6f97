"""What the matrix and the model of services say, cell by cell, against casbin and a slow reading."""

import csv

import pytest

from authz import product
from authz.matrix import (
    MATRIX,
    SERVICES,
    Act,
    Habilitation,
    Member,
    check_model,
    check_types,
    expand,
    expand_services,
    parse,
    read_types,
)
from tests.authz.oracle import enforcer_of, text_of
from tests.reference import matrix as reference
from tests.shared import shared_data

PROFESSIONS = [
    *("10", "21", "26", "28", "31", "32", "35", "36", "37", "38", "39", "40", "50", "60", "69"),
    *("70", "80", "81", "82", "83", "84", "85", "86", "91", "92", "94", "95", "96", "98"),
]
SOCIAL = ["41", "42"]
PSEUDO = ["patient", "representative", "structure", "employee"]
ROLES = [*PROFESSIONS, *SOCIAL, *PSEUDO]

SERVICE_NAMES = ["dossier", "portal", "archive", "audit", "workbench", "operator"]
DECIDE = [f"authz.v1.AuthzService/{name}" for name in ("Check", "CheckBatch", "Explain", "Filter")]
REGISTRY = [f"authz.v1.RegistryService/{name}" for name in ("Change", "GetPatient")]
POLICY = [f"authz.v1.PolicyService/{name}" for name in ("GetBundle", "ActivateBundle")]
WATCH = "authz.v1.RegistryService/Watch"
PATIENTS = "authz.v1.RegistryService/ListPatients"
RPCS = [*DECIDE, *REGISTRY, WATCH, PATIENTS, *POLICY]
USERS = ["professional", "patient", "representative"]
PEOPLE = [*USERS, "structure", "employee", "auditor", "compliance_officer"]
KINDS = [*PEOPLE, "service"]


TYPES, TYPE_MISTAKES = read_types(text_of("matrix", "types.csv"), path="types.csv")
LINES, LINE_MISTAKES = parse(
    text_of("matrix", "matrix.csv"), path="matrix.csv", shape=MATRIX, names=(ROLES, TYPES, Act)
)
TABLE = expand(LINES, roles=ROLES, types=TYPES)
SERVICE_LINES, SERVICE_MISTAKES = parse(
    text_of("services", "services.csv"),
    path="services.csv",
    shape=SERVICES,
    names=(SERVICE_NAMES, {*RPCS, *product.ACTS}, KINDS),
)
SERVICE_TABLE = expand_services(SERVICE_LINES, rpcs=RPCS, kinds=KINDS, acts=product.ACTS)

# The proposed matrix by space, as the specification prints it: `R` all types of the space, `R*` all
# minus the profession's list, `P` only what follows, `-` none.
V0 = """
10          | R  | R  | R  | R | R  | R  | R* | R
50          | R* | R* | R* | R | R  | R  | R* | R*
21,38,39    | R* | R* | R* | R | R  | R* | R* | R*
40          | R* | R* | R* | R | R  | R  | R* | R*
60,69       | R* | R* | R* | R | R  | R* | R* | R
70          | R* | R* | R* | R | P  | P 11369-6 | - | R*
80          | R* | R* | R* | R | R  | P 11369-6 | - | R*
91          | R* | R* | R* | R | -  | P  | -  | R*
92          | R* | P 57833-6 PRESC-ORTHOPTIE 18776-5 | P 11488-4 78513-9 47420-5 | R | - | - | - | -
94,96       | R* | P 18776-5 57832-8 | R* | R | - | - | - | R*
95          | R* | R* | R* | - | R  | P  | -  | R*
98          | P 60591-5 | P 55115-0 | P 11505-5 70004-7 | R | P 11502-2 | - | - | -
86          | P  | P PRESC-BIO | - | - | R | - | - | -
26,28,81,82,83,84,85 | P 60591-5 | P 57833-6 | P 11488-4 47420-5 | P | - | - | - | -
31,35,36,37 | P  | P 18776-5 | P 11490-0 | - | - | - | - | -
41,42       | -  | P 80788-3 | P 28653-4 34842-5 83981-1 88348-8 | - | - | - | \
    P ATTEST-RESID ATTEST-HEBGT ATTEST-DROITS-AM ATTEST-ASS-COMPL | P
32          | -  | -  | -  | - | -  | -  | -  | -
"""
D0 = {
    "75496-0",
    "34842-5",
    "68599-0",
    "83901-9",
    "68817-6",
    "89601-9",
    "EXPPAT_3",
    "ATTEST-RESID",
    "ATTEST-HEBGT",
    "86531-1",
}
NURSE = {"75496-0", "68599-0", "83901-9", "68817-6", "89601-9"}
REFUSED = {
    "10": {"ATTEST-RESID"},
    "40": {"80788-3", "75496-0", "83981-1", "83901-9", "68599-0", "EXPPAT_3"},
    "60": NURSE,
    "69": NURSE - {"68599-0"},
    "80": D0 | {"15508-5"},
}

# How many types of each space a profession reads, and deposits.
SIGNATURE = "E1762"

COUNTS = {
    "10": ("13 27 35 4 4 8 9 5", "11 23 34 3 3 7 8 0"),
    "21": ("12 26 33 4 4 7 6 4", "0 7 2 0 2 3 0 0"),
    "26 28 81 82 83 84 85": ("1 1 2 0 0 0 0 0", "0 0 1 0 0 0 0 0"),
    "31 35 36 37": ("0 1 1 0 0 0 0 0", "0 0 0 0 0 0 0 0"),
    "32": ("0 0 0 0 0 0 0 0", "0 0 0 0 0 0 0 0"),
    "38 39": ("12 26 33 4 4 7 6 4", "0 2 0 0 0 0 0 0"),
    "40": ("12 25 33 4 4 8 10 4", "1 12 11 3 1 5 3 0"),
    "50": ("12 26 33 4 4 8 6 4", "8 14 11 3 1 6 2 0"),
    "60": ("12 26 34 4 4 7 9 5", "2 3 13 0 1 3 0 0"),
    "69": ("13 26 34 4 4 7 9 5", "2 3 13 0 1 3 0 0"),
    "70": ("12 26 33 4 0 1 0 4", "1 1 7 0 0 0 0 0"),
    "80": ("12 26 32 4 4 1 0 4", "1 1 7 0 0 0 0 0"),
    "86": ("0 1 0 0 4 0 0 0", "0 0 0 0 0 0 0 0"),
    "91": ("12 26 33 4 0 0 0 4", "1 1 7 0 0 0 0 0"),
    "92": ("12 3 3 4 0 0 0 0", "0 0 1 1 0 0 0 0"),
    "94 96": ("12 2 33 4 0 0 0 4", "1 1 7 0 0 0 0 0"),
    "95": ("12 26 33 0 4 0 0 4", "1 1 7 0 0 0 0 0"),
    "98": ("1 1 2 4 1 0 0 0", "0 0 0 2 0 0 0 0"),
    "41 42": ("0 1 4 0 0 0 4 0", "0 1 4 0 0 0 0 0"),
    "patient representative": ("13 27 35 4 4 8 10 5", "2 1 1 1 1 1 1 5"),
    "structure": ("0 0 0 0 0 0 0 0", "11 24 34 3 3 7 8 0"),
    "employee": ("0 0 0 0 0 0 0 0", "11 23 34 3 3 7 8 0"),
}


def permitted(role, act):
    return {code for code in TYPES if TABLE.cell(role, code, act) is Habilitation.PERMITTED}


def in_space(space):
    """The types of a space; one without a class is in none."""
    return {t.code for t in TYPES.values() if t.space == space and t.class_code}


@pytest.fixture(scope="module")
def oracle():
    return enforcer_of(text_of("matrix", "model.conf"), text_of("matrix", "matrix.csv"))


class TestMatrix:
    def test_files_are_sound(self):
        """The files of the matrix and of the services model hold no mistake."""
        mistakes = (
            *TYPE_MISTAKES,
            *LINE_MISTAKES,
            *SERVICE_MISTAKES,
            *check_types(LINES, TABLE, TYPES, path="matrix.csv"),
            *check_model(text_of("matrix", "model.conf"), path="model.conf", shape=MATRIX),
            *check_model(text_of("services", "model.conf"), path="model.conf", shape=SERVICES),
        )

        assert not mistakes

    def test_types_are_the_current_ones(self):
        """The table of types holds the 114 current codes with system, class, space and label."""
        with shared_data("terminology", "type_codes.csv").open(encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["source"] != "2012"]
        expected = {
            (r["code"], r["system"], r["class_code"], r["space"], r["label_fr"]) for r in rows
        }

        actual = {(t.code, t.system, t.class_code, t.space, t.label_fr) for t in TYPES.values()}

        assert len(rows) == 114
        assert expected == actual

    def test_deposit_is_closed(self):
        """Seven types may be deposited by nobody: six hidden ones, and one without a class."""
        hidden = {code for code, document_type in TYPES.items() if document_type.space == "hidden"}
        expected = (hidden - {SIGNATURE}) | {"101881-1"}

        closed = {code for code, document_type in TYPES.items() if not document_type.deposit}

        assert len(hidden) == 7
        assert expected == closed

    def test_who_deposits_signs(self):
        """Who may deposit anything of their own profession may deposit the signature with it."""
        depositing = {role for role in ROLES if permitted(role, "deposit") - {SIGNATURE}}

        signing = {role for role in ROLES if SIGNATURE in permitted(role, "deposit")}

        assert depositing - {"patient", "representative"} == signing

    def test_closed_types_are_unlisted(self):
        """What nobody may deposit nobody may read either: no line speaks for it."""
        closed = [code for code, document_type in TYPES.items() if not document_type.deposit]

        cells = {TABLE.cell(role, code, act) for role in ROLES for code in closed for act in Act}

        assert {Habilitation.UNLISTED} == cells

    def test_every_space_is_complete(self):
        """Each type with a space and a class is in its space, so that it is in the record."""
        expected = {t.code for t in TYPES.values() if t.space != "hidden" and t.class_code}

        placed = {m.name for m in LINES if isinstance(m, Member) and m.group.startswith("space-")}

        assert expected == placed

    def test_professions_are_the_official_ones(self):
        """The matrix knows the 29 professions of TRE_G15."""
        with shared_data("terminology", "professions_g15.csv").open(encoding="utf-8") as file:
            expected = [row["code"] for row in csv.DictReader(file)]

        assert sorted(expected) == sorted(PROFESSIONS)

    def test_only_the_medical_physicist_is_absent(self):
        """Every role but the medical physicist has a line of the matrix that speaks for it."""
        spoken_for = {role for role, _, _ in TABLE.rules}

        assert {"32"} == set(ROLES) - spoken_for

    def test_known_cells(self):
        """Every published cell is ours, and is said to come from where it was published."""
        with shared_data("terminology", "habilitations_known.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        words = {"allow": Habilitation.PERMITTED, "deny": Habilitation.DENIED}
        expected = [(words[row["access"]], True) for row in rows]

        actual = [
            (
                TABLE.cell(row["profession"], row["type_code"], "read"),
                row["source"].split()[0]
                in TABLE.source(row["profession"], row["type_code"], "read"),
            )
            for row in rows
        ]

        assert len(rows) == 76
        assert expected == actual

    @pytest.mark.parametrize("row", [row for row in V0.split("\n") if row.strip()])
    def test_v0_table(self, row):
        """Each cell of the table by space is what the matrix lets the profession read."""
        roles, *cells = (cell.strip() for cell in row.split("|"))
        assert len(cells) == 8

        for role in roles.split(","):
            refused = REFUSED.get(role, D0)
            for space, cell in enumerate(cells, 1):
                word, *listed = cell.split() if cell != "-" else ["P"]
                # A published list applies in every cell, D0 only where there is a star.
                applies = word == "R*" or role in {"10", "21", "39", "40", "60"}
                every = in_space(str(space)) - (refused if applies else set())
                expected = set(listed) if word == "P" else every

                actual = permitted(role, "read") & in_space(str(space))

                assert expected == actual, (role, space)

    @pytest.mark.parametrize("role", ROLES)
    def test_counts(self, role):
        """So many types of each space does a profession read, and deposit."""
        expected = next(counts for roles, counts in COUNTS.items() if role in roles.split())

        actual = tuple(
            " ".join(str(len(permitted(role, act) & in_space(space))) for space in "12345678")
            for act in Act
        )

        assert expected == actual

    @pytest.mark.parametrize("role", [*PROFESSIONS, *SOCIAL, "patient", "representative"])
    def test_nobody_deposits_what_they_may_not_read(self, role):
        """Who reads at all deposits only what they may read, and the signature that goes with it."""
        assert permitted(role, "deposit") - permitted(role, "read") <= {SIGNATURE}

    @pytest.mark.parametrize("role", [r for r in ROLES if r not in {"patient", "representative"}])
    def test_the_patient_s_words(self, role):
        """What only the patient writes no other role deposits; the insurer's data only a structure."""
        own = {code for code in TYPES if code.startswith(("DOCPAT", "EXPPAT_"))} | {"74465-6"}

        assert len(own) == 13
        insured = {"REMB"} if role == "structure" else set()
        assert insured == permitted(role, "deposit") & (own | {"REMB"})

    def test_who_prescribes(self):
        """Only doctors, dentists and midwives, or who feeds for them, deposit prescriptions."""
        prescriptions = {c for c in TYPES if c.startswith("PRESC-")} | {
            "57833-6",
            "57832-8",
            "57828-6",
            "55115-0",
        }

        who = {role for role in ROLES if permitted(role, "deposit") & prescriptions}

        assert {"10", "40", "50", "structure", "employee"} == who

    def test_structures_feed_and_do_not_consult(self):
        """A structure and an employee deposit what a doctor may, the insurer its own data too; none reads."""
        for role in ("structure", "employee"):
            insured = {"REMB"} if role == "structure" else set()
            assert permitted("10", "deposit") | insured == permitted(role, "deposit")
            assert set() == permitted(role, "read")

    def test_unknown_is_unlisted(self):
        """A profession or type that nobody knows is unlisted."""
        expected = {Habilitation.UNLISTED}

        cells = {
            TABLE.cell("93", "60591-5", "read"),
            TABLE.cell("pharmacy", "60591-5", "read"),
            TABLE.cell("10", "11493-4", "read"),
            TABLE.cell("10", "space-1", "read"),
            TABLE.cell("10", "60591-5", "mask"),
        }

        assert expected == cells

    def test_source_names_the_line(self):
        """A cell says which line of the file decided it, and where that line comes from."""
        number = 1 + text_of("matrix", "matrix.csv").split("\n").index(
            "p, 40, EXPPAT_3, read, deny, france-assos-sante.org"
        )

        sources = [TABLE.source("40", "EXPPAT_3", "read"), TABLE.source("32", "EXPPAT_3", "read")]

        assert [f"line {number}: france-assos-sante.org", ""] == sources

    def test_table_is_frozen(self):
        """A table can't be changed."""
        with pytest.raises(TypeError):
            TABLE.cells["32", "60591-5", "read"] = Habilitation.PERMITTED  # type: ignore[index]  # frozen


class TestOracles:
    @pytest.mark.parametrize("role", ROLES)
    def test_every_cell_is_casbin_s(self, oracle, role):
        """Casbin, asked for each type and act, gives the answer of the table."""
        requests = [(role, code, act.value) for code in TYPES for act in Act]
        expected = [oracle.enforce(*request) for request in requests]

        actual = [TABLE.cell(*request) is Habilitation.PERMITTED for request in requests]

        assert oracle.enabled
        assert expected == actual

    @pytest.mark.parametrize("role", ROLES)
    def test_every_cell_is_the_model_s(self, role):
        """The slow reading, asked for each type and act, gives the cell of the table."""
        rows = reference.rows_of(text_of("matrix", "matrix.csv"))
        requests = [(role, code, act.value) for code in TYPES for act in Act]
        expected = [reference.verdict(request, {0: "g", 1: "g2"}, rows) for request in requests]

        actual = [TABLE.cell(*request).value for request in requests]

        assert expected == actual

    def test_every_service_is_casbin_s(self):
        """Casbin and the slow reading give the services table, in every cell."""
        text = text_of("services", "services.csv")
        enforcer = enforcer_of(text_of("services", "model.conf"), text)
        rows = reference.rows_of(text)
        requests = [(s, rpc, kind) for s in SERVICE_NAMES for rpc in RPCS for kind in KINDS]

        ours = [SERVICE_TABLE.permits(*request) for request in requests]

        assert [enforcer.enforce(*request) for request in requests] == ours
        verdicts = [reference.verdict(request, {1: "g", 2: "g2"}, rows) for request in requests]
        assert [verdict == "permitted" for verdict in verdicts] == ours

    def test_every_act_is_casbin_s(self):
        """Casbin and the slow reading, told that an act is of its procedure, give the table in each act."""
        implied = [f"g, {act}, {act.partition(':')[0]}" for act in sorted(product.ACTS)]
        text = "\n".join([text_of("services", "services.csv"), *implied])
        enforcer = enforcer_of(text_of("services", "model.conf"), text)
        rows = reference.rows_of(text)
        requests = [(s, act, kind) for s in SERVICE_NAMES for act in product.ACTS for kind in KINDS]

        ours = [
            SERVICE_TABLE.permits(service, rpc, kind, action)
            for service, act, kind in requests
            for rpc, action in [act.split(":")]
        ]

        assert [enforcer.enforce(*request) for request in requests] == ours
        verdicts = [reference.verdict(request, {1: "g", 2: "g2"}, rows) for request in requests]
        assert [verdict == "permitted" for verdict in verdicts] == ours
        assert True in ours


class TestServices:
    @pytest.mark.parametrize(
        ("service", "rpcs", "kinds"),
        [
            ("dossier", [*DECIDE, *REGISTRY], [*USERS, "structure", "employee"]),
            ("portal", [*DECIDE, *REGISTRY], USERS),
            ("archive", DECIDE, USERS),
            ("audit", DECIDE, ["auditor"]),
            ("workbench", [*DECIDE, *POLICY], ["compliance_officer"]),
            ("operator", [*DECIDE, *REGISTRY, PATIENTS, *POLICY], PEOPLE),
            ("stranger", [], []),
        ],
    )
    def test_who_may_call_what(self, service, rpcs, kinds):
        """A service calls its own procedures for its own kinds of subject, and nothing else."""
        expected = {(rpc, kind) for rpc in rpcs for kind in kinds}
        if service in ("dossier", "operator"):
            expected.add((WATCH, "service"))
        if service == "dossier":
            expected.add((PATIENTS, "professional"))

        actual = {
            (rpc, kind)
            for rpc in RPCS
            for kind in [*KINDS, "unknown"]
            if SERVICE_TABLE.permits(service, rpc, kind)
        }

        assert expected == actual

    @pytest.mark.parametrize(
        ("service", "kinds", "acts", "others"),
        [
            ("audit", USERS, ["trace.read"], False),
            ("audit", ["auditor"], ["trace.read", "obligation.report"], True),
            ("audit", ["service"], ["obligation.report", "standing.set"], False),
            ("dossier", ["service"], ["obligation.report"], False),
            ("portal", USERS, ["trace.read", "obligation.report", "standing.set"], True),
            ("portal", ["service"], [], False),
            ("operator", PEOPLE, ["trace.read", "obligation.report", "standing.set"], True),
            ("operator", ["service"], [], False),
        ],
    )
    def test_who_may_ask_for_an_act_that_is_treated_apart(self, service, kinds, acts, others):
        """What holds of a procedure holds of its acts; who may ask for an act alone asks for no other."""
        for kind in kinds:
            found = {
                act
                for rpc, act in (one.split(":") for one in product.ACTS)
                if SERVICE_TABLE.permits(service, rpc, kind, act)
            }

            assert found == set(acts)
            assert SERVICE_TABLE.permits(service, DECIDE[0], kind, "document.read") == others

    def test_a_refusal_of_the_procedure_refuses_its_acts(self):
        """A line that denies a procedure wins over one that allows an act of it."""
        rpc, act = DECIDE[0], f"{DECIDE[0]}:trace.read"
        lines = [f"p, audit, {act}, patient, allow, x", f"p, audit, {rpc}, patient, deny, x"]
        read, mistakes = parse(
            "\n".join(lines),
            path="s.csv",
            shape=SERVICES,
            names=(["audit"], [rpc, act], ["patient"]),
        )

        table = expand_services(read, rpcs=[rpc], kinds=["patient"], acts=[act])

        assert not mistakes
        assert not table.permits("audit", rpc, "patient", "trace.read")
