"""Amounts of money and texts as shops write them."""

import pandas as pd
import pytest

from include.order_sync.model import ORDER_COLUMNS
from include.order_sync.transform.values import Values, amount


@pytest.mark.parametrize(
    ("text", "decimal", "read"),
    [
        ("1 234,56", ",", "1234.56"),
        ("1\u00a0234,56", ",", "1234.56"),
        ("1\u202f234\u202f567,5", ",", "1234567.5"),
        ("1.234,56", ",", "1234.56"),
        ("1,234.56", ".", "1234.56"),
        ("1'234.56", ".", "1234.56"),
        ("1’234’567", ".", "1234567"),
        ("1,00,000.00", ".", "100000.00"),
        ("1000 руб", ",", "1000"),
        ("1000 руб.", ".", "1000"),
        ("$12", ".", "12"),
        ("-$12.50", ".", "-12.50"),
        ("$-12.50", ".", "-12.50"),
        ("−5,00 ₴", ",", "-5.00"),
        ("+7", ".", "7"),
        ("UAH 19.90", ".", "19.90"),
        ("12,-", ",", "12"),
        ("12-", ",", None),
        ("12 −", ".", None),
        pytest.param("12 " + "a" * 98, ".", None, id="longer than 100"),
        ("грн. 12,50", ",", "12.50"),
        ("Rs.1,200", ".", "1200"),
        ("0,50", ",", "0.50"),
        ("1.234", ",", "1234"),
        ("10.00", ",", None),
        ("10,00", ".", None),
        ("1,23", ".", None),
        ("1.2.3", ".", None),
        ("1,234,56", ",", None),
        ("1 23 456", ",", "123456"),
        ("1 234.567 890", ",", None),
        ("007", ".", None),
        (".5", ".", None),
        ("12%", ".", None),
        ("(12.00)", ".", None),
        ("1e5", ".", None),
        ("12.00 / 13.00", ".", None),
        ("free", ".", None),
        ("١٢", ".", None),
    ],
)
def test_amounts(text: str, decimal: str, read: str | None) -> None:
    """Currency and signs of thousands are taken off by the declared sign, and no digit is changed."""
    assert amount(text, decimal) == read


def test_invisible_characters() -> None:
    """They are taken off everywhere but in texts that people write, where some scripts need them."""
    unseen = "".join(map(chr, (0x200B, 0x200E, 0x202A, 0x2066, 0xFEFF, 0x00AD)))
    texts = pd.Series([f"{unseen} a{unseen}b {unseen}"], dtype="str")
    read = {column: Values().text(column, texts).iloc[0] for column in ORDER_COLUMNS}

    free = {"first_name", "last_name", "delivery_address", "status_description", "additional_info", "items"}
    free.add("restore_url")
    assert {column for column, text in read.items() if text == "ab"} == set(ORDER_COLUMNS) - free


def test_words_for_nothing() -> None:
    """They count in any case, and only as whole texts."""
    texts = pd.Series(["NULL", " null ", "nullo", "", None], dtype="str")

    assert Values(missing_words=("Null",)).text("status", texts).isna().tolist() == [True, True, False, True, True]
    assert Values().text("status", texts).isna().tolist() == [False, False, False, True, True]
    filled = Values(missing_words=("Null",), defaults={"status": "x"}).text("status", texts)
    assert filled.tolist() == ["x", "x", "nullo", "x", "x"]
