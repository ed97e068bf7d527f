"""A warehouse gives the same rows by PostgreSQL's COPY and through SQLAlchemy's cursor, here on SQLite."""

import contextlib
import logging
import sqlite3
import threading
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from include.order_sync import tuning
from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.sources import postgresql_copy
from include.order_sync.sources.window_check import check_window
from include.order_sync.transform.row_problems import TOO_LONG
from tests.unit.conftest import whole
from tests.unit.sources.conftest import ORDER, WINDOWED, Warehouse

IN_WINDOW = "2026-11-21 10:30:00+00:00"
TABLE = "create table orders (at {time}, order_id text, status text, total_cost {money}, email text)"
ROWS = [
    {"at": "2026-11-21 09:59:59+00:00", "order_id": "before", "status": "paid", "total_cost": "1", "email": None},
    {"at": "2026-11-21 10:00:00+00:00", "order_id": "007", "status": "paid", "total_cost": "19.90", "email": None},
    {"at": IN_WINDOW, "order_id": "1e5", "status": "Оплачен", "total_cost": None, "email": ""},
    {"at": IN_WINDOW, "order_id": 'a, "b"\nc', "status": "\\.", "total_cost": "-0.10", "email": "100%"},
    {"at": "2026-11-21 11:00:00+00:00", "order_id": "end", "status": "paid", "total_cost": "1", "email": None},
]
QUERY = """\
-- % and 12:30 in a comment, and a semicolon at the end
select order_id, status, {at} as status_changed_at, {money} as total_cost, email,
       'save 50% :: now' as status_description
from orders
where at >= :window_start and at < :window_end and status not like 'x%'
order by at, order_id;
"""


INSERT = "insert into orders values ({at}, :order_id, :status, {money}, :email)"


@pytest.fixture
def filled(warehouse: Warehouse) -> tuple[Warehouse, str]:
    """A warehouse with ROWS in it, and the query for them."""
    if warehouse.engine.dialect.name == "postgresql":
        warehouse.execute(
            TABLE.format(time="timestamptz", money="numeric(10, 2)"),
            INSERT.format(at="cast(:at as timestamptz)", money="cast(:total_cost as numeric)"),
            rows=ROWS,
        )
        return warehouse, QUERY.format(at="at::text", money="total_cost::numeric(10, 2)")
    warehouse.execute(TABLE.format(time="text", money="text"), INSERT.format(at=":at", money=":total_cost"), rows=ROWS)
    return warehouse, QUERY.format(at="at", money="total_cost")


def test_rows(filled: tuple[Warehouse, str]) -> None:
    """Both kinds give the rows of the window, with its start and without its end, every value unchanged as text."""
    warehouse, query = filled
    rows = warehouse.rows(query)

    assert [(row["order_id"], row["status"], row["total_cost"], row["email"]) for row in rows] == [
        ("007", "paid", "19.90", None),
        ("1e5", "Оплачен", None, ""),
        ('a, "b"\nc', "\\.", "-0.10", "100%"),
    ]
    assert {row["status_description"] for row in rows} == {"save 50% :: now"}
    assert rows[0]["status_changed_at"].startswith("2026-11-21 10:00:00+00")


def test_origin(filled: tuple[Warehouse, str]) -> None:
    """Each row has its query, line and position; a query has no file time and no problems."""
    warehouse, query = filled
    rows = warehouse.rows(query)

    assert [(row["origin"], row["line"], row["position"]) for row in rows] == [
        ("orders.sql", 1, 0),
        ("orders.sql", 2, 1),
        ("orders.sql", 3, 2),
    ]
    assert {(row["file_modified_at"], row["problem"]) for row in rows} == {(None, None)}


def test_empty_result(warehouse: Warehouse) -> None:
    """A window without orders gives no rows and no error."""
    assert warehouse.rows(f"select {ORDER} where :window_start > :window_end") == []


def test_empty_result_without_a_column(warehouse: Warehouse) -> None:
    """A missing column is reported even if the window has no orders."""
    with pytest.raises(StopError, match="no column status_changed_at"):
        warehouse.rows("select 1 as order_id, 2 as status where :window_start > :window_end")


def test_windows_are_bound(copied: Warehouse) -> None:
    """Each use of the window in a query is bound as a moment with a time zone."""
    (row,) = copied.rows(
        "select '1' as order_id, cast(:window_start as timestamptz) as status_changed_at, "
        "cast(:window_end as timestamptz) as updated_at, :window_start < cast(:window_end as timestamptz) as status"
    )

    assert row["status_changed_at"] == "2026-11-21 10:00:00+00"
    assert row["updated_at"] == "2026-11-21 11:00:00+00"
    assert row["status"] == "t"


def test_query_with_a_common_table(copied: Warehouse) -> None:
    """A query may begin with WITH and end in a comment."""
    rows = copied.rows(f"with one as (select {ORDER} {WINDOWED}) select * from one -- no more")

    assert len(rows) == 1


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        pytest.param("19.90::numeric", "19.90", id="numeric"),
        pytest.param("0.000000010::numeric", "0.000000010", id="small numeric"),
        pytest.param("123456789012345678901234567890.12::numeric", "123456789012345678901234567890.12", id="long"),
        pytest.param("42::bigint", "42", id="integer"),
        pytest.param("0.1::float8", "0.1", id="float"),
        pytest.param("''", "", id="empty"),
        pytest.param("null::text", None, id="null"),
        pytest.param("'007'", "007", id="zeros in front"),
        pytest.param("E'a\\r\\nb'", "a\r\nb", id="line break"),
        pytest.param("'Ім''я; \"x\", y'", 'Ім\'я; "x", y', id="quotes"),
        pytest.param("'{\"a\": 1.50}'::jsonb", '{"a": 1.50}', id="jsonb"),
        pytest.param("'{\"a\":  1.50}'::json", '{"a":  1.50}', id="json"),
        pytest.param("'ok'::mood", "ok", id="enum"),
        pytest.param("'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", id="uuid"),
        pytest.param("'2026-11-21 13:45:00+02'::timestamptz", "2026-11-21 11:45:00+00", id="time with zone"),
        pytest.param("'2026-11-21 13:45:00.123456'::timestamp", "2026-11-21 13:45:00.123456", id="time without"),
        pytest.param("'2026-11-21'::date", "2026-11-21", id="date"),
    ],
)
def test_types_of_postgresql(copied: Warehouse, expression: str, text: str | None) -> None:
    """Every type arrives as exact text; times are ISO 8601 in UTC, under any settings of the server."""
    copied.execute("create type mood as enum ('ok')")

    assert copied.value(expression) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(Decimal("19.90"), "19.90", id="decimal"),
        pytest.param(Decimal("0E-7"), "0.0000000", id="decimal of many places"),
        pytest.param(Decimal("1E+3"), "1000", id="decimal in thousands"),
        pytest.param(7, "7", id="integer"),
        pytest.param(True, "true", id="bool"),
        pytest.param(datetime(2026, 11, 21, 13, 45, tzinfo=UTC), "2026-11-21T13:45:00+00:00", id="time with zone"),
        pytest.param(date(2026, 11, 21), "2026-11-21", id="date"),
        pytest.param({"ключ": [1]}, '{"ключ": [1]}', id="json"),
        pytest.param("", "", id="empty"),
        pytest.param(None, None, id="null"),
    ],
)
def test_types_of_other_drivers(folder: Path, value: Any, text: str | None) -> None:
    """Any type of a driver becomes text: numbers with their own digits, as a person writes them."""

    class Connection(sqlite3.Connection):
        def cursor(self, *_: Any) -> Any:
            return super().cursor(Cursor)

    class Cursor(sqlite3.Cursor):
        def fetchmany(self, size: int = 1) -> Any:
            return [(*row[:3], value) for row in super().fetchmany(size)]

    engine = sa.create_engine("sqlite://", connect_args={"factory": Connection})

    assert Warehouse(engine, folder).value("0") == text


def test_columns_by_the_shops_names(warehouse: Warehouse) -> None:
    """Columns are found by the configuration's names; columns without a canonical name are ignored."""
    query = f"select 1 as x, '2' as nr, 'paid' as \"Статус\", '2026-11-21' as status_changed_at {WINDOWED}"
    (row,) = warehouse.rows(query, columns={"order_id": "nr", "status": "Статус"})

    assert (row["order_id"], row["status"]) == ("2", "paid")


@pytest.mark.parametrize(
    ("query", "source", "fault"),
    [
        pytest.param(
            f"select 1 as order_id {WINDOWED}", {}, "no column status; no column status_changed_at", id="none"
        ),
        pytest.param(
            f"select {ORDER}, 'x' as status {WINDOWED}", {}, "column 'status' is there twice", id="column twice"
        ),
        pytest.param(f"select {ORDER} {WINDOWED}", {"required": ("bill_id",)}, "no column bill_id", id="provider's"),
        pytest.param(
            f"select {ORDER} {WINDOWED}",
            {"columns": {"order_id": "ordr_id"}},
            "takes order_id from 'ordr_id', which is not there (did you mean 'order_id'?)",
            id="configured",
        ),
    ],
)
def test_columns_that_are_wrong(warehouse: Warehouse, query: str, source: dict[str, Any], fault: str) -> None:
    """The message about a missing or repeated column names the source, the query's file and all columns."""
    with pytest.raises(StopError) as stop:
        warehouse.rows(query, **source)

    assert str(stop.value).startswith("OS-701: Source 'shop', orders.sql: ")
    assert fault in str(stop.value)
    assert "It has 'order_id'" in str(stop.value)


# Items


def test_items(warehouse: Warehouse) -> None:
    """Items come from the items query, by the configuration's names; absent columns are missing values."""
    (item,) = warehouse.items(
        f"select '1' as order_id, 'sku-7' as sku, 'Лампа' as name, '2' as quantity {WINDOWED}",
        item_columns={"item_id": "sku"},
    )

    assert item == dict.fromkeys(item) | {"order_id": "1", "item_id": "sku-7", "name": "Лампа", "quantity": "2"}


@pytest.mark.parametrize(
    ("query", "source", "fault"),
    [
        pytest.param("select 1 as nr", {}, "no column order_id", id="order"),
        pytest.param("select '1' as order_id", {"item_columns": {"item_id": "sku"}}, "no column sku", id="configured"),
        pytest.param(
            'select 1 as order_id, 7 as item_id, 8 as "Item_ID", 9 as "ITEM_ID"',
            {"item_columns": {"item_id": "item_iD"}},
            "column 'item_iD' is there twice",
            id="two of one name",
        ),
    ],
)
def test_items_without_a_column(warehouse: Warehouse, query: str, source: dict[str, Any], fault: str) -> None:
    """Items without a required column stop the run; the message names the source and the query's file."""
    with pytest.raises(StopError, match=rf"Source 'shop', items\.sql: {fault}.*item_columns"):
        warehouse.items(f"{query} {WINDOWED}", **source)


def test_items_in_any_case(warehouse: Warehouse) -> None:
    """The case of a name does not count, as it does not in the query of the orders."""
    (item,) = warehouse.items(
        f"""select '1' as "ORDER_ID", 'sku-7' as "Sku", '2' as "Quantity" {WINDOWED}""", item_columns={"item_id": "SKU"}
    )

    assert (item["order_id"], item["item_id"], item["quantity"]) == ("1", "sku-7", "2")


def test_no_items_query(warehouse: Warehouse) -> None:
    """Without an items query there are no items."""
    with warehouse.reader(f"select {ORDER} {WINDOWED}").open() as (orders, items):
        assert (len(list(orders)), list(items)) == (2, [])


def test_orders_and_items_see_one_state(copied: Warehouse) -> None:
    """Neither query sees a commit between the two."""
    copied.execute("create table items (order_id text)", "insert into items values ('1')")
    reader = copied.reader(f"select {ORDER} {WINDOWED}", f"select order_id from items {WINDOWED}")
    with reader.open() as (orders, items):
        list(orders)
        copied.execute("insert into items values ('2')")

        assert pa.concat_tables(items)["order_id"].to_pylist() == ["1"]


def test_a_query_cannot_write(copied: Warehouse) -> None:
    """The transaction is read-only, so a query that writes is refused."""
    copied.execute("create table items (order_id text)")
    changing = f"with new as (insert into items values ('1') returning 1) select {ORDER} from new {WINDOWED}"

    with pytest.raises(StopError, match=r"orders\.sql"):
        copied.rows(changing)


# Large results


MANY = {
    "copied": f"select n as order_id, 'paid' as status, n as status_changed_at, repeat('x', 100) as email "
    f"from generate_series(1, 60000) as n {WINDOWED} order by n",
    "fetched": f"with recursive s(n) as (select 1 union all select n + 1 from s where n < 60000) "
    f"select n as order_id, 'paid' as status, n as status_changed_at, 'x' as email from s {WINDOWED} order by n",
}


@pytest.mark.parametrize("warehouse", MANY, indirect=True)
def test_large_result(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large result comes in several tables, in the query's sequence, with continuous positions and lines."""
    monkeypatch.setattr(tuning, "WAREHOUSE_ROW_MAX_BYTES", 256 * 1024)
    query = MANY["copied" if warehouse.engine.dialect.name == "postgresql" else "fetched"]
    with warehouse.reader(query).open() as (orders, _):
        tables = list(orders)

    rows = whole(tables)
    assert max(table.num_rows for table in tables) < 60_000
    assert rows["order_id"].to_pylist() == [str(number) for number in range(1, 60_001)]
    assert rows["line"].to_pylist() == list(range(1, 60_001))
    assert rows["position"].to_pylist() == list(range(60_000))


LONG = {
    "copied": "select n as order_id, 'paid' as status, n as status_changed_at, repeat('x', {}) as email "
    f"from generate_series(1, 300) as n {WINDOWED}",
    "fetched": MANY["fetched"].replace("60000", "300").replace("'x'", "hex(zeroblob({} / 2))"),
}


@pytest.mark.parametrize("warehouse", LONG, indirect=True)
def test_a_row_that_is_too_long(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A row that is too long is rejected with its number, and costs no other row."""
    monkeypatch.setattr(tuning, "WAREHOUSE_ROW_MAX_BYTES", 4096)
    query = LONG["copied" if warehouse.engine.dialect.name == "postgresql" else "fetched"]
    rows = warehouse.rows(query.format("case when n in (7, 299) then 6000 else 100 end"))
    bad = {row["line"]: (row["order_id"], row["position"], row["problem"]) for row in rows if row["problem"]}

    assert bad == {7: (None, 6, TOO_LONG), 299: (None, 298, TOO_LONG)}
    good = [row for row in rows if not row["problem"]]
    assert [(row["order_id"], row["line"]) for row in good] == [
        (str(number), number) for number in range(1, 301) if number not in bad
    ]
    assert "orders.sql: 2 rows of more than 4096 bytes rejected, the first is row 7" in caplog.text


@pytest.mark.parametrize("warehouse", LONG, indirect=True)
def test_an_item_that_is_too_long_stops_the_run(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """An order is not sent without one of its items, so a row of items that is too long is no rejection."""
    monkeypatch.setattr(tuning, "WAREHOUSE_ROW_MAX_BYTES", 4096)
    query = LONG["copied" if warehouse.engine.dialect.name == "postgresql" else "fetched"]

    with pytest.raises(StopError, match=r"items\.sql gives a row of more than 4096 bytes"):
        warehouse.items(query.format("case when n = 7 then 6000 else 100 end"))


@pytest.mark.parametrize("warehouse", LONG, indirect=True)
def test_tables_are_bounded_by_bytes(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large rows come in small tables: what is held of them does not grow with the result."""
    for size in ("FETCH_BYTES", "COPY_BLOCK_BYTES"):
        monkeypatch.setattr(tuning, size, 100_000)
    query = LONG["copied" if warehouse.engine.dialect.name == "postgresql" else "fetched"].format("20000")
    with warehouse.reader(query).open() as (orders, _):
        sizes = [(table.num_rows, table.nbytes) for table in orders]

    assert sum(rows for rows, _ in sizes) == 300
    assert max(size for _, size in sizes) < 100_000 + 2 * 20_200


def test_a_row_that_is_not_read_is_noticed(copied: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows that were read are as many as PostgreSQL has sent."""
    read_csv = postgresql_copy.pa_csv.read_csv
    monkeypatch.setattr(postgresql_copy.pa_csv, "read_csv", lambda *given, **more: read_csv(*given, **more)[1:])

    with pytest.raises(StopError, match="sent 60000 rows, and Order Sync read 59"):
        copied.rows(MANY["copied"])


def test_what_arrow_refuses_elsewhere_is_no_fault_of_the_query(copied: Warehouse) -> None:
    """An error of the staging keeps its own message, and is not reported as a too large row."""

    def stage() -> None:
        with copied.reader(MANY["copied"]).open() as (orders, _):
            next(orders)
            raise pa.ArrowInvalid("of staging")

    with pytest.raises(pa.ArrowInvalid, match="of staging"):
        stage()


def test_reader_that_stops_half_way(copied: Warehouse) -> None:
    """A reader that stops within a large result (on a full disk, say) neither hangs nor spoils the connection."""
    done = threading.Event()

    def stop_half_way() -> None:
        with contextlib.suppress(OSError), copied.reader(MANY["copied"]).open() as (orders, _):
            next(orders)
            next(orders)
            raise OSError("the disk is full")
        done.set()

    threading.Thread(target=stop_half_way, daemon=True).start()

    assert done.wait(10)
    assert len(copied.rows(f"select {ORDER} {WINDOWED}")) == 1


# Failures


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("select order_id from no_such_table where :window_start < :window_end", id="no such table"),
        pytest.param("selekt :window_start, :window_end", id="syntax"),
        pytest.param(f"select {ORDER}, no_such_column {WINDOWED}", id="no such column"),
        pytest.param(f"select {ORDER} {WINDOWED} and 1 = :shop_id", id="a parameter that nobody gives"),
    ],
)
def test_failing_query(warehouse: Warehouse, query: str) -> None:
    """A query that fails stops the run; the message names source, connection and the query's file."""
    with pytest.raises(StopError) as stop:
        warehouse.rows(query)

    assert "Source 'shop'" in str(stop.value)
    assert "orders.sql" in str(stop.value)


@pytest.mark.parametrize("row", [1, 59_000], ids=["first row", "late row"])
def test_failing_row(copied: Warehouse, row: int, caplog: pytest.LogCaptureFixture) -> None:
    """A row at which the query fails stops the run, and the message shows none of the row's data."""
    caplog.set_level(logging.DEBUG)
    query = (
        "select n as order_id, 'paid' as status, n as status_changed_at, repeat('x', 100) as email, "
        f"cast(case when n = {row} then 'Olena Petrenko ' || n else '1' end as integer) as total_cost "
        f"from generate_series(1, 60000) as n {WINDOWED}"
    )

    with pytest.raises(StopError) as stop:
        copied.rows(query)

    assert "Source 'shop'" in str(stop.value)
    assert "orders.sql" in str(stop.value)
    assert "Petrenko" not in str(stop.value) + caplog.text
    assert stop.value.__cause__ is None
    assert stop.value.__suppress_context__


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param("raise exception 'Olena Petrenko is wrong'", id="a function's own message"),
        pytest.param("raise exception 'wrong' using detail = 'Olena Petrenko', errcode = '42000'", id="in the detail"),
        pytest.param("raise exception 'wrong \"%\"', 'Olena Petrenko' using errcode = '42000'", id="quoted"),
        pytest.param("execute format('select %L::integer', 'Olena Petrenko')", id="in the context"),
    ],
)
def test_failing_function(copied: Warehouse, failure: str) -> None:
    """What a database's own function says of a row is not shown."""
    copied.execute(
        "create or replace function pg_temp_fail() returns text language plpgsql as "
        f"$$ begin {failure.replace(':', chr(92) + ':')}; return ''; end $$"
    )
    with pytest.raises(StopError, match=r"a query failed: .* Correct orders.sql") as stop:
        copied.rows(f"select {ORDER}, pg_temp_fail() as email {WINDOWED}")

    assert "Petrenko" not in str(stop.value)


def test_a_wrong_name_is_shown(copied: Warehouse) -> None:
    """What the query itself has wrong is shown as PostgreSQL says it."""
    with pytest.raises(StopError, match='column "no_such_column" does not exist'):
        copied.rows(f"select {ORDER}, no_such_column {WINDOWED}")


def test_query_that_takes_too_long(copied: Warehouse) -> None:
    """A query that the server cancels for its time is reported as the query's fault."""
    slow = Warehouse(
        sa.create_engine(copied.engine.url, connect_args={"options": "-c statement_timeout=50"}), copied.folder
    )

    with pytest.raises(StopError, match="timeout"):
        slow.rows(f"select {ORDER}, pg_sleep(5) {WINDOWED}")


def test_connection_lost_half_way(copied: Warehouse) -> None:
    """A run whose connection the server ends in the middle is tried again."""
    with pytest.raises(TryAgainError, match="connection 'my_warehouse'"):
        copied.rows(f"select {ORDER}, pg_terminate_backend(pg_backend_pid()) {WINDOWED}")


def test_connection_lost_after_the_last_row(copied: Warehouse) -> None:
    """So is a run whose connection the server ends before the reader has closed it."""
    lost = pytest.raises(TryAgainError, match="connection 'my_warehouse': the database can't be reached")
    with lost, copied.reader(f"select {ORDER} {WINDOWED}").open() as (orders, _):
        list(orders)
        copied.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid != pg_backend_pid()"
        )


def test_connection_lost_between_two_questions(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """So is one whose loss the check of its window has met first."""

    def lose(connection: sa.Connection, *asked: Any) -> dict[str, Any]:
        connection.invalidate()
        return check_window(connection, *asked)

    monkeypatch.setattr("include.order_sync.sources.warehouse.check_window", lose)
    with pytest.raises(TryAgainError, match="connection 'my_warehouse': the database can't be reached"):
        warehouse.rows(f"select {ORDER} {WINDOWED}")


@pytest.mark.parametrize(("zone", "local"), [("America/New_York", "05:30"), ("Asia/Tokyo", "19:30"), ("UTC", "10:30")])
def test_a_time_without_an_offset_is_the_shops(copied: Warehouse, zone: str, local: str) -> None:
    """A column without a time zone holds the shop's local time, also in a comparison with the window."""
    copied.execute(
        "create table naive (order_id text, at timestamp)",
        f"insert into naive values ('in', '2026-11-21 {local}'), ('out', '2026-11-21 {local}'::timestamp + '1 h')",
    )
    query = (
        "select order_id, 'paid' as status, at as status_changed_at from naive "
        "where at >= :window_start and at < :window_end"
    )
    (found,) = copied.rows(query, timezone=zone)
    assert (found["order_id"], found["status_changed_at"]) == ("in", f"2026-11-21 {local}:00")


# Orders by their ids

BY_IDS = "from numbered where id in :order_ids"


@pytest.mark.parametrize("column", ["integer", "text"])
def test_orders_by_their_ids(warehouse: Warehouse, column: str) -> None:
    """Orders are read by their ids regardless of their time, from a column of text or of numbers."""
    warehouse.execute(f"create table numbered (id {column})", "insert into numbered values ('1'), ('2'), ('3')")
    (warehouse.folder / "orders_by_ids.sql").write_text(
        f"select id as order_id, 'paid' as status, '2026-11-21' as status_changed_at {BY_IDS}"
    )
    (warehouse.folder / "items_by_ids.sql").write_text(f"select id as order_id, 7 as item_id {BY_IDS}")
    configured = {"by_ids_query": "orders_by_ids.sql", "items_by_ids_query": "items_by_ids.sql"}
    reader = warehouse.reader(f"select {ORDER} {WINDOWED}", **configured)

    with replace(reader, window=None, order_ids={"1", "3"}).open() as (orders, items):
        assert sorted(whole(orders)["order_id"].to_pylist()) == ["1", "3"]
        assert sorted(pa.concat_tables(items)["order_id"].to_pylist()) == ["1", "3"]


def test_ids_are_bound(warehouse: Warehouse) -> None:
    """An id that looks like SQL is only an id."""
    warehouse.execute("create table numbered (id text)", "insert into numbered values ('1'), ('O''Hara')")
    (warehouse.folder / "orders_by_ids.sql").write_text(
        f"select id as order_id, 'paid' as status, '2026-11-21' as status_changed_at {BY_IDS}"
    )
    reader = warehouse.reader(f"select {ORDER} {WINDOWED}", by_ids_query="orders_by_ids.sql")

    with replace(reader, window=None, order_ids={"O'Hara", "') or (1=1"}).open() as (orders, _):
        assert whole(orders)["order_id"].to_pylist() == ["O'Hara"]


def test_a_query_has_a_time_limit(copied: Warehouse) -> None:
    """A query that hangs ends, also where the shop's database sets no limit."""
    assert copied.value("current_setting('statement_timeout')") == "2h"
