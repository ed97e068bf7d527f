"""One partition: the orders that are ready, their codes, items and amounts, and the balances."""

import json
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.order_sync.model import READY_COLUMNS, OrderStatus
from include.order_sync.providers import PROVIDERS
from include.order_sync.staging.partition_hash import partition_hash
from include.order_sync.transform.transform import Transformed
from include.order_sync.transform.values import Values
from tests.unit.transform.samples import EARLY, ITEM, LATE, NOON, YESPO_ORDER, Run, payloads, reasons, some_rows


def yespo(run: Run, forms: Values, *rows: dict[str, Any]) -> Transformed:
    """Transform rows for Yespo."""
    return run(*({**YESPO_ORDER, **row} for row in rows), provider="yespo", forms=forms)


def test_guests_are_no_customer(run: Run) -> None:
    """A zero or a word for nothing is nobody's id. E-mail or telephone number stand in where the source says so."""
    rows = [
        {"customer_id": "00", "email": "Ann@Shop.example"},
        {"order_id": "2", "customer_id": "Guest", "email": None},
    ]
    rows[1]["phone"] = "+380671234567"

    assert yespo(run, Values(), *rows).reasons == {"customer_id: missing": 2}
    sent = payloads(yespo(run, Values(customer_id_from=("email", "phone")), *rows))
    assert sorted(order["externalCustomerId"] for order in sent) == ["380671234567", "ann@shop.example"]


def test_a_bad_contact_may_be_left_out(run: Run) -> None:
    """An order is sent without its bad e-mail or telephone number, and counted; with neither it is rejected."""
    rows = [{"order_id": "1", "phone": "unknown"}, {"order_id": "2", "phone": "unknown", "email": "a@b"}]

    assert yespo(run, Values(), *rows).reasons == {"phone: no telephone number": 2, "email: not an address": 1}
    transformed = yespo(run, Values(drop_bad_contact=True), *rows)
    (order,) = payloads(transformed)
    assert (order["email"], order.get("phone")) == ("ann@shop.example", None)
    assert transformed.left_out == {"phone": 1}
    assert reasons(transformed) == {"2": ["contact: neither email nor phone"]}


def test_words_for_nothing_and_defaults(run: Run) -> None:
    """A word for nothing is missing in every column, also of items, and a default fills what a row does not have."""
    items = [{"order_id": "1", **ITEM, "category": "null"}]
    row = {**YESPO_ORDER, "order_id": "1", "status": r"\N", "currency": "NULL", "phone": "-", "updated_at": "null"}
    forms = Values(missing_words=("null", r"\N", "-"), defaults={"currency": "UAH", "status": "paid"})
    (order,) = payloads(run(row, provider="yespo", items=items, forms=forms))

    assert (order["currency"], order["status"], order.get("phone")) == ("UAH", "IN_PROGRESS", None)
    assert "category" not in order["items"][0]


def test_amounts_of_money(run: Run) -> None:
    """By the declared sign amounts lose currency and thousands; one in another form is rejected, never read anew."""
    rows = [{"order_id": "1", "total_cost": "1 234,56 грн", "taxes": "1.000"}, {"order_id": "2", "total_cost": "10.00"}]
    transformed = yespo(run, Values(decimal=","), *rows)
    (order,) = payloads(transformed)

    assert (order["totalCost"], order["taxes"]) == ("1234.56", "1000")
    assert reasons(transformed) == {"2": ["total_cost: not an amount in the source's form"]}


def test_numbers_in_the_json_of_items(run: Run) -> None:
    """A JSON number always has a point, whatever sign the shop's texts have; three decimals are no thousands."""
    items = '[{"sku": 1.5, "quantity": 3.000, "cost": "6,125"}, {"sku": "2", "quantity": 2, "cost": 6.125}]'
    row = {**YESPO_ORDER, "order_id": "1", "total_cost": "6,125", "items": items}
    lenient = PROVIDERS["yespo"].by_items["lenient"]
    keys = {"item_columns": {"item_id": "sku"}, "checks": lenient.checks, "build": lenient.build}
    (order,) = payloads(run(row, provider="yespo", forms=Values(decimal=","), **keys))

    assert [(item["externalItemId"], item["quantity"], item["cost"]) for item in order["items"]] == [
        ("1.5", "3", "6.125"),
        ("2", "2", "6.125"),
    ]


@pytest.mark.parametrize(
    ("channel", "source"), [("Offline", "offline"), ("ONLINE", "online"), ("app", None), ("", None), (None, None)]
)
def test_channels(run: Run, channel: str | None, source: str | None) -> None:
    """Yespo knows two channels: another word is left out, because it would count as online."""
    (order,) = payloads(run({**YESPO_ORDER, "order_id": "1", "channel": channel}, provider="yespo"))

    assert order.get("source") == source


def test_not_for_the_provider(run: Run) -> None:
    """A status without a code at the provider is counted separately, and skips the provider's checks."""
    transformed = run(
        {"order_id": "1", "status": "new"},
        {"order_id": "2", "status": "done", "bill_id": "not a number"},
        {"order_id": "3", "status": "paid", "bill_id": None},
        {"order_id": "4", "status": "paid", "bill_id": "7"},
        {"order_id": None, "status": "new"},
        provider="justclick",
    )

    assert transformed.counts == {"superseded": 0, "orders": 5, "rejected": 2, "not_for_provider": 2}
    assert transformed.reasons == {"bill_id: missing": 1, "order_id: missing": 1}
    assert transformed.ready["order_id"].tolist() == ["4"]


def test_overridden_codes(run: Run) -> None:
    """The destination's codes are sent; null removes a status."""
    codes = {**PROVIDERS["rees46"].statuses, OrderStatus.SHIPPED: 1, OrderStatus.PAID: None}
    transformed = run({"order_id": "1", "status": "sent"}, {"order_id": "2", "status": "paid"}, codes=codes)

    assert payloads(transformed) == [{"id": "1", "status": "1"}]
    assert transformed.ready["code"].tolist() == ["1"]
    assert transformed.counts["not_for_provider"] == 1


def test_ready_columns(run: Run) -> None:
    """A ready order has only identity, version, code, payload and its raw row's position."""
    transformed = run({"order_id": " 1 ", "email": "ann@shop.example", "position": 9})
    (order,) = transformed.ready.to_dict("records")

    assert list(transformed.ready.columns) == READY_COLUMNS
    assert (order["order_id"], order["partition_hash"], order["position"]) == ("1", partition_hash("1"), 9)
    assert order["status_changed_at"] == pd.Timestamp("2026-11-21T10:00:00Z")


@pytest.mark.parametrize(
    ("send_when", "row", "changed_at"),
    [
        ("status", {"updated_at": LATE}, EARLY),
        ("content", {"updated_at": LATE}, LATE),
        ("content", {"file_modified_at": pd.Timestamp(LATE)}, EARLY),
        ("content", {"updated_at": EARLY, "file_modified_at": pd.Timestamp(LATE), "status_changed_at": NOON}, NOON),
    ],
)
def test_a_change_is_as_old_as_its_row_says(run: Run, send_when: str, row: dict[str, Any], changed_at: str) -> None:
    """A file's time makes a version newer, and no change new: a full export is written anew each hour."""
    transformed = run({"order_id": "1", "status_changed_at": EARLY, **row}, send_when=send_when)

    assert transformed.ready["changed_at"].tolist() == [pd.Timestamp(changed_at)]


ALIKE = ("plumless042", "buckeroo042")


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from([*ALIKE, "1", "2"]), st.sampled_from([EARLY, NOON, LATE]))))
def test_order_of_what_is_ready(run: Run, rows: list[tuple[str, str]]) -> None:
    """Orders are sorted by hash, and an order's changes by version, also if hashes are equal."""
    transformed = run(*({"order_id": id_, "status_changed_at": at} for id_, at in rows), changes="every")
    ready = transformed.ready

    assert partition_hash(ALIKE[0]) == partition_hash(ALIKE[1])
    assert ready["partition_hash"].is_monotonic_increasing
    assert (ready["order_id"] != ready["order_id"].shift()).sum() == ready["order_id"].nunique()
    for _, changes in ready.groupby("order_id"):
        assert changes[["status_changed_at", "rank"]].apply(tuple, axis=1).is_monotonic_increasing


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("rows", [[], [{"order_id": None}], [{"status": "lost"}]], ids=["none", "no id", "no status"])
def test_nothing_to_send(run: Run, provider: str, rows: list[dict[str, Any]]) -> None:
    """A partition with nothing to send gives no payloads and no error, for every provider."""
    transformed = run(*rows, provider=provider)

    assert list(transformed.ready.columns) == READY_COLUMNS
    assert (len(transformed.ready), len(transformed.rejected)) == (0, len(rows))


def test_items_of_a_query(run: Run) -> None:
    """Every change of an order gets the items of the items query."""
    transformed = run(
        {**YESPO_ORDER, "order_id": "1", "status": "new", "status_changed_at": EARLY},
        {**YESPO_ORDER, "order_id": "1", "status": "paid"},
        {**YESPO_ORDER, "order_id": "2", "status_changed_at": LATE, "items": "ignored"},
        provider="yespo",
        changes="every",
        items=[{**ITEM, "order_id": "1", "item_id": "b"}, {**ITEM, "order_id": "1", "item_id": "a"}],
    )

    sent = [
        (payload["externalOrderId"], [item["externalItemId"] for item in payload.get("items", [])])
        for payload in payloads(transformed)
    ]
    assert sorted(sent) == [("1", ["b", "a"]), ("1", ["b", "a"]), ("2", [])]


def test_items_in_json(run: Run) -> None:
    """An order gets the items in its JSON column, by the configuration's keys."""
    transformed = run(
        {**YESPO_ORDER, "items": json.dumps([{**ITEM, "sku": 7}, {**ITEM, "sku": "8"}])},
        {**YESPO_ORDER, "order_id": "B", "items": None},
        provider="yespo",
        item_columns={"item_id": "sku"},
    )

    sent = {payload["externalOrderId"]: payload for payload in payloads(transformed)}
    assert [item["externalItemId"] for item in sent["A-1"]["items"]] == ["7", "8"]
    assert "items" not in sent["B"]


@pytest.mark.parametrize("by_query", [True, False], ids=["second query", "JSON column"])
@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ("item_id", "items: item_id missing"),
        ("name", "items: name missing"),
        ("quantity", "items: quantity not a whole number"),
        ("cost", "items: cost not a number"),
        ("url", "items: url missing"),
        ("image_url", "items: image_url missing"),
    ],
)
def test_items_required_fields(run: Run, by_query: bool, column: str, reason: str) -> None:
    """An item without a field that the provider requires rejects only its own order."""
    items = [{**ITEM, "order_id": "1"}, {**ITEM, "order_id": "1", column: None}, {**ITEM, "order_id": "2"}]
    rows = [
        {**YESPO_ORDER, "order_id": id_, "items": json.dumps([item for item in items if item["order_id"] == id_])}
        for id_ in ("1", "2")
    ]
    transformed = run(*rows, provider="yespo", items=items if by_query else None)

    assert reasons(transformed) == {"1": [reason]}
    assert transformed.ready["order_id"].tolist() == ["2"]


def test_unreadable_items(run: Run) -> None:
    """Unreadable items reject an order only for a provider that needs items."""
    row = {**YESPO_ORDER, "items": "{not JSON"}

    assert run(row, provider="yespo").reasons == {"items: not a JSON array of objects": 1}
    assert run(row, provider="rees46").reasons == {}


decimals = st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,12})?", fullmatch=True)


@settings(max_examples=25)
@given(st.lists(decimals, min_size=4, max_size=4))
def test_money_leaves_as_it_came(run: Run, amounts: list[str]) -> None:
    """Any decimal number of an order or item is sent digit for digit as in the source."""
    total, shipping, cost, cost_in_json = amounts
    order = {**YESPO_ORDER, "total_cost": total, "shipping": shipping}
    items = json.dumps([{**ITEM, "cost": "@"}]).replace('"@"', cost_in_json)

    (queried,) = payloads(run(order, provider="yespo", items=[{**ITEM, "order_id": "A-1", "cost": cost}]))
    (in_json,) = payloads(run({**order, "items": items}, provider="yespo"))

    assert (queried["totalCost"], queried["shipping"], queried["items"][0]["cost"]) == (total, shipping, cost)
    assert in_json["items"][0]["cost"] == cost_in_json


visible = st.characters(
    codec="utf-8", exclude_categories=["C", "Z", "Mn"], exclude_characters="\u115f\u1160\u3164\uffa0"
)
ids = st.text(visible, min_size=1, max_size=12)


@settings(max_examples=25)
@given(st.lists(ids.map("x".__add__) | decimals, unique=True, max_size=8))
def test_ids_leave_as_they_came(run: Run, order_ids: list[str]) -> None:
    """Ids of visible characters are sent as unchanged text, and none is confused with another."""
    sent = payloads(run(*({"order_id": id_} for id_ in order_ids)))

    assert sorted(payload["id"] for payload in sent) == sorted(order_ids)


@settings(max_examples=60)
@given(some_rows, st.sampled_from(sorted(PROVIDERS)), st.sampled_from(["newest", "every"]))
def test_balances(run: Run, rows: list[dict[str, Any]], provider: str, changes: str) -> None:
    """For any rows: rows = orders + superseded, and orders = ready + rejected + not for the provider."""
    transformed = run(*rows, provider=provider, changes=changes)
    counts = transformed.counts

    assert counts["orders"] + counts["superseded"] == len(rows)
    assert len(transformed.ready) + counts["rejected"] + counts["not_for_provider"] == counts["orders"]
    assert len(transformed.rejected) == counts["rejected"]
    assert all(transformed.rejected["reasons"].map(bool))
    assert sum(transformed.reasons.values()) == transformed.rejected["reasons"].map(len).sum()
    if changes == "every":
        assert counts["superseded"] <= sum(row["status"] is None for row in rows)
    else:
        assert transformed.ready["order_id"].is_unique
