"""`dmp audit accesses`: the patient's view at a terminal, as a sheet, and as a page to keep."""

import asyncio
import csv
import io
import json
import stat
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from typer.testing import CliRunner

from audit.v1 import audit_pb2 as pb
from authz.v1 import authz_pb2 as authz
from clients.cli.app import app
from clients.cli.audit import page, sheet
from clients.cli.audit import patientwords as words
from clients.cli.show import Said
from tests.audit.office.served import running
from tests.service import ANASTA, doctor, reading, stranger

ATTACK = "<script>alert(1)</script>"
AT = datetime(2026, 5, 4, 22, 30, tzinfo=UTC)
FRAME = page.Frame(
    patient=ANASTA,
    asked=[Said("Refus", "Refusals")],
    made_at=AT,
    complete_until=None,
    decision="019df26e-2ee0-758c-b4af-34bf0e7e0649",
)


def access(**fields):
    """A line, whose texts are hostile where they come from outside."""
    at = Timestamp()
    at.FromDatetime(AT)
    plain = {
        "at": at,
        "who": authz.Subject(kind="professional", id="=1+1", name=ATTACK, profession="10"),
        "action": "document.read",
        "document": "doc-1",
        "type": "11488-4",
        "space": "3",
        "category": "document",
        "origin": "10B0193488",
        "mode": "bris_de_glace",
        "reason": authz.Reason(code="risque_vital", text=f'"{ATTACK}\n'),
        "effect": "allow",
        "reason_code": "BREAK_GLASS",
        "fr": "Bris de glace.",
        "en": "Break-glass.",
        "service": "dossier",
        "decision_id": "019df26e-2e59-75c5-95bf-3169f7dd6e0a",
        "review": "justified",
        "further": [pb.Further(action="document.read", effect="deny")],
    }
    return pb.Access(**{**plain, **fields})


class Reader(HTMLParser):
    """Which elements a page has, and which attributes lead elsewhere."""

    def __init__(self):
        super().__init__()
        self.elements: set[str] = set()
        self.leading: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.leading += [name for name, _ in attrs if name in ("src", "href", "action", "srcset")]
        self.leading += [name for name, _ in attrs if name.startswith("on")]


def test_page_is_one_file_without_script():
    """The page loads nothing, runs nothing, and what stands in the log is text in it."""
    text = page.write(FRAME, [access(), access(effect="deny", mode="normal", document="")])
    found = Reader()
    found.feed(text)
    assert not found.elements & {"script", "img", "link", "iframe", "object", "form", "a"}
    assert not found.leading
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text
    assert ATTACK not in text
    assert "&lt;script&gt;" in text


def test_page_says_everything_in_both_languages():
    """French first, English beside it; the day and hour are those of France."""
    text = page.write(FRAME, [access()])
    for said in (
        *("Mardi 5 mai 2026", "00:30", "médecin", "physician", "Comptes rendus", "Reports"),
        *("BRIS DE GLACE", "risque vital", "danger to life", "examiné : justifié", "10B0193488"),
        *("reviewed: justified", "dossier", "Bris de glace.", "Break-glass.", "doc-1", ANASTA),
        *("1 vérification(s) par le service, sans accès", "Refus", "019df26e-2e59"),
    ):
        assert said in text
    assert text.index("Permis") < text.index("Allowed")


def test_document_that_is_not_named_says_so():
    """Where no document is told, the page says that it is not named."""
    text = page.write(FRAME, [access(document="", type="", space="")])
    assert "document non nommé" in text
    assert "11488-4" not in text


def test_page_without_lines():
    """Nothing to show is said."""
    assert "Aucun accès à montrer." in page.write(FRAME, [])


@pytest.mark.parametrize(
    "begin", ["=", "+", "-", "@", "\t", "\r", " =", '"=', "\u00a0=", "\u200b=", "\uff1d"]
)
def test_no_cell_is_a_formula(begin):
    """What a spreadsheet would compute is text."""
    assert sheet.safe(f"{begin}cmd|' /C calc'!A0").startswith("'")
    assert sheet.safe("10B0193488") == "10B0193488"
    assert sheet.safe("2026-05-04 22:30") == "2026-05-04 22:30"


def test_sheet_holds_every_column():
    """A line of the sheet has all that a line of the view has, and opens as UTF-8."""
    text = sheet.write([access(), access(fr="Étrange, « à voir »")])
    assert text.startswith("\N{ZERO WIDTH NO-BREAK SPACE}")
    rows = list(csv.DictReader(io.StringIO(text[1:], newline="")))
    assert len(rows) == 2
    assert rows[0]["at"] == "2026-05-04T22:30:00.000Z"
    assert rows[0]["at_france"] == "2026-05-05 00:30:00"
    assert rows[0]["person_id"] == "'=1+1"
    assert rows[0]["origin"] == "10B0193488"
    assert rows[1]["why_fr"] == "Étrange, « à voir »"
    assert set(rows[0]) == set(sheet.COLUMNS)


def test_every_category_and_kind_has_words():
    """What is not known is told as it is, and nobody is nameless."""
    assert words.data(access(category="list_of_documents")).fr == "la liste des documents"
    assert words.data(access(category="strange")).fr == "strange"
    assert words.person(access(who=authz.Subject(kind="service", id="audit"))).en == (
        "Digital service “audit”"
    )
    assert words.person(access(who=authz.Subject(kind="patient", id=ANASTA))).fr == "Patient"


# Over the line


async def commands(folder, *several):
    """Commands of a patient whose record was opened, read, and tried by a stranger; their results."""
    runner = CliRunner(env={"NO_COLOR": "1", "COLUMNS": "200", "LC_ALL": "C"})
    async with running(folder) as audit:
        await audit.open(treating_doctor=True)
        await audit.decide(reading(doctor()))
        await audit.decide(reading(stranger()))
        await audit.settled()
        results = []
        for arguments in several:
            line = ["audit", "accesses", ANASTA, "--address", audit.service.addresses[0]]
            results.append(await asyncio.to_thread(runner.invoke, app, [*line, *arguments]))
        return results


async def test_patient_at_a_terminal(tmp_path):
    """As a table, as data, and as files for the patient alone; a file that is there is left alone."""
    who, out = ("--as", "patient"), tmp_path / "accesses.html"
    table, data, refused, file, again, sheet_, wrong = await commands(
        tmp_path,
        who,
        (*who, "--json"),
        (*who, "--refused", "--format", "json"),
        (*who, "--format", "html", "-o", str(out)),
        (*who, "--format", "html", "-o", str(out)),
        (*who, "--format", "csv", "--who", stranger().id),
        (*who, "--from", "yesterday"),
    )
    assert table.exit_code == 0, table.output
    assert "Dr AUTRE" in table.output
    lines = json.loads(data.stdout)["accesses"]
    assert {"document.read", "dossier.create"} <= {line["action"] for line in lines}
    assert [line["effect"] for line in json.loads(refused.stdout)["accesses"]] == ["deny"]
    assert file.exit_code == 0
    assert "Qui a consulté mon dossier médical" in out.read_text(encoding="utf-8")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert again.exit_code == 2
    assert "is there already" in again.output
    assert len(sheet_.stdout.splitlines()) == 2
    assert wrong.exit_code == 2
    assert "from" in wrong.output


async def test_stranger_is_refused(tmp_path):
    """Who may not look is told why, and exits with 1; no file is left."""
    out = tmp_path / "accesses.csv"
    told, kept = await commands(
        tmp_path,
        ("--as", "stranger"),
        ("--as", "stranger", "--format", "csv", "-o", str(out)),
    )
    assert told.exit_code == kept.exit_code == 1
    assert "TRACE_RESERVED" in told.output
    assert not out.exists()
