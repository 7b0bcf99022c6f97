"""Rights, the dashboard, the trace, notices and settings at a terminal."""

import pytest

from clients.cli import cast

BLOCKED = cast.STRANGER.subject.id


def test_dashboard(terminal, patient):
    """The dashboard has the columns of the deck, and finds a patient by number and by year."""
    shown = terminal.run("patients", "--ins", patient, "--lang", "fr")
    found = terminal.data("patients", "--ins", patient, "--birth-year", 1979)
    none = terminal.data("patients", "--ins", patient, "--birth-year", 1980)

    head = shown.stdout.splitlines()
    assert head[0].startswith("Accès au DMP de vos patients (1/")
    columns = ("Nom d'usage", "Nom de naissance", "Prénom", "Né(e) le", "MT", "Votre dernier accès")
    for word in " ".join(columns).split():
        assert word in shown.stdout
    assert [one["patient"] for one in found["patients"]] == [patient]
    assert none["patients"] == []


def test_page_size_is_one_of_the_screen(terminal):
    """A page size that the screen does not have is refused, by its field."""
    refused = terminal.run("patients", "--page-size", 15)

    assert (refused.exit_code, "page_size" in refused.stderr) == (2, True)


def test_the_patient_sees_who_came(terminal, patient):
    """The trace tells the patient who did what, refused attempts included, and why in an emergency."""
    holder = terminal.speaker(patient)
    terminal.run("list", patient, "--as", "stranger", "--mode", "bris_de_glace")
    terminal.run(
        *("list", patient, "--as", "stranger", "--mode", "bris_de_glace"),
        *("--reason", "autre", "--why", "Sans voix"),
    )

    every = terminal.run("trace", patient, "--as", holder)
    refused = terminal.data("trace", patient, "--as", holder, "--refused")

    assert every.exit_code == 0
    for words in ("creates the dossier", "BREAK_GLASS", "autre: Sans voix"):
        assert words in every.stdout
    assert [one["reason_code"] for one in refused["traces"]] == ["BREAK_GLASS_REASON_MISSING"]


def test_the_trace_is_not_for_everyone(terminal, patient):
    """A doctor who is no treating doctor does not read the trace."""
    refused = terminal.run("trace", patient)

    assert (refused.exit_code, "TRACE_RESERVED" in refused.stderr) == (1, True)


def test_rights_hold_at_once(terminal, patient):
    """A grant opens, a revocation closes, a block shuts out also in an emergency, and lifting asks anew."""
    holder, pharmacist = terminal.speaker(patient), cast.PHARMACIST.subject.id
    speaks = ("--as", holder)
    document = terminal.deposit(patient)
    reads = ("read", patient, document, "--as", "pharmacist")
    breaks = (
        *("list", patient, "--as", "stranger", "--mode", "bris_de_glace"),
        *("--reason", "autre", "--why", "Sans voix"),
    )

    codes = [
        terminal.run(*reads).exit_code,
        terminal.run("rights", "grant", patient, pharmacist, *speaks).exit_code,
        terminal.run(*reads).exit_code,
        terminal.run("rights", "renew", patient, pharmacist, *speaks).exit_code,
        terminal.run("rights", "revoke", patient, pharmacist, *speaks).exit_code,
        terminal.run(*reads).exit_code,
        terminal.run("rights", "block", patient, BLOCKED, *speaks).exit_code,
        terminal.run(*breaks).exit_code,
    ]
    lifted = terminal.run("rights", "unblock", patient, BLOCKED, *speaks)

    assert codes == [1, 0, 0, 0, 0, 1, 0, 1]
    assert (lifted.exit_code, "Ask for consent again" in lifted.stdout) == (0, True)
    assert terminal.run(*breaks).exit_code == 0


def test_treating_doctor(terminal, patient):
    """A treating doctor is named by the patient, seen in `show`, and the status ends when withdrawn."""
    doctor, holder = cast.DOCTOR.subject.id, terminal.speaker(patient)
    named = terminal.run("rights", "treating-doctor", patient, doctor, "--as", holder)
    rights = terminal.data("show", patient, "--as", holder)["rights"]

    ended = terminal.run("rights", "treating-doctor", patient, doctor, "--withdraw", "--as", holder)

    assert (named.exit_code, rights["treating_doctors"]) == (0, [doctor])
    assert ended.exit_code == 0
    assert terminal.data("show", patient, "--as", holder)["rights"]["treating_doctors"] == []


def test_own_authorisation(terminal, patient):
    """A doctor records the patient's agreement for himself, and gives it up; without it, nothing."""
    without = terminal.run("rights", "own", patient, "--as", "treating")
    given = terminal.run("rights", "own", patient, "--as", "treating", "--agreement")
    found = terminal.data("find", patient, "--as", "treating")

    gone = terminal.run("rights", "own", patient, "--as", "treating", "--no-authorise")

    assert (without.exit_code, "--agreement" in without.stderr) == (1, True)
    assert (given.exit_code, found["authorisation"]) == (0, "valid")
    assert gone.exit_code == 0
    assert terminal.data("find", patient, "--as", "treating")["authorisation"] == "none"


def test_consents(terminal, patient):
    """A consent that is withdrawn holds at once; those not named stay."""
    holder = terminal.speaker(patient)
    calls = ("list", patient, "--as", "regulator", "--mode", "centre_15")
    before = terminal.run(*calls)

    changed = terminal.run("rights", "consents", patient, "--no-samu", "--as", holder)

    after = terminal.run(*calls)
    rights = terminal.data("show", patient, "--as", holder)["rights"]
    assert (before.exit_code, changed.exit_code, after.exit_code) == (0, 0, 1)
    assert (rights["samu"], rights["break_glass"]) == (False, True)
    assert terminal.run("rights", "consents", patient).exit_code == 2


def test_notices(terminal, patient):
    """The patient is told of the creation, the first access, a new document and an emergency."""
    holder = terminal.speaker(patient)
    terminal.deposit(patient)
    terminal.run("list", patient)
    terminal.run(
        *("list", patient, "--as", "regulator", "--mode", "centre_15"),
    )

    told = terminal.data("notices", patient, "--as", holder)["notices"]
    shown = terminal.run("notices", patient, "--as", holder, "--lang", "fr")

    kinds = [one["kind"] for one in told]
    assert sorted(kinds) == ["created", "emergency_access", "first_access", "new_document"]
    assert "accès d'urgence" in shown.stdout


def test_settings(terminal, patient):
    """The patient chooses which notices to get; emergencies are always told."""
    holder = terminal.speaker(patient)

    changed = terminal.data("settings", patient, "--as", holder, "--no-new-document")
    shown = terminal.run("settings", patient, "--as", holder)

    assert changed["settings"]["new_document"] is False
    assert shown.exit_code == 0
    assert "always" in shown.stdout.splitlines()[0]


@pytest.mark.parametrize("channel", ["fax", "inbox"])
def test_unknown_channel(terminal, patient, channel):
    """A channel that is none is refused before anything is asked."""
    refused = terminal.run("settings", patient, "--channel", channel)

    assert (refused.exit_code, "one of email, sms" in refused.stderr) == (2, True)
