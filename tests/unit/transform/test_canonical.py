"""From raw text to canonical values: times, trimmed text, JSON."""

from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.order_sync.model import ITEM_COLUMNS, ORDER_COLUMNS, ORIGIN_COLUMNS
from include.order_sync.transform.canonical import canonical_orders, json_items, query_items
from include.order_sync.transform.times import read_times
from include.order_sync.transform.values import Values

KYIV = "Europe/Kyiv"


def read(text: str, timezone: str = KYIV) -> str | None:
    """Return one time as UTC text, or None if it can't be read."""
    (time,) = read_times(pd.Series([text], dtype="str"), timezone).times
    return None if pd.isna(time) else time.isoformat().removesuffix("+00:00")


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        pytest.param("2026-11-21T13:45:00Z", "2026-11-21T13:45:00", id="Z"),
        pytest.param("2026-11-21T13:45:00+02:00", "2026-11-21T11:45:00", id="offset"),
        pytest.param("2026-11-21 13:45:00+0200", "2026-11-21T11:45:00", id="offset without colon"),
        pytest.param("2026-11-21 13:45:00+02", "2026-11-21T11:45:00", id="PostgreSQL's offset"),
        pytest.param("2026-11-21 13:45:00-03:30", "2026-11-21T17:15:00", id="offset west"),
        pytest.param("2026-11-21 13:45:00+00", "2026-11-21T13:45:00", id="offset of nothing"),
        pytest.param("2026-11-21 13:45:00", "2026-11-21T11:45:00", id="the shop's time in winter"),
        pytest.param("2026-07-21T13:45:00", "2026-07-21T10:45:00", id="the shop's time in summer"),
        pytest.param("2026-11-21 13:45", "2026-11-21T11:45:00", id="no seconds"),
        pytest.param("2026-11-21 13:45Z", "2026-11-21T13:45:00", id="no seconds, with offset"),
        pytest.param("2026-11-21", "2026-11-20T22:00:00", id="date alone"),
        pytest.param("2026-11-21 13:45:00.5", "2026-11-21T11:45:00.500000", id="fraction"),
        pytest.param("2026-11-21 13:45:00,25Z", "2026-11-21T13:45:00.250000", id="fraction after a comma"),
        pytest.param("2026-11-21T13:45:00.123456789Z", "2026-11-21T13:45:00.123456", id="nanoseconds"),
        pytest.param("9899-12-31T23:59:59Z", "9899-12-31T23:59:59", id="the last second"),
        pytest.param("9899-12-31", "9899-12-30T22:00:00", id="the last day"),
        pytest.param("2026-03-29 02:59:59", "2026-03-29T00:59:59", id="before clocks go forward"),
        pytest.param("2026-03-29 03:30:00", "2026-03-29T01:00:00", id="hour that does not exist"),
        pytest.param("2026-03-29 04:00:00", "2026-03-29T01:00:00", id="after clocks went forward"),
        pytest.param("2026-10-25 02:59:59", "2026-10-24T23:59:59", id="before the hour that comes twice"),
        pytest.param("2026-10-25 03:30:00", "2026-10-25T01:30:00", id="hour that comes twice"),
        pytest.param("2026-10-25 04:00:00", "2026-10-25T02:00:00", id="after the hour that comes twice"),
    ],
)
def test_times(text: str, utc: str) -> None:
    """ISO 8601 times become UTC; without an offset they are the shop's, and ambiguous local hours have one reading."""
    assert read(text) == utc


@pytest.mark.parametrize(
    "text",
    [
        *["soon", "21.11.2026", "11/21/2026", "2026-11-21T", "2026-11-21 13", "20261121", "2026-11", "1795255500"],
        *["2026-02-30", "2026-13-01", "2026-11-21 25:00", "2026-11-21 13:61", "2026-11-21 13:45:00+99:99", "infinity"],
        *["2026-11-21 13:45:00 Europe/Kyiv", "10000-01-01", "2026-11-21T13:45:00Z and more", "today", "now", "NaT"],
    ],
)
def test_what_is_no_time(text: str) -> None:
    """A text that is not an ISO 8601 date and time, or not a real moment, is not guessed."""
    assert read(text) is None


def test_missing_times() -> None:
    """A missing text gives a missing time."""
    assert read_times(pd.Series([None, None], dtype="str"), KYIV).times.isna().all()


@pytest.mark.parametrize("far", ["9999-12-31 23:59:59", "9999-12-31 23:59:59-12:00", "9900-01-01", "1899-12-31"])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
def test_a_year_that_not_all_can_hold_is_no_time(far: str, zone: str) -> None:
    """A far year, which some shops write for "never", is unreadable and fails no run."""
    assert read_times(pd.Series([far], dtype="str"), zone).times.isna().all()


@pytest.mark.parametrize("far", ["9899-12-31T23:59:59Z", "9899-12-31 00:00:00", "1900-01-01"])
def test_a_time_does_not_depend_on_others(far: str) -> None:
    """The reading of a row's time does not depend on the digits in other rows."""
    texts = pd.Series([far, "2026-11-21T13:45:00.123456789Z", "2026-11-21 13:45:00.123456789", "junk"], dtype="str")

    assert read_times(texts, KYIV).times[0] == read_times(texts[:1], KYIV).times[0]


@given(st.datetimes(pd.Timestamp("1970-01-01"), pd.Timestamp("2100-01-01")), st.integers(-14 * 60, 14 * 60))
def test_any_time_with_an_offset(at: Any, minutes: int) -> None:
    """Any moment, written with any offset, is read as that moment."""
    offset = pd.Timedelta(minutes=minutes).to_pytimedelta()
    sign, distance = "-" if minutes < 0 else "+", abs(minutes)

    assert read(f"{(at + offset).isoformat()}{sign}{distance // 60:02}:{distance % 60:02}") == at.isoformat()


def test_columns(raw_orders: Any) -> None:
    """Every column of the model exists, with the rows' sequence and index, even if the source has few columns."""
    raw = raw_orders({"order_id": "2"}, {"order_id": "1"})[["order_id", *ORIGIN_COLUMNS]].set_axis([7, 5])
    orders = canonical_orders(raw, "UTC")

    assert {*ORDER_COLUMNS, *ORIGIN_COLUMNS} <= {*orders.columns}
    assert orders["order_id"].to_dict() == {7: "2", 5: "1"}
    assert orders["email"].isna().all()


@pytest.mark.parametrize(
    ("text", "trimmed"),
    [
        pytest.param(" \t7\r\n", "7", id="blanks around"),
        pytest.param("\u00a07\u2003", "7", id="blanks of Unicode"),
        pytest.param("a  b", "a  b", id="blanks within"),
        pytest.param("007", "007", id="zeros in front"),
        pytest.param("1e5", "1e5", id="letter e"),
        pytest.param("19.90", "19.90", id="zero at the end"),
        pytest.param("null", None, id="the word null"),
        pytest.param("0.0", None, id="a zero"),
        pytest.param("Ёж", "Ёж", id="letters"),
        pytest.param("", None, id="empty"),
        pytest.param(" \t\n", None, id="blanks alone"),
        pytest.param(None, None, id="nothing"),
    ],
)
def test_trimming(raw_orders: Any, text: str | None, trimmed: str | None) -> None:
    """Text loses only the blanks around it; empty text is missing, and so is a customer who is a guest."""
    (value,) = canonical_orders(raw_orders({"customer_id": text}), "UTC")["customer_id"]

    assert (None if pd.isna(value) else value) == trimmed


def test_unreadable_times(raw_orders: Any) -> None:
    """A time that can't be read is flagged; a missing time is not."""
    orders = canonical_orders(
        raw_orders({"created_at": "soon"}, {"created_at": None}, {"created_at": " "}, {"created_at": "2026-11-21"}),
        "UTC",
    )

    assert orders["created_at_unreadable"].tolist() == [True, False, False, False]
    assert orders["created_at"].isna().tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    "nothing",
    ["0000-00-00", "0000-00-00 00:00:00", "0001-01-01T00:00:00", "01.01.0001 0:00:00", "1/1/0001 12:00:00 AM"],
)
def test_dates_that_stand_for_none(raw_orders: Any, nothing: str) -> None:
    """What MySQL and .NET write where there is no date is a missing date."""
    orders = canonical_orders(raw_orders({"updated_at": nothing}, {"updated_at": "0001-01-010"}), "UTC")

    assert orders["updated_at"].isna().all()
    assert orders["updated_at_unreadable"].tolist() == [False, True]


def test_updated_at_of_a_file(raw_orders: Any) -> None:
    """A row without its own change time has its file's; a query's row has none."""
    modified = pd.Timestamp("2026-11-21T12:00:00Z")
    orders = canonical_orders(
        raw_orders(
            {"updated_at": None, "file_modified_at": modified},
            {"updated_at": "2026-11-21T11:00:00Z", "file_modified_at": modified},
            {"updated_at": None, "file_modified_at": None},
        ),
        "UTC",
    )

    assert orders["updated_at"].tolist()[:2] == [modified, pd.Timestamp("2026-11-21T11:00:00Z")]
    assert pd.isna(orders["updated_at"].tolist()[2])


@pytest.mark.parametrize(
    ("text", "good"),
    [
        pytest.param('{"price": 19.90, "big": 12345678901234567890}', True, id="object"),
        pytest.param("{}", True, id="empty object"),
        pytest.param("[1]", False, id="array"),
        pytest.param('"text"', False, id="text"),
        pytest.param("null", False, id="null"),
        pytest.param('{"price": NaN}', False, id="NaN"),
        pytest.param("{'a': 1}", False, id="Python"),
        pytest.param("{", False, id="cut off"),
        pytest.param('{"a":' * 100_000, False, id="nested without end"),
    ],
)
def test_additional_info(raw_orders: Any, text: str, good: bool) -> None:
    """additional_info that is a JSON object stays digit for digit; any other text is missing and flagged."""
    (order,) = canonical_orders(raw_orders({"additional_info": text}), "UTC").to_dict("records")

    assert order["additional_info_unreadable"] is not good
    assert order["additional_info"] == text if good else pd.isna(order["additional_info"])


def test_additional_info_by_default(raw_orders: Any) -> None:
    """A default is checked as a source's own text, also where the source has no such column."""
    values = Values(defaults={"additional_info": "not json"})
    raw = raw_orders({"order_id": "1"}).drop(columns="additional_info")
    (order,) = canonical_orders(raw, "UTC", values=values).to_dict("records")

    assert order["additional_info_unreadable"]
    assert pd.isna(order["additional_info"])


def items_of(raw_orders: Any, text: str | None, **columns: str) -> tuple[list[dict[str, Any]], bool]:
    """Return the items in one order's JSON column without missing fields, and whether it is unreadable."""
    orders = canonical_orders(raw_orders({"order_id": "before"}, {"items": text}), "UTC")
    items, unreadable = json_items(orders, columns)
    assert set(items.columns) == {"position", *ITEM_COLUMNS}
    assert set(items["position"]) <= {1}
    assert not unreadable[0]
    rows = items.drop(columns="position").to_dict("records")
    return [{key: value for key, value in row.items() if not pd.isna(value)} for row in rows], bool(unreadable[1])


@pytest.mark.parametrize(
    ("text", "items"),
    [
        pytest.param('[{"item_id": "7", "cost": "19.90"}]', [{"item_id": "7", "cost": "19.90"}], id="texts"),
        pytest.param('[{"item_id": 7, "cost": 19.90}]', [{"item_id": "7", "cost": "19.90"}], id="numbers"),
        pytest.param('[{"cost": 1e5}, {"cost": 1.0}]', [{"cost": "1e5"}, {"cost": "1.0"}], id="digits as written"),
        pytest.param('[{"name": " Лампа "}, {"name": ""}]', [{"name": "Лампа"}, {}], id="trimmed"),
        pytest.param('[{"name": null, "url": [], "category": {}, "cost": NaN}]', [{}], id="no texts"),
        pytest.param('[{"color": "red"}]', [{}], id="unknown keys"),
        pytest.param("[]", [], id="empty"),
        pytest.param(None, [], id="none"),
    ],
)
def test_items_in_json(raw_orders: Any, text: str | None, items: list[dict[str, str]]) -> None:
    """Items in a JSON column keep their sequence, and numbers keep their digits as text."""
    assert items_of(raw_orders, text) == (items, False)


def test_items_by_the_shops_keys(raw_orders: Any) -> None:
    """Keys in the items' JSON are found by the configuration's names."""
    assert items_of(raw_orders, '[{"sku": 7, "item_id": 8}]', item_id="sku") == ([{"item_id": "7"}], False)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"item_id": 7}', id="one object"),
        pytest.param("[7]", id="array of numbers"),
        pytest.param("[null]", id="array of nulls"),
        pytest.param("lamp", id="text"),
        pytest.param("null", id="null"),
        pytest.param('[{"item_id": 7}, 8]', id="half right"),
        pytest.param("[" * 100_000, id="nested without end"),
    ],
)
def test_items_unreadable(raw_orders: Any, text: str) -> None:
    """A JSON column that is not an array of objects is flagged, and gives no items."""
    assert items_of(raw_orders, text) == ([], True)


def test_items_with_half_a_character(raw_orders: Any) -> None:
    """Half an emoji in JSON, from a cut text, does not stop the other orders."""
    items, unreadable = items_of(raw_orders, r'[{"item_id": "7", "name": "Lamp \ud83d"}]')

    assert [(item["item_id"], item["name"]) for item in items] == [("7", "Lamp ?")]
    assert not unreadable


def test_items_of_a_query(raw_orders: Any, raw_items: Any) -> None:
    """Every row of an order gets the items query's items, in their sequence; items without an order are ignored."""
    orders = canonical_orders(
        raw_orders({"order_id": " 1"}, {"order_id": "2"}, {"order_id": "1"}, {"order_id": None}), "UTC"
    )
    items = query_items(
        raw_items(
            {"order_id": "1 ", "item_id": "b"},
            {"order_id": "3", "item_id": "x"},
            {"order_id": None, "item_id": "y"},
            {"order_id": "1", "item_id": " a "},
        ),
        orders,
    )

    by_position = items.groupby("position")["item_id"].agg(list).to_dict()
    assert by_position == {0: ["b", "a"], 2: ["b", "a"]}
