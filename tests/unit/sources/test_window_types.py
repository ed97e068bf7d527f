"""A query's window is right in every database, for every type of column that it may be compared with."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from include.order_sync.configuration.sql_source import WindowType
from include.order_sync.errors import StopError
from include.order_sync.model import Window
from include.order_sync.sources.window_values import window_values
from tests.unit.sources.conftest import WINDOW, Warehouse

ZONE = "America/Sao_Paulo"  # three hours behind UTC
# The first and the last lie outside of WINDOW, the second at its very start.
MOMENTS = [
    datetime(2026, 11, 21, *at, tzinfo=UTC) for at in ((9, 59, 59), (10, 0, 0), (10, 30, 0), (10, 59, 59), (11, 0, 0))
]
QUERY = "select id as order_id, 'paid' as status, '2026-11-21' as status_changed_at from orders "
COMPARED = "where at >= :window_start and at < :window_end order by id"


class Kind(NamedTuple):
    """A kind of column: its database, its type, a moment in it, and the window types that are right for it."""

    database: str
    column: str
    written: Callable[[datetime], str]
    right: tuple[WindowType, ...]


def zoned(moment: datetime) -> str:
    """Return an SQL literal of the moment, in UTC with its offset."""
    return f"'{moment:%Y-%m-%d %H:%M:%S}+00:00'"


def utc(moment: datetime) -> str:
    """Return it without an offset."""
    return f"'{moment:%Y-%m-%d %H:%M:%S}'"


def local(moment: datetime) -> str:
    """Return the local time."""
    return utc(moment.astimezone(ZoneInfo(ZONE)))


def local_t(moment: datetime) -> str:
    """Return the local time with a T."""
    return local(moment).replace(" ", "T")


def iso_z(moment: datetime) -> str:
    """Return it as JavaScript writes it."""
    return f"'{moment:%Y-%m-%dT%H:%M:%S}.000Z'"


def unix_s(moment: datetime) -> str:
    """Return seconds."""
    return f"{moment.timestamp():.0f}"


def unix_ms(moment: datetime) -> str:
    """Return milliseconds."""
    return f"{moment.timestamp() * 1000:.0f}"


ZONED, LOCAL, ISO, ISO_UTC, UNIX_S, UNIX_MS, DATE = WindowType
KINDS = [
    Kind("copied", "timestamptz", zoned, (ZONED, LOCAL)),
    Kind("copied", "timestamp", local, (ZONED, LOCAL)),
    Kind("copied", "text", local, (ISO,)),
    Kind("copied", "text", local_t, (ISO,)),
    Kind("copied", "text", iso_z, (ISO_UTC,)),
    Kind("copied", "bigint", unix_s, (UNIX_S,)),
    Kind("copied", "numeric", unix_ms, (UNIX_MS,)),
    Kind("fetched", "text", local, (ISO, LOCAL)),
    Kind("fetched", "timestamp", local_t, (ISO, LOCAL)),
    Kind("fetched", "text", iso_z, (ISO_UTC,)),
    Kind("fetched", "text", zoned, (ISO_UTC,)),
    Kind("fetched", "integer", unix_s, (UNIX_S,)),
    Kind("fetched", "real", unix_ms, (UNIX_MS,)),
    Kind("mysql", "timestamp null", utc, (ZONED,)),  # the session is in UTC
    Kind("mysql", "datetime(3)", local, (LOCAL,)),
    Kind("mysql", "varchar(40)", local_t, (ISO,)),
    Kind("mysql", "varchar(40)", iso_z, (ISO_UTC,)),
    Kind("mysql", "bigint", unix_s, (UNIX_S,)),
    Kind("mysql", "double", unix_ms, (UNIX_MS,)),
]
NAMES = [f"{kind.database} {kind.column} {kind.written.__name__}" for kind in KINDS]


@pytest.fixture(params=KINDS, ids=NAMES)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of column."""
    return request.param


@pytest.fixture
def filled(kind: Kind, request: pytest.FixtureRequest) -> Warehouse:
    """A warehouse with a row for each of MOMENTS."""
    warehouse: Warehouse = request.getfixturevalue(kind.database)
    rows = ", ".join(f"({number}, {kind.written(moment)})" for number, moment in enumerate(MOMENTS))
    before = ["set time_zone = '+00:00'"] if kind.database == "mysql" else []
    warehouse.execute(
        *before,
        f"create table orders (id integer, at {kind.column})",
        f"insert into orders values {rows}".replace(":", "\\:"),
    )
    return warehouse


def test_the_right_types_find_the_window(kind: Kind, filled: Warehouse) -> None:
    """Rows of the window are found in its hour alone, by every type that fits the column; its end is the next's."""
    for window_type in kind.right:
        rows = filled.rows(QUERY + COMPARED, timezone=ZONE, window_type=window_type)
        assert [row["order_id"] for row in rows] == ["1", "2", "3"], window_type


def test_every_other_type_is_refused(kind: Kind, filled: Warehouse) -> None:
    """A type that does not fit the column stops the run, and the message names one that does."""
    for window_type in set(WindowType) - set(kind.right):
        with pytest.raises(StopError, match="window_type") as stop:
            filled.rows(QUERY + COMPARED, timezone=ZONE, window_type=window_type)
        if (window_type, kind.database) != (ZONED, "fetched"):
            named = str(stop.value).split("set `window_type: ")[1].split("`")[0].split(" or ")
            assert set(named) <= set(kind.right), window_type


@pytest.mark.parametrize("database", ["fetched", "mysql"])
def test_a_database_that_does_not_tell(database: str, request: pytest.FixtureRequest) -> None:
    """Without `window_type` only PostgreSQL is read: the message names the choices."""
    warehouse: Warehouse = request.getfixturevalue(database)
    with pytest.raises(StopError, match="`window_type`, one of timestamp with zone, local naive in timezone, iso text"):
        warehouse.rows(QUERY + COMPARED, window_type=None)


@pytest.mark.parametrize("database", ["copied", "fetched", "mysql"])
def test_a_column_of_dates(database: str, request: pytest.FixtureRequest) -> None:
    """A column of dates gives the whole local days that the window touches: an hour of a day can't be told apart."""
    warehouse: Warehouse = request.getfixturevalue(database)
    warehouse.execute(
        "create table orders (id integer, at date)",
        "insert into orders values (0, '2026-11-20'), (1, '2026-11-21'), (2, '2026-11-22')",
    )
    rows = warehouse.rows(QUERY + COMPARED, timezone=ZONE, window_type="date")

    assert [row["order_id"] for row in rows] == ["1"]
    with pytest.raises(StopError, match="set `window_type: date`"):
        warehouse.rows(QUERY + COMPARED, timezone=ZONE, window_type="iso text")


def test_a_date_without_a_type_in_postgresql(copied: Warehouse) -> None:
    """PostgreSQL compares a date with a time, and would find no orders but at midnight."""
    copied.execute("create table orders (id integer, at date)", "insert into orders values (1, '2026-11-21')")

    with pytest.raises(StopError, match="set `window_type: date`"):
        copied.rows(QUERY + COMPARED)


@pytest.mark.parametrize("database", ["copied", "fetched", "mysql"])
def test_an_empty_table(database: str, request: pytest.FixtureRequest) -> None:
    """A shop without orders yet has no wrong type."""
    warehouse: Warehouse = request.getfixturevalue(database)
    warehouse.execute("create table orders (id integer, at bigint)")

    assert warehouse.rows(QUERY + COMPARED, window_type="unix s") == []


def test_texts_without_seconds(fetched: Warehouse) -> None:
    """A text that ends at its minute is in the window that begins with that minute, and in no other."""
    fetched.execute(
        "create table orders (id integer, at text)",
        "insert into orders values (1, '2026-11-21 10\\:00'), (2, '2026-11-21 11\\:00')",
    )
    assert [row["order_id"] for row in fetched.rows(QUERY + COMPARED, window_type="iso text")] == ["1"]


def test_texts_of_two_forms(fetched: Warehouse) -> None:
    """Texts with T and texts with a blank can't be compared with one window: the message has the cure."""
    fetched.execute(
        "create table orders (id integer, at text)",
        "insert into orders values (1, '2026-11-21T10\\:30\\:00'), (2, '2026-11-21 10\\:30\\:00')",
    )
    with pytest.raises(StopError, match="replace"):
        fetched.rows(QUERY + COMPARED, window_type="iso text")


def test_a_number_that_is_kept_as_text(fetched: Warehouse) -> None:
    """SQLite sorts every text behind every number, so a text of digits is no UNIX time."""
    fetched.execute("create table orders (id integer, at)", "insert into orders values (1, '1763720000')")

    with pytest.raises(StopError, match="convert them in the query"):
        fetched.rows(QUERY + COMPARED, window_type="unix s")


def test_types_of_mysql(mysql: Warehouse) -> None:
    """A TIMESTAMP arrives with its zone, a DATETIME as it was written, JSON and numbers as they are."""
    mysql.execute(
        "set time_zone = '+02:00'",
        "create table orders (id bigint, ts timestamp null, dt datetime, j json, m decimal(10, 2), t text)",
        "insert into orders values "
        "(7, '2026-11-21 12\\:30\\:00', '2026-11-21 07\\:30\\:00', '{\"a\"\\: 1.50}', 19.90, 'Ж😀')",
    )
    (row,) = mysql.rows(
        "select id as order_id, t as status, ts as status_changed_at, dt as updated_at, j as additional_info, "
        "m as total_cost from orders where dt >= :window_start and dt < :window_end",
        timezone=ZONE,
        window_type="local naive in timezone",
    )

    assert (row["order_id"], row["status"], row["total_cost"]) == ("7", "Ж😀", "19.90")
    assert (row["status_changed_at"], row["updated_at"]) == ("2026-11-21T10:30:00+00:00", "2026-11-21T07:30:00")
    assert row["additional_info"] == '{"a": 1.50}'


def test_a_query_of_mysql_has_a_time_limit(mysql: Warehouse) -> None:
    """A query that hangs ends, and the short limit of the check is gone."""
    mysql.execute("create table orders (at bigint, id int)", "insert into orders values (1795255200, 1)")
    query = "select @@max_statement_time as order_id, 'paid' as status, 'x' as status_changed_at from orders "
    (row,) = mysql.rows(query + COMPARED, window_type="unix s")

    assert float(row["order_id"]) == 7200


def test_orders_and_items_of_mysql_see_one_state(mysql: Warehouse) -> None:
    """Neither query sees a commit between the two, also in a server whose default is another isolation."""
    mysql.execute(
        "set global transaction isolation level read committed",
        "create table items (order_id int, at timestamp) engine = innodb",
        "insert into items values (1, '2026-11-21 10\\:30\\:00')",
    )
    query = "select order_id, 'paid' as status, at as status_changed_at from items where :window_start < :window_end"
    reader = mysql.reader(query, query, window_type="timestamp with zone")
    with reader.open() as (orders, items):
        next(orders)
        mysql.execute("insert into items values (2, '2026-11-21 10\\:30\\:00')")
        assert sum(len(table) for table in orders) == 1
        assert sum(len(table) for table in items) == 1


def test_orders_and_items_of_sqlite_see_one_state(fetched: Warehouse) -> None:
    """Neither query sees a commit between the two."""
    fetched.execute("pragma journal_mode = wal", "create table items (order_id int)", "insert into items values (1)")
    query = "select order_id, 'paid' as status, 1 as status_changed_at from items where :window_start < :window_end"
    with fetched.reader(query, query).open() as (orders, items):
        assert sum(len(table) for table in orders) == 1
        fetched.execute("insert into items values (2)")
        assert sum(len(table) for table in items) == 1


def test_a_query_cannot_write_to_mysql(mysql: Warehouse) -> None:
    """The transaction is read-only."""
    mysql.execute("create table items (order_id int)")
    with pytest.raises(StopError, match=r"READ ONLY transaction.*orders\.sql"):
        mysql.rows("insert into items select 1 from dual where :window_start < :window_end", window_type="unix s")


def test_a_character_set_that_loses_letters(mysql: Warehouse) -> None:
    """A connection whose character set lacks letters is refused by its name."""
    url = mysql.engine.url.update_query_dict({"charset": "latin1"})
    damaged = Warehouse(sa.create_engine(url), mysql.folder)
    with pytest.raises(StopError, match="character set is latin1"):
        damaged.rows("select 1 as order_id from dual where :window_start < :window_end", window_type="unix s")


# The values alone


@pytest.mark.parametrize(
    ("zone", "start", "end", "bounds"),
    [
        pytest.param("Europe/Kyiv", "2026-10-25 00:00", "2026-10-25 01:00", ("02:00", "04:00"), id="the first pass"),
        pytest.param("Europe/Kyiv", "2026-10-25 01:00", "2026-10-25 02:00", ("03:00", "04:00"), id="the second pass"),
        pytest.param("Europe/Kyiv", "2026-10-25 00:30", "2026-10-25 01:30", ("02:30", "04:30"), id="half of each"),
        pytest.param("Europe/Kyiv", "2026-10-25 02:00", "2026-10-25 03:00", ("04:00", "05:00"), id="after them"),
        pytest.param("Europe/Kyiv", "2026-03-29 00:00", "2026-03-29 01:00", ("02:00", "04:00"), id="before the jump"),
        pytest.param("Europe/Kyiv", "2026-03-29 01:00", "2026-03-29 02:00", ("04:00", "05:00"), id="after the jump"),
        pytest.param("Asia/Kolkata", "2026-11-21 10:00", "2026-11-21 11:00", ("15:30", "16:30"), id="half an hour"),
    ],
)
def test_local_bounds_where_clocks_change(zone: str, start: str, end: str, bounds: tuple[str, str]) -> None:
    """No moment of the window is left out where a local hour comes twice."""
    window = Window(*(datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, end)))
    values = window_values(window, LOCAL, zone, "mysql")

    assert (f"{values['window_start']:%H:%M}", f"{values['window_end']:%H:%M}") == bounds


@pytest.mark.parametrize("zone", ["Europe/Kyiv", "America/Adak", "Australia/Lord_Howe", "UTC"])
def test_local_bounds_hold_every_moment(zone: str) -> None:
    """Each moment of each hour of a year lies, as its local time, within the bounds of its hour."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    while moment.year == 2026:
        values = window_values(Window(moment, moment + timedelta(hours=1)), LOCAL, zone, "mysql")
        for minutes in (0, 29, 59):
            at = (moment + timedelta(minutes=minutes)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
            assert values["window_start"] <= at < values["window_end"]
        moment += timedelta(hours=1)


@pytest.mark.parametrize(
    ("window_type", "dialect", "value"),
    [
        (UNIX_S, "mysql", 1795255200),
        (UNIX_MS, "sqlite", 1795255200500),
        (ISO_UTC, "sqlite", "2026-11-21T10:00:00.500000"),
        (ISO, "postgresql", "2026-11-21T12:00:00.500000"),
        (DATE, "mysql", date(2026, 11, 21)),
        (DATE, "sqlite", "2026-11-21"),
    ],
)
def test_parts_of_a_second(window_type: WindowType, dialect: str, value: Any) -> None:
    """A window that a person gives may begin within a second."""
    start = datetime(2026, 11, 21, 10, 0, 0, 500_000, tzinfo=UTC)
    values = window_values(Window(start, WINDOW.end), window_type, "Europe/Kyiv", dialect)

    assert values["window_start"] == value
