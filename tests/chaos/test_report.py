"""The sender's report on a real ledger: it names what the judge asks for."""

import json
import os
import random
from datetime import datetime
from pathlib import Path

import psycopg
import sqlalchemy as sa

from chaos import shop
from chaos.report import write_report
from chaos.verdict import judge
from chaos.world import World
from include.order_sync.ledger import schema
from include.order_sync.ledger.encrypted_rows import QuarantineEntry
from include.order_sync.ledger.opening import open_session
from include.order_sync.ledger.reasons import FAILING_REASON
from tests.chaos.conftest import libpq_address
from tests.sandbox.conftest import serve
from tests.unit.ledger.test_order_history import NOON, ORDER, sent, version

GIVEN_UP = "A-1043"


def test_rejected_and_given_up_changes_have_their_times(postgres_server: sa.URL, tmp_path: Path):
    """The judge needs the time of each, which PostgreSQL shows in its own zone."""
    name = f"report_{os.urandom(4).hex()}"
    with psycopg.connect(libpq_address(postgres_server), autocommit=True) as connection:
        connection.execute(f"create database {name}")
        connection.execute(f"alter database {name} set datestyle = 'ISO'")  # as in a storm
    engine = sa.create_engine(postgres_server.set(database=name))
    schema.upgrade(engine)
    with open_session(engine, "ledger", destination="justclick", run="dag run start read", try_number=1) as session:
        session.conclude(sent(session, version(session, "paid")), "answered", rejected={ORDER: "no such status"})
        session.quarantine([QuarantineEntry(GIVEN_UP, b"1", [FAILING_REASON], b"row", "orders", 1, NOON)])
    engine.dispose()
    address = libpq_address(postgres_server.set(database=name))
    report = json.loads(write_report(World(address, address, "", tmp_path), []).read_text())
    rejected = report["rejected"]["justclick"]
    assert rejected.keys() == {ORDER, GIVEN_UP}
    assert {datetime.fromisoformat(at) for times in rejected.values() for at in times} == {NOON.to_pydatetime()}


def test_the_judge_counts_only_rejected_orders_that_can_be_sent(postgres_server: sa.URL, tmp_path: Path):
    """An order whose rejected row is still in the source counts; one of which the source has nothing does not."""
    name = f"judged_{os.urandom(4).hex()}"
    with psycopg.connect(libpq_address(postgres_server), autocommit=True) as connection:
        connection.execute(f"create database {name}")
        connection.execute(f"alter database {name} set datestyle = 'ISO'")
    address = libpq_address(postgres_server.set(database=name))
    shop.fill(address, 1, 1, 1, random.Random(1))
    with psycopg.connect(address) as connection:
        columns = "(order_id, single, status, changed_at, late)"
        row = (ORDER, NOON.to_pydatetime())
        connection.execute(f"insert into order_changes {columns} values (%s, true, 'paid', %s, false)", row)
    times = [NOON.isoformat()]
    report = {"runs": [], "held": {}, "rejected": {"justclick": {ORDER: times, GIVEN_UP: times}}, "sent_again": {}}
    (tmp_path / "report.json").write_text(json.dumps(report | {"interrupted": {}}))
    served = serve(strict=True)
    try:
        judged = judge(address, next(served), tmp_path / "report.json", late_too=False)
    finally:
        next(served, None)
    assert {found.service: found.rejected for found in judged}["justclick"] == 1
