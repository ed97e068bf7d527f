"""Telephone numbers and e-mail addresses as shops have them."""

import pandas as pd
import pytest

from include.order_sync.transform.contacts import emails, phones


def texts(*values: str | None) -> pd.Series:
    """Return a column of text."""
    return pd.Series(values, dtype="str")


GOOD = "380671234567"
ANYWHERE = [
    (GOOD, GOOD),
    ("+38 (067) 123-45-67", GOOD),
    ("+38.067.123.45.67", GOOD),
    ("380671234567.0", GOOD),
    ("+380671234567.00", GOOD),
    ('="380671234567"', GOOD),
    ("'+380671234567", GOOD),
    ("00380671234567", GOOD),
    ("00 380 67 1234567", GOOD),
    ("380\u201167\u00a01234567\u200b", GOOD),
    ("3.80671E+11", None),
    ("0000000000", None),
    ("unknown", None),
    ("12345", None),
    ("8 900 123-45-67", None),  # no country's code, or too short for its country
    ("1234567", None),
    ("999123456789", None),
    ("+44 20 7946 0958", "442079460958"),
    ("+372 512 3456", "3725123456"),
    ("3806712345670000", None),
    ("380671234567, 380671234568", None),
]


@pytest.mark.parametrize("country", [None, "UA", "PL"])
@pytest.mark.parametrize(("text", "digits"), ANYWHERE)
def test_whole_numbers(text: str, digits: str | None, country: str | None) -> None:
    """A number with its country's code becomes its digits, whatever is between; what is none stays, flagged."""
    if country == "PL" and digits and not text.startswith(("+", "00")):
        return  # without a plus it may be a national number of that country
    read = phones(texts(text, None), country)

    assert read.texts.tolist()[0] == (digits or text)
    assert read.unreadable.tolist() == [digits is None, False]


@pytest.mark.parametrize(
    ("text", "country", "digits"),
    [
        ("0671234567", "UA", GOOD),
        ("67 123 45 67", "UA", GOOD),
        ("8 (903) 123-45-67", "RU", "79031234567"),
        ("+7 903 1234567", "UA", "79031234567"),
        ("601 234 567", "PL", "48601234567"),
        ("0000000000", "UA", None),
        ("0671234567", None, None),
        ("501234567", None, None),
        ("1234567", "UA", None),
        ("8 903 123-45-67", "RU", "79031234567"),
        ("0991234567890", "UA", None),
    ],
)
def test_national_numbers(text: str, country: str | None, digits: str | None) -> None:
    """A national number is read by the source's country alone, and must be one of that country."""
    read = phones(texts(text), country)

    assert read.texts.tolist() == [digits or text]
    assert read.unreadable.tolist() == [digits is None]


GOOD_ADDRESSES = ["a@b.co", "ann.lee+x@shop.example", "o'brien@x.example", "ann@пошта.укр", f"{'a' * 64}@x.example"]
BAD_ADDRESSES = [
    "<d@shop.example>",
    "e@shop.example,",
    "mailto:f@shop.example",
    "a..b@shop..example",
    ".a@shop.example",
    "a@-shop.example",
    "a@shop",
    "a@localhost",
    "Ann <a@shop.example>",
    "a@shop.example; b@shop.example",
    "a @shop.example",
    "a@b@shop.example",
    f"{'a' * 65}@x.example",
    f"a@{'b' * 64}.example",
    f"a@{'b.' * 130}example",
    "ann",
]


def test_addresses() -> None:
    """An address that mail can be sent to is good; others are flagged, and none is changed."""
    read = emails(texts(*GOOD_ADDRESSES, *BAD_ADDRESSES, None))

    assert dict(zip(read.texts.dropna(), read.unreadable, strict=False)) == dict.fromkeys(
        GOOD_ADDRESSES, False
    ) | dict.fromkeys(BAD_ADDRESSES, True)
    assert not read.unreadable.iloc[-1]
