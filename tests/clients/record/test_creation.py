"""From a card to a dossier: `dmp dossier card`, `create`, `find`, `close`, `reopen`."""

import json
import re

import pytest

from tests.clients.record.conftest import card

ANSWERS = ("--answers", "oui oui non oui oui")
ADDRESS = ("--street", "3 rue des Essais", "--city", "Poitiers")


def test_card_shows_who_is_on_it(terminal):
    """Each person is shown with number, name, birth date, INS and the state of the dossier."""
    path = card(terminal.folder / "card.yaml", child_born="2020-02-14")

    shown = terminal.run("card", path, "--lang", "fr")

    assert shown.exit_code == 0
    first, second = (line.split() for line in shown.stdout.splitlines()[2:4])
    assert (first[0], first[1:3], first[3]) == ("1", ["ESSAI", "DOMINIQUE"], "1979-03-28")
    assert re.fullmatch("[0-9]{22}", first[4])
    assert " ".join(first[5:]) == " ".join(second[5:]) == "DMP non créé"


def test_who_has_no_number_is_shown_all_the_same(terminal):
    """A person of whom no INS follows from the card is shown with the reason, and asked nothing about."""
    path = terminal.folder / "card.yaml"
    path.write_text(
        'persons: [{family_name: ESSAI, given_names: [NOA], birth_date: "2026-01-06"}]', "utf-8"
    )

    shown = terminal.run("card", path)
    refused = terminal.run("create", "--card", path, "--person", 1, *ADDRESS, *ANSWERS)

    assert (shown.exit_code, "nir: none of the person's own" in shown.stdout) == (0, True)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "--person 1: no number" in refused.stderr


def test_create_with_the_answers_that_are_shown(terminal):
    """Enter at each question takes the answers of the deck: yes, yes, no, yes, yes."""
    path = card(terminal.folder / "card.yaml")

    created = terminal.run("create", "--card", path, "--person", 1, *ADDRESS, input="\n" * 5)
    shown = json.loads(terminal.run("card", path, "--json").stdout)[0]

    assert created.exit_code == 0
    assert "DMP created" in created.stdout
    assert shown["dossier"]["dossier"] == "open"
    assert shown["dossier"]["authorisation"] == "valid"
    assert not shown["dossier"]["treating_doctor"]


@pytest.mark.parametrize("answers", [("--answers", "non oui non oui oui"), ()])
def test_no_dossier_without_consent(terminal, answers):
    """A no to the first question creates nothing, asks no further, and exits with 1."""
    path = card(terminal.folder / "card.yaml")

    refused = terminal.run(
        "create", "--card", path, "--person", 1, *ADDRESS, *answers, input="non\n"
    )
    shown = json.loads(terminal.run("card", path, "--json").stdout)[0]

    assert (refused.exit_code, refused.stdout.strip()) in ((1, ""), (1, "non"))
    assert "without the person's consent" in refused.stderr
    assert shown["dossier"]["dossier"] == "none"


def test_the_letter_holds_both_codes_and_the_screen_one(terminal):
    """The letter has two parts to detach, only its owner can read it, and no password is ever shown."""
    path, letter = card(terminal.folder / "card.yaml"), terminal.folder / "letter.txt"

    created = terminal.run(
        *("create", "--card", path, "--person", 1, *ANSWERS, "--lang", "fr"),
        *("--phone", "+33639980001", "--letter", letter, "--json"),
    )

    text = letter.read_text(encoding="utf-8")
    login = re.search("Identifiant de connexion : (\\S+)", text)[1]
    password = re.search("Mot de passe temporaire : (\\S+)", text)[1]
    answer = json.loads(created.stdout)
    assert created.exit_code == 0
    assert answer["account"] == {"login": login, "temporary_password": ""}
    assert password not in created.output
    assert text.index("PARTIE 1") < text.index("détacher ici", text.index("PARTIE 1"))
    assert text.index("PARTIE 2") > text.index("PARTIE 1")
    assert letter.stat().st_mode & 0o077 == 0


def test_codes_need_a_letter(terminal):
    """With a mobile phone an account is made, so without --letter nothing is created."""
    path = card(terminal.folder / "card.yaml")

    refused = terminal.run(
        *("create", "--card", path, "--person", 1, *ANSWERS, "--phone", "+33639980001")
    )

    assert refused.exit_code == 2
    assert "name a file for the letter with --letter" in refused.stderr


def test_a_letter_overwrites_nothing(terminal):
    """A file that is there already is not written over, and then nothing is created either."""
    path, letter = card(terminal.folder / "card.yaml"), terminal.folder / "letter.txt"
    letter.write_text("mine", encoding="utf-8")

    refused = terminal.run(
        *("create", "--card", path, "--person", 1, *ANSWERS),
        *("--phone", "+33639980001", "--letter", letter),
    )

    assert (refused.exit_code, letter.read_text(encoding="utf-8")) == (2, "mine")
    assert (
        json.loads(terminal.run("card", path, "--json").stdout)[0]["dossier"]["dossier"] == "none"
    )


def test_no_letter_of_a_dossier_that_was_not_created(terminal, patient):
    """When the creation is refused, the place of the letter is given back."""
    letter = terminal.folder / "letter.txt"

    refused = terminal.run(
        *("create", "--card", terminal.folder / "card.yaml", "--person", 1, *ANSWERS),
        *("--phone", "+33639980001", "--letter", letter),
    )

    assert (refused.exit_code, letter.exists()) == (1, False)
    assert "DOSSIER_EXISTS" in refused.stderr
    assert patient not in refused.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--answers", "oui oui"), "2 words: give five"),
        (("--answers", "oui oui peut-être oui oui"), "`peut-être`: say `oui` or `non`"),
        (("--guardian", "FTH"), "write number on the card and relation, as 1:FTH"),
        (("--guardian", "7:FTH"), "no number 7 on the card"),
    ],
)
def test_what_can_not_be_used(terminal, options, words):
    """Answers and guardians that can't be used are named, with how to write them."""
    path = card(terminal.folder / "card.yaml")
    answers = () if options[0] == "--answers" else ANSWERS

    refused = terminal.run("create", "--card", path, "--person", 1, *ADDRESS, *answers, *options)

    assert (refused.exit_code, words in refused.stderr) == (2, True)


def test_a_minor_has_guardians(terminal):
    """The representative of a minor, who is on the same card, is recorded and may then decide."""
    path = card(terminal.folder / "card.yaml", child_born="2020-02-14")
    parent, minor = (
        one["patient"] for one in json.loads(terminal.run("card", path, "--json").stdout)
    )
    created = terminal.run(
        *("create", "--card", path, "--person", 2, *ANSWERS, *ADDRESS, "--guardian", "1:mth")
    )

    shown = terminal.data("show", minor)
    father = terminal.speaker(parent, "representative")
    listed = terminal.run("list", minor, "--as", father)

    assert created.exit_code == 0
    assert [(one["id"], one["relation"]) for one in shown["guardians"]] == [(parent, "MTH")]
    assert listed.exit_code == 0


def test_close_and_reopen(terminal, patient):
    """A dossier closed at request is not read, is found closed, and is read again once reopened."""
    closed = terminal.run("close", patient, "--agreement", "--text", "Demande orale", "--yes")
    found = terminal.data("find", patient)
    refused = terminal.run("list", patient)
    reopened = terminal.run("reopen", patient, *ANSWERS)
    listed = terminal.run("list", patient)

    assert (closed.exit_code, found["dossier"]) == (0, "closed")
    assert found["closure_reason"] == "FERMETURE_DEMANDE_PATIENT"
    assert (refused.exit_code, "DOSSIER_CLOSED" in refused.stderr) == (1, True)
    assert "dmp dossier reopen INS" in refused.stderr
    assert (reopened.exit_code, listed.exit_code) == (0, 0)


def test_closing_is_confirmed(terminal, patient):
    """Where nobody can be asked, a dossier is closed with --yes alone."""
    refused = terminal.run("close", patient, "--agreement")

    assert (refused.exit_code, "add --yes" in refused.stderr) == (2, True)
    assert terminal.data("find", patient)["dossier"] == "open"


def test_update_changes_what_is_named(terminal, patient):
    """A changed phone leaves the name and the address as they were."""
    before = terminal.data("show", patient)["administrative"]

    changed = terminal.run("update", patient, "--phone", "+33639980002")

    after = terminal.data("show", patient)["administrative"]
    assert changed.exit_code == 0
    assert after["contact"].pop("phone") == "+33639980002"
    before["contact"].pop("phone")
    assert before == after


def test_nothing_to_update(terminal, patient):
    """An update that names nothing asks nobody."""
    refused = terminal.run("update", patient)

    assert (refused.exit_code, "nothing to change" in refused.stderr) == (2, True)
