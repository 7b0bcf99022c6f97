"""YAML with positions: what is data is read, whatever else YAML can do is refused, and nothing raises."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from authz.source import MAX_BYTES, MAX_DEPTH, Mistakes, Node, node_of, parse


def told(data: bytes) -> list[str]:
    """What is wrong with a file, as an officer sees it."""
    return [str(mistake) for mistake in parse(data, path="a.yaml")[1]]


def plain(text: str) -> object:
    """The value of a document without mistakes."""
    node, mistakes = parse(text.encode(), path="a.yaml")
    assert mistakes == []
    assert node is not None
    return node.plain()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("True", "True"),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("''", ""),
        ("'true'", "true"),
        ('"10"', "10"),
        ("10", 10),
        ("-10", -10),
        ("010", 10),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("1e3", "1e3"),
        ("1.0", "1.0"),
        ("1234567890123456", "1234567890123456"),
        ("2026-05-04", "2026-05-04"),
        ("12:30:00", "12:30:00"),
        ("<<", "<<"),
        ("[a, 'b', 3]", ["a", "b", 3]),
        ("{a: {b: [c]}}", {"a": {"b": ["c"]}}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("a: >\n  x\n  y\n", {"a": "x y\n"}),
        ("a: l'œuvre d'Émile", {"a": "l'œuvre d'Émile"}),
        ('a: "\\u00e9\\t"', {"a": "é\t"}),
        ("a:", {"a": None}),
        ("? a\n: b", {"a": "b"}),
        ("<<: {a: b}", {"<<": {"a": "b"}}),
        ("\ufeffa: b", {"a": "b"}),
        ("%YAML 1.2\n---\na: b\n...\n", {"a": "b"}),
    ],
)
def test_scalars(text, expected):
    """Only `true`, `false`, `null` and decimal integers are not text, and only when they are not quoted."""
    found = plain(text)

    assert found == expected
    assert type(found) is type(expected)


def test_positions():
    """Every value and every key knows its line and column, counted from 1."""
    node, _ = parse(b"# comment\nrules:\n  - uid: a\n    when: {x: 'y'}\n", path="a.yaml")
    assert node is not None

    rule = node.items["rules"].sequence[0]

    places = {key: (value.line, value.column) for key, value in rule.items.items()}
    assert places == {"uid": (3, 10), "when": (4, 11)}
    assert rule.keys == {"uid": (3, 5), "when": (4, 5)}
    assert (rule.items["when"].items["x"].line, rule.items["when"].items["x"].column) == (4, 15)
    assert {rule.path, rule.items["uid"].path} == {"a.yaml"}


TAGGED = "a.yaml:1:4: file: anchors and tags are not data (write the value out)"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "a.yaml:1:1: file: empty file (remove it, or write its content)"),
        (b"# nothing\n", "a.yaml:1:1: file: empty file (remove it, or write its content)"),
        (b"a: *b", "a.yaml:1:4: file: alias `*b` (write the value out)"),
        (b"a: &b c", TAGGED),
        (b"a: !!python/name:os.system x", TAGGED),
        (b"!x {a: b}", "a.yaml:1:1: file: anchors and tags are not data (write the value out)"),
        (b"a: b\n---\nc: d", "a.yaml:2:1: file: a second document in one file (split it)"),
        (b"a: b\nc: d\na: e", "a.yaml:3:1: file: duplicate key: `a` (keep one of the two)"),
        (b"1: b", "a.yaml:1:1: file: a key must be text, not `1` (put it in quotes)"),
        (b"true: b", "a.yaml:1:1: file: a key must be text, not `True` (put it in quotes)"),
        (b": b", "a.yaml:1:1: file: a key must be text, not `None` (put it in quotes)"),
        (b"? [a, b]\n: c", "a.yaml:1:3: file: a key must be text, not `['a', 'b']` (put it in quotes)"),
        (b"a: b\n\xff", "a.yaml:2:1: file: not UTF-8: byte 0xff (save the file as UTF-8)"),
        (b"ab: \xc3(", "a.yaml:1:5: file: not UTF-8: byte 0xc3 (save the file as UTF-8)"),
        ("a: b\nc: \u202eyes".encode(), "a.yaml:2:4: file: invisible character U+202E (remove it)"),
        ("a: b # \u2066".encode(), "a.yaml:1:8: file: invisible character U+2066 (remove it)"),
        ("a\u200b: b".encode(), "a.yaml:1:2: file: invisible character U+200B (remove it)"),
        ("a: b\ufeff".encode(), "a.yaml:1:5: file: invisible character U+FEFF (remove it)"),
        ("a: b\u2028c: d".encode(), "a.yaml:1:5: file: invisible character U+2028 (remove it)"),
        ("a: b\u0085c: d".encode(), "a.yaml:1:5: file: invisible character U+0085 (remove it)"),
        (b"a: \x00", "a.yaml:1:4: file: invisible character U+0000 (remove it)"),
        (b'a: "\\u202e"', "a.yaml:1:4: file: invisible character U+202E (remove it)"),
        (b'"a\\u200b": b', "a.yaml:1:1: file: invisible character U+200B (remove it)"),
        (b'a: "\\0"', "a.yaml:1:4: file: invisible character U+0000 (remove it)"),
        (b'a: "\\ud800"', "a.yaml:1:4: file: invisible character U+D800 (remove it)"),
        (b'a: "\\U00110000"', "a.yaml:1:1: file: not YAML: ValueError while reading it"),
        (b'a: "\\UFFFFFFFF"', "a.yaml:1:1: file: not YAML: OverflowError while reading it"),
        (b"%YAML 1.99\n---\na: b", "a.yaml:1:1: file: not YAML: AssertionError while reading it"),
        (b"a: [b", "a.yaml:1:6: file: not YAML: expected ',' or ']', but got '<stream end>'"),
        (b"a: b: c", "a.yaml:1:5: file: not YAML: mapping values are not allowed here"),
        (b"\ta: b", "a.yaml:1:1: file: not YAML: found character '\\t' that cannot start any token"),
    ],
)  # fmt: skip
def test_refused(data, expected):
    """Whatever is not plain data is refused, with its place and what to do."""
    assert expected in told(data)


@pytest.mark.parametrize("text", ["[" * 5_000, "{a: " * 5_000, "- " * 5_000, "? " * 5_000])
def test_deep(text):
    """Nesting that would exhaust the stack is refused at a depth that no policy needs."""
    found = told(text.encode())

    assert len(found) == 1
    assert f"nested deeper than {MAX_DEPTH} levels (flatten it)" in found[0]


def test_as_deep_as_can_be():
    """Nesting up to the limit is read."""
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH

    assert told(text.encode()) == []
    assert told(f"[{text}]".encode()) != []


def test_large():
    """A file is read up to its greatest size, and not a byte above."""
    data = b"a: " + b"x" * (MAX_BYTES - 3)

    assert told(data) == []
    assert told(data + b"x") == [
        f"a.yaml:1:1: file: too large: {MAX_BYTES + 1} bytes, at most {MAX_BYTES} (split it by theme)"
    ]


def test_bomb():
    """A bomb of aliases is refused at its first one, before anything grows."""
    lines = [
        "a: &a [x, x]",
        *(f"{n}: &{n} [*{p}, *{p}]" for p, n in zip("abcdefgh", "bcdefghi", strict=True)),
    ]

    node, _ = parse("\n".join(lines).encode(), path="a.yaml")

    assert node is None


PIECES = st.sampled_from(
    [
        *"'\"\n :-[]{}&*!%|>?\\\t#,\r~aé\x85\ufeff",
        *("---\n", "...\n", "%YAML 1.1\n", "<<: ", "\\U00110000", "\\xff", "rules:", "- uid: x\n"),
        *("  ", "null", "!!str ", "&a ", "*a "),
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(st.binary(max_size=60), st.lists(PIECES, max_size=25).map("".join).map(str.encode))
)
@example(b'"\\UFFFFFFFF"')
@example(b"%YAML 1.9999999999999999999999\n---\n")
@example(b"\xef\xbb\xbf\xef\xbb\xbf")
def test_never_raises(data):
    """Whatever the bytes, there is a value or a mistake with a place in the file, and never an exception."""
    node, mistakes = parse(data, path="a.yaml")

    lines = data.count(b"\n") + data.count(b"\r") + 1
    assert node is not None or mistakes
    assert all(1 <= m.line <= lines + 1 and m.column >= 1 for m in mistakes)
    if node is not None and not mistakes:
        assert node_of(node.plain(), "a.yaml").plain() == node.plain()


def test_node_of():
    """A plain document becomes a tree; what no document can hold is an error of the programmer."""
    document = {"a": ["b", 1, True, None, {"c": "d"}]}

    tree = node_of(document, "a.yaml")

    assert tree.plain() == document
    with pytest.raises(TypeError):
        node_of({"a": 1.5}, "a.yaml")


def test_sequence():
    """A lone value counts as a list of one, nothing as an empty one; only a mapping has items."""
    one, none, several = (node_of(value, "") for value in ("x", None, ["x", "y"]))

    assert [len(node.sequence) for node in (one, none, several)] == [1, 0, 2]
    assert [node.items for node in (one, none, several)] == [{}, {}, {}]


def test_notes_of_mistakes():
    """A mistake is noted at the node, or at the key that is wrong, with what would be right."""
    node, _ = parse(b"uid: x\n  \nefect: [allow]\n", path="a.yaml")
    assert node is not None
    mistakes = Mistakes()

    readable = mistakes.keys(node, "rule x", required=("uid", "effect"), optional=("priority",))
    text = mistakes.text(node.items["efect"], "rule x", "effect")
    named = mistakes.one_of(node.items["uid"], "rule x", "name", ["y", "z"])
    unnamed = mistakes.keys(node.items["uid"], "rule x", required=())

    assert (readable, text, named, unnamed) == (False, "", "", False)
    assert [str(mistake) for mistake in mistakes.found] == [
        "a.yaml:3:1: rule x: unknown key: `efect` (did you mean `effect`?)",
        "a.yaml:1:1: rule x: missing key: `effect`",
        "a.yaml:3:8: rule x: `effect` must be a text that is not blank (put it in quotes)",
        "a.yaml:1:6: rule x: unknown name: `x` (known: `y`, `z`)",
        "a.yaml:1:6: rule x: a mapping of `key: value` is expected here",
    ]


def test_text():
    """A text is a text that says something; what is missing was noted before."""
    mistakes = Mistakes()

    found = [mistakes.text(Node(v, "", 1, 1), "", "") for v in ("x", " ", 1, True, None, [])]

    assert found == ["x", "", "", "", "", ""]
    assert len(mistakes.found) == 5
    assert mistakes.text(None, "", "") == ""
    assert len(mistakes.found) == 5
