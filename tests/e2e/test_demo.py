"""The demo's own promises, without Airflow."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from demo import airflow_server, report, sample, shop, story
from demo.backfill import last_full_hours
from demo.postgres import Postgres
from demo.processes import Processes, free_port, is_alive, wait_for
from demo.settings import ROOT, DemoError, Settings
from demo.story import Demo
from sandbox.registry import SERVICES

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


def settings(folder, **changes: int) -> Settings:
    """Return the settings of a demo in this folder."""
    numbers = {"airflow_port": 1, "sandbox_port": 2, "shop_orders": 60, "shop_seed": 1} | changes
    return Settings(local=folder, **numbers)


def test_an_hour_of_the_shop_depends_on_seed_and_hour_alone():
    """The same seed gives the same hour, after any other hours; another seed gives another hour."""
    first = sample.warehouse_orders(1, 300, NOON), sample.drop_rows(1, 300, NOON)
    sample.warehouse_orders(1, 300, NOON - 3 * sample.HOUR)
    sample._placed.cache_clear()
    assert (sample.warehouse_orders(1, 300, NOON), sample.drop_rows(1, 300, NOON)) == first
    assert sample.warehouse_orders(2, 300, NOON) != first[0]


@pytest.mark.parametrize("start", range(6))
def test_any_six_hours_hold_every_defect_once(start):
    """Any six hours of the demo hold each kind of broken order exactly once."""
    hours = last_full_hours(NOON + start * sample.HOUR)
    broken = Counter(
        order.order["order_id"].partition("-")[2]
        for hour in hours
        for order in sample.warehouse_orders(1, 60, hour)
        if order.order["order_id"].startswith("W")
    )
    assert broken == Counter(str(n) for n in range(len(sample.WAREHOUSE_DEFECTS)))


def test_the_hours_are_full_ones():
    """The last of the six hours is the one before the present hour."""
    hours = last_full_hours(datetime(2026, 7, 1, 12, 59, 59, tzinfo=UTC))
    assert [hour.hour for hour in hours] == [6, 7, 8, 9, 10, 11]


def test_a_file_is_named_by_its_local_hour(tmp_path):
    """The name of a drop's file holds the hour of the shop's own clock, also across midnight."""
    path = shop.drop_file(tmp_path, datetime(2026, 7, 1, 22, tzinfo=UTC))
    assert str(path.relative_to(tmp_path)) == "2026-07-02/orders-01.csv"


@pytest.mark.parametrize(
    ("variable", "value"), [("AIRFLOW_PORT", "http"), ("SANDBOX_PORT", "70000"), ("SHOP_ORDERS", "-1")]
)
def test_a_wrong_setting_is_refused(variable, value):
    """The message about a number out of range shows the setting's name, its value and the range."""
    with pytest.raises(DemoError, match=rf"{variable} is '{value}': set it to a whole number from \d+ to \d+"):
        Settings.from_environment({variable: value})


def test_what_initdb_leaves_is_no_running_server(tmp_path):
    """A postmaster.pid that a failed initdb has left, with the negative number of its own backend, hides no error."""
    pid_file = tmp_path / "postgres" / "data" / "postmaster.pid"
    pid_file.parent.mkdir(parents=True)
    pid_file.write_text("-32762\n")
    Postgres(settings(tmp_path)).stop()


def test_a_taken_port_is_said_plainly(tmp_path):
    """If a port is in use `python -m demo` ends with exit code 1 and names the variable to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [sys.executable, "-m", "demo", "--once"],
            cwd=ROOT,
            env={**os.environ, "ORDER_SYNC_LOCAL": str(tmp_path), "AIRFLOW_PORT": port},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 1
    assert f"Port {port} is not free (Address already in use)" in ended.stderr
    assert "make run AIRFLOW_PORT=" in ended.stderr


def test_a_free_port_is_given_to_no_other_program():
    """It lies below the ports that the kernel gives to whoever asks for any: Airflow takes it a minute later."""
    first_of_any = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    with socket.create_server(("127.0.0.1", port := free_port())):
        assert port < first_of_any


def test_an_airflow_that_does_not_come_up_shows_its_log(tmp_path, monkeypatch):
    """Who waits in vain reads why at once."""
    airflow = tmp_path / "airflow"
    airflow.write_text("#!/bin/sh\necho address already in use\nexec sleep 60\n")
    airflow.chmod(0o755)
    monkeypatch.setattr(airflow_server, "PROGRAMS", tmp_path)
    monkeypatch.setattr(story, "READY_TIMEOUT_S", 1)
    demo = Demo(settings(tmp_path, airflow_port=free_port()))
    monkeypatch.setattr(demo.postgres, "check", lambda: None)
    try:
        with pytest.raises(DemoError, match=r"in vain for Airflow to be healthy.*\naddress already in use"):
            demo._start_airflow(dict(os.environ))
    finally:
        demo.stop()


def test_two_demos_do_not_share_a_folder(tmp_path):
    """A second demo with the same folder is refused."""
    first = Demo(settings(tmp_path))
    first.lock()
    with pytest.raises(DemoError, match=r"A demo is running with .*: stop it first"):
        Demo(settings(tmp_path)).lock()


def test_what_a_killed_demo_left_is_ended(tmp_path):
    """The next demo ends a killed one's processes, also children without a parent, and no others."""
    record = tmp_path / "processes.json"
    Processes(record, tmp_path).start("parent", ["/bin/sh", "-c", "sleep 100 & sleep 100 & wait"], os.environ)
    (parent,) = (child for child in psutil.Process().children() if child.name() == "sh")
    wait_for("the children", 10, lambda: len(parent.children()) == 2, lambda: None)
    children = [child.pid for child in parent.children()]
    parent.kill()
    parent.wait(10)
    other = subprocess.Popen(["sleep", "100"], start_new_session=True, cwd=ROOT)
    try:
        assert Processes(record, tmp_path).stop_leftovers() == 2
        assert not any(is_alive(child) for child in children)
        assert is_alive(other.pid)
    finally:
        other.kill()
        other.wait()


def test_a_process_that_ends_by_itself_is_named(tmp_path):
    """The message names the process that has ended, and shows the end of its log."""
    processes = Processes(tmp_path / "processes.json", tmp_path)
    processes.start("weakling", ["/bin/sh", "-c", "echo last words; exit 3"], os.environ)
    with pytest.raises(DemoError, match=r"weakling \(exit code 3\) has ended by itself.*\nlast words"):
        wait_for("it to end", 10, lambda: False, processes.check)
    processes.stop()


def test_the_connections_are_in_airflows_list(backfilled):
    """The demo's connections stand in Airflow's pages, each of its own type; a second start may write them anew."""
    api = backfilled.demo.api
    fields = airflow_server.connections(backfilled.demo.settings, backfilled.demo.postgres)["rees46"]
    api.set_connection("rees46", fields)
    listed = api.call("GET", "/api/v2/connections", params={"limit": 100})["connections"]
    assert {one["connection_id"]: one["conn_type"] for one in listed} == {
        "order_sync_warehouse": "postgres",
        **{name: name for name in SERVICES},
    }
    for one in listed:
        # As the button `Test` of the list asks: with what it was given, and 0 for no port.
        shown = ("connection_id", "conn_type", "host", "login", "password", "schema", "extra")
        asked = {name: one[name] for name in shown}
        tried = api.call("POST", "/api/v2/connections/test", json={**asked, "port": one["port"] or 0})
        assert tried["status"], tried


def test_figures_that_do_not_add_up_are_refused():
    """A difference between the sums of rows or orders fails the demo, and names destination and column."""
    good = dict.fromkeys(report.COLUMNS, 0) | {"rows": 3, "superseded": 1, "orders": 2, "accepted": 2}
    report.check_balance({"yespo": good})
    with pytest.raises(DemoError, match="yespo: 4 rows are not 2 orders"):
        report.check_balance({"yespo": good | {"rows": 4}})
    with pytest.raises(DemoError, match="yespo: 2 orders are not 1 accepted"):
        report.check_balance({"yespo": good | {"accepted": 1}})
