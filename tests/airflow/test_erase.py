"""Erasing one person from quarantine and staged files."""

import json
import subprocess
import sys

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography.fernet import Fernet
from order_sync_airflow import erase as erase_command
from upath import UPath

from include.order_sync.configuration.loading import DEFAULT_FILE, load
from include.order_sync.errors import StopError
from include.order_sync.ledger import quarantine, schema
from include.order_sync.ledger.encrypted_rows import QuarantineEntry
from include.order_sync.sources.raw import RAW_SCHEMA
from include.order_sync.staging.partition_hash import partition_hash
from include.order_sync.staging.run_folder import Staging
from tests.airflow.shop import use_keys
from tests.airflow.test_ledger_command import KEY, command  # noqa: F401  (a fixture)

ANNA = {"order_id": "A-1", "email": "Anna@Shop.example", "phone": "+380 (97) 111-22-33", "customer_id": "c1"}
BORIS = {"order_id": "B-1", "email": "boris@shop.example", "phone": "+380972222222", "customer_id": "c2"}
LONG_ID = "Order-AbCdEfGhIjKlMnOpQrStUvWxYz"
DESTINATION = next(iter(load(DEFAULT_FILE).destinations))


@pytest.fixture
def erase(command, tmp_path, monkeypatch):  # noqa: F811
    """Return a function that erases the person of these lines, and returns what it says."""
    schema.upgrade(command.engine)
    monkeypatch.setenv("AIRFLOW_CONN_ORDER_SYNC_LEDGER", command.environment["AIRFLOW_CONN_ORDER_SYNC_LEDGER"])
    monkeypatch.setenv("ORDER_SYNC_STAGING", str(tmp_path))
    use_keys(monkeypatch, KEY)
    return lambda *lines, delete=True: erase_command.erase(lines, delete=delete)


def stage(tmp_path, run: str) -> Staging:
    """Stage a raw row of each person, and a rejected one."""
    read = Staging(UPath(tmp_path) / "order_sync_yespo" / run / "read")
    rows = [{**row, "origin": "q", "line": number, "position": number} for number, row in enumerate((ANNA, BORIS))]
    read.stage_raw([pa.Table.from_pylist(rows, schema=RAW_SCHEMA)], [])
    read.write_ready("part-00000", pd.DataFrame({"order_id": ["A-1", "B-1"], "payload": ["{}", "{}"]}))
    read.write_rejected("part-00000", pd.DataFrame(rows).assign(reasons=[["no"], ["no"]]))
    return read


def rejected_ids(read: Staging) -> list[str]:
    """Return the order ids of the rejected rows."""
    (path,) = (read.folder / "rejected").glob("*.parquet")
    return pq.read_table(path)["order_id"].to_pylist()


def quarantine_both(engine, key: str = KEY) -> None:
    """Write an entry of each person, one of them without an order id."""
    rows = [ANNA, BORIS, {**ANNA, "order_id": None}]
    entries = [
        QuarantineEntry(
            row["order_id"],
            bytes([number]),
            ["no"],
            Fernet(key).encrypt(json.dumps({"row": row, "items": None, "service_message": ""}).encode()),
            "q",
            number,
            None,
        )
        for number, row in enumerate(rows)
    ]
    with engine.begin() as connection, connection.connection.cursor() as cursor:
        quarantine.add(cursor, DESTINATION, "run", entries)


def entries(engine) -> list[str | None]:
    """Return the order ids of all entries."""
    with engine.connect() as connection:
        return list(connection.exec_driver_sql("select order_id from quarantine order by id").scalars())


@pytest.mark.parametrize("value", ["anna@shop.example", "380971112233", " +380-97-111-22-33", "c1"])
def test_a_person_is_erased_from_quarantine_and_staged_files(erase, command, tmp_path, value):  # noqa: F811
    """Whatever the person is known by; the other person stays, and the answer says what was sent to whom."""
    read = stage(tmp_path, "red_run")
    quarantine_both(command.engine)
    sent(command.engine, "A-1", "B-1")

    said = erase(value, delete=False)
    assert "Would erase" in said
    assert "2 entries of the quarantine, 1 staged rejected row, the staged rows of 1 run without success" in said
    assert (len(entries(command.engine)), rejected_ids(read)) == (3, ["A-1", "B-1"])
    assert len(read.ready_parts().paths) == 1

    said = erase(value)
    assert (
        "Erased: 2 entries of the quarantine, 1 staged rejected row, the staged rows of 1 run without success" in said
    )
    assert "order_sync_yespo, red_run: clear it from extract on" in said
    assert f"at {DESTINATION}, delete there: orders A-1\n" in f"{said}\n"
    assert entries(command.engine) == ["B-1"]
    assert rejected_ids(read) == ["B-1"]
    assert [path.name for path in read.folder.iterdir()] == ["rejected"]
    for path in tmp_path.rglob("*.*"):
        assert b"nna@" not in path.read_bytes()


@pytest.mark.parametrize(("given", "found"), [("A-1", "A-1"), ("a-1", "A-1"), (LONG_ID, LONG_ID)])
def test_an_order_that_was_only_delivered_is_named(erase, command, given, found):  # noqa: F811
    """Nothing of it lies in quarantine or staging, and a person may write a short id in small letters."""
    sent(command.engine, "A-1", "B-1", LONG_ID)
    assert f"at {DESTINATION}, delete there: orders {found}\n" in f"{erase(given)}\n"


def sent(engine, *order_ids: str) -> None:
    """Let a destination have sent these orders."""
    with engine.begin() as connection:
        connection.exec_driver_sql("insert into destinations (name) values (%s)", (DESTINATION,))
        connection.exec_driver_sql(
            "insert into batches (destination_id, run, try, orders, begun_at, concluded_at, outcome) "
            "values (1, 'run', 1, 2, now(), now(), 'answered')"
        )
        for order_id in order_ids:
            connection.exec_driver_sql(
                "insert into attempts (batch_id, destination_id, partition_hash, order_id, status_changed_at, "
                "updated_at, rank, code, payload_hash, held_if_in_doubt) "
                "values (1, 1, %s, %s, now(), now(), 0, 'PAID', 1, false)",
                (partition_hash(order_id), order_id),
            )


def test_an_entry_of_a_lost_key_is_found_by_its_order_id(erase, command):  # noqa: F811
    """Its row can't be compared, which the answer says."""
    quarantine_both(command.engine, key=Fernet.generate_key().decode())
    said = erase("c1", "A-1")
    assert "3 entries with another key" in said
    assert entries(command.engine) == ["B-1", None]


def test_nothing_is_erased_without_a_value(erase):
    """An empty input is a mistake."""
    with pytest.raises(StopError, match="at least one"):
        erase(" ")


def test_the_command_reads_its_values_from_standard_input(erase, command, tmp_path):  # noqa: F811
    """They are no arguments, which others could read; without --delete it only counts."""
    quarantine_both(command.engine)
    done = subprocess.run(
        [sys.executable, "-m", "order_sync_airflow.erase"],
        input="A-1\nc1\n",
        env={**command.environment, "ORDER_SYNC_STAGING": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Would erase (--delete does it): 2 entries" in done.stdout
    assert len(entries(command.engine)) == 3
