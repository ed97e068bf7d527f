"""The reasons for which an order is rejected, whichever provider it is for; and the search for every fault.

Reasons of one provider are in `CHECKS` of its module, and reasons of rows that can't be read in row_problems.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

from include.order_sync.columns.text import array_of, may_hold
from include.order_sync.transform.checks import TIME_EXAMPLE, Check, flagged, matches, missing
from include.order_sync.transform.values import MONEY_COLUMNS

MAX_ID_CHARACTERS = 255
UNKNOWN_STATUS = "status: not in the status map"

# A spreadsheet shows a long number so, and keeps 15 of its digits; or signs alone, if its column is narrow.
_LOST_DIGITS = r"#?[0-9]{1,3}(?:(?:[.,][0-9]+)?[Ee]\+|[.,][0-9]+[Ee])[0-9]+|##+"
# What programs write where there is nothing, or where a formula failed.
_NO_ID = (
    r"#?(?:[Nn][Uu][Ll][Ll]|[Nn][Oo][Nn][Ee]|[Nn][Aa][Nn]|[Nn][Ii][Ll]|[Uu]ndefined|UNDEFINED|\[object Object\]|\\N|-+"
    r"|N/A|n/a|Н/Д|[A-ZА-ЯІЇЄ]+(?:/0)?[!?])"  # noqa: RUF001
)
# A status word that may be a person's: an address, a number of theirs, or a sentence.
_PERSONAL = re.compile(r"@|[0-9].*[0-9].*[0-9].*[0-9].*[0-9]|.{41}|(?:[^\W_]+[\W_]+){5}[^\W_]", re.DOTALL)


def readable_ids(ids: pd.Series) -> pd.Series[bool]:
    """Return a mask of the ids that services and the ledger can hold."""
    readable = ids.str.len().between(1, MAX_ID_CHARACTERS)
    if may_hold(array_of(ids), b"\x7f"):
        readable &= ~ids.str.contains(r"[\x00-\x1f\x7f]", na=False)
    return readable


# Faults for every provider. A row with an UNREADABLE fault has no readable id or version: nobody can say which order it
# belongs to, or whether it is newer than another row.
UNREADABLE = (
    Check("order_id: missing", "give the order's own number", missing("order_id")),
    Check(
        f"order_id: longer than {MAX_ID_CHARACTERS} characters, or with unprintable ones",
        "correct the order's number in the source",
        lambda orders, _items: orders["order_id"].notna() & ~readable_ids(orders["order_id"]),
    ),
    Check(
        "order_id: its digits were lost by a spreadsheet",
        "export the orders anew with the id as text: 1.23457E+17 stands for many numbers",
        matches("order_id", _LOST_DIGITS),
    ),
    Check(
        "order_id: a word for nothing, or an error of a formula",
        "give the order's own number: correct the column, or the program that writes it",
        matches("order_id", _NO_ID),
    ),
    Check(
        "order: its lines do not stand together in the file",
        "sort the export by the order's number: lines that are apart can't be joined",
        flagged("scattered"),
    ),
    Check(
        "status_changed_at: missing",
        f"give the time of the status, as {TIME_EXAMPLE}",
        lambda orders, _items: orders["status_changed_at"].isna() & ~orders["status_changed_at_unreadable"],
    ),
    Check(
        "status_changed_at: not a date and time",
        f"name its form in the source's `dates`, or give it as {TIME_EXAMPLE}",
        flagged("status_changed_at_unreadable"),
    ),
    Check(
        "updated_at: not a date and time",
        f"name its form in the source's `dates`, give it as {TIME_EXAMPLE}, or give nothing",
        flagged("updated_at_unreadable"),
    ),
    Check(
        "status_changed_at: in the future",
        "correct the time, or the source's `timezone`: taken as it is, it would keep all later changes back",
        flagged("in_future"),
    ),
)
STATUS = (
    *[
        Check(
            f"{column}: its digits were lost by a spreadsheet",
            "export the orders anew with this number as text",
            matches(column, _LOST_DIGITS),
        )
        for column in ("customer_id", "bill_id", "tracking_number")
    ],
    *[
        Check(
            f"{column}: not an amount in the source's form",
            "give it with the source's `decimal` sign, or correct `decimal`",
            flagged(f"{column}_unreadable"),
        )
        for column in MONEY_COLUMNS
    ],
    Check("status: missing", "give the shop's word for the status", missing("status")),
    Check(
        UNKNOWN_STATUS,
        "add the shop's word to the source's `statuses`",
        lambda orders, _items: orders["status"].notna() & orders["order_status"].isna(),
    ),
)


def with_words(reasons: pd.Series, words: pd.Series) -> pd.Series:
    """Return the reasons, that of an unknown status with its word.

    Args:
        reasons: of the rejected rows, as reasons_of() gives them.
        words: the unknown status words, with the index of their rows.
    """
    by_row = words.to_dict()
    named = [
        [f"{each} ({shown_word(by_row[row])})" if each == UNKNOWN_STATUS and row in by_row else each for each in given]
        for row, given in reasons.items()
    ]
    return pd.Series(named, index=reasons.index, dtype="object")


def shown_word(word: str) -> str:
    """Return a status word as a message may show it: one that may be a person's data is not shown."""
    return "a text that may be personal" if _PERSONAL.search(word) else word


def find_faults(orders: pd.DataFrame, items: pd.DataFrame, checks: Iterable[Check]) -> dict[str, pd.Series[bool]]:
    """Return a mask for each reason that occurs.

    Args:
        orders: canonical orders, any index.
        items: their items, with the `position` of their order's row.
        checks: to apply.
    """
    found = {check.reason: check.fails(orders, items) for check in checks}
    return {reason: wrong for reason, wrong in found.items() if wrong.any()}


def any_of(faults: dict[str, pd.Series[bool]], index: pd.Index) -> pd.Series[bool]:
    """Return a mask of the orders that have at least one of the faults."""
    wrong = pd.Series(False, index=index)
    for mask in faults.values():
        wrong |= mask
    return wrong


def reasons_of(faults: dict[str, pd.Series[bool]], index: pd.Index) -> pd.Series:
    """Return for each order of `index` the list of its reasons, in the order of the checks."""
    reasons: list[list[str]] = [[] for _ in index]
    for reason, mask in faults.items():
        for row in mask.loc[index].to_numpy().nonzero()[0]:
            reasons[row].append(reason)
    return pd.Series(reasons, index=index, dtype="object")
