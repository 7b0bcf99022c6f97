"""The header of a document: what is read, what is refused, and how that is told."""

import csv
from datetime import UTC, datetime, timedelta, timezone

import pytest

from dossier import cda
from dossier.cda import Author, Body, Confidentiality, Identifier, Precision, Traits
from dossier.samples.documents import DOCTOR, TRAITS, File, author, document, pdf
from tests.dossier.cda.samples import GOOD, NOW, TYPES, find, mistakes, read, spoil
from tests.shared import shared_data

PARIS_WINTER = timezone(timedelta(hours=1))
CODE = '<code code="11488-4" codeSystem="2.16.840.1.113883.6.1"/>'
DOC = "/cda:ClinicalDocument"
CARE = f"{DOC}/cda:documentationOf[1]/cda:serviceEvent[1]/cda:effectiveTime[1]"
PATIENT = "/cda:ClinicalDocument/cda:recordTarget[1]/cda:patientRole[1]"
AUTHOR = "/cda:ClinicalDocument/cda:author[1]"
KEEPER = f"{DOC}/cda:custodian[1]/cda:assignedCustodian[1]/cda:representedCustodianOrganization[1]"
RELATED = "/cda:ClinicalDocument/cda:relatedDocument[1]"
LATER = document(unique_id="1.2.3.2", set_id="1.2.3", version=2, replaces="1.2.3.1")


def published() -> list[dict[str, str]]:
    """The rows of the manifest of published documents."""
    with shared_data("cda", "manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_header():
    """All that a document says of itself stands in its header."""
    made = datetime(2026, 3, 1, 9, 30, tzinfo=PARIS_WINTER)

    header = read(
        document(
            unique_id="1.2.250.1.999.1^7",
            set_id="1.2.250.1.999.2",
            version=3,
            type_code="SYNTH",
            type_system="1.2.250.1.213.1.1.4.12",
            title="Synthèse <médicale> & suite",
            confidentiality="R",
            made_at=made,
            replaces="1.2.250.1.999.1^6",
            appends="1.2.250.1.999.9",
        )
    )

    assert "1.2.250.1.999.1^7" == header.unique_id
    assert ("1.2.250.1.999.2", 3) == (header.set_id, header.version_number)
    assert ("SYNTH", "1.2.250.1.213.1.1.4.12") == (header.type_code, header.type_system)
    assert "Synthèse <médicale> & suite" == header.title
    assert "fr-FR" == header.language
    assert Confidentiality.RESTRICTED is header.confidentiality
    assert (made, Precision.SECOND) == (header.effective_time, header.effective_precision)
    assert (made, None) == (header.service_start, header.service_stop)
    assert (("1.2.250.1.999.1^6",), ("1.2.250.1.999.9",)) == (header.replaces, header.appends)
    assert ("2.16.840.1.113883.2.8.2.1", "1.2.250.1.213.1.1.1.1") == header.template_ids


def test_people():
    """Patient, authors and the keeper of the original are read as they were written."""
    made = datetime(2026, 3, 1, 9, 30, tzinfo=PARIS_WINTER)
    device = Author(
        ids=(Identifier(root="1.2.250.1.71.4.2.1", extension="518003502400041/1.2.3"),),
        id_nat="518003502400041/1.2.3",
        role="DISPOSITIF",
        role_system="1.2.250.1.213.1.1.4.6",
        device="Tensiomètre",
        time=made,
    )
    human = author("00b1038575", structure="10b0193488")

    header = read(document(unique_id="1.2.3", made_at=made, authors=(human, device)))

    assert TRAITS == header.patient
    assert (
        Identifier(root="1.2.250.1.213.1.4.10", extension="279035121518989"),
    ) == header.patient_ids
    assert ("00B1038575", "10B0193488") == (header.authors[0].id_nat, header.authors[0].structure)
    assert "00b1038575" == header.authors[0].ids[0].extension
    assert device == header.authors[1]
    assert "Cabinet d'essai" == header.custodian.name


def test_traits_of_older_documents():
    """A name without qualifier is that of birth; SP, where it is told, is the one in use."""
    old = '<name><family>NESSI</family><family qualifier="SP">D</family><given>RUTH</given></name>'
    start = GOOD.index(b"<name>")
    end = GOOD.index(b"</name>") + len("</name>")

    traits = read(GOOD[:start] + old.encode() + GOOD[end:]).patient

    expected = Traits(
        family_name="NESSI",
        usage_name="D",
        given_names=("RUTH",),
        birth_date="1979-03-28",
        sex="F",
    )
    assert expected == traits


@pytest.mark.parametrize(
    ("written", "start", "precision"),
    [
        ("2026", datetime(2026, 1, 1, tzinfo=PARIS_WINTER), Precision.YEAR),
        ("202603", datetime(2026, 3, 1, tzinfo=PARIS_WINTER), Precision.MONTH),
        ("20250701", datetime(2025, 6, 30, 22, tzinfo=UTC), Precision.DAY),
        ("2026030109", datetime(2026, 3, 1, 9, tzinfo=PARIS_WINTER), Precision.HOUR),
        ("202603010930", datetime(2026, 3, 1, 9, 30, tzinfo=PARIS_WINTER), Precision.MINUTE),
        ("20260301093001+0000", datetime(2026, 3, 1, 9, 30, 1, tzinfo=UTC), Precision.SECOND),
        (
            "20260301093001.25-0330",
            datetime(2026, 3, 1, 13, 0, 1, 250000, tzinfo=UTC),
            Precision.SECOND,
        ),
    ],
)
def test_times_of_every_precision(written, start, precision):
    """A time may end early and lack its zone: it begins where its first instant is, in Paris."""
    header = read(spoil("20110531090000+0000", written))

    assert start == header.effective_time
    assert precision is header.effective_precision


@pytest.mark.parametrize(
    "written",
    [
        "",
        "now",
        "20260230",
        "2026033",
        "202613",
        "0000",
        "1799",
        "3000",
        "20260301 0930",
        "20260301093001+2500",
        "20260301093001+0160",
        "2026030124",
        "٢٠٢٦",
        "20260301093001.1234567",
    ],
)
def test_times_outside_the_calendar(written):
    """What is no date of the calendar is refused, and not repeated."""
    data = spoil("20110531090000+0000", written)

    (mistake,) = mistakes(data)

    assert "no time of the calendar" == mistake.wrong
    assert [written] == find(data, mistake.xpath)


def test_a_day_is_in_the_future_when_it_has_not_begun():
    """Today, this year and a clock five minutes ahead are not in the future; tomorrow is."""
    ahead = (NOW + timedelta(minutes=5)).strftime("%Y%m%d%H%M%S%z")

    allowed = [mistakes(spoil("20110531090000+0000", w)) for w in ("2026", "20260328", ahead)]
    (refused,) = mistakes(spoil("20110531090000+0000", "20260329"))

    assert [(), (), ()] == allowed
    assert "lies in the future" == refused.wrong


WRONG = {
    "no realm": ('<realmCode code="FR"/>', "", DOC, "has no realmCode"),
    "realm": ('code="FR"', 'code="US"', f"{DOC}/cda:realmCode[1]/@code", "not the French realm"),
    "standard": ("POCD_HD000040", "CDA", f"{DOC}/cda:typeId[1]", "not the standard CDA R2"),
    "CI-SIS": ("1.2.250.1.213.1.1.1.1", "1.2.3", DOC, "does not declare to follow CI-SIS"),
    "HL7": ("2.16.840.1.113883.2.8.2.1", "1.2.3", DOC, "does not declare to follow HL7 France"),
    "blank": ('extension="7"', 'extension="7 "', f"{DOC}/cda:id[1]/@extension", "blanks or unseen"),
    "unseen": ('n="7"', 'n="7&#x202e;"', f"{DOC}/cda:id[1]/@extension", "blanks or unseen"),
    "root": ('"1.2.250.1.999.1"', '"urn:x"', f"{DOC}/cda:id[1]/@root", "neither an OID nor a UUID"),
    "long": ('n="7"', f'n="{"7" * 128}"', f"{DOC}/cda:id[1]", "longer than 128 characters"),
    "two types": (CODE, CODE + CODE, f"{DOC}/cda:code[2]", "a second code"),
    "no type": (CODE, "", DOC, "has no code"),
    "type": ("11488-4", "18842-5", f"{DOC}/cda:code[1]/@code", "no type of document: `18842-5`"),
    "system": (
        'codeSystem="2.16.840.1.113883.6.1"',
        'codeSystem="1.2.250.1.213.1.1.4.12"',
        f"{DOC}/cda:code[1]/@codeSystem",
        "not the system of `11488-4`",
    ),
    "title": ("Compte rendu de consultation", " ", f"{DOC}/cda:title[1]", "is empty"),
    "no time": ('<effectiveTime value="20110531090000+0000"/>', "", DOC, "has no effectiveTime"),
    "no confidentiality": (
        '<confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/>',
        "",
        DOC,
        "has no confidentialityCode",
    ),
    "no language": ('<languageCode code="fr-FR"/>', "", DOC, "has no languageCode"),
    "nobody": (
        '<id root="1.2.250.1.213.1.4.10" extension="279035121518989"/>',
        '<id nullFlavor="UNK"/>',
        PATIENT,
        "the patient has no id",
    ),
    "confidentiality": (
        'code="N"',
        'code="U"',
        f"{DOC}/cda:confidentialityCode[1]/@code",
        "no confidentiality that a header may have",
    ),
    "system of confidentiality": (
        "2.16.840.1.113883.5.25",
        "1.2.3",
        f"{DOC}/cda:confidentialityCode[1]/@codeSystem",
        "not the system of `N`",
    ),
    "language": ("fr-FR", "français", f"{DOC}/cda:languageCode[1]/@code", "no language"),
    "version": (
        'versionNumber value="1"',
        'versionNumber value="0"',
        f"{DOC}/cda:versionNumber[1]/@value",
        "no number from 1 on",
    ),
    "set alone": (
        '<versionNumber value="1"/>',
        "",
        f"{DOC}/cda:setId[1]",
        "has a setId and no versionNumber",
    ),
    "version alone": (
        '<setId root="1.2.250.1.999.1" extension="7-set"/>',
        "",
        f"{DOC}/cda:versionNumber[1]",
        "has a versionNumber and no setId",
    ),
    "two patients": (
        "<recordTarget>",
        "<recordTarget/><recordTarget>",
        f"{DOC}/cda:recordTarget[2]",
        "a second recordTarget",
    ),
    "no role": ("<patientRole>", "<patientRole/><patientRole>", f"{PATIENT[:-3]}[2]", "a second"),
    "no number": (
        '<id root="1.2.250.1.213.1.4.10" extension="279035121518989"/>',
        "",
        PATIENT,
        "the patient has no id",
    ),
    "no author's time": (
        '<author><time value="20110531090000+0000"/>',
        "<author>",
        AUTHOR,
        "has no time",
    ),
    "no author's number": (
        '<id root="1.2.250.1.71.4.2.1" extension="899700218896"/>',
        "",
        f"{AUTHOR}/cda:assignedAuthor[1]",
        "has no id",
    ),
    "no keeper": (
        "<assignedCustodian>",
        "<assignedCustodian/><assignedCustodian>",
        f"{DOC}/cda:custodian[1]/cda:assignedCustodian[2]",
        "a second assignedCustodian",
    ),
    "no keeper's number": (
        '<representedCustodianOrganization>\n<id root="1.2.250.1.71.4.2.2" extension="10B0193488"/>',
        "<representedCustodianOrganization>",
        KEEPER,
        "has no id",
    ),
    "care": ('<low value="2011', '<low value="x', f"{CARE}/cda:low[1]/@value", "no time of the"),
    "care backwards": (
        '<low value="20110531090000+0000"/>',
        '<low value="20110531"/><high value="20110530"/>',
        CARE,
        "ends before it begins",
    ),
    "two bodies": (
        "<component><structuredBody>",
        "<component/><component><structuredBody>",
        f"{DOC}/cda:component[2]",
        "a second component",
    ),
}


@pytest.mark.parametrize(("old", "new", "xpath", "wrong"), WRONG.values(), ids=WRONG)
def test_each_mistake_is_found_at_its_place(old, new, xpath, wrong):
    """Each mistake has a remedy and an XPath, by which another engine finds one place."""
    data = spoil(old, new)

    found = mistakes(data)

    assert any(one.xpath == xpath and wrong in one.wrong for one in found), found
    assert [1] * len(found) == [len(find(data, one.xpath)) for one in found]
    assert all(one.remedy and one.line for one in found)


def test_all_mistakes_are_told_at_once():
    """Whoever sent a document with many mistakes learns of all of them in one answer."""
    data = GOOD
    several = ("realm", "type", "title", "language", "version", "no number", "care")
    for old, new, _, _ in (WRONG[name] for name in several):
        data = spoil(old, new, data)

    found = mistakes(data)

    places = {xpath for _, _, xpath, _ in (WRONG[name] for name in several)}
    assert places <= {one.xpath for one in found}


def test_nothing_of_the_document_is_repeated():
    """Whatever stands in the wrong place, no message repeats it: it may be a name or a number."""
    secret = "DUPONT279035121518989"
    data = GOOD
    for old in ("11488-4", "fr-FR", '"FR"', '"N"', "1.2.250.1.999.1", "20110531090000+0000"):
        data = data.replace(old.strip('"').encode(), secret.encode())
    data = data.replace(b"</title>", f" {secret}</title>".encode())

    found = mistakes(data)

    assert len(found) >= 6
    assert secret not in " ".join(map(str, found))
    assert "279035121518989" not in " ".join(map(str, found))


@pytest.mark.parametrize(
    ("element", "child"),
    [
        ("recordTarget", "recordTarget"),
        ("author", "author"),
        ("custodian", "custodian"),
        ("component", "component"),
    ],
)
def test_what_every_document_has(element, child):
    """A document without patient, author, keeper or body is refused."""
    start = GOOD.index(f"<{element}>".encode())
    end = GOOD.rindex(f"</{element}>".encode()) + len(f"</{element}>")

    found = mistakes(GOOD[:start] + GOOD[end:])

    assert [DOC] == [one.xpath for one in found]
    assert f"no {child}" in found[0].wrong


def test_another_document_is_none_of_ours():
    """XML that is no CDA document has this one mistake."""
    other = b'<ClinicalDocument xmlns="urn:hl7-org:v2"/>'
    prefixed = b'<x:ClinicalDocument xmlns:x="urn:hl7-org:v3"/>'

    assert [("/*", "no CDA document")] == [(m.xpath, m.wrong) for m in mistakes(other)]
    assert [("/*", "no CDA document")] == [(m.xpath, m.wrong) for m in mistakes(b"<html/>")]
    assert len(mistakes(prefixed)) > 10


def test_a_misspelt_type_gets_a_hint():
    """A code that nearly is a known one is told, without repeating what was written."""
    (mistake,) = mistakes(spoil("11488-4", "CERT_DELC"))

    assert "no type of document: what stands here" == mistake.wrong
    assert "did you mean `CERT_DECL`?" == mistake.remedy


@pytest.mark.parametrize(
    ("old", "new", "xpath", "wrong"),
    [
        ('value="2"', 'value="1"', f"{RELATED}/cda:parentDocument[1]", "and is version 1"),
        ("RPLC", "RELATED", f"{RELATED}/@typeCode", "relates in no way that is known"),
        ("1.2.3.1", "1.2.3.2", f"{RELATED}/cda:parentDocument[1]/cda:id[1]", "to itself"),
        ('<id root="1.2.3.1"/>', "", f"{RELATED}/cda:parentDocument[1]", "has no id"),
        (
            '<id root="1.2.3.1"/>',
            '<id root="1.2.3.1"/><versionNumber value="2"/>',
            f"{RELATED}/cda:parentDocument[1]",
            "is no later version",
        ),
        (
            '<id root="1.2.3.1"/>',
            '<id root="1.2.3.1"/><setId root="1.2.4"/>',
            f"{RELATED}/cda:parentDocument[1]",
            "is of another set",
        ),
    ],
)
def test_versions_agree(old, new, xpath, wrong):
    """What replaces another is a later version of the same set, and not of itself."""
    data = spoil(old, new, LATER)

    found = mistakes(data)

    assert [(xpath, True)] == [(one.xpath, wrong in one.wrong) for one in found]
    assert 1 == len(find(data, xpath))


def test_a_patient_without_name_or_role():
    """A patient is told by a role and a family name."""
    nameless = GOOD.replace(b"PAT-TROIS", b"")
    start, end = GOOD.index(b"<patientRole>"), GOOD.index(b"</patientRole>")
    roleless = GOOD[:start] + GOOD[end + len("</patientRole>") :]

    assert ["has no family name"] == [one.wrong for one in mistakes(nameless)]
    assert ["has no patientRole"] == [one.wrong for one in mistakes(roleless)]


def test_headers_do_not_show_themselves():
    """A header that is printed by mistake shows neither names nor numbers."""
    header = read(GOOD)

    shown = f"{header!r} {header.patient!r} {header.authors!r}"

    for secret in ("PAT-TROIS", "279035121518989", "ESSAI", "899700218896", "Compte rendu"):
        assert secret not in shown


def test_a_document_may_tell_less():
    """Set and version together may be missing; an author's time that is none is not known."""
    data = spoil('<setId root="1.2.250.1.999.1" extension="7-set"/>', "")
    data = spoil('<versionNumber value="1"/>', "", data)
    data = spoil('<author><time value="20110531090000+0000"/>', '<author><time value="29"/>', data)

    header = read(data)

    assert ("", 0) == (header.set_id, header.version_number)
    assert header.authors[0].time is None


def test_published_documents():
    """Each of the published French documents is read as its manifest says, and finds its place."""
    for row in published():
        data = shared_data("cda", row["file"]).read_bytes()

        header = read(data)
        first = header.patient_ids[0]
        place = cda.check_about(header, ins=first.extension, types=TYPES)

        written = f"{header.effective_time:%Y%m%d%H%M%S%z}"
        kind = "structuredBody" if header.body.kind == cda.STRUCTURED else "nonXMLBody"
        assert row["typeCode"] == header.type_code == place.code
        assert row["templateIds"].split() == list(header.template_ids)
        assert (row["patientIdRoot"], row["patientIdExtension"]) == (first.root, first.extension)
        assert (row["title"], row["effectiveTime"], row["bodyKind"]) == (
            header.title,
            written,
            kind,
        )
        assert header.body.size > 1000


def test_samples_are_what_they_say():
    """A sample document gives back what it was made of."""
    header = read(
        document(unique_id="1.2.3", body=File(media_type="application/pdf", content=pdf("é")))
    )

    assert "application/pdf" == header.body.kind
    assert (DOCTOR.id_nat, DOCTOR.structure) == (
        header.authors[0].id_nat,
        header.authors[0].structure,
    )
    assert isinstance(header.body, Body)
