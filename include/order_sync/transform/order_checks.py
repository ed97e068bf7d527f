"""What can be wrong with an order, whichever provider it is for.

Reasons of one provider are in `CHECKS` of its module, and reasons of rows that can't be read in row_problems.py. The
form of a redrive lists all of them, so this module must not import pandas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.order_sync.model import MONEY_COLUMNS, forms_of
from include.order_sync.transform.checks import LOST_DIGITS, TIME_EXAMPLE, Check, flagged, matches, missing

if TYPE_CHECKING:
    import pandas as pd

MAX_ID_CHARACTERS = 255
UNKNOWN_STATUS = "status: not in the status map"

# What programs write where there is nothing, or where a formula failed: in English, Russian, German and Polish.
_NOTHING = (
    *("null", "none", "NaN", "nil", "undefined", "n/a", "н/д", "[object Object]", "\\N", "-", "--", "---", "–", "—"),  # noqa: RUF001
    *("#", "№", "'", "''", '""', '=""', ".", "?", "*", "_", "/"),
)
_FORMULAS = (
    *("REF!", "VALUE!", "NAME?", "DIV/0!", "NUM!", "NULL!", "N/A", "SPILL!", "CALC!"),
    *("ССЫЛКА!", "ЗНАЧ!", "ИМЯ?", "ДЕЛ/0!", "ЧИСЛО!", "ПУСТО!", "Н/Д", "BEZUG!", "WERT!", "NV", "ADR!", "ARG!"),  # noqa: RUF001
)
_NO_IDS = {form for word in _NOTHING for form in forms_of(word)}
_NO_IDS |= {f"{sign}{word}" for word in _FORMULAS for sign in ("", "#")}  # `strip_ids` takes the sign off


def readable_ids(ids: pd.Series) -> pd.Series[bool]:
    """Return a mask of the ids that services and the ledger can hold."""
    from include.order_sync.columns.text import array_of, may_hold  # not at the top: it brings pandas

    readable = ids.str.len().between(1, MAX_ID_CHARACTERS)
    if may_hold(array_of(ids), b"\x7f"):
        readable &= ~ids.str.contains(r"[\x00-\x1f\x7f]")
    return readable


def _unreadable_id(orders: pd.DataFrame, _items: Any) -> pd.Series[bool]:
    return orders["order_id"].notna() & ~readable_ids(orders["order_id"])


# Faults for every provider. A row with an UNREADABLE fault has no readable id or version: nobody can say which order it
# belongs to, or whether it is newer than another row.
UNREADABLE = (
    Check("OS-111", "order_id: missing", "give the order's own number", missing("order_id")),
    Check(
        "OS-112",
        f"order_id: longer than {MAX_ID_CHARACTERS} characters, or with unprintable ones",
        "correct the order's number in the source",
        _unreadable_id,
    ),
    Check(
        "OS-113",
        "order_id: its digits were lost by a spreadsheet",
        "export the orders anew with the id as text: 1.23457E+17 stands for many numbers",
        matches("order_id", LOST_DIGITS, b"Ee#"),
    ),
    Check(
        "OS-119",
        "order_id: a word for nothing, or an error of a formula",
        "give the order's own number: correct the column, or the program that writes it",
        lambda orders, _items: orders["order_id"].isin(_NO_IDS),
        mend="either",
    ),
    Check(
        "OS-114",
        "order: its lines do not stand together in the file",
        "sort the export by the order's number: lines that are apart can't be joined",
        flagged("scattered"),
    ),
    Check(
        "OS-115",
        "status_changed_at: missing",
        f"give the time of the status, as {TIME_EXAMPLE}",
        lambda orders, _items: orders["status_changed_at"].isna() & ~orders["status_changed_at_unreadable"],
    ),
    Check(
        "OS-116",
        "status_changed_at: not a date and time",
        f"name its form in the source's `dates`, or give it as {TIME_EXAMPLE}",
        flagged("status_changed_at_unreadable"),
        mend="either",
    ),
    Check(
        "OS-117",
        "updated_at: not a date and time",
        f"name its form in the source's `dates`, give it as {TIME_EXAMPLE}, or give nothing",
        flagged("updated_at_unreadable"),
        mend="either",
    ),
    Check(
        "OS-118",
        "status_changed_at: in the future",
        "correct the time, or the source's `timezone`: taken as it is, it would keep all later changes back",
        flagged("in_future"),
        mend="either",
    ),
    Check(
        "OS-130",
        "updated_at: in the future",
        "correct the time, or the source's `timezone`; of a file without this column it is the file's own time: set "
        "the clock of its machine, or raise `ahead`",
        flagged("updated_in_future"),
        mend="either",
    ),
)
STATUS = (
    *[
        Check(
            code,
            f"{column}: its digits were lost by a spreadsheet",
            "export the orders anew with this number as text",
            matches(column, LOST_DIGITS, b"Ee#"),
        )
        for code, column in (("OS-121", "customer_id"), ("OS-122", "bill_id"), ("OS-123", "tracking_number"))
    ],
    *[
        Check(
            code,
            f"{column}: not an amount in the source's form",
            "give it with the source's `decimal` sign, or correct `decimal`",
            flagged(f"{column}_unreadable"),
            mend="either",
        )
        for code, column in zip(("OS-124", "OS-125", "OS-126", "OS-127"), MONEY_COLUMNS, strict=True)
    ],
    Check("OS-128", "status: missing", "give the shop's word for the status", missing("status")),
    Check(
        "OS-129",
        UNKNOWN_STATUS,
        "add the shop's word to the source's `statuses`",
        lambda orders, _items: orders["status"].notna() & orders["order_status"].isna(),
        mend="settings",
    ),
)
