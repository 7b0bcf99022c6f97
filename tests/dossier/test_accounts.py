"""A holder's login and password: drawn well, told once, and kept as a hash that gives nothing away."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dossier import accounts
from dossier.accounts import COST, DIGITS, LETTERS, LOGIN_LENGTH, PASSWORD_BITS
from dossier.errors import PasswordError
from tests.dossier.town import CHEAP

PASSWORD = "correct horse"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


def test_nothing_drawn_can_be_misread():
    """Logins and passwords hold no character that looks like another."""
    drawn = [accounts.new() for _ in range(200)]

    assert not set("0o1il") & set(LETTERS + DIGITS)
    assert set("".join(one.login for one in drawn)) <= set(LETTERS + DIGITS)
    assert set("".join(one.temporary_password for one in drawn)) <= set(LETTERS)


def test_drawn_is_long_enough():
    """A login has eight characters or more; a temporary password takes 60 bits or more to guess."""
    one = accounts.new()

    assert len(one.login) == LOGIN_LENGTH >= 8
    assert PASSWORD_BITS >= 60
    assert len(one.temporary_password) * math.log2(len(LETTERS)) == PASSWORD_BITS


def test_nothing_is_drawn_twice():
    """No login and no password comes twice."""
    drawn = [accounts.new() for _ in range(1_000)]

    assert 1_000 == len({one.login for one in drawn})
    assert 1_000 == len({one.temporary_password for one in drawn})


def test_text_of_an_account_does_not_show_its_password():
    """An account that ends up in a log shows its login alone."""
    one = accounts.new()

    assert one.temporary_password not in repr(one)


def test_right_password_is_verified():
    """The password of a hash is verified, at the cost that everyone pays."""
    accounts.verify(accounts.hashed(PASSWORD), PASSWORD)


@given(TEXTS, TEXTS)
@settings(max_examples=50)
def test_other_password_is_not(password, other):
    """A hash verifies its own password, and no other."""
    stored = accounts.hashed(password, CHEAP)

    accounts.verify(stored, password)
    if password != other:
        with pytest.raises(PasswordError):
            accounts.verify(stored, other)


def test_same_password_is_stored_differently():
    """Two holders with one password have different hashes."""
    assert accounts.hashed(PASSWORD, CHEAP) != accounts.hashed(PASSWORD, CHEAP)


def test_hash_holds_its_cost():
    """What is stored says what it cost, so that later hashes may cost more; and not the password."""
    stored = accounts.hashed(PASSWORD, CHEAP)

    assert ["scrypt", "16", "1", "1"] == stored.split("$")[:4]
    assert PASSWORD not in stored


def test_cost_is_what_is_advised():
    """A hash takes 32 MiB, three times over."""
    assert (32 << 20, 3) == (128 * COST.n * COST.r, COST.p)


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "x",
        "scrypt$16$1$1$AAAA",
        "scrypt$16$1$1$!$AAAA",
        "scrypt$0$1$1$AAAA$AAAA",
        "scrypt$a$1$1$AAAA$AAAA",
        "argon2$16$1$1$AAAA$AAAA",
    ],
)
def test_damaged_hash_verifies_nothing(stored):
    """What can't be read verifies no password, and is no other error."""
    with pytest.raises(PasswordError):
        accounts.verify(stored, PASSWORD)
