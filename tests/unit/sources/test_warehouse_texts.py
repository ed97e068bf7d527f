"""Query files and texts as real warehouses have them: bytes, encodings, casts that fail."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.transform.times import read_times
from tests.unit.sources.conftest import ORDER, WINDOWED, Warehouse

TIMES = "'paid' as status, '2026-11-21' as status_changed_at"


def test_query_with_a_byte_order_mark(warehouse: Warehouse) -> None:
    """A query that Windows' editor has saved is read."""
    assert len(warehouse.rows(f"\ufeffselect {ORDER} {WINDOWED} ;\n; -- the end")) == 1


@pytest.mark.parametrize("hidden", ["-- :window_end", "/* :window_end */", "and 'x' <> ':window_end'"])
def test_a_window_that_is_only_in_a_comment(warehouse: Warehouse, hidden: str) -> None:
    """A parameter in a comment or a text bounds nothing: the configuration refuses such a query."""
    with pytest.raises(ValueError, match="does not use :window_end"):
        warehouse.rows(f"select {ORDER} where :window_start is not null {hidden}")


def test_a_window_that_only_another_database_would_see(fetched: Warehouse) -> None:
    """MySQL takes '#' for a comment; where the database is known, its own rules count."""
    with pytest.raises(StopError, match=r"orders\.sql does not use :window_end"):
        fetched.rows(f"select {ORDER} where :window_start is not null /* /* */ -- */ :window_end")


@pytest.mark.parametrize("column", ["timestamptz", "bigint"])
def test_a_parameter_with_a_cast(copied: Warehouse, column: str) -> None:
    """PostgreSQL's cast may stand behind a parameter, and the window's type is checked all the same."""
    copied.execute(f"create table o (at {column})")
    query = f"select {ORDER} from o where at >= :window_start::timestamptz and at < :window_end::timestamptz"
    if column == "timestamptz":
        copied.execute("insert into o values ('2026-11-21 10\\:30\\:00+00')")
        assert len(copied.rows(query)) == 1
    else:
        with pytest.raises(StopError, match="set `window_type: unix s or unix ms`"):
            copied.rows(query)


def test_colons_that_are_no_parameters(warehouse: Warehouse) -> None:
    """Colons in texts, names and comments need no backslash, and one does no harm."""
    row = warehouse.rows(
        f"select {ORDER}, 'at :noon \\:x' as email, 1 as \"a:b\" {WINDOWED} -- as :noon\n/* 'it''s: */"
    )[0]

    assert row["email"] == "at :noon :x"


@pytest.mark.parametrize(
    ("database", "column", "value"),
    [
        ("copied", "bytea", "'\\x4131'"),
        ("copied", "bytea[]", "array['\\x4131'\\:\\:bytea]"),
        ("fetched", "blob", "x'4131'"),
        ("mysql", "binary(2)", "x'4131'"),
        ("mysql", "blob", "x'4131'"),
        ("mysql", "bit(8)", "b'00000001'"),
        ("mysql", "char(2) character set binary", "'A1'"),
    ],
)
def test_bytes_are_refused(database: str, column: str, value: str, request: pytest.FixtureRequest) -> None:
    """A column of bytes that is used stops the run by its name: each database writes it as another text."""
    warehouse: Warehouse = request.getfixturevalue(database)
    warehouse.execute(f"create table o (id {column})", f"insert into o values ({value})")
    source = {"window_type": "unix s"} if database == "mysql" else {}

    with pytest.raises(StopError, match=r"Source 'shop', orders\.sql: column 'nr' is bytes"):
        warehouse.rows(f"select id as nr, {TIMES} from o {WINDOWED}", columns={"order_id": "nr"}, **source)
    with pytest.raises(StopError, match=r"Source 'shop', items\.sql: column 'sku' is bytes"):
        list_items(warehouse, f"select 1 as order_id, id as sku from o {WINDOWED}", **source)
    rows = warehouse.rows(f"select 7 as order_id, {TIMES}, id as picture from o {WINDOWED}", **source)
    assert [row["order_id"] for row in rows] == ["7"]


def list_items(warehouse: Warehouse, query: str, **source: str) -> None:
    """Read the items of a query."""
    orders_query = f"select 1 as order_id, {TIMES} from o {WINDOWED}"
    with warehouse.reader(orders_query, query, item_columns={"item_id": "sku"}, **source).open() as (orders, items):
        list(orders)
        list(items)


# Encodings of PostgreSQL


@pytest.fixture
def encoded(postgres_server: sa.URL, folder: Path) -> Iterator[Callable[[str], Warehouse]]:
    """Return a function that creates a PostgreSQL database in an encoding, and connects as our hook does."""
    admin = sa.create_engine(postgres_server, isolation_level="AUTOCOMMIT")

    def create(encoding: str) -> Warehouse:
        with admin.connect() as connection:
            connection.exec_driver_sql(f"create database encoded encoding '{encoding}' template template0 locale 'C'")
        url = postgres_server.set(database="encoded")
        return Warehouse(sa.create_engine(url, connect_args={"client_encoding": "UTF8"}, poolclass=sa.NullPool), folder)

    yield create
    with admin.connect() as connection:
        connection.exec_driver_sql("drop database encoded")
    admin.dispose()


def fill(warehouse: Warehouse, octets: bytes) -> str:
    """Create a table with a status of these bytes, and return the query for it."""
    with warehouse.engine.begin() as connection:
        connection.exec_driver_sql("set local client_encoding = 'SQL_ASCII'")
        connection.exec_driver_sql("create table o (status text)")
        connection.exec_driver_sql(f"insert into o values (E'{''.join(f'{chr(92)}{byte:03o}' for byte in octets)}')")
    return f"select 1 as order_id, status, '2026-11-21' as status_changed_at from o {WINDOWED}"


@pytest.mark.parametrize(
    ("server", "text", "encoding"),
    [("WIN1251", "Оплачен", "cp1251"), ("LATIN1", "payé", "latin-1"), ("EUC_JIS_2004", "支払", "euc_jis_2004")],
)
def test_encodings_of_servers(encoded: Callable[[str], Warehouse], server: str, text: str, encoding: str) -> None:
    """Texts of a server's encoding arrive right."""
    warehouse = encoded(server)
    query = fill(warehouse, text.encode(encoding))

    assert [row["status"] for row in warehouse.rows(query)] == [text]


def test_a_server_that_does_not_know_its_encoding(encoded: Callable[[str], Warehouse]) -> None:
    """SQL_ASCII is refused by its name if a text is no UTF-8, with the column, and with a cure that works."""
    warehouse = encoded("SQL_ASCII")
    query = fill(warehouse, "Оплачен".encode("cp1251"))
    with pytest.raises(StopError, match=r"in column 'status': a text is no UTF-8.*SQL_ASCII") as stop:
        warehouse.rows(query)

    cure = re.search(r"convert\S+\(.*\)", str(stop.value))
    assert cure
    (row,) = warehouse.rows(query.replace("status,", f"{cure[0]} as status,"))
    assert row["status"] == "Оплачен"


@pytest.mark.parametrize("encoding", ["UTF8", "WIN1251"])
def test_postgresql_by_another_driver(copied: Warehouse, encoding: str) -> None:
    """By psycopg2 local times, texts and bytes are read as by COPY."""
    copied.execute("create table o (id bytea, at timestamp)", "insert into o values ('a', '2026-11-21 07\\:30\\:00')")
    engine = sa.create_engine(
        copied.engine.url.set(drivername="postgresql+psycopg2"),
        connect_args={"options": "-c search_path=test", "client_encoding": encoding},
    )
    other = Warehouse(engine, copied.folder)
    columns = "'Ж' as status, at as status_changed_at from o where at >= :window_start and at < :window_end"
    (row,) = other.rows(f"select 1 as order_id, {columns}", timezone="America/Sao_Paulo")

    assert (row["status"], row["status_changed_at"]) == ("Ж", "2026-11-21T07:30:00")
    with pytest.raises(StopError, match="column 'order_id' is bytes"):
        other.rows(f"select id as order_id, {columns}", timezone="America/Sao_Paulo")
    engine.dispose()


# Times


@pytest.mark.parametrize(
    ("zone", "time", "text"),
    [
        ("Europe/Kyiv", "1900-01-01 00:00:00+00", "1900-01-01 00:00:00+00:00"),
        ("Africa/Monrovia", "1971-06-01 12:00:00.5+00", "1971-06-01 12:00:00.500000+00:00"),
        ("Europe/Kyiv", "0001-01-01 00:00:00+00", "0001-01-01 00:00:00+00:00"),
        ("Europe/Kyiv", "1980-01-01 00:00:00+00", "1980-01-01 03:00:00+03"),
        ("Asia/Kolkata", "1972-01-01 00:00:00+00", "1972-01-01 05:30:00+05:30"),
    ],
)
def test_times_of_before_time_zones(copied: Warehouse, zone: str, time: str, text: str) -> None:
    """PostgreSQL writes an offset with seconds for a time before time zones, which some shops use for "not yet"."""
    timed = f"'1' as order_id, 'paid' as status, '{time}'::timestamptz as status_changed_at, null as updated_at"
    (row,) = copied.rows(f"select {timed} {WINDOWED}", timezone=zone)

    assert (row["status_changed_at"], row["updated_at"]) == (text, None)


LATEST = {
    "copied": "greatest(paid_at, shipped_at, cancelled_at)",
    "fetched": "max(coalesce(paid_at, ''), coalesce(shipped_at, ''), coalesce(cancelled_at, ''))",
    "mysql": "greatest(coalesce(paid_at, 0), coalesce(shipped_at, 0), coalesce(cancelled_at, 0))",
}


@pytest.mark.parametrize("database", LATEST)
def test_the_latest_of_several_times(database: str, request: pytest.FixtureRequest) -> None:
    """A query may compute `status_changed_at` from several columns, some of them empty, and cut its window by it."""
    warehouse: Warehouse = request.getfixturevalue(database)
    # MySQL makes a text of TIMESTAMPs, in the session's UTC: the shop's zone does not count.
    zone, moment = ("Europe/Kyiv", "concat({}, '+00:00')") if database == "mysql" else ("UTC", "{}")
    kind, latest = "text" if database == "fetched" else "timestamp null default null", LATEST[database]
    kind = kind.removesuffix(" null default null") if database == "copied" else kind
    warehouse.execute(
        *(["set time_zone = '+00:00'"] if database == "mysql" else []),
        f"create table o (id int, paid_at {kind}, shipped_at {kind}, cancelled_at {kind})",
        "insert into o values (1, '2026-11-21 08\\:00\\:00', '2026-11-21 10\\:30\\:00', null), "
        "(2, '2026-11-21 08\\:00\\:00', null, null)",
    )
    query = (
        f"select id as order_id, 'paid' as status, {moment.format(latest)} as status_changed_at from o "
        f"where {latest} >= :window_start and {latest} < :window_end"
    )
    types = {"copied": None, "fetched": "iso text", "mysql": "timestamp with zone"}
    (row,) = warehouse.rows(query, window_type=types[database], timezone=zone)

    assert row["order_id"] == "1"
    (read,) = read_times(pd.Series([row["status_changed_at"]], dtype="str"), zone).times
    assert read == datetime(2026, 11, 21, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("times", "warns"),
    [
        pytest.param("current_date as status_changed_at", True, id="a date"),
        pytest.param("current_date as status_changed_at, current_date as updated_at", True, id="two dates"),
        pytest.param("current_date as status_changed_at, localtimestamp as updated_at", False, id="with a time"),
        pytest.param("localtimestamp as status_changed_at, current_date as updated_at", False, id="a time"),
    ],
)
@pytest.mark.parametrize("database", ["copied", "mysql"])
def test_versions_that_are_dates(
    database: str, times: str, warns: bool, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    """The log warns where nothing tells two changes of one day apart."""
    warehouse: Warehouse = request.getfixturevalue(database)
    dual = "from dual" if database == "mysql" else ""
    source = {"window_type": "unix s"} if database == "mysql" else {}
    warehouse.rows(f"select 1 as order_id, 'paid' as status, {times} {dual} {WINDOWED}", **source)

    assert ("is a date, so two changes of one day" in caplog.text) == warns


# Casts that fail


@pytest.mark.parametrize(
    ("expressions", "column"),
    [
        pytest.param("t as total_cost, t::int as discount", "discount", id="text to number"),
        pytest.param("t::timestamptz as created_at", "created_at", id="text to time"),
        pytest.param("1 / (length(t) - 1) as taxes", "taxes", id="division by zero"),
        pytest.param('t::int as "The ""Total"": sum"', 'The "Total": sum', id="a name with quotes"),
    ],
)
def test_a_failing_cast_names_its_column(copied: Warehouse, expressions: str, column: str) -> None:
    """The message of a query that fails at a value names the column, and not the value."""
    copied.execute("create table o (t text)", "insert into o values ('x')")

    with pytest.raises(StopError) as stop:
        copied.rows(f"select {ORDER}, {expressions} from o {WINDOWED}")

    assert f"a query failed in column {column!r}" in str(stop.value)
    assert "orders.sql" in str(stop.value)
    assert '"x"' not in str(stop.value)


def test_a_failing_cast_among_orders_by_ids(copied: Warehouse) -> None:
    """It is the same for orders that are asked for by their ids."""
    copied.execute("create table o (id text, t text)", "insert into o values ('1', 'x')")
    (copied.folder / "by_ids.sql").write_text(
        f"select id as order_id, {TIMES}, t::int as taxes from o where id in :order_ids"
    )
    reader = copied.reader(f"select {ORDER} {WINDOWED}", by_ids_query="by_ids.sql")

    with (
        pytest.raises(StopError, match="in column 'taxes'"),
        type(reader)(reader.engine, reader.source, None, (), {"1", "2"}).open() as (orders, _),
    ):
        list(orders)


def test_an_id_of_another_form_than_its_column(copied: Warehouse) -> None:
    """The query is right: the message names the param, and not the id."""
    copied.execute("create table o (id int)", "insert into o values (1)")
    (copied.folder / "by_ids.sql").write_text(f"select id as order_id, {TIMES} from o where id in :order_ids")
    reader = copied.reader(f"select {ORDER} {WINDOWED}", by_ids_query="by_ids.sql")

    with (
        pytest.raises(StopError, match=r"An id of the param `order_ids` has not the form .* by_ids\.sql") as stop,
        type(reader)(reader.engine, reader.source, None, (), {"1", "A-7"}).open() as (orders, _),
    ):
        list(orders)
    assert "A-7" not in str(stop.value)
    assert "Correct by_ids.sql" not in str(stop.value)


def test_a_failing_condition_names_no_column(copied: Warehouse) -> None:
    """A fault in a condition lies in no column."""
    copied.execute("create table o (t text)", "insert into o values ('x')")

    with pytest.raises(StopError, match="a query failed: InvalidTextRepresentation"):
        copied.rows(f"select {ORDER} from o {WINDOWED} and t::int > 0")


# MySQL's refusals


@pytest.mark.parametrize(
    ("query", "said"),
    [
        pytest.param(f"select nr as order_id, {TIMES} from dual {WINDOWED}", "Unknown column 'nr'", id="column"),
        pytest.param(f"select 1 as order_id, {TIMES} from no_table {WINDOWED}", "doesn't exist", id="table"),
    ],
)
def test_a_query_that_mysql_refuses(mysql: Warehouse, query: str, said: str) -> None:
    """The message has what MySQL says of the query."""
    with pytest.raises(StopError, match=said):
        mysql.rows(query, window_type="unix s")


def test_a_mysql_database_that_is_not_there(mysql: Warehouse) -> None:
    """A wrong database stops the run; a server that does not answer is tried again."""
    query = f"select {ORDER} from dual {WINDOWED}"
    with pytest.raises(StopError, match="login, password or database"):
        Warehouse(sa.create_engine(mysql.engine.url.set(database="nowhere")), mysql.folder).rows(query)
    with pytest.raises(TryAgainError, match="connection 'my_warehouse'"):
        Warehouse(sa.create_engine(mysql.engine.url.set(port=1)), mysql.folder).rows(query)


def test_a_mysql_connection_that_is_lost(mysql: Warehouse) -> None:
    """A run whose connection the server ends in the middle is tried again."""
    mysql.execute("create table o (n int)", "insert into o select seq from seq_1_to_50000")
    query = f"select n as order_id, {TIMES}, repeat('x', 200) as email from o {WINDOWED}"
    with mysql.reader(query, window_type="unix s").open() as (orders, _):
        next(orders)
        mysql.execute(
            "begin not atomic for one in (select id from information_schema.processlist "
            "where db = 'test' and id <> connection_id()) do kill one.id; end for; end"
        )
        with pytest.raises(TryAgainError):
            list(orders)
