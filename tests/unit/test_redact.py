"""The quoting of foreign texts in a log."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.order_sync.redact import database_message, redact


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        pytest.param("a.b+c@shop.example", "<e-mail>", id="address"),
        pytest.param('{"email":"ann@shop.example","x":1}', '{"email":"<e-mail>","x":1}', id="address in JSON"),
        pytest.param("<ann@shop.example>, bob@shop.example;", "<<e-mail>>, <e-mail>;", id="two addresses"),
        pytest.param("анна@магазин.example", "<e-mail>", id="address in Cyrillic"),
        pytest.param("call +38 (094) 258-36-91 now", "call <number> now", id="phone"),
        pytest.param('{"phone":"380942583691"}', '{"phone":"<number>"}', id="phone in JSON"),
        pytest.param("094\u00a0258\u00a036\u00a091", "<number>", id="phone with fixed blanks"),
        pytest.param("card 4111 1111 1111 1111", "card <number>", id="card"),
        pytest.param("Ann Example <ann@shop.example>", "<name> <<e-mail>>", id="name before an address"),
        pytest.param("(7, paid, Ann Example, +380671234567, x)", "(7, paid, <name>, <number>, x)", id="name in a row"),
        pytest.param('"ann@shop.example","Ann O\'Hara-Smith"', '"<e-mail>","<name>"', id="name after an address"),
        pytest.param("от Анна Ивановна Шевченко, 380671234567", "от <name>, <number>", id="name in Cyrillic"),
        pytest.param('{"first_name": "ann", "x": 1}', '{"first_name": <text>, "x": 1}', id="name in JSON"),
        pytest.param("Key (last_name)=(o'hara) exists", "Key (last_name)=<text> exists", id="name in a key"),
        pytest.param("'delivery_address': 'Main St. 7'", "'delivery_address': <text>", id="street"),
        pytest.param("HTTP 429 after 7 s, code 123456", "HTTP 429 after 7 s, code 123456", id="short numbers stay"),
        pytest.param("19.90 UAH", "19.90 UAH", id="money stays"),
        pytest.param(" a\r\n\tb  c ", "a b c", id="one line"),
        pytest.param("", "", id="empty"),
    ],
)
def test_redact(text: str, redacted: str) -> None:
    """Addresses and long numbers are blanked out; words, codes and money stay; the result is one line."""
    assert redact(text) == redacted


def test_length() -> None:
    """A too long text is cut, with a mark."""
    assert redact("x" * 300) == "x" * 300
    assert redact("x" * 301) == "x" * 300 + "…"
    assert redact("abcdef", longest=3) == "abc…"


def test_cut_after_blanking() -> None:
    """A text is blanked out before it is cut, so no half of an address or number stays."""
    assert redact("ab ann@shop.example", longest=6) == "ab <e-…"


words = st.text(st.characters(categories=["L", "N", "Z", "P"]), max_size=20)


@given(words, words, st.from_regex(r"[a-z]{1,8}@[a-z]{1,8}\.example", fullmatch=True), st.integers(10**9, 10**12))
def test_never_shown(before: str, after: str, address: str, phone: int) -> None:
    """An address or a phone number is hidden at any place in a text."""
    redacted = redact(f"{before} {address} {phone} {after}")

    assert address not in redacted
    assert str(phone) not in redacted


@pytest.mark.parametrize(
    ("said", "message"),
    [
        pytest.param('column "totl" does not exist', 'column "totl" does not exist', id="a word of the query"),
        pytest.param("Incorrect value: 'Ann Example' for x", "Incorrect value: <text> for x", id="a value"),
        pytest.param('no "totl"\nDETAIL:  Failing row contains (Ann).', 'no "totl"', id="details"),
        pytest.param('no "totl"\nCONTEXT:  COPY orders, line 1: "Ann"', 'no "totl"', id="context"),
    ],
)
def test_database_message(said: str, message: str) -> None:
    """Of a database's message the first line is told, and of quoted words only those of the query."""
    assert database_message(Exception(said), "select totl from orders") == message


def test_message_of_postgresql() -> None:
    """Of an error of PostgreSQL the primary message is told alone."""

    class Error(Exception):
        diag = SimpleNamespace(message_primary='relation "orders" is gone')

    assert database_message(Error("x\nWhatever: Ann")) == 'relation "orders" is gone'
