"""Marked secrets and personal values are planted into a run, and searched for in everything that it left."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import quote

import psutil
import psycopg
import pyarrow.parquet
import pytest
from cryptography.fernet import Fernet

from demo import airflow_server
from demo.airflow_api import ENDED
from demo.story import Demo
from sandbox.registry import SERVICES
from tests.deploy.test_databases import PROGRAMS
from tests.e2e.runs import Run

PERSONAL = {
    "customer_id": "canary-customer-71",
    "email": "canary.anna@marked-71.example",
    "phone": "+380997171717",
    "first_name": "Canaryanna",
    "last_name": "Canarykova",
    "delivery_address": "Canarystreet 71, Canarytown",
    "restore_url": "https://shop.example/canary-cart-71",
}
COMMENT = "canary comment 71"
# The first is delivered, the second has a bad row, the third is refused by the service in words that quote it.
DELIVERED, BAD, REFUSED = "canary-1", "canary-2", "canary-3"


def plant(demo: Demo) -> dict[str, str]:
    """Write the three orders into the shop, ten days before the sample's; return their window as a run's params."""
    start = demo.hours[0] - timedelta(days=10)
    columns = {"currency": "UAH", "created_at": start.isoformat(), "channel": "web"}
    with psycopg.connect(demo.postgres.uri("shop")) as connection:
        for order_id in (DELIVERED, BAD, REFUSED):
            cost = "19,90 canarymoney" if order_id == BAD else "19.90"
            row = {"order_id": order_id, "total_cost": cost, **columns, **PERSONAL}
            row["additional_info"] = json.dumps({"wish": COMMENT})
            names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
            connection.execute(f"insert into orders ({names}) values ({marks})", list(row.values()))
            connection.execute(
                "insert into order_items (order_id, item_id, name, quantity, cost, url, image_url) "
                "values (%s, 'sku-1', 'Kettle', '1', '19.90', 'https://shop.example/1', 'https://shop.example/1.png')",
                (order_id,),
            )
            connection.execute(
                "insert into order_changes (order_id, status, description, changed_at, recorded_at) "
                "values (%s, 'paid', %s, %s, %s)",
                (order_id, COMMENT, start.isoformat(), start),
            )
    return {"from": start.isoformat(), "to": (start + timedelta(hours=1)).isoformat()}


def secrets(demo: Demo) -> dict[str, str]:
    """Return every secret of the demo, by a name that may be shown."""
    environment = airflow_server.environment(demo.settings, demo.postgres, {})
    found = {name: demo.settings.secret(name) for name in ("postgres", "ui", "fernet", "api", "jwt")}
    found["fernet key"] = environment["AIRFLOW__CORE__FERNET_KEY"]
    return found | {f"account of {name}": service.account.secret for name, service in SERVICES.items()}


@contextmanager
def arguments() -> Iterator[set[str]]:
    """Collect the command lines of all processes of the demo while the block runs."""
    seen: set[str] = set()
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.1):
            for process in psutil.Process().children(recursive=True):
                try:
                    seen.add(" ".join(process.cmdline()))
                except psutil.Error:  # it has ended meanwhile
                    continue

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def dump(demo: Demo, database: str) -> bytes:
    """Return a database as pg_dump writes it."""
    command = [PROGRAMS / "pg_dump", "--inserts", demo.postgres.uri(database)]
    return subprocess.run(command, capture_output=True, check=True).stdout


def texts(demo: Demo) -> Iterator[tuple[str, bytes]]:
    """Yield all that the demo has written and that anybody but the service's user may come to see."""
    local = demo.settings.local
    own = {local / "drop", local / "staging", local / "secrets", local / "postgres" / "data"}
    for path in local.rglob("*"):
        if path.is_file() and not own & set(path.parents) and path.name != "passwords.json":
            yield str(path), path.read_bytes()
    for database in ("airflow", "ledger"):
        yield f"database {database}", dump(demo, database)


def found(marks: dict[str, str], place: str, text: bytes) -> list[str]:
    """Return a line for each mark in the text: as it is, or as the hexadecimal of a database's bytes."""
    return [
        f"{name} in {place}"
        for name, mark in marks.items()
        if mark.encode() in text or mark.encode().hex().encode() in text
    ]


def test_nothing_marked_is_left_where_it_does_not_belong(backfilled, faults, sandbox):
    """Personal values are in staged parts and encrypted rows alone, and secrets in none of both."""
    demo = backfilled.demo
    words = f"customer {PERSONAL['email']} {PERSONAL['phone']} is unknown"
    faults(provider="yespo", kind="refuse_orders", order_ids=[REFUSED], message=words, shape="list")
    window = plant(demo)
    with arguments() as seen:
        run = Run.start(demo, "yespo", **window)
        assert run.end_state() in ENDED
    assert {order["id"] for order in sandbox("orders?provider=yespo")["orders"]} & {DELIVERED, BAD, REFUSED} == {
        DELIVERED
    }

    marks = {**PERSONAL, "comment": COMMENT, "money": "canarymoney"}
    hidden = secrets(demo)
    leaks = [line for place, text in texts(demo) for line in found(marks | hidden, place, text)]
    leaks += [line for each in seen for line in found(marks | hidden, f"arguments {each[:60]}", each.encode())]
    assert leaks == []
    assert any("task" in each or "airflow" in each for each in seen)

    staging = demo.settings.local / "staging"
    assert [path for path in staging.rglob("*") if path.stat().st_mode & 0o077] == []
    folder = staging / "order_sync_yespo" / quote(run.run_id, safe="").replace(".", "%2E")
    (rejected,) = folder.glob("*/rejected/*.parquet")
    staged = json.dumps(pyarrow.parquet.read_table(rejected).to_pylist(), default=str)
    assert PERSONAL["email"] in staged
    assert found(hidden, str(rejected), staged.encode()) == []
    with psycopg.connect(demo.postgres.uri("ledger")) as connection:
        rows = connection.execute(
            "select order_id, encrypted_row from quarantine where order_id like 'canary-%'"
        ).fetchall()
    cipher = Fernet(hidden["fernet key"])
    opened = {order_id: cipher.decrypt(bytes(row)) for order_id, row in rows}
    assert opened.keys() == {BAD, REFUSED}
    assert all(PERSONAL["email"].encode() in row for row in opened.values())
    assert all(found(hidden, "the quarantine", row) == [] for row in opened.values())
    assert words.encode() in opened[REFUSED]


@pytest.mark.parametrize("form", ["as it is", "hexadecimal"])
def test_the_search_finds_a_mark(form):
    """Otherwise the test above could not fail."""
    text = b"...Canaryanna..." if form == "as it is" else b"'\\x" + b"Canaryanna".hex().encode() + b"'"
    assert found(PERSONAL, "here", text) == ["first_name in here"]
