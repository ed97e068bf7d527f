"""One partition: the chosen rows, the rejected rows with their reasons, and the balances."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.order_sync.model import READY_COLUMNS, OrderStatus
from include.order_sync.providers import PROVIDERS
from include.order_sync.staging.partition_hash import partition_hash
from include.order_sync.transform.transform import Rules, Transformed, transform
from include.order_sync.transform.values import Values

WORDS = {
    "new": OrderStatus.CREATED,
    "paid": OrderStatus.PAID,
    "sent": OrderStatus.SHIPPED,
    "done": OrderStatus.DELIVERED,
}
EARLY, NOON, LATE = (f"2026-11-21T{hour}:00:00Z" for hour in ("08", "12", "16"))
ONE_BAD = "row: not as many fields as the header"
YESPO_ORDER = {
    "created_at": EARLY,
    "customer_id": "c-1",
    "email": "ann@shop.example",
    "total_cost": "19.90",
    "currency": "UAH",
}
ITEM = {
    "item_id": "i",
    "name": "Lamp",
    "quantity": "1",
    "cost": "9.90",
    "url": "https://x/i",
    "image_url": "https://x/j",
}

Run = Callable[..., Transformed]


@pytest.fixture(scope="session")
def run(raw_orders: Any, raw_items: Any) -> Run:
    """Transform rows for a provider; `items` come from an items query."""

    def transform_rows(
        *rows: dict[str, Any], provider: str = "rees46", items: list[dict[str, Any]] | None = None, **rules: Any
    ) -> Transformed:
        service = PROVIDERS[provider]
        plain = Rules(
            "UTC",
            datetime(2100, 1, 1, tzinfo=UTC),
            WORDS,
            service.statuses,
            "newest",
            {},
            "status",
            service.checks,
            service.build,
        )
        queried = None if items is None else raw_items(*items)
        return transform(raw_orders(*rows), queried, replace(plain, **rules))

    return transform_rows


def payloads(transformed: Transformed) -> list[Any]:
    """Return the payloads, parsed as JSON with numbers as text."""
    return [json.loads(text, parse_int=str, parse_float=str) for text in transformed.ready["payload"]]


def reasons(transformed: Transformed) -> dict[str | None, list[str]]:
    """Return order id -> reasons of the rejected rows."""
    return dict(zip(transformed.rejected["order_id"], transformed.rejected["reasons"], strict=True))


# Newest or every change


@pytest.mark.parametrize(
    ("rows", "sent"),
    [
        pytest.param(
            [{"status": "done", "status_changed_at": LATE}, {"status": "paid", "status_changed_at": NOON}],
            "done",
            id="the later status, though its row comes first",
        ),
        pytest.param(
            [{"status": "done", "updated_at": LATE}, {"status": "paid", "updated_at": NOON}],
            "done",
            id="of one time, the row that was changed later",
        ),
        pytest.param(
            [
                {"status": "done", "status_changed_at": LATE, "updated_at": EARLY},
                {"status": "paid", "status_changed_at": NOON, "updated_at": LATE},
            ],
            "done",
            id="the status' time goes before the row's",
        ),
        pytest.param([{"status": "paid"}, {"status": "done"}], "done", id="of one time, the row that comes last"),
        pytest.param(
            [{"status": "done", "updated_at": EARLY}, {"status": "paid", "updated_at": None}],
            "done",
            id="a row with a change time goes before one without",
        ),
        pytest.param(
            [
                {"status": "done", "file_modified_at": pd.Timestamp(LATE)},
                {"status": "paid", "file_modified_at": pd.Timestamp(NOON)},
            ],
            "done",
            id="of one time, the row of the later file",
        ),
        pytest.param(
            [
                {"status": "done", "status_changed_at": "2026-11-21T14:00:00+02:00", "updated_at": LATE},
                {"status": "paid", "status_changed_at": "2026-11-21T12:00:00Z", "updated_at": NOON},
            ],
            "done",
            id="times are compared as moments",
        ),
        pytest.param([{"order_id": "1 ", "status": "paid"}, {"order_id": " 1", "status": "done"}], "done", id="blanks"),
    ],
)
def test_newest(run: Run, rows: list[dict[str, Any]], sent: str) -> None:
    """The row with the greatest version is sent; the others are superseded."""
    transformed = run(*rows)

    assert [rows[position]["status"] for position in transformed.ready["position"]] == [sent]
    assert transformed.counts == {"superseded": 1, "orders": 1, "rejected": 0, "not_for_provider": 0}


def test_a_remembered_rank_goes_before_the_place_in_the_window(run: Run) -> None:
    """A row with a remembered rank keeps it and is compared by it; the other rows are counted."""
    transformed = run({"status": "done", "rank": 2}, {"status": "paid"}, {"status": "new", "rank": 0}, changes="every")

    assert transformed.ready[["position", "rank"]].to_numpy().tolist() == [[2, 0], [1, 1], [0, 2]]
    assert run({"status": "done", "rank": 2}, {"status": "paid"}).ready["position"].tolist() == [0]


def test_a_rejected_row_has_its_rank(run: Run) -> None:
    """A rejected row has its rank, so that the quarantine can store it; that of a row alone is 0."""
    assert run({"status": "lost"}).rejected["rank"].tolist() == [0]
    assert run({"status": "paid"}, {"status": "lost"}).rejected["rank"].tolist() == [1]


def test_ids_that_look_alike(run: Run) -> None:
    """Ids are text: ids that are equal as numbers are different orders."""
    ids = ["7", "007", "7.0", "1e1", "10", "А-1", "A-1"]

    assert sorted(run(*({"order_id": id_} for id_ in ids)).ready["order_id"]) == sorted(ids)


def test_newest_is_not_sent_though_an_older_could_be(run: Run) -> None:
    """If the newest version can't be sent, no older one replaces it."""
    transformed = run({"status": "paid"}, {"status": "lost", "status_changed_at": LATE})

    assert transformed.ready.empty
    assert transformed.counts == {"superseded": 1, "orders": 1, "rejected": 1, "not_for_provider": 0}


def test_every_change(run: Run) -> None:
    """Every change is sent, and an order's changes are in the sequence of their versions."""
    transformed = run(
        {"order_id": "1", "status": "done", "status_changed_at": LATE},
        {"order_id": "2", "status": "paid", "status_changed_at": NOON},
        {"order_id": "1", "status": "new", "status_changed_at": EARLY},
        {"order_id": "1", "status": "paid", "status_changed_at": NOON},
        changes="every",
    )

    changes = [row.position for row in transformed.ready.itertuples() if row.order_id == "1"]
    assert changes == [2, 3, 0]
    assert transformed.counts == {"superseded": 0, "orders": 4, "rejected": 0, "not_for_provider": 0}


@pytest.mark.parametrize("changes", ["newest", "every"])
def test_rows_without_a_place(run: Run, changes: str) -> None:
    """A row without a readable id or version supersedes no other row, and is rejected."""
    transformed = run(
        {"order_id": None},
        {"order_id": " "},
        {"order_id": "1", "status_changed_at": None},
        {"order_id": "1", "status_changed_at": "soon"},
        {"order_id": "1", "updated_at": "soon", "status_changed_at": LATE},
        {"order_id": "1", "status": "done"},
        changes=changes,
    )

    assert transformed.counts == {"superseded": 0, "orders": 6, "rejected": 5, "not_for_provider": 0}
    assert transformed.ready[["order_id", "position"]].to_numpy().tolist() == [["1", 5]]
    assert transformed.ready["rank"].dtype == "int64"  # the ledger's type
    assert transformed.reasons == {
        "order_id: missing": 2,
        "status_changed_at: missing": 1,
        "status_changed_at: not a date and time": 1,
        "updated_at: not a date and time": 1,
    }


# Rejected rows


def test_all_reasons_at_once(run: Run) -> None:
    """A rejected row has all its reasons, from the general checks and the provider's."""
    transformed = run(
        {**YESPO_ORDER, "order_id": None, "status_changed_at": "soon", "email": "ann", "currency": "uah"},
        {**YESPO_ORDER, "order_id": "2", "email": None, "total_cost": "19,90", "items": "[{}]"},
        {**YESPO_ORDER, "order_id": "good"},
        provider="yespo",
    )

    assert reasons(transformed)["2"] == [
        "total_cost: not a number",
        "contact: neither email nor phone",
        "items: item_id missing",
        "items: name missing",
        "items: quantity not a whole number",
        "items: cost not a number",
        "items: url missing",
        "items: image_url missing",
    ]
    assert [found for id_, found in reasons(transformed).items() if id_ != "2"] == [
        [
            "order_id: missing",
            "status_changed_at: not a date and time",
            "currency: not three capital letters",
            "email: not an address",
        ]
    ]
    assert transformed.reasons["email: not an address"] == 1
    assert transformed.ready["order_id"].tolist() == ["good"]


def test_rejected_rows_are_raw(run: Run) -> None:
    """A rejected row is kept unchanged, with its origin."""
    transformed = run(
        {}, {"order_id": " 2 ", "status": " Lost ", "status_changed_at": "soon", "line": 77, "origin": "a.csv"}
    )
    (row,) = transformed.rejected.to_dict("records")

    assert (row["order_id"], row["status"], row["status_changed_at"]) == (" 2 ", " Lost ", "soon")
    assert (row["origin"], row["line"]) == ("a.csv", 77)


def test_unknown_status_labels(run: Run) -> None:
    """A label outside the map is rejected, not guessed, and counted by itself; a missing label has another reason."""
    transformed = run(
        {"order_id": "1", "status": "lost"},
        {"order_id": "2", "status": " lost "},
        {"order_id": "3", "status": "PAID"},
        {"order_id": "4", "status": None},
        {"order_id": "5", "status": "delivered", "status_changed_at": None},
    )

    assert transformed.first_rows["status: not in the status map"].endswith(":1")
    assert transformed.reasons == {
        "status: not in the status map": 3,
        "status: missing": 1,
        "status_changed_at: missing": 1,
    }
    assert transformed.unknown_words == {"lost": 2, "delivered": 1}
    assert reasons(transformed)["5"] == ["status_changed_at: missing", "status: not in the status map (delivered)"]


@pytest.mark.parametrize("word", ["ann@shop.example", "+380 67 123 45 67", "Ann Example of the Old Town", "x" * 41])
def test_a_status_that_may_be_personal_is_not_shown(run: Run, word: str) -> None:
    """A text in the place of a status that may be a person's data is in no reason."""
    assert reasons(run({"status": word}))["A-1"] == ["status: not in the status map (a text that may be personal)"]


WRITTEN_OTHERWISE = ["ОТМЕНЁН", "отменен", "Отмене\u0308н", " Отменён\u200b", "ОТМЕНЁН\u00a0"]


@pytest.mark.parametrize("word", WRITTEN_OTHERWISE)
def test_status_words_as_shops_write_them(run: Run, word: str) -> None:
    """Case, the dots of ё, composition, blanks and invisible characters do not count."""
    transformed = run({"status": word}, statuses={"Отменён": OrderStatus.CANCELLED})

    assert transformed.ready["code"].tolist() == ["2"]


def test_status_words_that_differ_in_case_alone(run: Run) -> None:
    """Where the map has both, each means itself, and a third form means neither."""
    statuses = {"Done": OrderStatus.DELIVERED, "DONE": OrderStatus.CANCELLED}
    transformed = run(*({"order_id": word, "status": word} for word in ("Done", "DONE", "done")), statuses=statuses)

    assert dict(zip(transformed.ready["order_id"], transformed.ready["code"], strict=True)) == {
        "Done": "1",
        "DONE": "2",
    }
    assert transformed.unknown_words == {"done": 1}


@pytest.mark.parametrize("changes", ["newest", "every"])
def test_a_line_without_a_status_is_no_state_of_its_order(run: Run, changes: str) -> None:
    """Beside a row of the same order and times that has one, it supersedes nothing, wherever it stands."""
    item_line = {"status": None}
    transformed = run(item_line, {"status": "done"}, item_line, {"order_id": "2", "status": None}, changes=changes)

    assert transformed.ready["code"].tolist() == ["1"]
    assert transformed.counts["superseded"] == 2
    assert transformed.reasons == {"status: missing": 1}


@pytest.mark.parametrize("unprintable", ["A\x7f1", "A\t1", "1\x1f1"])
def test_ids_that_no_service_can_hold(run: Run, unprintable: str) -> None:
    """An id has at most 255 characters, and each can be printed."""
    transformed = run(*({"order_id": id_} for id_ in (unprintable, "x" * 256, None, "x" * 255, "A 1")))

    assert sorted(transformed.ready["order_id"]) == ["A 1", "x" * 255]
    assert transformed.reasons == {
        "order_id: missing": 1,
        "order_id: longer than 255 characters, or with unprintable ones": 2,
    }


def test_an_id_that_a_spreadsheet_has_lost(run: Run) -> None:
    """It is rejected, as it stands for many orders; an id that only looks like a number with an exponent is not."""
    transformed = run(*({"order_id": order_id} for order_id in ("1.23457E+17", "1,2E+05", "1e5", "E+17", "12E17")))

    assert sorted(transformed.ready["order_id"]) == ["12E17", "1e5", "E+17"]
    assert transformed.reasons == {"order_id: its digits were lost by a spreadsheet": 2}


def test_lines_that_stand_apart_are_not_joined(run: Run) -> None:
    """Where a source joins an order's lines, those of one file, status and time that are left over are rejected."""
    rows = [
        *({"order_id": id_} for id_ in ("apart", "alone", "apart", None, None, "changed", "in two files")),
        {"order_id": "changed", "status": "done"},
        {"order_id": "in two files", "origin": "another.csv"},
    ]

    assert run(*rows, joins_lines=True).reasons == {
        "order_id: missing": 2,
        "order: its lines do not stand together in the file": 2,
    }
    assert run(*rows).reasons == {"order_id: missing": 2}


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


def test_a_version_in_the_future_keeps_nothing_back(run: Run) -> None:
    """A wrong year is rejected for that reason, and the order's other rows are sent."""
    transformed = run(
        {"order_id": "1", "status": "paid", "status_changed_at": NOON},
        {"order_id": "1", "status": "done", "status_changed_at": "2926-11-21T12:00:00Z"},
        {"order_id": "2", "status": "done", "status_changed_at": NOON, "updated_at": "2926-11-21T12:00:00Z"},
    )

    assert transformed.ready["position"].tolist() == [0]
    assert transformed.reasons == {"status_changed_at: in the future": 2}


def test_the_newest_change(run: Run) -> None:
    """It is of all rows, also of those that are not sent; a time in the future, or none at all, does not count."""
    latest = datetime(2026, 11, 22, tzinfo=UTC)
    times = (EARLY, NOON, "2026-11-23T08:00:00Z", "soon", None)
    rows = [{"order_id": str(number), "status_changed_at": time} for number, time in enumerate(times)]

    assert run(*rows, latest=latest).newest_change == datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert run(*rows[2:], latest=latest).newest_change is None


def test_the_hour_that_comes_twice(run: Run) -> None:
    """A step back within the hour makes the later row the newer one; orders whose pass nothing tells are named."""
    night = "2026-10-25 03:{}:00".format
    transformed = run(
        {"order_id": "1", "status": "paid", "status_changed_at": night(40)},
        {"order_id": "1", "status": "done", "status_changed_at": night(10)},
        {"order_id": "2", "status_changed_at": night(10)},
        {"order_id": "3", "status_changed_at": "2026-03-29 03:10:00"},
        timezone="Europe/Kyiv",
    )
    by_order = transformed.ready.set_index("order_id")["position"].to_dict()

    assert by_order == {"1": 1, "2": 2, "3": 3}
    assert list(transformed.doubts.values()) == [["2"], ["3"]]
    alone = run({"status_changed_at": night(10)}, timezone="Europe/Kyiv", now=datetime(2026, 10, 25, 0, 15, tzinfo=UTC))
    assert alone.doubts == {}


def test_problem_rows(run: Run) -> None:
    """An unreadable row has only that reason, and none that follows from it."""
    nothing = {"order_id": None, "status": None, "status_changed_at": None, "problem": ONE_BAD}
    transformed = run(nothing, {"order_id": "1"}, nothing)

    assert transformed.rejected["reasons"].tolist() == [[ONE_BAD], [ONE_BAD]]
    assert transformed.reasons == {ONE_BAD: 2}
    assert transformed.counts == {"superseded": 0, "orders": 3, "rejected": 2, "not_for_provider": 0}


def test_nothing_rejected(run: Run) -> None:
    """Good rows have no reasons."""
    transformed = run({})

    assert transformed.rejected.empty
    assert (transformed.reasons, transformed.first_rows) == (Counter(), {})


# Codes


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


# Items


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


# Money


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


# Balances


times = st.sampled_from([EARLY, NOON, LATE, None, "soon"])
some_rows = st.lists(
    st.fixed_dictionaries(
        {
            "order_id": st.sampled_from(["1", " 1", "2", "3", None]),
            "status": st.sampled_from([*WORDS, "lost", None]),
            "status_changed_at": times,
            "updated_at": times,
            "bill_id": st.sampled_from(["7", "x", None]),
            "problem": st.sampled_from([None, None, None, ONE_BAD]),
        }
    ),
    max_size=12,
)


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


@settings(max_examples=60)
@given(some_rows)
def test_newest_of_any_rows(run: Run, rows: list[dict[str, Any]]) -> None:
    """For any rows, an order's sent row has the greatest of its readable versions."""
    transformed = run(*rows)
    newest: dict[str, Any] = {}
    readable = [
        not row["problem"]
        and row["order_id"] is not None
        and row["status_changed_at"] not in (None, "soon")
        and row["updated_at"] != "soon"
        for row in rows
    ]

    def times_of(row: dict[str, Any]) -> tuple[Any, ...]:
        return row["order_id"].strip(), row["status_changed_at"], row["updated_at"]

    with_status = {times_of(row) for row, good in zip(rows, readable, strict=True) if good and row["status"]}
    for position, row in enumerate(rows):
        if readable[position] and (row["status"] or times_of(row) not in with_status):
            version = (row["status_changed_at"], row["updated_at"] or "", position)
            order_id = row["order_id"].strip()
            newest[order_id] = max(newest.get(order_id, ()), (*version, row["status"]))

    expected = {id_: version[2] for id_, version in newest.items() if version[3] in WORDS}
    assert dict(zip(transformed.ready["order_id"], transformed.ready["position"], strict=True)) == expected


@pytest.mark.parametrize("first", ["created", "abandoned"])
def test_a_status_that_is_not_for_the_provider_supersedes_none_that_is(run: Run, first: str) -> None:
    """Of created and abandoned in one window REES46 gets created, as it would from two windows."""
    second = "abandoned" if first == "created" else "created"
    times = ("2026-11-21T10:00:00Z", "2026-11-21T11:00:00Z")
    labels = {"created": "new", "abandoned": "left"}
    transformed = run(
        *({"status": labels[name], "status_changed_at": at} for name, at in zip((first, second), times, strict=True)),
        statuses={"new": OrderStatus.CREATED, "left": OrderStatus.ABANDONED},
    )
    assert transformed.ready["code"].tolist() == ["0"]
    assert transformed.counts == {"superseded": 1, "orders": 1, "rejected": 0, "not_for_provider": 0}


def test_of_statuses_that_are_not_for_the_provider_one_counts(run: Run) -> None:
    """An order with two statuses that mean nothing to the provider is one order, not for this provider."""
    times = ("2026-11-21T10:00:00Z", "2026-11-21T11:00:00Z")
    transformed = run(
        *({"status": "left", "status_changed_at": at} for at in times), statuses={"left": OrderStatus.ABANDONED}
    )
    assert transformed.counts == {"superseded": 1, "orders": 1, "rejected": 0, "not_for_provider": 1}


@pytest.mark.parametrize(
    ("labels", "ready", "counts"),
    [
        (["strange", "left"], [], {"rejected": 0, "not_for_provider": 1}),
        (["new", "strange"], [], {"rejected": 1, "not_for_provider": 0}),
        (["new", "strange", "left"], ["0"], {"rejected": 0, "not_for_provider": 0}),
        (["left", "strange"], [], {"rejected": 1, "not_for_provider": 0}),
    ],
)
def test_an_unknown_status_counts_if_it_is_the_newest(
    run: Run, labels: list[str], ready: list[str], counts: dict[str, int]
) -> None:
    """An unknown status word is listed if it is an order's newest, and an older one hides nothing."""
    transformed = run(
        *({"status": name, "status_changed_at": f"2026-11-21T1{hour}:00:00Z"} for hour, name in enumerate(labels)),
        statuses={"new": OrderStatus.CREATED, "left": OrderStatus.ABANDONED},
    )
    assert transformed.ready["code"].tolist() == ready
    assert counts.items() <= transformed.counts.items()


def test_a_source_hash_is_of_the_sources_words(run: Run) -> None:
    """Another status map gives the same hash, and another word for the same status another one."""
    first = run({"status": "paid"}, statuses={"paid": OrderStatus.PAID, "Paid": OrderStatus.PAID}).ready["source_hash"]
    mapped = run({"status": " paid "}, statuses={"paid": OrderStatus.DELIVERED}).ready["source_hash"]
    worded = run({"status": "Paid"}, statuses={"paid": OrderStatus.PAID, "Paid": OrderStatus.PAID}).ready["source_hash"]
    assert (first.tolist() == mapped.tolist(), first.tolist() == worded.tolist()) == (True, False)


def test_a_remembered_source_hash_is_kept(run: Run) -> None:
    """A row from the quarantine has the hash that it had beside its neighbours, also if it is rejected again."""
    row, item = {"source_hash": "77", "rank": 0}, ITEM | {"order_id": "A-1"}

    assert run(row).ready["source_hash"].tolist() == [77]
    assert run(row, items=[item], send_when="content").ready["source_hash"].tolist() == [77]
    assert run(row | {"status": "lost"}).rejected["source_hash"].tolist() == ["77"]


def test_of_rejected_rows_of_one_time_the_last_has_the_hash(run: Run) -> None:
    """As of those that are sent: only the last row of one time says what the order is now."""
    rejected = run({"status": "lost"}, {"status": "gone"}, changes="every").rejected

    assert rejected["status"].tolist() == ["lost", "gone"]
    first, last = rejected["source_hash"]
    assert (first, int(last) != 0) == ("0", True)


@pytest.mark.parametrize("changes", ["newest", "every"])
def test_rows_of_the_very_same_times_share_a_hash(run: Run, changes: str) -> None:
    """In any sequence, and however often a row comes again; rows of other times and orders do not count.

    All but the last of them have 0.
    """
    others = [{"order_id": "9", "status": "new"}, {"status": "new", "status_changed_at": "2020-01-01"}]
    hashes = [
        {*ready.loc[(ready["order_id"] == "1") & (ready["status_changed_at"] > "2021"), "source_hash"]} - {0}
        for ready in (
            run(*({"order_id": "1", "status": status} for status in statuses), *others, changes=changes).ready
            for statuses in (["new", "paid"], ["paid", "new"], ["new", "paid", "new"], ["new", "done"], ["paid"])
        )
    ]
    assert [len(values) for values in hashes] == [1] * 5
    assert hashes[0] == hashes[1] == hashes[2]
    assert len({*hashes[2], *hashes[3], *hashes[4]}) == 3


@pytest.mark.parametrize("send_when", ["status", "content"])
@pytest.mark.parametrize("queried", [False, True])
def test_with_content_the_whole_row_and_its_items_count(run: Run, send_when: str, queried: bool) -> None:
    """`send_when: content` tells rows apart by each column and by the items; else the status alone counts."""
    item = ITEM | {"order_id": "1"}
    dearer = item | {"cost": "6"}

    def hash_of(cost: str, *items: dict[str, str]) -> int:
        whole = {"order_id": "1", "status": "paid", "total_cost": cost}
        if queried:
            (value,) = run(whole, items=items, send_when=send_when, checks=()).ready["source_hash"]
        else:
            texts = json.dumps([{k: v for k, v in one.items() if k != "order_id"} for one in items])
            (value,) = run(whole | {"items": texts}, send_when=send_when, checks=()).ready["source_hash"]
        return int(value)

    hashes = [hash_of("5", item), hash_of("6", item), hash_of("5", dearer), hash_of("5", item, dearer)]
    assert len(set(hashes)) == (4 if send_when == "content" else 1)
    if queried:
        assert hash_of("5", dearer, item) == hashes[3]
