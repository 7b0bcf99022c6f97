"""The strict reader of casbin's texts and the expansion of any policy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.matrix import (
    MATRIX,
    Act,
    DocumentType,
    Habilitation,
    Member,
    Rule,
    Shape,
    check_model,
    check_types,
    expand,
    parse,
    read_types,
)
from authz.model import Effect
from tests.authz.oracle import enforcer_of, text_of
from tests.reference import matrix as reference

ROLES = ("10", "21", "39", "60", "70")
HEADER = "code,system,class,space,label_fr,deposit,note"
TYPES = read_types(
    f"""{HEADER}
EXPPAT_1,1.2.250.1.213.1.1.4.12,90,8,Volontés et droits du patient,yes,
EXPPAT_2,1.2.250.1.213.1.1.4.12,90,8,Autre document du patient,yes,
EXPPAT_3,1.2.250.1.213.1.1.4.12,90,8,Directives anticipées,yes,
E1762,ASTM,urn:oid:1.3.6.1.4.1.19376.1.2.1.1.1,hidden,Full Document,no,technical: a signature
""",
    path="types.csv",
)[0]

ALLOW = "p, 10, EXPPAT_3, read, allow, x\n"


def read_small(text):
    return parse(text, path="m.csv", shape=MATRIX, names=(ROLES, TYPES, Act))


def mistakes_of(text):
    return [str(mistake) for mistake in read_small(text)[1]]


class TestReader:
    def test_casbin_hears_a_sound_deny(self):
        """A deny line that is written well denies, for casbin and for us."""
        text = ALLOW + "p, 10, EXPPAT_3, read, deny, x"
        enforcer = enforcer_of(text_of("matrix", "model.conf"), text)

        allowed = enforcer.enforce("10", "EXPPAT_3", "read")

        assert allowed is False

    @pytest.mark.parametrize(
        ("line", "column", "message"),
        [
            ("p 10 EXPPAT_3 read deny x", 1, "no comma"),
            ("q, 10, EXPPAT_3, read, deny, x", 1, "unknown kind of line"),
            ("P, 10, EXPPAT_3, read, deny, x", 1, "unknown kind of line"),
            ("p2, 10, EXPPAT_3, read, deny, x", 1, "unknown kind of line"),
            ("10, EXPPAT_3, read, deny, x", 1, "unknown kind of line"),
            ("p; 10, EXPPAT_3, read, deny, x", 1, "unknown kind of line"),
            ("\ufeffp, 10, EXPPAT_3, read, deny, x", 1, "unseen character: `U+FEFF`"),
            ("p, 1\u200b0, EXPPAT_3, read, deny, x", 5, "unseen character: `U+200B`"),
            ("# a note\rp, 10, EXPPAT_3, read, deny, x", 9, "unseen character: `U+000D`"),
            ("# a note\u2028p, 10, EXPPAT_3, read, deny, x", 9, "unseen character: `U+2028`"),
            ('"p", 10, EXPPAT_3, read, deny, x', 1, "more than it is"),
            ('p, "10", EXPPAT_3, read, deny, x', 4, "more than it is"),
            ("p, 10, EXPPAT_3, read, deny # never, x", 29, "more than it is"),
            ("p, 10, EXPPAT_3(x, read, deny), read, deny, x", 16, "more than it is"),
            ("p, 10, EXPAT_3, read, deny, x", 8, "unknown type or group: `EXPAT_3`"),
            ("p, 01, EXPPAT_3, read, deny, x", 4, "unknown profession or group: `01`"),
            ("p, , EXPPAT_3, read, deny, x", 3, "no profession"),
            ("p, 10, EXPPAT_3, Read, deny, x", 18, "unknown act: `Read`"),
            ("p, 10, EXPPAT_3, read, dney, x", 24, "unknown effect: `dney`"),
            ("p, 10, EXPPAT_3, read, Deny, x", 24, "unknown effect: `Deny`"),
            ("p, doctors, EXPPAT_3, read, deny, x", 4, "unknown profession or group: `doctors`"),
        ],
    )
    def test_spoiled_deny(self, line, column, message):
        """A deny line that a slip spoils leaves casbin with a yes; the reader refuses the line."""
        text = ALLOW + line
        enforcer = enforcer_of(text_of("matrix", "model.conf"), text)

        lines, mistakes = read_small(text)

        assert enforcer.enforce("10", "EXPPAT_3", "read") is True
        assert [(2, column)] == [(mistake.line, mistake.column) for mistake in mistakes]
        assert message in mistakes[0].message
        assert len(lines) == 1

    @pytest.mark.parametrize(
        "line", ["p, 10, EXPPAT_3, read, deny", "p, 10, EXPPAT_3, deny, x, y, z"]
    )
    def test_wrong_arity(self, line):
        """A line of the wrong length loads in casbin and fails at the first request; not here."""
        enforcer = enforcer_of(text_of("matrix", "model.conf"), ALLOW + line)

        mistakes = mistakes_of(ALLOW + line)

        with pytest.raises(RuntimeError, match="invalid policy size"):
            enforcer.enforce("10", "EXPPAT_3", "read")
        columns = line.count(",") + 1
        hint = "write `p, profession, type, act, allow or deny, source`"
        assert [f"m.csv:2:1: p: {columns} columns, not 6 ({hint})"] == mistakes

    def test_wrong_arity_of_a_group(self):
        """A member line that is too long is cut by casbin in silence, and refused here."""
        text = "p, officine, EXPPAT_3, read, allow, x\ng, 21, officine, 2026"
        enforcer = enforcer_of(text_of("matrix", "model.conf"), text)

        mistakes = read_small(text)[1]

        assert enforcer.enforce("21", "EXPPAT_3", "read") is True
        assert "4 columns, not 3" in [mistake.message for mistake in mistakes]

    @pytest.mark.parametrize("text", ["\n", "# only a comment\n", "\n\n# and blanks\n\n"])
    def test_empty_policy(self, text):
        """Casbin takes an empty policy for a yes where the model only looks for denials."""
        model = text_of("matrix", "model.conf").replace("some(where (p.eft == allow)) && ", "")
        enforcer = enforcer_of(model, text)

        mistakes = mistakes_of(text)

        assert enforcer.enforce("10", "EXPPAT_3", "read") is True
        hint = "write what is allowed: casbin may take an empty policy for a yes"
        assert [f"m.csv:1:1: file: no `p` line at all ({hint})"] == mistakes
        assert check_model(model, path="model.conf", shape=MATRIX) != ()

    def test_every_mistake_is_told(self):
        """All mistakes of a file are told at once, with line, column and a way out."""
        text = "\n".join(  # noqa: FLY002 - one line of the file a line
            [
                "# a small matrix",
                "p, 10, EXPPAT_3, reed, allow, x",
                "p, 10, EXPPAT_3, read, allow, ",
                "p, 10, EXPPAT_1, read, allow, x",
                "  p, 10, EXPPAT_1, read, allow, y",
                "p, 10, EXPPAT_1, read, deny, x",
                "g, 21, officine",
                "g, 21, officine",
                "g, 21, 39",
                "g, 60, Nurses",
                "g, 70, round",
                "g, round, circle",
                "g, circle, round",
                "p, circle, EXPPAT_2, read, allow, x",
                "h2, EXPPAT_2, space-8",
                "p, offcine, EXPPAT_2, read, allow, x",
            ]
        )

        expected = [
            "m.csv:2:18: p: unknown act: `reed` (did you mean `read`?)",
            "m.csv:3:30: p: no source (say where the line comes from)",
            "m.csv:5:6: p: says again what line 4 says (keep one of them)",
            "m.csv:6:4: p: says deny where line 4 says allow (deny would win: keep one of them)",
            "m.csv:7:4: g: no `p` line uses the group `officine` (use it or drop it)",
            "m.csv:8:4: g: no `p` line uses the group `officine` (use it or drop it)",
            "m.csv:8:4: g: says again what line 7 says (keep one of them)",
            (
                "m.csv:9:8: g: `39` is a profession, so it can't be a group"
                " (give the group a name of its own)"
            ),
            (
                "m.csv:10:8: g: not a name for a group: `Nurses`"
                " (use small letters, digits and single hyphens)"
            ),
            (
                "m.csv:13:4: g: `circle` would be a member of itself"
                " (drop one of the lines of the circle)"
            ),
            (
                "m.csv:15:1: line: unknown kind of line, casbin would drop it in silence: `h2`"
                " (known: `g`, `g2`, `p`)"
            ),
            "m.csv:16:4: p: unknown profession or group: `offcine` (did you mean `officine`?)",
        ]

        assert expected == mistakes_of(text)

    def test_line_ends_of_windows(self):
        """A file with line ends of Windows reads like any other."""
        text = text_of("matrix", "matrix.csv")
        expected = read_small(text)

        assert expected == read_small(text.replace("\n", "\r\n"))

    def test_a_group_serves_through_another(self):
        """A group is of use when a `p` line names it or a group above it."""
        text = "g, 21, low\ng, low, high\np, high, EXPPAT_3, read, allow, x"

        assert not mistakes_of(text)

    @pytest.mark.parametrize("levels", [9, 10])
    def test_nesting_ends_where_casbin_s_does(self, levels):
        """Nine levels of groups are looked up; at ten casbin gives up, so ten are refused."""
        chain = [f"g, level-{n}, level-{n + 1}" for n in range(1, levels)]
        text = "\n".join(["g, 21, level-1", *chain, f"p, level-{levels}, EXPPAT_3, read, allow, x"])
        enforcer = enforcer_of(text_of("matrix", "model.conf"), text)

        mistakes = mistakes_of(text)

        deep = "m.csv:10:4: g: `level-10` has more than 9 levels of groups below it"
        assert enforcer.enforce("21", "EXPPAT_3", "read") is (levels == 9)
        assert (levels == 9) is (mistakes == [])
        assert all(mistake.startswith(deep) for mistake in mistakes)

    @given(
        st.lists(
            st.text(max_size=40) | st.sampled_from(text_of("matrix", "matrix.csv").split("\n"))
        )
    )
    def test_no_line_is_lost(self, raws):
        """Whatever a file holds, a line is blank, a comment, read, or pointed at."""
        text = "\n".join(raws)
        told = [
            number
            for number, raw in enumerate(text.split("\n"), 1)
            if raw.strip() and not raw.strip().startswith("#")
        ]

        lines, mistakes = read_small(text)

        assert set(told) <= {line.number for line in lines} | {mistake.line for mistake in mistakes}


class TestModel:
    @pytest.mark.parametrize(
        ("old", "new", "mistake"),
        [
            ("r = sub, obj, act", "r = sub,obj ,  act", ""),
            ("r = sub, obj, act", "r = obj, sub, act", "6:5: request_definition: `r` is not"),
            (" && r.act == p.act", "", "19:5: matchers: `m` is not"),
            (" && !some(where (p.eft == deny))", "", "16:5: policy_effect: `e` is not"),
            ("g = _, _", "g = _, _, _", "12:5: role_definition: `g` is not"),
            ("g = _, _\n", "", "1:1: role_definition: missing key: `g`"),
            ("g2 = _, _", "g2 = _, _\ng2 = _, _", "14:1: role_definition: `g2` stands twice"),
            ("g2 = _, _", "g2 = _, _\ng3 = _, _", "14:1: role_definition: unknown key: `g3`"),
            ("[matchers]", "[matchers]\nm", "19:1: matchers: not `key = value`: `m`"),
            ("[matchers]", "[matchers]\n  [matcher]", "19:3: section: unknown: `[matcher]`"),
            ("[request_definition]", "", "6:1: line: unknown key: `r`"),
        ],
    )
    def test_model_must_be_ours(self, old, new, mistake):
        """A model that says anything but what we compute is refused, with its place."""
        text = text_of("matrix", "model.conf")
        assert old in text

        mistakes = check_model(text.replace(old, new, 1), path="m.conf", shape=MATRIX)

        assert bool(mistake) is bool(mistakes)
        assert not mistake or any(f"m.conf:{mistake}" in str(found) for found in mistakes)

    def test_the_other_model(self):
        """The model of services is not the model of the matrix."""
        expected = ["r", "p", "m"]

        mistakes = check_model(text_of("services", "model.conf"), path="m.conf", shape=MATRIX)

        assert expected == [mistake.message.split("`")[1] for mistake in mistakes]


class TestTypes:
    def test_a_type(self):
        """A row gives a type; a label with a comma stands in quotes."""
        text = f'{HEADER}\nCERT_DECL,1.2.250.1.213.1.1.4.12,52,7,"Certificat, déclaration",yes,'
        expected = DocumentType(
            code="CERT_DECL",
            system="1.2.250.1.213.1.1.4.12",
            class_code="52",
            space="7",
            label_fr="Certificat, déclaration",
            deposit=True,
        )

        assert ({"CERT_DECL": expected}, ()) == read_types(text, path="t.csv")

    @pytest.mark.parametrize(
        ("text", "mistake"),
        [
            ("", "1:1: header: not the header"),
            (HEADER, "1:1: file: no type at all"),
            (HEADER.replace("space,", ""), "1:1: header: not the header"),
            ("A,1.2,10,3,Label,yes", "2:1: type: 6 columns, not 7"),
            ("A,1.2,10,3,Label, too,yes,", "2:1: type: 8 columns, not 7"),
            ('A,1.2,10,3,"Label,yes,', "2:1: type: 4 columns, not 7"),
            ("A b,1.2,10,3,Label,yes,", "2:1: A b: not a code"),
            ("A,1.2,10,3,One,yes,\nA,1.2,10,3,Two,yes,", "3:1: A: `A` stands twice (keep one)"),
            ("A,loinc,10,3,Label,yes,", "2:3: A: not a code system: `loinc`"),
            ("A,1.2,1O,3,Label,yes,", "2:7: A: not a class: `1O`"),
            ("A,1.2,10,9,Label,yes,", "2:10: A: unknown space: `9`"),
            ("A,1.2,10,3,,yes,", "2:12: A: no label"),
            ("A,1.2,10,3,Label,oui,", "2:18: A: neither yes nor no: `oui`"),
            ("A,1.2,10,3,Label,no,", "2:21: A: a note goes with `no`"),
            ("A,1.2,10,3,Label,yes,why", "2:22: A: a note goes with `no`"),
            ("A,1.2,,3,Label,yes,", "2:16: A: a type without a class is not deposited"),
            ("A,1.2,10,3,La\u202ebel,yes,", "2:14: line: holds an unseen character: `U+202E`"),
        ],
    )
    def test_mistakes(self, text, mistake):
        """A row that is not a type is refused, with its place and what is wrong."""
        text = text if text == "" or text.startswith("code") else f"{HEADER}\n{text}"

        mistakes = read_types(text, path="t.csv")[1]

        assert len(mistakes) == 1
        assert str(mistakes[0]).startswith(f"t.csv:{mistake}")

    def test_matrix_and_types_disagree(self):
        """A type in a foreign space, and a deposit that the types forbid, are pointed at."""
        text = (
            "g2, EXPPAT_3, space-7\np, 10, space-7, read, allow, x\np, 10, E1762, deposit, allow, x"
        )
        lines, mistakes = read_small(text)
        table = expand(lines, roles=ROLES, types=TYPES)

        expected = [
            "m.csv:1:5: g2: `EXPPAT_3` is not in space-7 (the table of types says `space-8`)",
            (
                "m.csv:3:4: p: lets someone deposit `E1762`"
                " (the table of types says no: technical: a signature)"
            ),
        ]

        found = [str(m) for m in check_types(lines, table, TYPES, path="m.csv")]

        assert not mistakes
        assert expected == found


SMALL = (("10", "21", "40"), ("EXPPAT_1", "EXPPAT_2", "EXPPAT_3"))
GROUPS = (("ga", "gb"), ("ta", "tb"))
ACTS = ("read", "deposit")


def rules_over(fields):
    names = st.tuples(*(st.sampled_from(field) for field in fields))
    return st.builds(
        Rule, number=st.just(1), names=names, effect=st.sampled_from(Effect), note=st.just("x")
    )


def members_over(grouping, names, groups):
    return st.builds(
        Member,
        number=st.just(1),
        grouping=st.just(grouping),
        name=st.sampled_from((*names, *groups)),
        group=st.sampled_from(groups),
    )


rules = rules_over(((*SMALL[0], *GROUPS[0]), (*SMALL[1], *GROUPS[1]), ACTS))
members = members_over("g", SMALL[0], GROUPS[0]) | members_over("g2", SMALL[1], GROUPS[1])
small_policies = st.lists(rules | members, min_size=1, max_size=12)


def write(lines):
    """The text of some lines."""
    return "\n".join(
        ", ".join(["p", *line.names, line.effect, line.note])
        if isinstance(line, Rule)
        else f"{line.grouping}, {line.name}, {line.group}"
        for line in lines
    )


def requests_of_small():
    return [(role, code, act) for role in SMALL[0] for code in SMALL[1] for act in ACTS]


class TestExpansion:
    @given(small_policies)
    def test_any_policy_is_casbin_s(self, lines):
        """Any small policy, circles included, expands to what casbin and the slow reading say."""
        text = write(lines)
        enforcer = enforcer_of(text_of("matrix", "model.conf"), text)
        rows = reference.rows_of(text)
        requests = requests_of_small()

        table = expand(lines, roles=SMALL[0], types=SMALL[1])

        cells = [table.cell(*request).value for request in requests]
        assert [reference.verdict(r, {0: "g", 1: "g2"}, rows) for r in requests] == cells
        assert [enforcer.enforce(*r) for r in requests] == [c == "permitted" for c in cells]

    @given(small_policies)
    def test_what_is_read_is_what_was_written(self, lines):
        """A policy that the reader takes without a mistake is read as it was written."""
        expected = [(type(line), write([line])) for line in lines]

        actual, mistakes = parse(write(lines), path="m.csv", shape=MATRIX, names=(*SMALL, ACTS))

        assert mistakes or expected == [(type(line), write([line])) for line in actual]

    @given(small_policies, rules, st.integers(0, 12))
    def test_a_further_deny_never_permits(self, lines, rule, place):
        """A deny line more, wherever it stands, permits nothing more."""
        deny = Rule(number=1, names=rule.names, effect=Effect.DENY, note="x")
        before = expand(lines, roles=SMALL[0], types=SMALL[1])

        after = expand([*lines[:place], deny, *lines[place:]], roles=SMALL[0], types=SMALL[1])

        for request in requests_of_small():
            was, now = before.cell(*request), after.cell(*request)
            assert now is was or now is Habilitation.DENIED

    @given(small_policies, st.randoms(use_true_random=False))
    def test_order_changes_no_verdict(self, lines, shuffler):
        """The lines of a policy may stand in any order."""
        shuffled = list(lines)
        shuffler.shuffle(shuffled)

        tables = [expand(some, roles=SMALL[0], types=SMALL[1]) for some in (lines, shuffled)]

        first, second = ([table.cell(*r) for r in requests_of_small()] for table in tables)
        assert first == second

    def test_a_shape_without_groups(self):
        """A shape in which nothing is grouped compares names only."""
        shape = Shape(fields=("a", "b", "c"), words=("a", "b", "c"), grouped=(), note="why")

        expected = "r.a == p.a && r.b == p.b && r.c == p.c"

        assert expected == shape.model()["matchers", "m"]
