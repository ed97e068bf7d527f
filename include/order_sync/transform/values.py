"""The forms of a source's values: words for nothing, defaults, money, contacts, guests and status words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.order_sync.columns.text import array_of, series_of, without_invisible
from include.order_sync.model import GUESTS, ITEM_COLUMNS, ITEM_NUMBERS, MONEY_COLUMNS, forms_of
from include.order_sync.transform.checks import NUMBER
from include.order_sync.transform.contacts import emails, phones

CONTACT_COLUMNS = ("email", "phone")
# In these a person's own signs stay: joiners belong to some scripts and to emoji.
_FREE_TEXT = frozenset(
    ("first_name", "last_name", "delivery_address", "status_description", "additional_info", "items", "restore_url")
)
_BLANKS = " \u00a0\u2009\u202f"
_AMOUNT = re.compile(
    rf"(?P<before>[^0-9(.,+\-−]*(?:[^\W\d_]\.\s*)?)(?P<sign>[+\-−]?)(?P<currency>[^0-9(.,+\-−]*)"
    rf"(?P<digits>[0-9][0-9.,'’{_BLANKS}]*(?<=[0-9]))(?P<after>(?!\s*[\-−])[^0-9%]*)"
)
# The time that the expression takes grows by the square of a text's length.
_LONGEST_AMOUNT = 100
# Thousands; in India the groups before the last one have two digits.
_GROUPED = re.compile(rf"[0-9]{{1,3}}(?P<sign>[.,'’{_BLANKS}])(?:[0-9]{{2,3}}(?P=sign))*[0-9]{{3}}|[0-9]+")


@dataclass(frozen=True)
class Values:
    """The forms of one source's values.

    Args:
        missing_words: words for nothing, in any case.
        defaults: canonical column -> its text where a row has none.
        decimal: the sign before the fraction of an amount of money; None for digits with a point and nothing else.
        phone_country: of telephone numbers without a country's code, as UA.
        drop_bad_contact: whether an e-mail or telephone number that is none is left out; else it refuses its order.
        guests: customer ids that are no customer.
        customer_id_from: the columns that stand in for a missing customer id, the first one first.
    """

    missing_words: tuple[str, ...] = ()
    defaults: Mapping[str, str] = field(default_factory=dict)
    decimal: Literal[",", "."] | None = None
    phone_country: str | None = None
    drop_bad_contact: bool = False
    guests: tuple[str, ...] = GUESTS
    customer_id_from: tuple[Literal["email", "phone"], ...] = ()

    def text(self, column: str, texts: pd.Series) -> pd.Series:
        """Return a canonical column trimmed, without invisible characters and words for nothing, with its default."""
        trimmed = pc.utf8_trim_whitespace(array_of(texts))
        if column not in _FREE_TEXT and (visible := without_invisible(trimmed)) is not trimmed:
            trimmed = pc.utf8_trim_whitespace(visible)
        nothing = pa.array(["", *(word.lower() for word in self.missing_words)], pa.large_string())
        if self.missing_words:
            trimmed = pc.if_else(pc.is_in(pc.utf8_lower(trimmed), value_set=nothing), None, trimmed)
        elif pc.min(pc.binary_length(trimmed)).as_py() == 0:
            trimmed = pc.if_else(pc.equal(trimmed, ""), None, trimmed)
        if column in self.defaults:
            trimmed = pc.fill_null(trimmed, pa.scalar(self.defaults[column], pa.large_string()))
        return series_of(trimmed, texts.index)

    def read(self, orders: dict[str, pd.Series], given: Set[str]) -> None:
        """Bring money, contacts and customers into our forms.

        The flag `<column>_unreadable` is True where that fails, and `<column>_left_out` where a bad contact was left
        out of its order.

        Args:
            orders: the canonical columns, trimmed; changed in place.
            given: the columns that have any value.
        """
        nowhere = pd.Series(False, index=orders["order_id"].index)
        for column in (*CONTACT_COLUMNS, *MONEY_COLUMNS):
            orders[f"{column}_unreadable"] = orders[f"{column}_left_out"] = nowhere
        if "email" in given:
            orders["email"], orders["email_unreadable"] = emails(orders["email"])
        if "phone" in given:
            orders["phone"], orders["phone_unreadable"] = phones(orders["phone"], self.phone_country)
        if self.drop_bad_contact:
            for column in CONTACT_COLUMNS:
                bad = orders[f"{column}_unreadable"]
                orders[f"{column}_unreadable"], orders[f"{column}_left_out"] = nowhere, bad
                orders[column] = orders[column].mask(bad) if bad.any() else orders[column]
        for column in given & set(MONEY_COLUMNS) if self.decimal else ():
            orders[column], orders[f"{column}_unreadable"] = self.money(orders[column])
        if "customer_id" in given:
            customers = orders["customer_id"]
            orders["customer_id"] = customers.mask(self._are_guests(customers))
        for column in self.customer_id_from:
            stand_in = orders[column].mask(orders[f"{column}_unreadable"])
            stand_in = stand_in.str.lower() if column == "email" else stand_in
            orders["customer_id"] = orders["customer_id"].fillna(stand_in)

    def _are_guests(self, customers: pd.Series) -> pd.Series[bool]:
        """Return a mask of the ids that are no customer: a zero in any form counts as 0, words in any case."""
        return customers.isin({form for word in self.guests for form in forms_of(word)})

    def money(self, texts: pd.Series) -> tuple[pd.Series, pd.Series]:
        """Return amounts as digits with a point, and a mask of the texts that are none: they stay as they are."""
        amounts = {text: amount(text, self.decimal or ".") for text in texts.dropna().unique()}
        read = texts.map(amounts).astype(texts.dtype)
        return read.fillna(texts), texts.notna() & read.isna()

    def items(self, items: pd.DataFrame) -> pd.DataFrame:
        """Return canonical items without words for nothing, their numbers as digits with a point."""
        if items.empty or not (self.missing_words or self.decimal):
            return items
        columns = {column: self.text(column, items[column]) for column in ITEM_COLUMNS}
        for column in ITEM_NUMBERS if self.decimal else ():
            columns[column], _ = self.money(columns[column])
        return items.assign(**columns)


PLAIN = Values()

# Turkish has an i without a dot, and a capital I with one, which becomes an i and a dot.
_SAME_LETTERS = str.maketrans({"ё": "е", "ı": "i", "\u0307": None})


def amount(text: str, decimal: str) -> str | None:
    """Return an amount of money as digits with a point, its currency and the signs between thousands taken off.

    No digit is changed. None for a text that is no amount, or has other signs than a whole number of thousands takes.

    Args:
        text: trimmed.
        decimal: the sign before its fraction.
    """
    found = _AMOUNT.fullmatch(text) if len(text) <= _LONGEST_AMOUNT else None
    if not found:
        return None
    whole, mark, fraction = found["digits"].rpartition(decimal)
    if not mark:
        whole, fraction = found["digits"], ""
    grouped = _GROUPED.fullmatch(whole)
    if not grouped or grouped["sign"] == decimal or (mark and not re.fullmatch("[0-9]+", fraction)):
        return None
    sign = "-" if found["sign"] in ("-", "−") else ""
    read = sign + re.sub("[^0-9]", "", whole) + (f".{fraction}" if mark else "")
    return read if re.fullmatch(NUMBER, read) else None


def plain_word(word: str) -> str:
    """Return a status word without what shops change in it unseen: case, kinds of blanks, dots of ё, composition."""
    composed = unicodedata.normalize("NFKC", word).casefold().translate(_SAME_LETTERS)
    return " ".join("".join(one for one in composed if unicodedata.category(one) != "Cf").split())
