"""What each run has done is recorded once a try, and how fresh its destination is."""

import uuid
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
import sqlalchemy as sa

from include.order_sync.ledger import attempts, run_records, schema, windows
from include.order_sync.ledger.opening import open_session
from include.order_sync.ledger.run_records import DELAY_LIMITS_MIN, RunRecord, record
from include.order_sync.ledger.session import LedgerSession
from include.order_sync.model import NO_TIME, Window
from include.order_sync.staging.partition_hash import partition_hash

HOUR = timedelta(hours=1)


@pytest.fixture
def now() -> datetime:
    """The time of a test: that of the module would be minutes ago in a long session."""
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def name() -> str:
    """A destination of one test."""
    return uuid.uuid4().hex


def sent(session: LedgerSession, now: datetime, minutes: dict[str, float], *rejected: str) -> None:
    """Send orders whose status changed some minutes ago, in one batch; some of them are rejected."""
    orders = pd.DataFrame(
        {
            "order_id": pd.Series(list(minutes), dtype="str"),
            "partition_hash": [partition_hash(order_id) for order_id in minutes],
            "status_changed_at": [pd.Timestamp(now - timedelta(minutes=ago)) for ago in minutes.values()],
            "updated_at": pd.Timestamp(NO_TIME),
            "rank": 0,
            "code": "PAID",
            "payload_hash": 1,
            "held_if_in_doubt": False,
            "source_hash": 1,
        }
    )
    orders = orders.assign(attempt=attempts.lines(orders, session.sender.destination_id))
    (batch,) = session.look_ahead.write(orders, [len(orders)])
    session.begin(batch)
    session.conclude(batch, "answered", rejected=dict.fromkeys(rejected, "no"))


def try_of(name: str, now: datetime, run: str, number: int, **changes) -> RunRecord:
    """Return the record of a scheduled try."""
    plain = {
        "kind": "",
        "begun_by": "schedule",
        "counts": {},
        "is_complete": True,
        "is_plan": False,
        "window": Window(now - HOUR, now),
    }
    return RunRecord(name, run, number, **plain | changes)


def rows(ledger: sa.Engine, query: str, name: str) -> list[dict]:
    """Return rows of a view about a destination."""
    with schema.transaction(ledger, "ledger") as connection:
        found = connection.execute(sa.text(f"{query} where destination = :name"), {"name": name})
        return [dict(row) for row in found.mappings()]


def test_tries_add_up_and_a_cleared_run_erases_nothing(ledger: sa.Engine, name: str, now: datetime):
    """Each try has what it added to its run; a run that is cleared has another key, and is counted beside it."""
    with schema.transaction(ledger, "ledger") as connection:
        record(connection, try_of(name, now, "dag run-1 a b", 1, counts={"rows": 9, "accepted": 2}, is_complete=False))
        record(connection, try_of(name, now, "dag run-1 a b", 2, counts={"rows": 9, "accepted": 7, "rejected": 2}))
        record(connection, try_of(name, now, "dag run-1 c d", 3, counts={"rows": 9, "unchanged": 7, "rejected": 2}))
    found = rows(ledger, "select run, try, is_complete, rows, accepted, rejected, unchanged from runs_v1", name)
    assert [tuple(row.values()) for row in found] == [
        ("run-1", 1, False, 9, 2, 0, 0),
        ("run-1", 2, True, 0, 5, 2, 0),
        ("run-1", 3, True, 9, 0, 2, 7),
    ]


def test_freshness_follows_the_runs(ledger: sa.Engine, name: str, now: datetime):
    """It has the newest change read and accepted, what is read without a gap, and the delays of accepted orders."""
    run = "dag run-1 a b"
    with open_session(ledger, "ledger", destination=name, run=run, try_number=1) as session:
        sent(session, now, {"A-1": 3, "A-2": 12, "A-3": 13, "A-4": 100, "A-5": 0.1}, "A-5")
    with schema.transaction(ledger, "ledger") as connection:
        windows.begin(connection, name, now - 5 * HOUR)
        for start in (5, 2):
            windows.finish(connection, name, Window(now - start * HOUR, now - (start - 1) * HOUR), run)
        newest = now - timedelta(minutes=1)
        record(connection, try_of(name, now, run, 1, newest_read=newest, window=None))
    (found,) = rows(ledger, "select * from freshness_v1", name)
    assert found.pop("accepted_at") >= now
    assert found == {
        "destination": name,
        "read_at": None,  # it was narrowed
        "read_up_to": now - 4 * HOUR,
        "open_gaps": 1,
        "gap_start": now - 4 * HOUR,
        "gap_end": now - 2 * HOUR,
        "newest_read": newest,
        "newest_accepted": now - timedelta(minutes=3),
        "half_within": timedelta(minutes=15),
        "most_within": timedelta(hours=2),
    }
    with schema.transaction(ledger, "ledger") as connection:
        record(connection, try_of(name, now, "dag run-2 a b", 1, newest_read=now - HOUR))
    (after,) = rows(ledger, "select * from freshness_v1", name)
    assert after["read_at"] >= now
    assert (after["newest_read"], after["newest_accepted"]) == (newest, now - timedelta(minutes=3))


def test_of_a_large_try_the_last_orders_are_measured(ledger, name, now, monkeypatch):
    """Whole batches from the end, and always the last one."""
    for number, (at_most, minutes) in enumerate([(3, 15), (2, 2), (1, 2)]):
        monkeypatch.setattr(run_records, "MEASURED_ORDERS", at_most)
        each, run = f"{name} {number}", f"dag run-{number} a b"
        with open_session(ledger, "ledger", destination=each, run=run, try_number=1) as session:
            sent(session, now, {"A-1": 200})
            sent(session, now, {"A-2": 14})
            sent(session, now, {"A-3": 1.5, "A-4": 1.5})
        with schema.transaction(ledger, "ledger") as connection:
            record(connection, try_of(each, now, run, 1))
        (found,) = rows(ledger, "select most_within from freshness_v1", each)
        assert found["most_within"] == timedelta(minutes=minutes)


def test_backfills_and_plans_say_nothing_of_freshness(ledger: sa.Engine, name: str, now: datetime):
    """Old orders of a backfill are in no percentile, and a plan changes no time."""
    run = "dag run-1 a b"
    with open_session(ledger, "ledger", destination=name, run=run, try_number=1) as session:
        sent(session, now, {"A-1": 60 * 24 * 30})
    with schema.transaction(ledger, "ledger") as connection:
        record(connection, try_of(name, now, run, 1, begun_by="backfill"))
        record(connection, try_of(name, now, "dag run-2 a b", 1, is_plan=True, newest_read=now))
    (found,) = rows(ledger, "select newest_read, half_within, most_within, accepted_at from freshness_v1", name)
    assert found.pop("accepted_at") >= now
    assert set(found.values()) == {None}
    assert [row["is_plan"] for row in rows(ledger, "select is_plan from runs_v1", name)] == [False, True]


def test_the_view_has_the_limits_of_the_record(ledger: sa.Engine, name: str, now: datetime):
    """Orders just within each limit make the view say this limit; those beyond the last have none."""
    for minutes, said in [*((limit - 0.5, limit) for limit in DELAY_LIMITS_MIN), (3000, None)]:
        each, run = f"{name} {minutes}", f"dag run-{minutes} a b"
        with open_session(ledger, "ledger", destination=each, run=run, try_number=1) as session:
            sent(session, now, {"A-1": minutes})
        with schema.transaction(ledger, "ledger") as connection:
            record(connection, try_of(each, now, run, 1))
        (found,) = rows(ledger, "select half_within from freshness_v1", each)
        assert found["half_within"] == (said and timedelta(minutes=said))


def test_changes_add_up(ledger: sa.Engine, name: str, now: datetime):
    """Each try has the changes that it has delivered, with the code before, or none of a new order."""
    with schema.transaction(ledger, "ledger") as connection:
        record(connection, try_of(name, now, "dag run-1 a b", 1, changes={(None, "PAID"): 3, ("PAID", "DONE"): 2}))
        record(connection, try_of(name, now, "dag run-1 a b", 2, changes={(None, "PAID"): 1}))
        record(connection, try_of(name, now, "dag run-2 a b", 1))
    found = rows(ledger, "select dag, run, try, code_before, code, orders from changes_v1", name)
    assert sorted((tuple(row.values()) for row in found), key=str) == [
        ("dag", "run-1", 1, "PAID", "DONE", 2),
        ("dag", "run-1", 1, None, "PAID", 3),
        ("dag", "run-1", 2, None, "PAID", 1),
    ]
