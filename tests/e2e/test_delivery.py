"""The sandbox's content after six hours, against the sample shop as read by SQL and the csv module."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pyarrow.parquet
import pytest
from psycopg.rows import dict_row

from demo import report, shop
from sandbox.registry import SERVICES

HOUR = timedelta(hours=1)

# Status label of the two sources -> code, by the services' contracts.
REES46 = {"new": 0, "paid": 0, "processing": 0, "shipped": 0, "delivered": 1, "cancelled": 2, "returned": 2}
YESPO = {
    "new": "INITIALIZED",
    "paid": "IN_PROGRESS",
    "processing": "IN_PROGRESS",
    "shipped": "IN_PROGRESS",
    "delivered": "DELIVERED",
    "cancelled": "CANCELLED",
    "returned": "CANCELLED",
    "abandoned": "ABANDONED_SHOPPING_CART",
}
PERSONACLICK = {
    "Новый": 0,
    "Оплачен": 0,
    "В работе": 0,
    "Отправлен": 0,
    "Доставлен": 1,
    "Отменён": 2,
    "Возврат": 2,
}
JUSTCLICK = {"Оплачен": "paid", "Отправлен": "sent", "Отменён": "cancel", "Возврат": "return"}

# The reasons of the shop's broken orders; six hours hold each once for each destination that checks for it.
WAREHOUSE_REASONS = [
    ["status: missing"],
    ["status: not in the status map"],
    ["status_changed_at: missing"],
    ["status_changed_at: not a date and time"],
    ["updated_at: not a date and time"],
]
DROP_REASONS = [["order_id: missing"], *WAREHOUSE_REASONS[:4]]
REASONS = {
    "rees46": [["order_id: missing"], *WAREHOUSE_REASONS],
    "personaclick": DROP_REASONS,
    "justclick": [
        *DROP_REASONS,
        ["bill_id: missing"],
        ["bill_id: not a number"],
        ["tracking_number: missing"],
    ],
    "yespo": [
        *WAREHOUSE_REASONS,
        [  # a change without an order id finds no order, so its other columns are missing too
            "order_id: missing",
            "customer_id: missing",
            "total_cost: missing",
            "currency: missing",
            "created_at: missing",
            "contact: neither email nor phone",
        ],
        ["customer_id: missing"],
        ["total_cost: missing"],
        ["total_cost: not a number"],
        ["currency: missing"],
        ["currency: not three capital letters"],
        ["created_at: missing"],
        ["created_at: not a date and time"],
        ["contact: neither email nor phone"],
        ["email: not an address"],
        ["phone: no telephone number"],
        ["first_name: longer than 40 characters"],
        ["last_name: longer than 40 characters"],
        ["shipping: not a number"],
        ["discount: not a number"],
        ["taxes: not a number"],
        ["additional_info: not a JSON object"],
        ["items: item_id missing"],
        ["items: name missing"],
        ["items: quantity not a whole number"],
        ["items: cost not a number"],
        ["items: url missing"],
        ["items: image_url missing"],
        [
            "currency: missing",
            "email: not an address",
            "taxes: not a number",
            "items: cost not a number",
        ],
    ],
}


@pytest.fixture(scope="module")
def warehouse(backfilled) -> list[list[dict[str, Any]]]:
    """The warehouse's changes, hour by hour, oldest first."""
    query = """
        SELECT order_id, status, changed_at FROM order_changes
        WHERE recorded_at >= %s AND recorded_at < %s ORDER BY recorded_at, id
    """
    with psycopg.connect(backfilled.demo.postgres.uri("shop"), row_factory=dict_row) as connection:
        return [connection.execute(query, (hour, hour + HOUR)).fetchall() for hour in backfilled.demo.hours]


@pytest.fixture(scope="module")
def drop(backfilled) -> list[list[dict[str, str]]]:
    """The drop's rows, hour by hour in file order; a blank line is an empty row."""
    hours = []
    for hour in backfilled.demo.hours:
        local = hour.astimezone(ZoneInfo("Europe/Kyiv"))
        path = backfilled.demo.settings.drop / f"{local:%Y-%m-%d}" / f"orders-{local:%H}.csv"
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = csv.reader(file, delimiter=";")
        hours.append([dict(zip(header, row, strict=True)) if row else {} for row in rows])
    return hours


@pytest.fixture(scope="module")
def rejected(backfilled) -> dict[str, list[dict[str, Any]]]:
    """The rejected rows of each destination, from its run folders."""
    staging = backfilled.demo.settings.local / "staging"
    return {
        name: [
            row
            for path in sorted(staging.glob(f"order_sync_{name}/backfill__*/*/rejected/*.parquet"))
            for row in pyarrow.parquet.read_table(path).to_pylist()
        ]
        for name in backfilled.figures
    }


def is_time(text: str | None) -> bool:
    """Whether the text is a date and time."""
    try:
        return bool(datetime.fromisoformat(text or ""))
    except ValueError:
        return False


def newest(hours: list[list[dict[str, Any]]], order_id: str, status: str, at: str) -> dict[str, str]:
    """Return the newest status of each order with a readable id, status and time."""
    rows = [row for hour in hours for row in hour if row and row[order_id] and is_time(row[at])]
    return {row[order_id]: row[status] for row in sorted(rows, key=lambda row: row[at])}


def held(backfilled, provider: str) -> dict[str, Any]:
    """Return the last status of each order in the sandbox."""
    return {order_id: order["history"][-1]["status"] for order_id, order in backfilled.orders[provider].items()}


@pytest.mark.parametrize(("provider", "codes"), [("rees46", REES46), ("yespo", YESPO)])
def test_a_warehouse_destination_holds_the_newest_status_of_every_order(
    backfilled, warehouse, rejected, provider, codes
):
    """REES46 and Yespo hold exactly the good orders of the warehouse, each with its newest status's code."""
    bad = {row["order_id"] for row in rejected[provider]}
    statuses = newest(warehouse, "order_id", "status", "changed_at")
    expected = {
        order_id: codes[status] for order_id, status in statuses.items() if order_id not in bad and status in codes
    }
    assert held(backfilled, provider) == expected
    assert {"007", "00123", "1e5", "msk-2", "Київ 15"} <= set(expected)


def test_personaclick_holds_the_newest_status_of_every_order_of_the_drop(backfilled, drop):
    """PersonaClick holds exactly the good orders of the CSV files, each with its newest status's code."""
    statuses = newest(drop, "Order number", "Status", "Changed at")
    expected = {order: PERSONACLICK[status] for order, status in statuses.items() if status in PERSONACLICK}
    assert held(backfilled, "personaclick") == expected
    assert {"0042", "3e7", "spb-9", "№ 16/б"} <= set(expected)


def test_justclick_holds_every_change_in_order(backfilled, drop):
    """JustClick gets every change of a bill that has a code there, oldest first."""
    rows = [row for hour in drop for row in hour if row and row["Order number"] and is_time(row["Changed at"])]
    good = [
        row
        for row in rows
        if row["Status"] in JUSTCLICK
        and row["JustClick bill"].isdigit()
        and (row["Status"] != "Отправлен" or row["Tracking number"])
    ]
    good.sort(key=lambda row: (row["JustClick bill"], row["Changed at"]))
    expected = {
        bill: [JUSTCLICK[row["Status"]] for row in changes]
        for bill, changes in groupby(good, key=lambda row: row["JustClick bill"])
    }
    histories = {
        bill: [change["status"] for change in order["history"]]
        for bill, order in backfilled.orders["justclick"].items()
    }
    assert histories == expected
    assert any(len(changes) > 1 for changes in expected.values())


@pytest.mark.parametrize("provider", SERVICES)
def test_no_service_gets_a_code_twice_in_a_row(backfilled, provider):
    """An order is not sent again with the code that was sent last: paid and shipped are one event at Yespo."""
    for order_id, order in backfilled.orders[provider].items():
        codes = [change["status"] for change in order["history"]]
        assert all(code != before for before, code in pairwise(codes)), order_id


@pytest.mark.parametrize(("name", "codes"), [("rees46", REES46), ("yespo", YESPO)])
def test_an_order_is_unchanged_where_its_code_is(backfilled, warehouse, rejected, name, codes):
    """A good order counts as unchanged in an hour whose newest status has the same code as the hour before."""
    bad = {row["order_id"] for row in rejected[name]}
    histories = defaultdict(list)
    for hour in warehouse:
        for order_id, status in newest([hour], "order_id", "status", "changed_at").items():
            if order_id not in bad and status in codes:
                histories[order_id].append(codes[status])
    unchanged = sum(code == before for history in histories.values() for before, code in pairwise(history))
    assert backfilled.figures[name]["unchanged"] == unchanged > 0


def test_yespo_holds_the_orders_of_the_shop_to_the_cent(backfilled):
    """Each order at Yespo has the warehouse's customer, money and items, to the last cent."""
    with psycopg.connect(backfilled.demo.postgres.uri("shop"), row_factory=dict_row) as connection:
        orders = {row["order_id"]: row for row in connection.execute("SELECT * FROM orders")}
        items = connection.execute("SELECT * FROM order_items ORDER BY order_id, item_id").fetchall()
    items_of = {order_id: list(rows) for order_id, rows in groupby(items, key=lambda row: row["order_id"])}
    assert backfilled.orders["yespo"]
    for order_id, order in backfilled.orders["yespo"].items():
        payload, source = order["payload"], orders[order_id]
        assert payload["externalCustomerId"] == source["customer_id"]
        assert payload["email"] == source["email"]
        for field, column in (("totalCost", "total_cost"), ("shipping", "shipping"), ("taxes", "taxes")):
            assert Decimal(payload[field]) == Decimal(source[column]), (order_id, field)
        sent = {(item["externalItemId"], item["quantity"], Decimal(item["cost"])) for item in payload["items"]}
        assert sent == {(row["item_id"], int(row["quantity"]), Decimal(row["cost"])) for row in items_of[order_id]}


def test_every_destination_lists_every_reason(backfilled, rejected):
    """Each broken row is listed by each destination that checks for it, with exactly its reasons."""
    words = re.compile(r"(?<=status map) \((on hold|Ожидает звонка)\)")
    for name, expected in REASONS.items():
        listed = Counter(tuple(words.sub("", reason) for reason in row["reasons"]) for row in rejected[name])
        assert listed == Counter(map(tuple, expected)), name
        assert backfilled.figures[name]["rejected"] == len(expected)


@pytest.mark.parametrize("name", SERVICES)
def test_the_figures_are_those_of_the_sandbox(backfilled, name):
    """Accepted orders and requests in the table equal the sandbox's counts, and the sandbox refused nothing."""
    stats, figures = backfilled.stats[name], backfilled.figures[name]
    report.check_balance({name: figures})
    assert (stats["accepted"], stats["requests"]) == (figures["accepted"], figures["requests"])
    assert (stats["refused"], stats["rejected"]) == (0, 0)


def test_the_figures_are_those_of_the_warehouse(backfilled, warehouse):
    """Rows, orders and superseded rows of REES46 and Yespo in the table equal the counts by SQL."""
    rows = sum(map(len, warehouse))
    orders = sum(
        len({row["order_id"] for row in hour} - {None}) + sum(row["order_id"] is None for row in hour)
        for hour in warehouse
    )
    for name in ("rees46", "yespo"):
        figures = backfilled.figures[name]
        assert (figures["rows"], figures["orders"]) == (rows, orders)
        assert (figures["superseded"], figures["skipped"]) == (rows - orders, 0)
    abandoned = sum(row["status"] == "abandoned" for hour in warehouse for row in hour)
    assert backfilled.figures["rees46"]["not_for_provider"] == abandoned
    assert backfilled.figures["yespo"]["not_for_provider"] == 0
    assert rows > orders


def test_the_figures_are_those_of_the_drop(backfilled, drop):
    """Rows, orders and skipped rows of PersonaClick and JustClick in the table equal those of the CSV files."""
    rows, blank = sum(map(len, drop)), sum(not row for hour in drop for row in hour)
    orders = sum(
        len({row["Order number"] for row in hour if row} - {""}) + sum(row["Order number"] == "" for row in hour if row)
        for hour in drop
    )
    newest_only, every = backfilled.figures["personaclick"], backfilled.figures["justclick"]
    assert (newest_only["rows"], newest_only["skipped"], newest_only["orders"]) == (rows, blank, orders)
    assert newest_only["superseded"] == rows - blank - orders
    assert (every["rows"], every["skipped"], every["superseded"]) == (rows, blank, 0)
    assert blank > 0


@pytest.mark.parametrize("name", SERVICES)
def test_each_runs_note_says_its_outcome(backfilled, name):
    """Each run's note adds up, and shows rows, accepted, rejected and requests; together they equal the figures."""
    runs = backfilled.demo.api.runs(f"order_sync_{name}", backfilled.demo.hours)
    figures = backfilled.figures[name]
    total: Counter[str] = Counter()
    for run in runs:
        line = run["note"].partition(": ")[2].partition(".")[0]
        noted = {word.strip(): int(number) for word, number in re.findall(r"([a-z ]+) (\d+)", line)}
        requests = noted.pop("requests")
        assert noted.pop("read") == sum(noted.values())
        total += Counter(noted, requests=requests)
    for figure in ("accepted", "rejected", "superseded", "skipped", "requests"):
        assert total[figure] == figures[figure]


def test_a_second_start_adds_only_what_is_missing(backfilled):
    """A shop that already holds the hours stays unchanged, for any size in the settings."""
    settings = replace(backfilled.demo.settings, shop_orders=9999)
    story = shop.fill(settings, backfilled.demo.postgres.uri("shop"), backfilled.demo.hours)
    assert story.startswith("Sample shop: 0 of the last 6 hours added, 240 orders in six hours, seed 7 (the first set")
