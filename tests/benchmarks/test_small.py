"""The measurements of `make bench` with few orders and without times: these count only if the numbers are right."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import requests
import sqlalchemy as sa

from benchmarks import csv_drop, page
from benchmarks.shop import Shop
from demo.processes import Processes, free_port, wait_for
from include.order_sync.staging.partition_hash import partition_hash

ROOT = Path(__file__).parents[2]
ORDERS = 2000
FEW = 300
PACED = 30


@pytest.fixture
def shop(postgres_server):
    """A shop with orders and their items."""

    def uri(database):
        url = postgres_server.set(drivername="postgresql", database=database)
        return url.render_as_string(hide_password=False).replace(" ", "%20")

    with Shop.create(uri) as shop:
        shop.fill(ORDERS, items=True)
        yield shop


@pytest.fixture(scope="module")
def sink(tmp_path_factory):
    """The address of a sink."""
    folder = tmp_path_factory.mktemp("sink")
    processes = Processes(folder / "processes.json", folder)
    port = free_port()
    processes.start("sink", [sys.executable, "-m", "benchmarks.sink", "--port", str(port)], os.environ)
    url = f"http://127.0.0.1:{port}"

    def answers():
        try:
            return requests.get(f"{url}/stats", timeout=5).ok
        except requests.ConnectionError:
            return False

    try:
        wait_for("the sink", 30, answers, processes.check)
        yield url
    finally:
        processes.stop()


def figures_of(module, *arguments, **environment):
    """Run a module as a process and return the figures that it prints."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    )
    return json.loads(done.stdout.splitlines()[-1])


def received(sink):
    """Return the sink's counts since the last call, without times."""
    counted = requests.get(f"{sink}/stats", timeout=5).json()
    del counted["span_s"]
    return counted


def test_only_what_has_changed_is_sent_again(shop, sink):
    """A run sends all orders, the next one none, and a third one only the hundredth part that has changed."""

    def sent():
        figures = figures_of("benchmarks.end_to_end", DSN=shop.dsn, URL=sink, PROVIDER="yespo", ORDERS=str(ORDERS))
        return (figures["accepted"], figures["unchanged"]), received(sink)

    def expected(orders, requests):
        return (orders, ORDERS - orders), {"requests": requests, "orders": orders, "different": orders, "late": 0}

    assert sent() == expected(ORDERS, requests=2)
    assert sent() == expected(0, requests=0)
    assert shop.change() == ORDERS // 100
    assert sent() == expected(ORDERS // 100, requests=1)


def test_a_second_change_of_an_order_comes_after_its_first(shop, sink):
    """An order's second change comes after its first, though sixteen requests are in flight at once."""
    shop.fill(FEW)
    changes = FEW + shop.add_second_changes()
    assert changes > FEW
    run = {"DSN": shop.dsn, "URL": sink, "PROVIDER": "justclick", "ORDERS": str(changes)}
    assert figures_of("benchmarks.end_to_end", **run)["accepted"] == changes
    assert received(sink) == {"requests": changes, "orders": changes, "different": changes, "late": 0}


def test_workers_of_one_account_share_its_pace(shop, sink):
    """Two at once send all that each has, and have one slot a request, a gap apart, from the same account."""
    shop.fill(PACED)
    run = {"DSN": shop.dsn, "URL": sink, "PROVIDER": "justclick", "ORDERS": str(PACED), "PACE": "100"}
    with ThreadPoolExecutor(2) as threads:
        workers = [threads.submit(figures_of, "benchmarks.end_to_end", **run, WORKER=f"_{n}") for n in range(2)]
        assert [worker.result()["requests"] for worker in workers] == [PACED, PACED]
    assert received(sink) == {"requests": 2 * PACED, "orders": 2 * PACED, "different": PACED, "late": 0}
    with psycopg.connect(shop.dsn) as connection:
        query = "select connection, last_at - (select min(begun_at) from batches) from request_slots"
        ((account, taken),) = connection.execute(query).fetchall()
    assert account == "bench"
    # The first batch may begin some milliseconds after its slot.
    assert taken >= timedelta(seconds=(2 * PACED - 2) / 100)


def test_a_full_ledger_is_of_the_same_destination_and_of_other_orders(shop, sink):
    """The filled ledger holds rows as a load writes them, and no order that is still to come."""
    shop.fill_ledger(ORDERS + 1, 3 * ORDERS)
    shop.replace(4 * ORDERS + 1, ORDERS)
    run = {"DSN": shop.dsn, "URL": sink, "PROVIDER": "rees46", "ORDERS": str(ORDERS)}
    assert figures_of("benchmarks.end_to_end", **run)["accepted"] == ORDERS
    received(sink)
    with psycopg.connect(shop.dsn) as connection:
        held = connection.execute("select destination_id, order_id, partition_hash from attempts").fetchall()
    assert len(held) == 4 * ORDERS
    assert len({destination for destination, _, _ in held}) == 1
    assert all(partition_hash(order_id) == number for _, order_id, number in held)


def test_orders_of_a_table_made_anew_were_never_seen_before(shop, sink):
    """A new table is sent as a whole in each round of a benchmark, with any orders in the ledger."""
    shop.fill_ledger(1, ORDERS)
    shop.fill(ORDERS)
    run = {"DSN": shop.dsn, "URL": sink, "PROVIDER": "rees46", "ORDERS": str(ORDERS)}
    assert figures_of("benchmarks.end_to_end", **run)["accepted"] == ORDERS
    received(sink)


def test_the_drop_is_read_whole(shop, tmp_path):
    """Ours and pandas both read every order from a file with the table's columns."""
    file = csv_drop.file_in(tmp_path)
    shop.write_csv(file)
    columns = [column["name"] for column in sa.inspect(shop.engine).get_columns("bench_orders")]
    assert file.read_text().splitlines()[0].split(",") == columns
    for reader in ("ours", "pandas"):
        assert figures_of("benchmarks.csv_drop", reader, DROP=str(tmp_path))["orders"] == ORDERS


def test_the_page_shows_the_full_ledger(shop):
    """Each view of the page is asked for on a ledger that has what it looks for."""
    shop.fill_for_page(ORDERS, ORDERS)
    assert set(figures_of("benchmarks.page", DSN=shop.dsn)) == set(page.VIEWS)
    with shop.engine.connect() as connection:
        counted = {
            view: connection.exec_driver_sql(f"select count(*) from {view}").scalar()
            for view in ("order_state_v1", "held_v1", "rejections_v1", "runs_v1", "files_v1", "freshness_v1")
        }
    assert counted == {
        "order_state_v1": ORDERS + 1000,
        "held_v1": 1000,
        "rejections_v1": ORDERS,
        "runs_v1": 4 * (365 * 24 + 1),
        "files_v1": ORDERS // 50,
        "freshness_v1": 4,
    }
