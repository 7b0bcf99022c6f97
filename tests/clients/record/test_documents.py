"""Documents at a terminal: `dmp dossier deposit`, `list`, `read`, and what changes them."""

import json

import pytest

from clients.cli import cast
from dossier.samples.documents import File, pdf
from tests.clients.record.conftest import paper

BREAK_GLASS = (
    *("--mode", "bris_de_glace"),
    *("--reason", "risque_vital", "--why", "Patient inconscient"),
)


def test_bytes_come_back_as_they_went(terminal, patient):
    """What `-o` writes, to a file or to standard output, is the deposited document byte for byte."""
    content = paper(patient)
    path = terminal.folder / "note.xml"
    path.write_bytes(content)
    deposited = terminal.data("deposit", patient, path)["deposited"][0]
    copy = terminal.folder / "copy.xml"

    written = terminal.run("read", patient, deposited["document"], "-o", copy)
    printed = terminal.run("read", patient, deposited["document"], "-o", "-")

    assert (written.exit_code, copy.read_bytes()) == (0, content)
    assert (printed.exit_code, printed.stdout_bytes) == (0, content)


def test_read_shows_label_and_text(terminal, patient):
    """Without `-o` people see the label and the lines of the document."""
    document = terminal.deposit(patient)

    shown = terminal.run("read", patient, document)

    assert shown.exit_code == 0
    for words in ("Compte rendu de consultation", "Motif : toux.", "3 Reports", "AUTHOR"):
        assert words in shown.stdout


def test_a_file_in_a_document_is_taken_out(terminal, patient):
    """`--body` writes the PDF that a document carries; a document of text has none."""
    content = pdf("Ordonnance")
    document = terminal.deposit(patient, body=File(media_type="application/pdf", content=content))
    path = terminal.folder / "ordonnance.pdf"

    shown = terminal.run("read", patient, document)
    taken = terminal.run("read", patient, document, "--body", path)
    refused = terminal.run("read", patient, terminal.deposit(patient), "--body", path)

    assert "a file application/pdf" in shown.stdout
    assert (taken.exit_code, path.read_bytes()) == (0, content)
    assert (refused.exit_code, "carries no file" in refused.stderr) == (2, True)


def test_all_or_none(terminal, patient):
    """Of several files one of which can't be taken, none is deposited; the file and its XPath are told."""
    good, bad = terminal.folder / "good.xml", terminal.folder / "bad.xml"
    good.write_bytes(paper(patient))
    bad.write_bytes(paper(patient, type_code="11488-X"))

    refused = terminal.run("deposit", patient, good, bad)

    assert refused.exit_code == 2
    assert "bad.xml/cda:ClinicalDocument/cda:code[1]" in refused.stderr
    assert terminal.data("list", patient)["documents"] == []


def test_the_same_document_twice(terminal, patient):
    """A second deposit of the same document is refused, by the name of its file."""
    path = terminal.folder / "note.xml"
    path.write_bytes(paper(patient))
    first = terminal.run("deposit", patient, path)

    second = terminal.run("deposit", patient, path)

    assert (first.exit_code, second.exit_code) == (0, 1)
    assert "DENY  DUPLICATE  note.xml: its unique id is in the record already" in second.stderr


@pytest.mark.parametrize(
    ("files", "options", "words"),
    [
        (["gone.xml"], (), "No such file"),
        (["a.xml"] * 21, (), "21 files: at most 20"),
        (["a.xml", "b.xml"], ("--replaces", "x"), "one file replaces one document"),
    ],
)
def test_files_that_can_not_be_sent(terminal, patient, files, options, words):
    """What can't be sent is told before the service is asked."""
    refused = terminal.run("deposit", patient, *files, *options)

    assert (refused.exit_code, words in refused.stderr) == (2, True)


def test_list_by_space(terminal, patient):
    """A list has a heading for each space that has documents, and can be narrowed."""
    terminal.deposit(patient, type_code="11502-2", title="Bilan")
    terminal.deposit(patient)

    shown = terminal.run("list", patient)
    narrowed = terminal.data("list", patient, "--space", 5, "--from", "2026-01-01")

    assert shown.stdout.index("3  Reports (1)") < shown.stdout.index("5  Laboratory (1)")
    assert [one["title"] for one in narrowed["documents"]] == ["Bilan"]


def test_pages(terminal, patient):
    """A page ends with where to go on; --all takes all pages."""
    for _ in range(3):
        terminal.deposit(patient)

    first = terminal.data("list", patient, "--page-size", 2)
    second = terminal.data("list", patient, "--page-size", 2, "--cursor", first["cursor"])
    every = terminal.data("list", patient, "--page-size", 2, "--all")

    assert (len(first["documents"]), len(second["documents"])) == (2, 1)
    assert len({one["document"] for one in every["documents"]}) == 3
    assert every["cursor"] == ""


def test_masked(terminal, patient):
    """What the patient masks, an authorised pharmacist neither lists nor reads; its author does."""
    document, holder = terminal.deposit(patient), terminal.speaker(patient)
    pharmacist = cast.PHARMACIST.subject.id
    terminal.data("rights", "grant", patient, pharmacist, "--as", holder)
    before = terminal.data("list", patient, "--as", "pharmacist")

    masked = terminal.run("mask", patient, document, "--as", holder, "--yes")

    after = terminal.data("list", patient, "--as", "pharmacist")
    refused = terminal.run("read", patient, document, "--as", "pharmacist")
    assert (masked.exit_code, len(before["documents"]), len(after["documents"])) == (0, 1, 0)
    assert (refused.exit_code, "DOCUMENT_UNAVAILABLE" in refused.stderr) == (1, True)
    assert "masked" in terminal.run("list", patient).stdout


def test_hidden_until_announced(terminal, patient):
    """A document hidden from the patient is neither listed nor read until its author shows it."""
    document, holder = terminal.deposit(patient, "--hidden-from-patient"), terminal.speaker(patient)
    hidden = terminal.run("read", patient, document, "--as", holder)
    warned = terminal.run("read", patient, document)

    shown = terminal.run("show-to-patient", patient, document, "--yes")

    assert (hidden.exit_code, "DOCUMENT_UNAVAILABLE" in hidden.stderr) == (1, True)
    assert warned.stdout.startswith("! The patient can't see this document yet")
    assert shown.exit_code == 0
    assert terminal.run("read", patient, document, "--as", holder).exit_code == 0


def test_replaced(terminal, patient):
    """A new version takes the place of the old one, which is listed on request alone."""
    root = "1.2.250.1.213.9.77"
    old = terminal.deposit(patient, unique_id=f"{root}^{patient}")
    new = terminal.deposit(
        *(patient, "--replaces", old),
        unique_id=f"{root}^{patient}-2",
        replaces=f"{root}^{patient}",
        version=2,
    )

    now = terminal.data("list", patient)["documents"]
    both = terminal.data("list", patient, "--status", "approved", "--status", "deprecated")

    assert [(one["document"], one["version"]) for one in now] == [(new, 2)]
    assert {one["document"] for one in both["documents"]} == {old, new}
    assert "An older version." in terminal.run("read", patient, old).stdout


def test_archived_and_deleted(terminal, patient):
    """An archived document is listed on request; one that its author deleted never again."""
    document = terminal.deposit(patient)
    assert terminal.run("archive", patient, document, "--yes").exit_code == 0
    archived = terminal.data("list", patient, "--status", "archived")["documents"]
    assert terminal.run("unarchive", patient, document, "--yes").exit_code == 0

    deleted = terminal.run("delete", patient, document, "--yes")

    again = terminal.run("delete", patient, document, "--yes")
    statuses = [
        word for name in ("approved", "deprecated", "archived") for word in ("--status", name)
    ]
    assert [one["document"] for one in archived] == [document]
    assert deleted.exit_code == 0
    assert again.exit_code == 1
    assert terminal.data("list", patient, *statuses)["documents"] == []


def test_locate(terminal, patient):
    """An author finds the id of a document by the id that its producer gave it."""
    document = terminal.deposit(patient, unique_id=f"1.2.250.1.213.9.78^{patient}")

    found = terminal.run("locate", patient, f"1.2.250.1.213.9.78^{patient}")

    assert (found.exit_code, found.stdout.strip()) == (0, document)


def test_an_emergency_is_marked_from_top_to_bottom(terminal, patient):
    """In break-glass a banner stands above and below, and each line between bears its mark."""
    document = terminal.deposit(patient)

    shown = terminal.run("read", patient, document, "--as", "stranger", *BREAK_GLASS)

    lines = [line for line in shown.stdout.splitlines() if line]
    assert shown.exit_code == 0
    assert lines[0].startswith(" BREAK-GLASS  emergency access")
    assert lines[-1] == lines[0]
    assert all(line.startswith("▌ ") for line in lines[1:-1])


def test_an_emergency_needs_a_reason(terminal, patient):
    """Break-glass without a reason is refused, says how to give one, and is marked too."""
    refused = terminal.run("list", patient, "--as", "stranger", "--mode", "bris_de_glace")

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "BREAK_GLASS_REASON_MISSING" in refused.stderr
    assert "--reason risque_vital" in refused.stderr
    assert refused.stderr.startswith(" BREAK-GLASS")


def test_pathway(terminal, patient):
    """The care pathway draws a line for each document, by month, the latest first."""
    terminal.deposit(patient, title="Bilan", type_code="11502-2")
    shown = terminal.run("pathway", patient, "--lang", "fr")

    lines = shown.stdout.splitlines()
    assert shown.exit_code == 0
    assert lines[0] == "━━ 2026 ━━"
    assert "┣━ 2026-05" in lines[2]
    assert "Bilan" in lines[3]
    assert "Analyses de laboratoire" in lines[3]


def test_json_of_a_refusal(terminal, patient):
    """With --json a refusal is one object: the reason code, both sentences, the decision."""
    refused = terminal.run("list", patient, "--as", "stranger", *BREAK_GLASS[:2], "--json")

    told = json.loads(refused.stdout)["refused"]
    assert (refused.exit_code, told["reason_code"]) == (1, "BREAK_GLASS_REASON_MISSING")
    assert told["told"]["fr"] != told["told"]["en"]
    assert len(told["decision_id"]) == 36


def test_a_sample_can_be_deposited(terminal, patient):
    """A sample by whoever speaks, about someone on a card, is deposited and replaced as it is."""
    card, first, second = (terminal.folder / name for name in ("card.yaml", "1.xml", "2.xml"))
    about = ("--card", card, "--person", 1)
    written = terminal.data("sample", first, *about, "--type", "57833-6", "--pdf")
    deposited = terminal.data("deposit", patient, first)["deposited"][0]
    terminal.data("sample", second, *about, "--type", "57833-6", "--replaces", written["unique_id"])

    replaced = terminal.run("deposit", patient, second, "--replaces", deposited["document"])

    assert deposited["unique_id"] == written["unique_id"]
    assert first.stat().st_size == written["size"]
    assert replaced.exit_code == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--type", "SYNTHE"), "did you mean `SYNTH`"),
        (("--person", 9), "no number 9 on the card"),
    ],
)
def test_a_sample_of_nothing(terminal, patient, options, words):
    """A type or a person that there is not is named, and no file is written."""
    path = terminal.folder / "sample.xml"

    refused = terminal.run(
        "sample", path, *("--card", terminal.folder / "card.yaml", "--person", 1), *options
    )

    assert (refused.exit_code, words in refused.stderr, path.exists()) == (2, True, False), patient
