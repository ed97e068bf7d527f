"""The ledger's command line."""

import json
import os
import subprocess
import sys

import pytest
import sqlalchemy as sa

from include.order_sync.configuration.loading import DEFAULT_FILE, load
from include.order_sync.ledger import schema
from tests.airflow.conftest import ROOT


@pytest.fixture
def command(postgres_server):
    """Return a function that runs the command on its own database, which is empty at first."""
    admin = sa.create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql("create database command")
    url = postgres_server
    fields = {"conn_type": "postgres", "host": url.host, "port": url.port, "schema": "command"}
    ledger = json.dumps({**fields, "login": url.username, "password": url.password})

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "order_sync_airflow.ledger", *arguments],
            env={
                **os.environ,
                "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}",
                "AIRFLOW_CONN_ORDER_SYNC_LEDGER": ledger,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    yield run
    with admin.connect() as connection:
        connection.exec_driver_sql("drop database command")
    admin.dispose()


def test_upgrade_and_status(command):
    """`upgrade` creates the tables; `status` shows each destination, or names `upgrade` if there are no tables."""
    before = command("status")
    assert before.returncode == 1
    assert "order_sync_airflow.ledger upgrade" in before.stderr
    assert "Traceback" not in before.stderr
    upgraded = command("upgrade")
    assert (upgraded.returncode, upgraded.stderr.strip()) == (0, "")
    assert f"schema is {schema.HEAD}" in upgraded.stdout
    status = command("status")
    assert (status.returncode, status.stderr.strip()) == (0, "")
    lines = status.stdout.splitlines()[2:]
    assert [line.split() for line in lines] == [
        [name, "never", "none", "0", "0"] for name in load(DEFAULT_FILE).destinations
    ]
