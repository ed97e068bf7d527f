"""A ledger of which PostgreSQL knows no statistics, as after a restore."""

import pandas as pd
import pytest
import sqlalchemy as sa

from include.order_sync.ledger import attempts, quarantine, schema
from include.order_sync.ledger.encrypted_rows import QuarantineEntry
from include.order_sync.ledger.opening import open_session
from include.order_sync.staging.partition_hash import partition_hash

ORDERS = 4_000
NOON = pd.Timestamp("2026-11-21T12:00Z")
FEW = [f"ORD-{number:06d}" for number in range(0, ORDERS, ORDERS // 20)]


def of(order_ids: list[str]) -> pd.DataFrame:
    """Return what an attempt needs to know of orders."""
    return pd.DataFrame(
        {
            "order_id": pd.Series(order_ids, dtype="str"),
            "partition_hash": [partition_hash(order_id) for order_id in order_ids],
            "status_changed_at": NOON,
            "updated_at": NOON,
            "rank": 0,
            "code": "PAID",
            "payload_hash": 1,
            "held_if_in_doubt": False,
            "source_hash": 1,
        }
    )


@pytest.fixture
def restored(postgres: sa.Engine) -> sa.Engine:
    """A ledger with many attempts, of which nothing is known."""
    schema.upgrade(postgres)
    with postgres.begin() as connection:
        connection.exec_driver_sql("alter table attempts set (autovacuum_enabled = off)")
    with open_session(postgres, "ledger", destination="yespo", run="run", try_number=1) as session:
        sender = session.sender
        orders = of([f"ORD-{number:06d}" for number in range(ORDERS)])
        with session.transaction() as cursor:
            attempts.write(cursor, sender, attempts.lines(orders, sender.destination_id), [ORDERS])
            cursor.execute("update batches set begun_at = now(), concluded_at = now(), outcome = 'answered'")
    return postgres


def test_a_small_run_does_not_read_a_ledger_without_statistics(restored: sa.Engine) -> None:
    """A few orders of all over the ledger are looked up one by one, and many in a row by their range."""
    with open_session(restored, "ledger", destination="yespo", run="next", try_number=1) as session:
        found = attempts.settled(session.look_ahead.find(of(FEW)))
        assert set(FEW) <= set(found["order_id"])
        assert len(found) < 10 * len(FEW)
        everything = of([f"ORD-{number:06d}" for number in range(ORDERS)])
        assert len(attempts.settled(session.look_ahead.find(everything))) == ORDERS


@pytest.mark.parametrize("query", ["end of a run", "redrive", "end of a redrive"])
def test_only_the_orders_in_the_quarantine_are_looked_up(restored: sa.Engine, query: str) -> None:
    """However many orders the ledger knows: PostgreSQL once read them all, to join them with few entries."""
    schema.upgrade(restored)
    rows = [QuarantineEntry(order_id, order_id.encode(), ["bad"], b"", "drop", 1, NOON) for order_id in FEW[:3]]
    with open_session(restored, "ledger", destination="yespo", run="next", try_number=1) as session:
        session.quarantine(rows)
        with session.transaction() as cursor:
            match query:
                case "end of a run":
                    quarantine.resolve_delivered(cursor, "yespo")
                case "redrive":
                    assert len(quarantine.find(cursor, "yespo", quarantine.Filter(at_most=9))) == 3
                case _:
                    quarantine.resolve_redriven(cursor, "another", range(9))
            read = (
                "select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables where relid = 'attempts'::regclass"
            )
            assert cursor.execute(read).fetchone() == (3,)


def test_an_upgrade_gathers_statistics(restored: sa.Engine) -> None:
    """After a restore, `upgrade` is enough for PostgreSQL to plan well."""
    query = sa.text("select count(*) from pg_stats where schemaname = 'test' and tablename = 'attempts'")
    with restored.connect() as connection:
        assert connection.execute(query).scalar() == 0
    schema.upgrade(restored)
    with restored.connect() as connection:
        assert connection.execute(query).scalar() == len(attempts.COLUMNS) + 2
