"""The ledger of each earlier release, with data: the upgrade keeps all of it, also while a load is running."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from include.order_sync.ledger import schema
from include.order_sync.ledger.opening import open_session
from include.order_sync.staging.partition_hash import partition_hash
from tests.unit.ledger.test_migration import migrate

REVISIONS = sorted(path.name[:4] for path in (schema.MIGRATIONS / "versions").glob("0*.py"))
LOCK = "hashtextextended('order_sync yespo', 0)"

# Until 0003 a state is a row of its own, since 0004 it is what its attempts say. Orders: a is accepted, and a newer
# version is under way; b is rejected; c is held; d is in doubt at REES46.
AS_STATES = """
    insert into batches (destination, run, try, outcome, concluded_at) values ('yespo', 'run', 1, 'answered', now());
    insert into order_states values
        ('yespo', 'a', '2026-11-21 10:00Z', '1970-01-01Z', 0, 'accepted', 'PAID', '\\x01', '\\x01', 'run', 1),
        ('yespo', 'b', '2026-11-21 11:00Z', '1970-01-01Z', 1, 'rejected', 'PAID', '\\x01', '\\x02', 'run', 1),
        ('yespo', 'c', '2026-11-21 12:00Z', '1970-01-01Z', 0, 'held', 'PAID', '\\x01', '\\x01', 'run', 1),
        ('rees46', 'd', '2026-11-21 13:00Z', '1970-01-01Z', 0, 'in_doubt', '0', '\\x01', '\\x01', 'run', 1);
    insert into batches (destination, run, try, intended_at) values ('yespo', 'open', 1, now() - interval '1 hour');
    insert into attempts values (2, 'a', '2026-11-21 15:00Z', '1970-01-01Z', 0, 'SENT', '\\x02', true);
"""
AS_ATTEMPTS = """
    insert into destinations (name) values ('yespo'), ('rees46');
    insert into batches (destination_id, run, try, orders, begun_at, concluded_at, outcome) values
        (1, 'run', 1, 2, now(), now(), 'answered'), (1, 'run', 1, 1, now(), now(), 'in_doubt'),
        (2, 'run', 1, 1, now(), now(), 'in_doubt'), (1, 'open', 1, 1, now() - interval '1 hour', null, null);
    insert into rejections values (1, 'b', 'its reason');
    insert into attempts (batch_id, destination_id, {hash_column}, order_id, status_changed_at, updated_at, rank, code,
                          payload_hash, held_if_in_doubt) values
        (1, 1, {a}, 'a', '2026-11-21 10:00Z', '1970-01-01Z', 0, 'PAID', 1, true),
        (1, 1, {b}, 'b', '2026-11-21 11:00Z', '1970-01-01Z', 1, 'PAID', 1, true),
        (2, 1, {c}, 'c', '2026-11-21 12:00Z', '1970-01-01Z', 0, 'PAID', 1, true),
        (3, 2, {d}, 'd', '2026-11-21 13:00Z', '1970-01-01Z', 0, '0', 1, false),
        (4, 1, {a}, 'a', '2026-11-21 15:00Z', '1970-01-01Z', 0, 'SENT', 1, true);
"""
# Revision -> what it made possible to write.
ADDED = {
    "0002": """
        insert into first_windows values ('yespo', '2026-11-21 08:00Z');
        insert into windows (destination, window_start, window_end, run)
            values ('yespo', '2026-11-21 08:00Z', '2026-11-21 09:00Z', 'run');
        insert into files_taken values ('yespo', '/drop/a.csv', 'f', 7, '2026-11-21 08:00Z', 'h', 'run');
    """,
    "0003": """
        insert into quarantine (destination, order_id, row_hash, reasons, {sealed}, origin, run)
            values ('yespo', 'c', '\\x01', '{{held}}', '\\x0a0b', 'q', 'run');
    """,
    "0007": "insert into request_slots values ('yespo', '2026-11-21 08:00Z');",
    "0012": """
        insert into batches (destination_id, run, try, orders, concluded_at, outcome)
            values (1, 'adopting', 1, 1, now(), 'adopted');
        insert into attempts (batch_id, destination_id, partition_hash, order_id, status_changed_at, updated_at, rank,
                              code, payload_hash, held_if_in_doubt)
            values (5, 1, {e}, 'e', '2026-11-21 14:00Z', '1970-01-01Z', 0, 'PAID', 1, true);
    """,
    "0013": "update quarantine set note = 'a note';",
    "0014": "update destinations set mark = 'a mark'; insert into renamed_destinations values ('old', 'yespo');",
    "0015": "update windows set late_by = '5 minutes';",
    "0016": "update quarantine set rank = 3;",
}


def data_of(revision: str) -> str:
    """Return the statements that fill the tables of a revision."""
    hash_column = "order_hash" if revision == "0004" else "order_place" if revision == "0005" else "partition_hash"
    values = {"hash_column": hash_column, "sealed": "sealed_row" if revision < "0006" else "encrypted_row"}
    values |= {order_id: str(partition_hash(order_id)) for order_id in "abcde"}
    filled = [AS_STATES if revision < "0004" else AS_ATTEMPTS]
    filled += [statements for since, statements in ADDED.items() if since <= revision]
    return "".join(filled).format(**values)


def rows(postgres: sa.Engine, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with postgres.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def states(postgres: sa.Engine) -> set[tuple[Any, ...]]:
    """Return each order's state."""
    query = """
        select d.name, s.order_id, s.code, s.verdict, extract(hour from s.status_changed_at at time zone 'UTC')::int
        from order_states s join destinations d on d.id = s.destination_id
    """
    return set(rows(postgres, query))


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_upgrade_keeps_the_data_of_every_revision(postgres: sa.Engine, revision: str):
    """States, windows, files, entries and marks are the same after it, and the next load settles what was open."""
    migrate(postgres, revision, data_of(revision))

    schema.upgrade(postgres)

    others = {("yespo", "b", "PAID", "rejected", 11), ("yespo", "c", "PAID", "held", 12)}
    others |= {("rees46", "d", "0", "in_doubt", 13)}
    others |= {("yespo", "e", "PAID", "accepted", 14)} if revision >= "0012" else set()
    assert states(postgres) == others | {("yespo", "a", "PAID", "accepted", 10)}
    with open_session(postgres, "ledger", destination="yespo", run="next", try_number=1):
        pass
    assert states(postgres) == others | {("yespo", "a", "SENT", "held", 15)}
    hashes = rows(postgres, "select distinct order_id, partition_hash from attempts")
    assert hashes
    assert all(found == partition_hash(order_id) for order_id, found in hashes)
    windows = "select destination, extract(epoch from window_end - window_start)::int, late_by::text from windows"
    late_by = "00:05:00" if revision >= "0015" else None
    assert rows(postgres, windows) == ([("yespo", 3600, late_by)] if revision >= "0002" else [])
    assert len(rows(postgres, "select from first_windows")) == (revision >= "0002")
    files = "select destination, path, fingerprint, size, content_hash from files_taken"
    assert rows(postgres, files) == ([("yespo", "/drop/a.csv", "f", 7, "h")] if revision >= "0002" else [])
    entries = "select order_id, encrypted_row, reasons, note, rank from quarantine"
    note, rank = "a note" if revision >= "0013" else None, 3 if revision >= "0016" else None
    assert rows(postgres, entries) == ([("c", b"\x0a\x0b", ["held"], note, rank)] if revision >= "0003" else [])
    assert len(rows(postgres, "select from request_slots")) == (revision >= "0007")
    mark = "a mark" if revision >= "0014" else None
    assert set(rows(postgres, "select name, mark from destinations")) == {("yespo", mark), ("rees46", mark)}
    renamed = [("old", "yespo")] if revision >= "0014" else []
    assert rows(postgres, "select old_name, new_name from renamed_destinations") == renamed


@pytest.mark.parametrize("revision", ["0007", "0015"])
def test_a_load_that_runs_while_the_tables_are_upgraded(postgres: sa.Engine, revision: str):
    """It records its answer: 0008 waits for the load's end, and what came later changes nothing that it uses."""
    migrate(postgres, revision, data_of(revision))
    with postgres.connect() as load, ThreadPoolExecutor() as threads:
        load.exec_driver_sql(f"select pg_advisory_lock({LOCK})")
        load.commit()
        upgrade = threads.submit(schema.upgrade, postgres)
        if revision < "0008":
            while not rows(postgres, "select from pg_locks where locktype = 'advisory' and not granted"):
                assert not upgrade.done()
                time.sleep(0.01)
        else:
            assert upgrade.result() == schema.HEAD
        load.exec_driver_sql("update batches set outcome = 'answered', concluded_at = now() where run = 'open'")
        load.commit()
        load.exec_driver_sql(f"select pg_advisory_unlock({LOCK})")
        load.commit()
        assert upgrade.result() == schema.HEAD
    assert ("yespo", "a", "SENT", "accepted", 15) in states(postgres)
