"""What can be wrong with an order for Yespo; the documents are those of yespo.py."""

from __future__ import annotations

from include.order_sync.reason import Mend
from include.order_sync.transform.checks import (
    CURRENCY,
    LOST_DIGITS,
    NUMBER,
    TIME_EXAMPLE,
    WHOLE_NUMBER,
    Check,
    flagged,
    items_unreadable,
    missing,
    no_match,
)

MAX_NAME_CHARACTERS = 40


def _name_too_long(code: str, column: str) -> Check:
    return Check(
        code,
        f"{column}: longer than {MAX_NAME_CHARACTERS} characters",
        "shorten it in the source: Yespo takes contact names of 40 characters",
        lambda orders, _items: orders[column].str.len().gt(MAX_NAME_CHARACTERS),
    )


def _number(code: str, column: str) -> Check:
    return Check(
        code,
        f"{column}: not a number",
        "give it as digits with a decimal point, 1234.50, or name its sign in the source's `decimal`",
        no_match(column, NUMBER),
        mend="either",
    )


def _item(
    code: str, column: str, otherwise: str = "or give the destination `items: lenient`, or `items: none`"
) -> Check:
    return Check(
        code,
        f"items: {column} missing",
        f"Yespo's guide requires it of each item; {otherwise}",
        lambda orders, items: orders["position"].isin(items.loc[items[column].isna(), "position"]),
        mend="either",
    )


def _item_number(code: str, column: str, fault: str, pattern: str, cure: str, mend: Mend = "row") -> Check:
    # A missing one fails too: it is no number.
    return Check(
        code,
        f"items: {column} {fault}",
        cure,
        lambda orders, items: orders["position"].isin(
            items.loc[~items[column].str.fullmatch(pattern, na=False), "position"]
        ),
        mend=mend,
    )


ORDER_CHECKS = (
    Check(
        "OS-201",
        "customer_id: missing",
        "Yespo requires the shop's id of the customer: give it, or set the source's `customer_id_from` and give "
        "the order a good value in a column that it names",
        missing("customer_id"),
        mend="either",
    ),
    Check("OS-202", "total_cost: missing", "Yespo requires the order's total", missing("total_cost")),
    _number("OS-203", "total_cost"),
    Check(
        "OS-204",
        "currency: missing",
        "give its ISO 4217 code, as UAH, or the source a default for it",
        missing("currency"),
        mend="either",
    ),
    Check(
        "OS-205",
        "currency: not three capital letters",
        "give its ISO 4217 code, as UAH",
        no_match("currency", CURRENCY),
    ),
    Check(
        "OS-206",
        "created_at: missing",
        "Yespo requires the order's date",
        lambda orders, _items: orders["created_at"].isna() & ~orders["created_at_unreadable"],
    ),
    Check(
        "OS-207",
        "created_at: not a date and time",
        f"name its form in the source's `dates`, or give it as {TIME_EXAMPLE}",
        flagged("created_at_unreadable"),
        mend="either",
    ),
    Check(
        "OS-208",
        "contact: neither email nor phone",
        "Yespo can match no contact without one of them",
        lambda orders, _items: orders["email"].isna() & orders["phone"].isna(),
    ),
    Check(
        "OS-209",
        "email: not an address",
        "correct or empty it in the source",
        flagged("email_unreadable"),
    ),
    Check(
        "OS-210",
        "phone: no telephone number",
        "give it with its country code, as 380942583691, or give the source `phone_country`",
        flagged("phone_unreadable"),
        mend="either",
    ),
    _name_too_long("OS-211", "first_name"),
    _name_too_long("OS-212", "last_name"),
    _number("OS-213", "shipping"),
    _number("OS-214", "discount"),
    _number("OS-215", "taxes"),
    Check(
        "OS-216",
        "additional_info: not a JSON object",
        'give it as {"key": "value"}, or nothing',
        flagged("additional_info_unreadable"),
    ),
)
LENIENT_ITEM_CHECKS = (
    Check(
        "OS-217",
        "items: not a JSON array of objects",
        'give it as [{"item_id": ...}, ...], or nothing',
        items_unreadable(is_lost=False),
    ),
    Check(
        "OS-224",
        "items: a line of the order could not be read",
        "correct that line, which is listed too: without it the order would be sent with fewer items",
        items_unreadable(is_lost=True),
    ),
    _item("OS-218", "item_id", "or give the destination `items: none`"),
    Check(
        "OS-225",
        "items: item_id: its digits were lost by a spreadsheet",
        "export the orders anew with this number as text",
        lambda orders, items: orders["position"].isin(
            items.loc[items["item_id"].str.fullmatch(LOST_DIGITS, na=False), "position"]
        ),
    ),
    _item_number("OS-219", "quantity", "not a whole number", WHOLE_NUMBER, "give whole pieces: 1, 2, 3"),
)
ITEM_CHECKS = (
    *LENIENT_ITEM_CHECKS[:-1],
    _item("OS-220", "name"),
    LENIENT_ITEM_CHECKS[-1],
    _item_number(
        "OS-221",
        "cost",
        "not a number",
        NUMBER,
        "give the price of a piece as digits with a point, 1234.50, or name its sign in the source's `decimal`",
        "either",
    ),
    _item("OS-222", "url"),
    _item("OS-223", "image_url"),
)
