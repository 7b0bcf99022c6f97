"""Every mistake in a policy folder is found, with its place and what would be right."""

import pytest

from authz.bundle import MATRIX, SERVICES, build
from authz.product import DMP
from tests.authz.workbench.world import (
    THEME,
    TRY,
    added,
    edited,
    files,
    mistakes,
    rule,
    rule_mistakes,
    small,
)

KIND = "{condition: Equals, value: professional}"
SUBJECT = (
    "known: `$.authentication`, `$.authorisation`, `$.capacity`, `$.concerned`, `$.id`, `$.kind`, "
    "`$.profession`, `$.regulator`, `$.representative`, `$.review`, `$.structure`, `$.treating_doctor`"
)
KINDS = (
    "known: `auditor`, `compliance_officer`, `employee`, `patient`, `professional`, "
    "`representative`, `service`, `structure`, `unknown`"
)


def only(found):
    """The one mistake that there is, as (path, line, column, where, message, hint)."""
    assert len(found) == 1, [str(mistake) for mistake in found]
    one = found[0]
    return one.path, one.line, one.column, one.where, one.message, one.hint


def test_the_project_is_sound():
    """The policies of the project have no mistake."""
    assert mistakes(files()) == ()


@pytest.mark.parametrize(
    ("conditions", "column", "message", "hint"),
    [
        (
            "{subject: {$.knd: {condition: Equals, value: patient}}}",
            23,
            "unknown fact: `subject.$.knd`",
            "did you mean `$.kind`?",
        ),
        (
            "{subject: {$.a-b: {condition: Equals, value: patient}}}",
            23,
            "unknown fact: `subject.$.a-b`",
            SUBJECT,
        ),
        (
            "{subject: {$.not: {condition: Equals, value: patient}}}",
            23,
            "unknown fact: `subject.$.not`",
            SUBJECT,
        ),
        (
            "{subject: {$.kind: {condition: Equals, value: pateint}}}",
            58,
            "unknown value of `subject.kind`: `pateint`",
            "did you mean `patient`?",
        ),
        (
            "{subject: {$.kind: {condition: Equals, value: yes}}}",
            58,
            "unknown value of `subject.kind`: `yes`",
            KINDS,
        ),
        (
            "{subject: {$.kind: {condition: Equals, value: true}}}",
            58,
            "`value of `subject.kind`` must be a text that is not blank",
            "put it in quotes",
        ),
        (
            "{subject: {$.profession: {condition: Equals, value: 10}}}",
            64,
            "`value of `subject.profession`` must be a text that is not blank",
            "put it in quotes",
        ),
        (
            "{subject: {$.kind: {condition: Equalz, value: patient}}}",
            43,
            "unknown condition: `Equalz`",
            "did you mean `Equals`?",
        ),
        (
            "{subject: {$.kind: {condition: Equals, valuez: patient}}}",
            51,
            "unknown key: `valuez`",
            "did you mean `value`?",
        ),
        ("{sujet: {$.kind: " + KIND + "}}", 13, "unknown key: `sujet`", "did you mean `subject`?"),
        (
            "{subject: {$.kind: patient}}",
            31,
            "a condition needs the key `condition`",
            "",
        ),
        ("{subject: patient}", 22, "`subject` must map facts to conditions", ""),
        ("{subject: []}", 22, "`subject` is an empty list: the rule can never apply", ""),
        (
            "{subject: {$.kind: {condition: IsIn, values: []}}}",
            57,
            "`values` is empty: nothing matches",
            "",
        ),
        (
            "{subject: {$.id: {condition: Equals, value: patient}}}",
            41,
            "`Equals` does not apply to `subject.id` (identifier)",
            (
                "known: `AllOf`, `AnyOf`, `EqualsAttribute`, `IsInAttribute`, `IsNotInAttribute`, `Not`,"
                " `NotEqualsAttribute`"
            ),
        ),
        (
            '{subject: {$.id: {condition: EqualsAttribute, ace: resource, path: "$.authors"}}}',
            79,
            "`EqualsAttribute` compares with identifier, not with `resource.authors` (identifiers)",
            "",
        ),
        (
            '{subject: {$.id: {condition: EqualsAttribute, ace: subject, path: "$.id"}}}',
            29,
            "`subject.id` is compared with itself",
            "",
        ),
        (
            "{subject: {$.kind: {condition: Not, value: {condition: IsIn, values: [pateint]}}}}",
            82,
            "unknown value of `subject.kind`: `pateint`",
            "did you mean `patient`?",
        ),
        (
            "{subject: {$.kind: {condition: AnyOf, values: []}}}",
            31,
            "`AnyOf` needs at least one condition",
            "",
        ),
        (
            "{subject: {$.profession: {condition: IsIn, values: {parameter: mt.professionz}}}}",
            63,
            "unknown list parameter: `mt.professionz`",
            "did you mean `mt.professions`?",
        ),
    ],
)
def test_condition(conditions, column, message, hint):
    """A condition that can't be read is told with its place in the line."""
    found = [m for m in rule_mistakes(rule(conditions)) if m.message == message]

    assert [(m.path, m.line, m.column, m.hint) for m in found] == [(TRY, 11, column, hint)]


@pytest.mark.parametrize(
    ("condition", "safe"),
    [
        ("{condition: AllNotIn, values: [patient]}", "`Not` around `AnyIn`"),
        ("{condition: AnyNotIn, values: [patient]}", "`Not` around `AllIn`"),
        ("{condition: Exists}", "name the value you mean with `Equals`"),
        ("{condition: NotExists}", "name the default with `Equals`"),
        ("{condition: Any}", "leave the fact out"),
        ("{condition: Gte, value: 1}", "numbers become choices"),
        ("{condition: Contains, value: pat}", "list the values with `IsIn`"),
        ("{condition: StartsWith, value: pat}", "list the values with `IsIn`"),
        ("{condition: CIDR, value: 10.0.0.0/8}", "declare a choice"),
        ("{condition: EqualsObject, value: {}}", "use `Equals`"),
        ('{condition: AllNotInAttribute, ace: resource, path: "$.authors"}', "`IsNotInAttribute`"),
        ("{condition: RegexMatch, value: patient}", "write `^patient$`"),
        ('{condition: RegexMatch, value: "^pat|emp$"}', "list the values with `IsIn`"),
        ('{condition: RegexMatch, value: "^(a+)+$"}', "list the values with `IsIn`"),
        ('{condition: RegexMatch, value: "^[a$"}', ""),
    ],
)
def test_trap(condition, safe):
    """A condition that means in py-abac something else than it says is refused, with the safe spelling."""
    found = rule_mistakes(rule("{subject: {$.kind: " + condition + "}}"))

    assert [m.line for m in found] == [11]
    assert safe in found[0].hint


@pytest.mark.parametrize(
    ("targets", "message", "hint"),
    [
        (
            "{action_id: [document.reads]}",
            "unknown action: `document.reads`",
            "did you mean `document.read`?",
        ),
        (
            '{action_id: ["document.*"]}',
            "`action_id`: `document.*` would match as a pattern",
            "write `*` alone",
        ),
        (
            '{action_id: ["*", document.read]}',
            "`action_id`: `*` would match as a pattern",
            "write `*` alone",
        ),
        (
            '{action_id: "doc[1]"}',
            "`action_id`: `doc[1]` would match as a pattern",
            "write `*` alone",
        ),
        ("{action_id: []}", "`action_id` is empty: the rule can never apply", ""),
        ("{resource_id: doc-1}", "`resource_id` may only be `*`, not `doc-1`", "`EqualsAttribute`"),
        ("{actoin_id: [document.read]}", "unknown key: `actoin_id`", "did you mean `action_id`?"),
        ("document.read", "a mapping of `key: value` is expected here", ""),
    ],
)
def test_target(targets, message, hint):
    """A target that py-abac would take for a pattern, or that nothing can match, is refused."""
    found = rule_mistakes(rule("{subject: {$.kind: " + KIND + "}}", targets=targets))

    assert [(m.path, m.line) for m in found if m.message == message] == [(TRY, 7)]
    assert any(hint in m.hint for m in found)


@pytest.mark.parametrize(
    ("conditions", "targets"),
    [
        ("{}", "{}"),
        ("{}", '{action_id: "*"}'),
        ("{subject: {}, context: {}}", '{action_id: "*", resource_id: "*"}'),
        ("{subject: [{}]}", "{}"),
        ("{subject: [{$.kind: " + KIND + "}, {}]}", '{action_id: "*"}'),
    ],
)
def test_rule_for_everything(conditions, targets):
    """A rule with neither condition nor target, however spelt, would apply to everything, and is refused."""
    found = rule_mistakes(rule(conditions, targets=targets))

    message = "a rule without condition and without target would apply to everything"
    assert [(m.where, m.line, m.message) for m in found] == [("rule try", 11, message)]


def test_contradiction():
    """A rule whose conditions contradict each other can never apply, and is refused."""
    both = "{condition: AllOf, values: [{condition: Equals, value: patient}, " + KIND + "]}"

    found = only(rule_mistakes(rule("{subject: {$.kind: " + both + "}}")))

    assert found[:4] == (TRY, 3, 5, "rule try")
    assert found[4] == "the rule can never apply: its conditions contradict each other"


@pytest.mark.parametrize(
    "value", ["[patient]", "[patient, professional]", "{parameter: mt.professions}"]
)
def test_equals_takes_one_value(value):
    """`Equals` takes one value: py-abac would compare with the list itself, and never find it equal."""
    found = rule_mistakes(rule("{subject: {$.kind: {condition: Equals, value: " + value + "}}}"))

    assert (found[0].line, found[0].message) == (11, "`value` is a list")
    assert found[0].hint == "one value, or `IsIn` with `values`"


def test_is_in_takes_a_list():
    """`IsIn` takes a list, as py-abac does."""
    found = only(rule_mistakes(rule("{subject: {$.kind: {condition: IsIn, values: patient}}}")))

    assert found[4:] == ("`values` is not a list", "write `[value]`")


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("block.stops.normal", "a mapping of `parameter: value` is expected here"),
        ("[block.stops.normal]", "a mapping of `parameter: value` is expected here"),
        ("{block.stop.normal: true}", "unknown parameter: `block.stop.normal`"),
        (
            '{block.stops.normal: "yes"}',
            "`when` compares booleans, choices and lists, not `block.stops.normal` (boolean)",
        ),
        ("{emergency.masked: always}", "unknown value of `emergency.masked`: `always`"),
        (
            "{minor.majority_age: 18}",
            "`when` compares booleans, choices and lists, not `minor.majority_age` (integer)",
        ),
    ],
)
def test_when(when, message):
    """What makes a rule active is checked like everything else, even if it is no mapping."""
    text = rule("{subject: {$.kind: " + KIND + "}}") + f"    when: {when}\n"

    found = rule_mistakes(text)

    assert [(m.line, m.message) for m in found] == [(12, message)]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("uid: try", "uid: Try It", "not a uid: `Try It`"),
        ("uid: try", "uid: 10", "not a uid: `10`"),
        ("effect: deny", "effect: dney", "unknown effect: `dney`"),
        ("priority: 1", "priority: -1", "`priority` is a whole number from 0 up"),
        ("priority: 1", "priority: high", "`priority` is a whole number from 0 up"),
        ("priority: 1", "priority: true", "`priority` is a whole number from 0 up"),
        ("reason: TRY", "reason: not ok", "not a reason code: `not ok`"),
        ('source: "test"', "source: ", "`source` must be a text that is not blank"),
        ('en: "Try."', 'de: "Probe."', "unknown key: `de`"),
        ('    source: "test"\n', "", "missing key: `source`"),
        ("    effect: deny\n", "    effect: deny\n    effect: allow\n", "duplicate key: `effect`"),
        ("    effect: deny\n", "    effect: deny\n    effectz: allow\n", "unknown key: `effectz`"),
        (
            '    source: "test"\n',
            '    source: "test"\n    obligations: [notify_hodler]\n',
            "unknown obligation: `notify_hodler`",
        ),
    ],
)
def test_rule(old, new, message):
    """Each part of a rule is checked: uid, effect, priority, reason, sentences, source, obligations."""
    text = rule("{subject: {$.kind: " + KIND + "}}")
    assert old in text

    found = rule_mistakes(text.replace(old, new, 1))

    assert any(m.message.startswith(message) for m in found), found


def test_duplicate_uid():
    """A uid stands for one rule, in whichever file."""
    text = rule("{subject: {$.kind: " + KIND + "}}")

    found = only(mistakes({**added(TRY, text), "rules/98-try.yaml": text.encode()}))

    assert found[:5] == (
        TRY,
        3,
        10,
        "rule try",
        "duplicate uid: `try` is also at rules/98-try.yaml:3",
    )


def test_equal_uid_within_a_file():
    """A uid stands for one rule within a file too."""
    text = rule("{subject: {$.kind: " + KIND + "}}")

    found = only(rule_mistakes(text + text.removeprefix(THEME)))

    assert found[4] == f"duplicate uid: `try` is also at {TRY}:3"


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b"", 1, "empty file"),
        (b"# nothing\n", 1, "empty file"),
        ("theme: été".encode("latin-1"), 1, "not UTF-8: byte 0xe9"),
        (rule("{}").encode("utf-16"), 1, "not UTF-8: byte 0xff"),
        (rule("{}").encode("utf-16-le"), 1, "invisible character U+0000"),
        (b"theme:\n\tfr: x\n", 2, "not YAML: found character '\\t' that cannot start any token"),
        (b"theme: [\n", 2, "not YAML: "),
        (b"a: &a [x]\nb: [*a, *a]\n", 1, "anchors and tags are not data"),
        (b"a: !!python/name:os.system\n", 1, "anchors and tags are not data"),
        (b"[" * 1000, 1, "nested deeper than 24 levels"),
        (b"a: 1\n---\nb: 2\n", 2, "a second document in one file"),
        (b"a: " + b"x" * (1 << 20), 1, "too large: "),
        (b"- \n" * 40_000, 29_999, "not YAML: more than 30000 keys and values"),
        ("theme: {fr: x\u202e, en: y}\n".encode(), 1, "invisible character U+202E"),
        (b"theme: x\nrules: []\n", 1, "a mapping of `key: value` is expected here"),
        (b"just text\n", 1, "a mapping of `key: value` is expected here"),
        (b"10: x\n", 1, "a key must be text, not `10`"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_file(content, line, message):
    """A file that is no plain YAML is refused, and says where it stops being so."""
    found = [m for m in rule_mistakes(content) if m.message.startswith(message)]

    assert [(m.path, m.line) for m in found[:1]] == [(TRY, line)]


def test_byte_order_mark():
    """A byte order mark before UTF-8 is no mistake."""
    text = rule("{subject: {$.kind: " + KIND + "}}")

    assert rule_mistakes(b"\xef\xbb\xbf" + text.encode()) == []


@pytest.mark.parametrize(
    ("path", "old", "new", "where", "message"),
    [
        (
            "vocabulary.yaml",
            "name: subject.kind",
            "name: subject.kin d",
            "fact subject.kin d",
            "not a name for a fact: `subject.kin d`",
        ),
        (
            "vocabulary.yaml",
            "name: subject.regulator",
            "name: subject.or",
            "fact subject.or",
            "not a name for a fact: `subject.or`",
        ),
        (
            "vocabulary.yaml",
            "type: choice",
            "type: chois",
            "fact subject.kind",
            "unknown type: `chois`",
        ),
        (
            "vocabulary.yaml",
            "default: unknown",
            "default: unknownz",
            "fact subject.kind",
            "unknown default: `unknownz`",
        ),
        (
            "vocabulary.yaml",
            "    default: unknown\n",
            "",
            "fact subject.kind",
            "missing key: `default`",
        ),
        (
            "vocabulary.yaml",
            "origin: token",
            "origin: tokn",
            "fact subject.kind",
            "unknown origin: `tokn`",
        ),
        (
            "vocabulary.yaml",
            "[unknown, professional,",
            "[unknown, unknown, professional,",
            "fact subject.kind",
            "value listed twice: `unknown`",
        ),
        (
            "vocabulary.yaml",
            ", auditor, compliance_officer, service]",
            ", compliance_officer, service]",
            "fact subject.kind",
            "unknown value: `auditor`",
        ),
        (
            "vocabulary.yaml",
            "name: subject.structure\n",
            "name: subject.id\n",
            "fact subject.id",
            "declared twice",
        ),
        (
            "vocabulary.yaml",
            "name: dossier.find",
            "name: find",
            "action find",
            "a name reads `resource.verb`, in lower case",
        ),
        (
            "vocabulary.yaml",
            "needs: [patient]",
            "needs: [pateint]",
            "action dossier.find",
            "unknown need: `pateint`",
        ),
        (
            "vocabulary.yaml",
            "name: notify_treating_doctor",
            "name: notify_holder",
            "obligations",
            "declared twice: `notify_holder`",
        ),
        (
            "parameters.yaml",
            "value: true",
            "value: yes",
            "parameter block.stops.normal",
            "`value` is true or false, not `yes`",
        ),
        (
            "parameters.yaml",
            "value: PT4H",
            "value: 4 hours",
            "parameter emergency.max_duration",
            "duration `4 hours` is not ISO 8601",
        ),
        (
            "parameters.yaml",
            "value: requires_mt_withdrawal",
            "value: refuze",
            "parameter block.mt",
            "unknown value: `refuze`",
        ),
        (
            "parameters.yaml",
            'value: ["10"]',
            "value: [10]",
            "parameter mt.professions",
            "`value` must be a text that is not blank",
        ),
        (
            "parameters.yaml",
            "value: 18",
            "value: old",
            "parameter minor.majority_age",
            "`value` is a whole number, not `old`",
        ),
        (
            "parameters.yaml",
            "type: integer",
            "type: number",
            "parameter minor.majority_age",
            "unknown type: `number`",
        ),
        (
            "parameters.yaml",
            "name: minor.majority_age",
            "name: minor.age",
            "parameters",
            "missing parameter: `minor.majority_age` (integer)",
        ),
        (
            "parameters.yaml",
            "name: block.stops.bris_de_glace",
            "name: block.stops.normal",
            "parameter block.stops.normal",
            "declared twice",
        ),
        ("matrix/model.conf", "!some", "some", "", ""),
        ("matrix/model.conf", "&& !some(where (p.eft == deny))", "", "", ""),
        ("services/model.conf", "r.service == p.service && ", "", "", ""),
        ("matrix/matrix.csv", "g, 21, officine", "g, 21", "", ""),
        ("matrix/matrix.csv", "g, 21, officine", "g 21 officine", "", ""),
        ("matrix/matrix.csv", "g, 21, officine", "q, 21, officine", "", ""),
        ("matrix/matrix.csv", "g, 21, officine", "g, 999, officine", "", ""),
        (
            "services/services.csv",
            "p, dossier, decide, user, allow",
            "p, dosier, decide, user, allow",
            "",
            "",
        ),
        (
            "services/services.csv",
            "p, dossier, decide, user, allow",
            "p, dossier, decide, user, permit",
            "",
            "",
        ),
    ],
)
def test_other_files(path, old, new, where, message):
    """Vocabulary, parameters, matrix and services are checked as strictly as the rules."""
    found = [m for m in mistakes(edited(path, old, new)) if m.path == path]

    assert any(m.where.startswith(where) and m.message.startswith(message) for m in found), found


@pytest.mark.parametrize(
    "path", ["vocabulary.yaml", "parameters.yaml", *MATRIX, *SERVICES, "matrix/types.csv"]
)
def test_missing_file(path):
    """A bundle without one of its files is refused, and names it."""
    contents = {name: data for name, data in small().items() if name != path}

    found = only(mistakes(contents))

    assert found == (path, 1, 1, "file", "missing file", "")


@pytest.mark.parametrize("path", ["matrix/matrix.csv", "matrix/types.csv", "services/model.conf"])
def test_unreadable_table(path):
    """A table that is too large or not UTF-8 is refused."""
    large, strange = (mistakes(added(path, data)) for data in (b"#" * (1 << 20 | 1), b"p, \xff\n"))

    assert any(m.path == path and m.message.startswith("too large") for m in large)
    assert any(m.path == path and m.message == "not UTF-8: byte 0xff" for m in strange)


@pytest.mark.parametrize(
    ("conditions", "fact"),
    [
        ("{resource: {$.masked: {condition: Equals, value: 'yes'}}}", "resource.masked"),
        ("{context: {$.mode: {condition: NotEquals, value: normal}}}", "context.mode"),
        (
            '{subject: {$.id: {condition: NotEqualsAttribute, ace: resource, path: "$.patient"}}}',
            "subject.id",
        ),
    ],
)
def test_allow_door(conditions, fact):
    """An allow rule that wants a fact to be unknown opens a door, and is refused."""
    text = rule(conditions, targets="{action_id: [policy.read]}").replace("deny", "allow")

    found = mistakes(added(TRY, text))

    assert any(
        m.where == "rule try" and f"allows more when `{fact}` is unknown" in m.message
        for m in found
    )


def test_deny_door():
    """A deny rule that no longer denies when a fact is unknown opens a door, and is refused."""
    name = "rules/90-traces-and-policies.yaml"
    text = rule(
        "{subject: {$.profession: {condition: NotEquals, value: unlisted}}}",
        targets="{action_id: [policy.read]}",
    )

    contents = {**added(TRY, text), name: files()[name]}

    found = only(mistakes(contents))

    assert found[:4] == (TRY, 3, 1, "rule try")
    assert "no longer denies when `subject.profession` is unknown (`unlisted`)" in found[4]
    assert found[5] == "deny for the default too, or name the fact in the allow rule"


BY_AUTHORS = (
    '{resource: {$.author_structure: {condition: IsInAttribute, ace: resource, path: "$.authors"}}}'
)


@pytest.mark.parametrize("target", ["document.read", "document.list", "*"])
def test_what_no_list_can_ask(target):
    """A rule on reading that compares two things of a document is refused: no list could be made by it."""
    targets = f"{{action_id: ['{target}']}}"

    found = only(mistakes(added(TRY, rule(BY_AUTHORS, targets=targets))))

    assert found[:4] == (TRY, 3, 1, "rule try")
    assert found[4].startswith("no list of documents can be asked for: a condition on `resource.")
    assert found[5] == "compare one thing of the document with the subject or the context"


def test_what_no_list_asks():
    """The same rule on an action of which no list is made is sound."""
    text = rule(BY_AUTHORS, targets="{action_id: [document.replace]}")

    assert mistakes(added(TRY, text)) == ()


def test_all_at_once():
    """Several mistakes in several files are all told, in the order of files and lines."""
    contents = {
        **edited("rules/10-who-never.yaml", "condition: Equals", "condition: Equalz"),
        "rules/50-documents.yaml": edited(
            "rules/50-documents.yaml", "effect: deny", "effect: dney"
        )["rules/50-documents.yaml"],
        TRY: THEME.replace("en:", "de:").encode() + rule("{subjct: {}}").split(THEME)[1].encode(),
        "matrix/matrix.csv": files()["matrix/matrix.csv"] + b"p medecin cr read\n",
    }

    found = mistakes(contents)

    assert [(m.path, m.message) for m in found] == [
        ("matrix/matrix.csv", "no comma: casbin would drop the line in silence"),
        ("rules/10-who-never.yaml", "unknown condition: `Equalz`"),
        ("rules/50-documents.yaml", "unknown effect: `dney`"),
        (TRY, "missing key: `en`"),
        (TRY, "unknown key: `de`"),
        (TRY, "unknown key: `subjct`"),
    ]
    assert list(found) == sorted(found)


def test_too_many_alternatives():
    """A rule with more alternatives than can be kept is refused, never cut short."""
    tags = "".join(
        f"  - {{name: subject.{name}, type: choices, origin: caller, default: [], "
        f'values: [{", ".join(f"v{n}" for n in range(40))}], fr: "x", en: "y", source: "z"}}\n'
        for name in ("tags", "marks")
    )
    some = f"{{condition: AnyIn, values: [{', '.join(f'v{n}' for n in range(40))}]}}"
    contents = edited("vocabulary.yaml", "\nactions:\n", f"\n{tags}\nactions:\n")
    contents[TRY] = rule(f"{{subject: {{$.tags: {some}, $.marks: {some}}}}}").encode()

    found = mistakes(contents)

    assert [(m.path, m.message) for m in found] == [(TRY, "too many alternatives: more than 1024")]


def test_sound_again():
    """A rule file that is sound joins the bundle."""
    bundle = build(added(TRY, rule("{subject: {$.kind: " + KIND + "}}")), DMP)

    assert bundle.rule("try") is not None
