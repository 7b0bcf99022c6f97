"""Documents held against an operator's schema and rules; the ones here are tiny and our own."""

import gc
import threading
from pathlib import Path

import pytest

from dossier.cda.validation import Unusable, Validator
from dossier.errors import CdaError, SchemaError
from tests.dossier.cda.samples import GOOD, find, spoil

XSD = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="urn:hl7-org:v3"
  targetNamespace="urn:hl7-org:v3" elementFormDefault="qualified">
<xs:include schemaLocation="types.inc"/>
<xs:element name="ClinicalDocument"><xs:complexType><xs:sequence>
  <xs:element name="realmCode" type="any"/>
  <xs:element name="typeId" type="any"/>
  <xs:element name="templateId" type="any" maxOccurs="unbounded"/>
  <xs:element name="id" type="id"/>
  <xs:element name="code" type="any"/>
  <xs:element name="title" type="title"/>
  <xs:any minOccurs="0" maxOccurs="unbounded" processContents="skip"/>
</xs:sequence></xs:complexType></xs:element></xs:schema>"""
TYPES = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="urn:hl7-org:v3"
  targetNamespace="urn:hl7-org:v3" elementFormDefault="qualified">
<xs:complexType name="any"><xs:sequence>
  <xs:any minOccurs="0" maxOccurs="unbounded" processContents="skip"/></xs:sequence>
  <xs:anyAttribute processContents="skip"/></xs:complexType>
<xs:complexType name="id"><xs:attribute name="root" use="required"/>
  <xs:attribute name="extension"/></xs:complexType>
<xs:simpleType name="title"><xs:restriction base="xs:string">
  <xs:pattern value="Compte rendu.*"/></xs:restriction></xs:simpleType></xs:schema>"""
SCH = """<schema xmlns="http://purl.oclc.org/dsdl/schematron" {attributes}>
<ns prefix="cda" uri="urn:hl7-org:v3"/>
<pattern><rule context="cda:{context}">
  <assert id="T1" role="{role}" test="{test}">the title `<value-of select="."/>` of <name/> is long</assert>
</rule></pattern></schema>"""
TITLE = "/cda:ClinicalDocument/cda:title[1]"


def rules(test: str, attributes: str = "", role: str = "error", context: str = "title") -> str:
    """A schematron with one assertion."""
    return SCH.format(test=test, attributes=attributes, role=role, context=context)


@pytest.fixture
def folder(tmp_path):
    """An operator's folder with a schema in two files."""
    (tmp_path / "CDA.xsd").write_text(XSD, encoding="utf-8")
    (tmp_path / "types.inc").write_text(TYPES, encoding="utf-8")
    return tmp_path


def refused(folder: Path, data: bytes) -> list[tuple[str, str]]:
    """Place and words of every mistake; each place is found in the document."""
    with pytest.raises(CdaError) as caught:
        Validator(folder).check(data)
    assert all(len(find(data, one.xpath)) == 1 for one in caught.value.mistakes)
    assert all(one.line and one.remedy for one in caught.value.mistakes)
    return [(one.xpath, one.wrong) for one in caught.value.mistakes]


def test_what_keeps_the_schema(folder):
    """A document that keeps the schema is taken; what is used is told."""
    validator = Validator(folder)

    validator.check(GOOD)

    assert (("CDA.xsd",), ()) == (validator.uses, validator.unusable)


@pytest.mark.parametrize(
    ("old", "new", "place", "wrong"),
    [
        ("<title>", "<x/><title>", "/cda:ClinicalDocument/cda:x[1]", "not the element that"),
        (
            ' root="1.2.250.1.999.1"',
            "",
            "/cda:ClinicalDocument/cda:id[1]",
            "has no attribute `root`",
        ),
        ("<title>Compte", "<title>DUPONT", TITLE, "breaks the schema (cvc-pattern-valid)"),
        ('<id root="1.', '<id DUPONT="" root="1.', "/cda:ClinicalDocument/cda:id[1]", "breaks the"),
        (
            "<title>",
            "<o:x xmlns:o='urn:o'/><title>",
            "/cda:ClinicalDocument/*[7]",
            "not the element that",
        ),
    ],
)
def test_what_breaks_the_schema(folder, old, new, place, wrong):
    """What breaks the schema is told with its place, and nothing of the document is repeated."""
    found = refused(folder, spoil(old, new))

    assert any(place == xpath and wrong in words for xpath, words in found), found
    assert "DUPONT" not in str(found)


def test_what_the_schema_expects(folder):
    """Where an element is missing, the remedy names what the schema has there."""
    with pytest.raises(CdaError) as caught:
        Validator(folder).check(spoil("title", "titre", spoil("</title", "</titre")))

    assert "put here: cda:title" in str(caught.value)


def test_rules(folder):
    """A rule that is broken is told with its place; what it would quote is left out."""
    (folder / "titles.sch").write_text(rules("string-length(.) &lt; 10"), encoding="utf-8")

    found = refused(folder, GOOD)

    assert [(TITLE, "the title `…` of title is long")] == found


def test_rules_that_quote_twice(folder):
    """However often a rule would quote the document, nothing of it is told."""
    text = rules("false()").replace("<name/> is", '<name/><value-of select="."/> is')
    (folder / "titles.sch").write_text(text, encoding="utf-8")

    found = refused(folder, GOOD)

    assert "the title `…` of title… is long" == found[0][1]


@pytest.mark.parametrize("role", ["warning", "warn", "info", "information"])
def test_warnings_refuse_nothing(folder, role):
    """An assertion that is a warning or for information refuses no document."""
    (folder / "titles.sch").write_text(rules("false()", role=role), encoding="utf-8")

    validator = Validator(folder)
    validator.check(GOOD)

    assert ("CDA.xsd", "titles.sch") == validator.uses


def test_rules_of_a_template(tmp_path):
    """Rules in a folder named like a template hold for documents that bear it, and for no others."""
    for oid in ("1.2.250.1.213.1.1.1.1", "1.2.250.1.213.1.1.1.55"):
        (tmp_path / oid).mkdir()
        text = rules("false()", context="realmCode" if oid.endswith(".1.1") else "title")
        (tmp_path / oid / "rules.sch").write_text(text, encoding="utf-8")

    found = refused(tmp_path, GOOD)

    assert ["/cda:ClinicalDocument/cda:realmCode[1]"] == [xpath for xpath, _ in found]


def test_a_rule_over_attributes(tmp_path):
    """A rule over attributes points at the document, as more is not told of where they are."""
    text = rules("false()").replace("cda:title", "cda:id/@root")
    (tmp_path / "ids.sch").write_text(text, encoding="utf-8")

    assert ("/cda:ClinicalDocument", "the title `…` of root is long") in refused(tmp_path, GOOD)


def test_a_rule_that_breaks_off(folder):
    """A rule that can't be carried out is no fault of the document, and does not let it pass."""
    (folder / "titles.sch").write_text(rules("count() = 1"), encoding="utf-8")
    validator = Validator(folder)

    with pytest.raises(SchemaError, match=r"`titles\.sch` breaks off"):
        validator.check(GOOD)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (rules("true()", 'queryBinding="xslt2"'), "written for `xslt2`: only rules in XPath 1.0"),
        (rules("matches(., 'x')"), "calls `matches`, line"),
        (rules("document('/etc/passwd')"), "calls `document`, line"),
        (rules("xs:date(.) = 1"), "calls `xs:date`, line"),
        (rules("if (true()) then 1 else 2"), "calls `if`, line"),
        (rules("every $x in * satisfies $x"), "no XPath 1.0, line 4"),
        (rules("count(."), "no XPath 1.0, line 4"),
        ("<schema/>", "not usable"),
        ("no XML", "not usable"),
        ("", "not usable"),
    ],
)
def test_rules_that_do_not_run_are_named(folder, text, reason):
    """Rules that need another engine, or are none, are named at start and not skipped in silence."""
    (folder / "titles.sch").write_text(text, encoding="utf-8")

    validator = Validator(folder)

    (unusable,) = validator.unusable
    assert isinstance(unusable, Unusable)
    assert "titles.sch" == unusable.name
    assert reason in unusable.reason
    assert ("CDA.xsd",) == validator.uses


def test_rules_that_include_others(folder):
    """Rules may stand in several files; what those quote is left out, too."""
    whole = rules("string-length(.) &lt; 10")
    start, end = whole.index("<pattern>"), whole.index("</schema>")
    part = whole[start:end].replace(
        "<pattern>", '<pattern xmlns="http://purl.oclc.org/dsdl/schematron" id="p">'
    )
    (folder / "part.inc").write_text(part, encoding="utf-8")
    text = whole[:start] + '<include href="part.inc"/>' + whole[end:]
    (folder / "titles.sch").write_text(text, encoding="utf-8")

    assert [(TITLE, "the title `…` of title is long")] == refused(folder, GOOD)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "nothing usable in"),
        ({"readme.txt": "x"}, "nothing usable in"),
        ({"CDA.xsd": "<x/>"}, "`CDA.xsd` can't be used"),
        ({"CDA.xsd": "x"}, "`CDA.xsd` can't be used"),
        ({"CDA.xsd": XSD}, "`CDA.xsd` can't be used"),
        ({"a.xsd": XSD, "b.xsd": XSD}, "`a.xsd`, `b.xsd`: name the one that counts `CDA.xsd`"),
        ({"t.sch": rules("true()", 'queryBinding="xslt2"')}, "`t.sch`: written for `xslt2`"),
    ],
)
def test_folders_that_can_not_be_used(tmp_path, files, words):
    """A folder of which nothing can be used is an error at start, with the reason."""
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")

    with pytest.raises(SchemaError, match="schemas: ") as caught:
        Validator(tmp_path)

    assert words in str(caught.value)


def test_no_folder(tmp_path):
    """A folder that is not there is an error at start."""
    with pytest.raises(SchemaError, match="no folder `none`"):
        Validator(tmp_path / "none")


def test_schema_where_the_agency_puts_it(tmp_path):
    """The schema is found in the folder's own place for it, extended before plain."""
    below = tmp_path / "infrastructure" / "cda"
    below.mkdir(parents=True)
    for name in ("CDA.xsd", "CDA_extended.xsd"):
        (below / name).write_text(XSD, encoding="utf-8")
    (below / "types.inc").write_text(TYPES, encoding="utf-8")

    assert ("infrastructure/cda/CDA_extended.xsd",) == Validator(tmp_path).uses


def test_hostile_documents_do_not_reach_the_schema(folder):
    """What `read` would refuse as no safe XML is refused here, too."""
    with pytest.raises(CdaError, match="has a DOCTYPE"):
        Validator(folder).check(b"<!DOCTYPE x []><x/>")


def test_many_at_once(folder):
    """Documents of many threads are held against the schema without disturbing each other."""
    (folder / "titles.sch").write_text(rules("string-length(.) &lt; 100"), encoding="utf-8")
    validator = Validator(folder)
    bad = spoil("<title>Compte", "<title>DUPONT")
    answers: list[tuple[bool, bool]] = []

    def work(number: int) -> None:
        wanted = number % 2 == 0
        try:
            validator.check(GOOD if wanted else bad)
        except CdaError:
            answers.append((wanted, False))
        else:
            answers.append((wanted, True))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    assert [(True, True)] * 10 + [(False, False)] * 10 == sorted(answers, reverse=True)


def test_names_are_not_kept(folder):
    """The names of elements that documents bring do not stay in memory."""
    validator = Validator(folder)
    status = Path("/proc/self/statm")
    name = "a-long-name-that-nobody-has-thought-of-before" * 4

    def grown(rounds: int) -> int:
        before = int(status.read_text(encoding="ascii").split()[1])
        for number in range(rounds):
            inner = "".join(f"<{name}{number}-{i}/>" for i in range(20_000))
            validator.check(GOOD.replace(b"<section>", inner.encode() + b"<section>"))
        gc.collect()
        return (int(status.read_text(encoding="ascii").split()[1]) - before) * 4096 >> 20

    grown(2)

    assert grown(6) < 15
