"""What the page reads: the views of the read model, always of destinations that the user may see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from include.order_sync.ledger import schema
from include.order_sync.ledger.order_history import history, ids_beginning_with, spellings_of
from include.order_sync.ledger.reasons import HELD_REASON
from include.order_sync.ledger.run_records import COUNTS
from include.order_sync.staging.partition_hash import partition_hash
from order_sync_airflow.ledger_connection import LEDGER_CONNECTION, ledger_engine

# Enough for any view many times over: a page that hangs would only be asked for again.
STATEMENT_S = 10
ENTRIES_SHOWN = 50
ENTRIES_SORTED = 10_000
FILES_SHOWN = 50
FILES_NOT_READ_SHOWN = 200
ROWS_COUNTED = 1000
HELD_IDS_SHOWN = 1000
EVER = datetime.min.replace(tzinfo=UTC)

Rows = list[dict[str, Any]]

_SUMS = ", ".join(f"sum({name})::bigint as {name}" for name in COUNTS)

# Members are named `path (member)`, and ")" is the next character after "(".
_OF_FILE = """(origin collate "C" = :path
    or (origin collate "C" >= :path || ' (' and origin collate "C" < :path || ' )'))"""

__all__ = ["history", "ids_beginning_with"]


@contextmanager
def reading() -> Iterator[sa.Connection]:
    """Yield a connection to the ledger in a transaction that can't write."""
    engine = ledger_engine()
    try:
        with schema.transaction(engine, LEDGER_CONNECTION) as ledger:
            ledger.exec_driver_sql(f"set transaction read only; set local statement_timeout = '{STATEMENT_S}s'")
            # Compiling a query takes longer than these queries.
            ledger.exec_driver_sql("set local timezone = 'UTC'; set local jit = off")
            yield ledger
    finally:
        engine.dispose()


def _rows(ledger: sa.Connection, query: str, **values: Any) -> Rows:
    return [dict(row) for row in ledger.execute(sa.text(query), values).mappings()]


def freshness(ledger: sa.Connection, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return how far each destination is."""
    query = "select * from freshness_v1 where destination = any(:names)"
    return {row["destination"]: row for row in _rows(ledger, query, names=names)}


def counts_by_hour(ledger: sa.Connection, names: Sequence[str], since: datetime) -> Rows:
    """Return what runs did in each hour; plans did nothing."""
    query = f"""
        select destination, date_trunc('hour', recorded_at) as hour, {_SUMS} from runs_v1
        where recorded_at >= :since and not is_plan and destination = any(:names) group by 1, 2
    """  # noqa: S608  (our own names)
    return _rows(ledger, query, names=names, since=since)


def counts_by_day(ledger: sa.Connection, names: Sequence[str], since: datetime) -> Rows:
    """Return what runs did on each UTC day, the newest first."""
    query = f"""
        select destination, date_trunc('day', recorded_at) as day, {_SUMS} from runs_v1
        where recorded_at >= :since and not is_plan and destination = any(:names) group by 1, 2 order by 2 desc, 1
    """  # noqa: S608
    return _rows(ledger, query, names=names, since=since)


def changes_by_day(ledger: sa.Connection, names: Sequence[str], since: datetime) -> Rows:
    """Return how many orders each service accepted on each UTC day with which change of their code."""
    query = """
        select destination, date_trunc('day', recorded_at) as day, code_before, code, sum(orders)::bigint as orders
        from changes_v1 where recorded_at >= :since and destination = any(:names) group by 1, 2, 3, 4
    """
    return _rows(ledger, query, names=names, since=since)


def changes_of_runs(ledger: sa.Connection, name: str, dag: str, runs: Sequence[str], since: datetime = EVER) -> Rows:
    """Return how many orders a service accepted from these runs of a destination with which change of their code."""
    query = """
        select code_before, code, sum(orders)::bigint as orders, 'orders' as column from changes_v1
        where destination = :name and dag = :dag and run = any(:runs) and recorded_at >= :since group by 1, 2
    """
    return _rows(ledger, query, name=name, dag=dag, runs=list(runs), since=since)


def reasons(ledger: sa.Connection, names: Sequence[str]) -> Rows:
    """Return the open entries by destination and reason, the most frequent first; held orders are not among them."""
    query = """
        select destination, reason, entries from reasons_v1 where destination = any(:names) and reason <> :held
        order by entries desc, reason, destination
    """
    return _rows(ledger, query, names=names, held=HELD_REASON)


def held_batches(ledger: sa.Connection, names: Sequence[str]) -> Rows:
    """Return the batches of held orders, the oldest first, with some of their ids."""
    query = f"""
        select destination, batch_id, min(since) as since, min(reason) as reason, min(run) as run,
            count(*) as orders, (array_agg(order_id order by order_id))[1 : {HELD_IDS_SHOWN}] as order_ids
        from held_v1 where destination = any(:names) group by 1, 2 order by 3, 2
    """  # noqa: S608
    return _rows(ledger, query, names=names)


def unusable_files(ledger: sa.Connection, names: Sequence[str], since: datetime) -> dict[str, int]:
    """Return how many files each destination could not use."""
    query = """
        select destination, count(*) as files from files_v1
        where destination = any(:names) and is_unusable and taken_at >= :since group by 1
    """
    return {row["destination"]: row["files"] for row in _rows(ledger, query, names=names, since=since)}


def entries(
    ledger: sa.Connection,
    names: Sequence[str],
    *,
    reason: str | None = None,
    order_id: str | None = None,
    run: str | None = None,
    file: str | None = None,
    is_open: bool = True,
    with_held: bool = False,
) -> Rows:
    """Return entries of the quarantine, the newest first, at most ENTRIES_SHOWN and one more.

    Of more than ENTRIES_SORTED not all are looked at, so that the answer never takes long.

    Args:
        ledger: of reading().
        names: of the destinations.
        reason: with this reason among theirs.
        order_id: of this order, in small or capital letters.
        run: seen first or last by this run.
        file: of this file, or of a member of it.
        is_open: leave resolved ones out.
        with_held: also those of held orders.
    """
    spellings = spellings_of(order_id) if order_id else []
    wanted = ["destination = any(:names)"]
    wanted += ["resolved_at is null"] if is_open else []
    wanted += ["reasons @> array[:reason]"] if reason else []
    wanted += [] if with_held else ["not reasons @> array[:held]"]
    wanted += ["order_id = any(:spellings) and partition_hash = any(:hashes)"] if order_id else []
    wanted += ["(run = :run or first_run = :run)"] if run else []
    wanted += [_OF_FILE] if file else []
    query = f"""
        with found as materialized (
            select entry from rejections_v1 where {" and ".join(wanted)} limit {ENTRIES_SORTED}
        )
        select * from rejections_v1
        where entry = any(array(select entry from found order by entry desc limit {ENTRIES_SHOWN + 1}))
        order by entry desc
    """  # noqa: S608
    values = {
        "reason": reason,
        "held": HELD_REASON,
        "spellings": spellings,
        "hashes": [partition_hash(each) for each in spellings],
        "run": run,
        "path": file,
    }
    return _rows(ledger, query, names=names, **values)


def encrypted_rows(ledger: sa.Connection, numbers: Sequence[int]) -> dict[int, bytes]:
    """Return the encrypted rows of entries. No view has them: they are the one thing that is read from a table."""
    query = sa.text("select id, encrypted_row from quarantine where id = any(:numbers)")
    return {row.id: row.encrypted_row for row in ledger.execute(query, {"numbers": list(numbers)})}


def run(ledger: sa.Connection, names: Sequence[str], dag: str, run_id: str) -> Rows:
    """Return the tries of a run, the first one first."""
    query = """
        select * from runs_v1 where destination = any(:names) and run = :run and dag = :dag order by recorded_at
    """
    return _rows(ledger, query, names=names, run=run_id, dag=dag)


def dags_of(ledger: sa.Connection, names: Sequence[str], runs: Iterable[str]) -> dict[str, str]:
    """Return the DAG of each of these runs that was recorded."""
    query = "select distinct run, dag from runs_v1 where destination = any(:names) and run = any(:runs)"
    return {row["run"]: row["dag"] for row in _rows(ledger, query, names=names, runs=list(runs))}


def resolutions(ledger: sa.Connection, names: Sequence[str], run_id: str) -> Rows:
    """Return how many entries of a run are open, or were resolved how; ENTRIES_SORTED are counted at most."""
    query = f"""
        select coalesce(resolution, 'still open') as text, count(*) as entries from (
            select resolution from rejections_v1
            where destination = any(:names) and (run = :run or first_run = :run) limit {ENTRIES_SORTED}
        ) own group by 1 order by 2 desc, 1
    """  # noqa: S608
    return _rows(ledger, query, names=names, run=run_id)


def sums_of_runs(ledger: sa.Connection, name: str, runs: Sequence[str], since: datetime) -> dict[str, int]:
    """Return what these runs of a destination have done since a time, all together; and how many have `ended`."""
    sums = ", ".join(f"coalesce(sum({count}), 0)::bigint as {count}" for count in COUNTS)
    query = f"""
        select count(distinct run) as ended, {sums} from runs_v1
        where destination = :name and run = any(:runs) and recorded_at >= :since and not is_plan
    """  # noqa: S608
    return _rows(ledger, query, name=name, runs=runs, since=since)[0]


def sums_by_run(ledger: sa.Connection, name: str, runs: Sequence[str], since: datetime) -> Rows:
    """Return what each of these runs of a destination has done since a time, with its tries together."""
    query = f"""
        select run, {_SUMS} from runs_v1
        where destination = :name and run = any(:runs) and recorded_at >= :since and not is_plan group by run
    """  # noqa: S608
    return _rows(ledger, query, name=name, runs=runs, since=since)


def files(ledger: sa.Connection, names: Sequence[str], *, path: str | None = None, unusable: bool = False) -> Rows:
    """Return files that were taken, the last first: all versions of one, or the last FILES_SHOWN of all.

    Each has `rejected`, how many of its rows were, of all its versions; of ROWS_COUNTED and more that number.
    """
    wanted = ["destination = name"]
    wanted += ["path = :path"] if path else []
    wanted += ["is_unusable"] if unusable else []
    query = f"""
        with found as (
            select f.* from unnest(cast(:names as text[])) name cross join lateral (
                select * from files_v1 where {" and ".join(wanted)} order by taken_at desc limit {FILES_SHOWN}
            ) f order by f.taken_at desc, f.destination limit {FILES_SHOWN}
        )
        select f.*, (
            select count(*) from (
                select from rejections_v1
                where destination = f.destination and {_OF_FILE.replace(":path", "f.path")} limit {ROWS_COUNTED}
            ) counted) as rejected
        from found f order by taken_at desc, destination
    """  # noqa: S608
    return _rows(ledger, query, names=names, path=path)


def files_not_read(ledger: sa.Connection, names: Sequence[str], *, path: str | None = None) -> Rows:
    """Return files that the last scheduled runs have found and not read, with the reason; or one of them."""
    query = f"""
        select * from files_not_read_v1 where destination = any(:names) and path = coalesce(:path, path)
        order by belongs_at desc nulls first, path, destination limit {FILES_NOT_READ_SHOWN}
    """  # noqa: S608
    return _rows(ledger, query, names=names, path=path)


def count_files_not_read(ledger: sa.Connection, names: Sequence[str]) -> dict[str, int]:
    """Return how many such files each destination has."""
    query = "select destination, count(*) as files from files_not_read_v1 where destination = any(:names) group by 1"
    return {row["destination"]: row["files"] for row in _rows(ledger, query, names=names)}


def reasons_of_file(ledger: sa.Connection, names: Sequence[str], path: str) -> Rows:
    """Return why rows of a file, or of its members, were rejected, the most frequent reason first."""
    query = f"""
        select destination, reason, count(*) as rows, min(line) as first_line,
            count(*) filter (where resolved_at is null) as open
        from rejections_v1, unnest(reasons) reason
        where destination = any(:names) and {_OF_FILE} group by 1, 2 order by 3 desc, 2, 1
    """  # noqa: S608
    return _rows(ledger, query, names=names, path=path)
