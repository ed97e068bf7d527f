"""The ledger's command line."""

import json
import os
import subprocess
import sys
from contextlib import nullcontext

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from order_sync_airflow import ledger as ledger_command

from include.order_sync import codes
from include.order_sync.configuration.loading import DEFAULT_FILE, load
from include.order_sync.ledger import quarantine, schema
from include.order_sync.ledger.encrypted_rows import QuarantineEntry
from tests.airflow.conftest import ROOT
from tests.airflow.shop import use_keys

KEY = Fernet.generate_key().decode()


@pytest.fixture
def command(postgres_server):
    """Return a function that runs the command on its own database, which is empty at first."""
    admin = sa.create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql("create database command")
    url = postgres_server
    fields = {"conn_type": "postgres", "host": url.host, "port": url.port, "schema": "command"}
    ledger = json.dumps({**fields, "login": url.username, "password": url.password})

    own = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}",
        "AIRFLOW_CONN_ORDER_SYNC_LEDGER": ledger,
        "AIRFLOW__CORE__FERNET_KEY": KEY,
    }

    def run(*arguments: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
        variables = {**own, **environment}
        return subprocess.run(
            [sys.executable, "-m", "order_sync_airflow.ledger", *arguments],
            env={name: value for name, value in variables.items() if value is not None},
            capture_output=True,
            text=True,
            check=False,
        )

    run.engine = sa.create_engine(url.set(database="command"))  # type: ignore[attr-defined]
    run.environment = own  # type: ignore[attr-defined]
    yield run
    run.engine.dispose()  # type: ignore[attr-defined]
    with admin.connect() as connection:
        connection.exec_driver_sql("drop database command with (force)")
    admin.dispose()


@pytest.fixture
def said(command, monkeypatch, capsys):
    """Return a function that runs the command in this process, which has imported Airflow: what it writes to both."""
    monkeypatch.setenv("AIRFLOW_CONN_ORDER_SYNC_LEDGER", command.environment["AIRFLOW_CONN_ORDER_SYNC_LEDGER"])
    monkeypatch.setattr(ledger_command, "read_connections_of_airflow", lambda: None)
    use_keys(monkeypatch, KEY)

    def said(*arguments: str, code: int = 0) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["ledger", *arguments])
        with pytest.raises(SystemExit, match=str(code)) if code else nullcontext():
            ledger_command.main()
        written = capsys.readouterr()
        return written.out, written.err

    return said


def test_upgrade_and_status(command, said):
    """`upgrade` creates the tables; `status` shows each destination, or names `upgrade` if there are no tables."""
    assert "order_sync_airflow.ledger upgrade" in said("status", code=1)[1]
    upgraded = command("upgrade")
    assert (upgraded.returncode, upgraded.stderr.strip()) == (0, "")
    assert f"schema is {schema.HEAD}" in upgraded.stdout
    with command.engine.connect() as connection:
        known = connection.execute(sa.text("select code from reason_codes")).scalars().all()
    assert sorted(known) == [reason.code for reason in codes.rejections()]
    status, wrong = said("status")
    assert wrong == ""
    lines = status.splitlines()[2:]
    assert [line.split() for line in lines] == [
        [name, "never", "none", "0", "0"] for name in load(DEFAULT_FILE).destinations
    ]


def test_the_service_s_words_are_shown(command, said, monkeypatch):
    """`quarantine` and `order` show the service's whole message, for those who have the Fernet key."""
    schema.upgrade(command.engine)
    name = next(iter(load(DEFAULT_FILE).destinations))
    row = json.dumps({"row": {}, "items": None, "service_message": "bad phone of anna@shop.example"}).encode()
    listed = [
        QuarantineEntry(order_id, number.encode(), ["no"], Fernet(KEY).encrypt(row), "orders.csv", 7, None)
        for number, order_id in [("1", "A-1"), ("2", None)]
    ]
    with command.engine.begin() as connection, connection.connection.cursor() as cursor:
        quarantine.add(cursor, name, "dag run start read", listed)
    shown, wrong = said("quarantine", name)
    assert wrong == ""
    lines = shown.splitlines()[2:]
    assert [line.split()[:5] for line in lines] == [
        ["1", "A-1", "no", "orders.csv", "7"],
        ["2", "-", "no", "orders.csv", "7"],
    ]
    assert all(line.endswith("bad phone of anna@shop.example") for line in lines)
    order, wrong = said("order", "A-1")
    assert wrong == ""
    parts = order.split("\n\n")
    assert parts[0] == f"{name}, never read"
    assert parts[1].splitlines()[2].split()[2:6] == ["quarantined", "no", "orders.csv:7", "run"]
    assert parts[1].rstrip().endswith("bad phone of anna@shop.example")
    assert parts[3] == ledger_command.NEVER_SEEN
    assert "no good destination 'no_such'" in said("quarantine", "no_such", code=1)[1]
    use_keys(monkeypatch, Fernet.generate_key().decode())
    other = said("quarantine", name, "A-1")[0].splitlines()[2:]
    assert [line.split()[1] for line in other] == ["A-1"]
    assert other[0].endswith("(no key opens it)")


def test_a_connection_in_airflows_database_is_found(command, tmp_path):
    """The command finds a connection that `airflow connections add` has stored, and says if its server is not there."""
    database = {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
        "AIRFLOW__CORE__FERNET_KEY": KEY,
    }
    server = "postgres://order_sync:secret@127.0.0.1:1/ledger"
    for arguments in (["db", "migrate"], ["connections", "add", "order_sync_ledger", "--conn-uri", server]):
        subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env={**os.environ, **database},
            check=True,
            capture_output=True,
        )
    done = command("upgrade", **database, AIRFLOW_CONN_ORDER_SYNC_LEDGER=None)
    assert done.returncode == 1
    assert done.stderr.startswith("The ledger behind connection 'order_sync_ledger' can't be reached")
    assert "Traceback" not in done.stderr
