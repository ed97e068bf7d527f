"""Which row of an order counts: the newest, or every change."""

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings

from include.order_sync.model import OrderStatus
from tests.unit.transform.samples import EARLY, LATE, NOON, WORDS, Run, some_rows


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


def test_a_row_alone_has_the_first_rank_beside_rows_alike(run: Run) -> None:
    """The rank of an order's only row does not depend on other orders of the window."""
    transformed = run({"order_id": "1"}, {"order_id": "2"}, {"order_id": "1"}, changes="every")

    ranks = transformed.ready.sort_values("position")["rank"]
    assert ranks.tolist() == [0, 0, 1]


def test_ids_that_look_alike(run: Run) -> None:
    """Ids are text: ids that are equal as numbers are different orders."""
    ids = ["7", "007", "7.0", "1e1", "10", "А-1", "A-1"]

    assert sorted(run(*({"order_id": id_} for id_ in ids)).ready["order_id"]) == sorted(ids)


def test_newest_is_not_sent_though_an_older_could_be(run: Run) -> None:
    """If the newest version can't be sent, no older one replaces it."""
    transformed = run({"status": "paid"}, {"status": "lost", "status_changed_at": LATE})

    assert transformed.ready.empty
    assert transformed.counts == {"superseded": 1, "orders": 1, "rejected": 1, "not_for_provider": 0}


def test_newest_of_many_rows(run: Run) -> None:
    """Of many rows the newest of each order is sent: a sort that is not stable keeps a few rows in order only."""
    rows = [{"order_id": str(order), "status_changed_at": time} for time in (EARLY, NOON, LATE) for order in range(40)]

    assert sorted(run(*rows).ready["position"]) == list(range(80, 120))


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


def test_a_version_in_the_future_keeps_nothing_back(run: Run) -> None:
    """A wrong year is rejected for that reason, and the order's other rows are sent."""
    transformed = run(
        {"order_id": "1", "status": "paid", "status_changed_at": NOON},
        {"order_id": "1", "status": "done", "status_changed_at": "2926-11-21T12:00:00Z"},
        {"order_id": "2", "status": "done", "status_changed_at": NOON, "updated_at": "2926-11-21T12:00:00Z"},
    )

    assert transformed.ready["position"].tolist() == [0]
    assert transformed.reasons == {"status_changed_at: in the future": 1, "updated_at: in the future": 1}


def test_the_latest_time_itself_is_not_in_the_future(run: Run) -> None:
    """Only what is after it is."""
    row = {"status_changed_at": NOON, "updated_at": NOON}

    assert len(run(row, latest=datetime(2026, 11, 21, 12, tzinfo=UTC)).ready) == 1
    assert len(run(row, latest=datetime(2026, 11, 21, 11, 59, 59, tzinfo=UTC)).ready) == 0


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
