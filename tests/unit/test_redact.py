"""The quoting of foreign texts in a log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.order_sync.redact import redact


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
