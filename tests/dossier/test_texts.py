"""What notices say: enough to look further, and nothing that a stranger may not read."""

from datetime import UTC, datetime

import pytest

from dossier.notices import Kind
from dossier.texts import text

AT = datetime(2026, 2, 28, 23, 5, tzinfo=UTC)
SUMMER = datetime(2026, 8, 1, 4, 0, tzinfo=UTC)
PORTAL = "https://dmp.example.org"


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_words(kind):
    """Every kind of notice says something in French, then in English, and where to read more."""
    said = text(kind, at=AT, portal=PORTAL)

    assert said.body.index("Bonjour") < said.body.index("Hello")
    assert said.subject.isprintable()
    assert 2 == said.body.count(PORTAL) == said.body.count("Traçabilité")
    assert len({text(other, at=AT).subject for other in Kind}) == len(Kind)


def test_hour_is_that_of_paris():
    """The hour is that of Paris, in winter and in summer."""
    assert "1 mars 2026 à 00:05 (heure de Paris)" in text(Kind.CREATED, at=AT).body
    assert "1 March 2026 at 00:05 (Paris time)" in text(Kind.CREATED, at=AT).body
    assert "1 août 2026 à 06:00" in text(Kind.CREATED, at=SUMMER).body


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("bris_de_glace", ("(bris de glace)", "(break-glass)")),
        ("centre_15", ("(appel au SAMU, centre 15)", "(call to the SAMU, centre 15)")),
    ],
)
def test_mode_of_an_emergency_is_named(mode, words):
    """An emergency access names its mode, its law, and that it is always told."""
    said = text(Kind.EMERGENCY_ACCESS, at=AT, mode=mode)

    assert all(word in said.body for word in words)
    assert 2 == said.body.count("R.1111-48")
    assert words[0] in said.sms


def test_no_portal_is_named_where_there_is_none():
    """Without the address of a portal no empty one is named."""
    assert "http" not in text(Kind.NEW_DOCUMENT, at=AT).body
    assert ": \n" not in text(Kind.NEW_DOCUMENT, at=AT).body


@pytest.mark.parametrize("kind", Kind)
def test_sms_is_short(kind):
    """An SMS is two parts at most: 306 letters of the alphabet of GSM (3GPP TS 23.038)."""
    said = text(kind, at=AT, mode="centre_15").sms

    assert len(said) <= 306
    assert not set(said) - set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,:;'()/-éèàùÉ"
    )
