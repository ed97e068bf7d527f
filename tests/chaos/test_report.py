"""The sender's report on a real ledger: it names what the judge asks for."""

import json
import os
from datetime import datetime
from pathlib import Path

import psycopg
import sqlalchemy as sa

from chaos.report import write_report
from chaos.world import World
from include.order_sync.ledger import schema
from include.order_sync.ledger.encrypted_rows import QuarantineEntry
from include.order_sync.ledger.opening import open_session
from include.order_sync.ledger.reasons import FAILING_REASON
from tests.chaos.conftest import libpq_address
from tests.unit.ledger.test_order_history import NOON, ORDER, sent, version

GIVEN_UP = "A-1043"


def test_rejected_and_given_up_changes_have_their_times(postgres_server: sa.URL, tmp_path: Path):
    """The judge looks for their rows by these times, in whatever zone the database shows them."""
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
