"""The views of the read model: their columns are documented, their content is right, and a role may only read them."""

import re
import uuid
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from include.order_sync import codes
from include.order_sync.ledger import files, quarantine, reader_role, reason_codes, schema
from include.order_sync.ledger.encrypted_rows import QuarantineEntry
from include.order_sync.ledger.opening import open_session
from include.order_sync.model import FileVersion
from tests.unit.ledger.test_order_history import NOON, sent, version

OPEN = "select id from quarantine where destination = %s and resolved_at is null order by id"
PAGE = Path(__file__).parents[3] / "docs" / "read-model.md"


@pytest.fixture
def name() -> str:
    """A destination of one test."""
    return uuid.uuid4().hex


def entry(number: int, *reasons: str, order_id: str | None = "A-1", origin: str = "orders.csv") -> QuarantineEntry:
    """Return an entry for the quarantine."""
    return QuarantineEntry(order_id, bytes([number]), list(reasons), b"row", origin, number, NOON)


def view(ledger: sa.Engine, query: str, name: str) -> list[tuple[Any, ...]]:
    """Return rows of a view about a destination."""
    with ledger.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(f"select {query}"), {"name": name})]


@pytest.mark.parametrize("name", reader_role.VIEWS)
def test_the_page_has_each_column_in_order(ledger: sa.Engine, name: str):
    """docs/read-model.md describes each view with all its columns."""
    with ledger.connect() as connection:
        columns = list(connection.exec_driver_sql(f"select * from {name} limit 0").keys())
    section = PAGE.read_text().split(f"## {name}\n")[1].split("\n## ")[0]
    table = next(part for part in section.split("\n\n") if part.startswith("|"))
    told = [column for cell in re.findall(r"^\| ([\w, ]+) \|", table, re.MULTILINE)[1:] for column in cell.split(", ")]
    assert told == columns


def test_states_and_held_orders(ledger: sa.Engine, name: str):
    """An accepted, a rejected and a held order have their state; the held one is listed with its batch and reason."""
    with open_session(ledger, "ledger", destination=name, run="dag run-1 a b", try_number=2) as session:
        session.conclude(sent(session, version(session, "NEW")), "answered")
        session.conclude(sent(session, version(session, "NEW", order_id="R-1")), "answered", rejected={"R-1": "no"})
        batch = sent(session, version(session, "PAID", order_id="H-1", held=True))
        session.conclude(batch, "in_doubt", reason="no answer")
    states = view(
        ledger, "order_id, state, code, run, try from order_state_v1 where destination = :name order by 1", name
    )
    assert states == [
        ("A-1042", "accepted", "NEW", "run-1", 2),
        ("H-1", "held", "PAID", "run-1", 2),
        ("R-1", "rejected", "NEW", "run-1", 2),
    ]
    held = view(ledger, "order_id, batch_id, code, reason, run from held_v1 where destination = :name", name)
    assert held == [("H-1", batch, "PAID", "no answer", "run-1")]


def test_open_entries_are_counted_by_reason(ledger: sa.Engine, name: str):
    """The counts follow each way in which an entry comes, changes, moves and goes."""

    def counts(of: str = name) -> dict[str, int]:
        return dict(view(ledger, "reason, entries from reasons_v1 where destination = :name", of))

    with open_session(ledger, "ledger", destination=name, run="dag run-1 a b", try_number=1) as session:
        session.quarantine([entry(1, "a", "b"), entry(2, "a"), entry(3, "c")])
        assert counts() == {"a": 2, "b": 1, "c": 1}
        session.quarantine([entry(1, "b"), entry(4, "b")])  # seen again, for another reason
        assert counts() == {"a": 1, "b": 2, "c": 1}
        with session.transaction() as cursor:
            ids = [number for (number,) in cursor.execute(OPEN, (name,))]
            quarantine.dismiss(cursor, ids[:1], "olena", "a test")
        assert counts() == {"a": 1, "b": 1, "c": 1}
        with session.transaction() as cursor:
            cursor.execute("delete from quarantine where id = any(%s)", (ids[:2],))
        assert counts() == {"b": 1, "c": 1}
    with open_session(ledger, "ledger", destination=f"{name} new", run="dag", try_number=1, renamed_from=name):
        pass
    assert (counts(), counts(f"{name} new")) == ({}, {"b": 1, "c": 1})


def test_an_upgrade_counts_what_is_there(postgres: sa.Engine):
    """Entries of an earlier release are counted too."""
    from tests.unit.ledger.test_migration import migrate

    migrate(
        postgres,
        "0019",
        """
        insert into quarantine (destination, row_hash, reasons, encrypted_row, origin, run, resolved_at) values
            ('yespo', '\\x01', '{a,b}', '\\x01', 'q', 'run', null),
            ('yespo', '\\x02', '{a}', '\\x01', 'q', 'run', null),
            ('yespo', '\\x03', '{a}', '\\x01', 'q', 'run', now());
        """,
    )
    schema.upgrade(postgres)
    assert view(postgres, "reason, entries from reasons_v1 order by 1", "") == [("a", 2), ("b", 1)]


def test_entries_and_files(ledger: sa.Engine, name: str):
    """An entry has its place and reasons and no row; a file has its counts, and whether it could be used."""
    with open_session(ledger, "ledger", destination=name, run="dag run-1 a b", try_number=1) as session:
        session.quarantine([entry(7, "a", "b")])
    with schema.transaction(ledger, "ledger") as connection:
        good = FileVersion("/drop/a.csv", "f", 9, NOON.to_pydatetime(), "hash", 4, 1)
        bad = FileVersion("/drop/b.csv", "f", 9, NOON.to_pydatetime(), "unusable 12")
        files.take(connection, name, [good, bad], "dag run-1 a b")
    entries = view(
        ledger, "order_id, reasons, origin, line, run, times_seen from rejections_v1 where destination = :name", name
    )
    assert entries == [("A-1", ["a", "b"], "orders.csv", 7, "run-1", 1)]
    found = view(
        ledger, "path, rows, skipped, is_unusable, run from files_v1 where destination = :name order by 1", name
    )
    assert found == [("/drop/a.csv", 4, 1, False, "run-1"), ("/drop/b.csv", None, None, True, "run-1")]


def test_reasons_have_their_codes(ledger: sa.Engine, name: str):
    """A reason has its code, also with a word of the shop or a service's number in it; an unknown text has none."""
    reasons = ("status: not in the status map (paid_by_card)", "status: missing", "JustClick error_code 7", "no such")
    reason_codes.write(ledger, codes.by_pattern())
    reason_codes.write(ledger, codes.by_pattern())
    with open_session(ledger, "ledger", destination=name, run="dag run-1 a b", try_number=1) as session:
        session.quarantine([entry(1, *reasons)])
    ours = [codes.reason_of(reason) for reason in reasons]
    expected = [reason and reason.code for reason in ours]
    assert expected[0] == "OS-129"
    assert view(ledger, "codes from rejections_v1 where destination = :name", name) == [(expected,)]
    told = dict(view(ledger, "reason, code from reasons_v1 where destination = :name", name))
    assert told == dict(zip(reasons, expected, strict=True))


def test_every_reason_has_the_same_code_in_the_views(ledger: sa.Engine):
    """The views find the code of each reason that the page finds."""
    reason_codes.write(ledger, codes.by_pattern())
    texts = [reason.reason.replace("*", "7") for reason in codes.rejections()]
    with open_session(ledger, "ledger", destination="codes", run="dag run-1 a b", try_number=1) as session:
        session.quarantine([entry(1, *texts)])
    assert view(ledger, "codes from rejections_v1 where destination = 'codes'", "") == [
        ([reason and reason.code for reason in map(codes.reason_of, texts)],)
    ]


def test_a_row_keeps_its_first_run(ledger: sa.Engine, name: str):
    """A row that is seen again has the run that put it in, and the last one; its order's history has both."""
    for run in ("run-1", "run-2", "run-3"):
        with open_session(ledger, "ledger", destination=name, run=f"dag {run} a b", try_number=1) as session:
            session.quarantine([entry(1, "a")])
            session.quarantine([entry(1, "a")])
    found = view(ledger, "first_run, run, times_seen from rejections_v1 where destination = :name", name)
    assert found == [("run-1", "run-3", 3)]
    history = view(ledger, "event, run from order_history_v1 where destination = :name order by happened_at", name)
    assert history == [("quarantined", "run-1"), ("quarantined again", "run-3")]


def test_the_role_reads_the_views_and_nothing_else(ledger: sa.Engine):
    """The role that the upgrade makes reads each view, also when it was there before, and no table."""
    assert "may read the views" in reader_role.grant_reading(ledger)
    assert "may read the views" in reader_role.grant_reading(ledger)
    with ledger.connect() as connection:
        connection.exec_driver_sql(f"set role {reader_role.ROLE}")
        for each in reader_role.VIEWS:
            connection.exec_driver_sql(f"select count(*) from {each} where false")
        for refused in ("select from quarantine", "select from attempts", "delete from runs_v1"):
            connection.commit()
            with pytest.raises(ProgrammingError, match="permission denied"):
                connection.exec_driver_sql(refused)
            connection.rollback()
        connection.invalidate()


def test_a_user_who_may_create_no_role_is_told(postgres_server: sa.URL, monkeypatch: pytest.MonkeyPatch):
    """The upgrade of such a ledger succeeds, and says which role an administrator creates."""
    monkeypatch.setattr(reader_role, "ROLE", f"reader_{uuid.uuid4().hex[:8]}")  # a role belongs to the whole server
    user, database = f"owner_{uuid.uuid4().hex[:8]}", f"own_{uuid.uuid4().hex[:8]}"
    admin = sa.create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"create role {user} login password 'x'")
        connection.exec_driver_sql(f"create database {database} owner {user}")
    engine = sa.create_engine(postgres_server.set(username=user, password="x", database=database))
    try:
        schema.upgrade(engine)
        assert f"create role {reader_role.ROLE} nologin" in reader_role.grant_reading(engine)
        with admin.connect() as connection:
            connection.exec_driver_sql(f"create role {reader_role.ROLE} nologin")
        assert "may read the views" in reader_role.grant_reading(engine)
    finally:
        engine.dispose()
        with admin.connect() as connection:
            connection.exec_driver_sql(f"drop database {database} with (force)")
            connection.exec_driver_sql(f"drop role if exists {user}, {reader_role.ROLE}")
        admin.dispose()
