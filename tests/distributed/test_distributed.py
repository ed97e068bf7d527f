"""docker-compose.yaml's Celery workers, killed, stopped and without their broker while they backfill a shop."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import requests

from demo import compose, report, shop
from demo.airflow_api import UI_USER, AirflowApi
from demo.backfill import READY_TIMEOUT_S, SixHours, destinations
from demo.processes import wait_for
from demo.settings import Settings
from tests.distributed.deployment import Deployment
from tests.distributed.judge import judge

DRILL_TIMEOUT_S = 300
SHOP = {"airflow_port": 0, "sandbox_port": 0, "shop_orders": 600, "shop_seed": 7}


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    """The services of docker-compose.yaml with two workers, and a filled sample shop."""
    with tempfile.TemporaryDirectory(prefix="order-sync-distributed-") as folder:
        deployment = Deployment(Path(folder))
        try:
            deployment.start()
            deployment.start_service("worker", "-1")
            deployment.start_service("worker", "-2")
            yield deployment
        finally:
            deployment.stop()


def six_hours(deployment: Deployment) -> SixHours:
    """Return the six hours in this deployment's Airflow, logged in."""
    password = deployment.variables["AIRFLOW_ADMIN_PASSWORD"]
    hours = SixHours(AirflowApi(deployment.address("api-server"), UI_USER, password), f"in {deployment.folder}")
    wait_for("Airflow to be healthy", READY_TIMEOUT_S, hours.api.is_healthy, deployment.check)
    hours.api.log_in()
    return hours


def connect(deployment: Deployment, hours: SixHours) -> None:
    """Write the connections that `demo.compose` writes, with the addresses of this machine."""
    for name, fields in compose.connections(deployment.variables["SHOP_DB_PASSWORD"]).items():
        sandbox = deployment.address("sandbox")
        here = {"host": fields["host"].replace(compose.SANDBOX, sandbox), "port": urlsplit(sandbox).port}
        if fields["host"] == compose.POSTGRES:
            here = {"host": "127.0.0.1", "port": deployment.postgres.port}
        compose.set_connection(hours.api, name, fields | here)


def test_workers_killed_stopped_and_cut_off_lose_and_double_nothing(deployment, capsys):
    """All destinations are backfilled, and the sandbox agrees with the shop order by order."""
    sandbox, ledger = deployment.address("sandbox"), deployment.database("ledger")
    hours = six_hours(deployment)
    shop.fill(Settings(local=deployment.folder, **SHOP), deployment.database("shop"), hours.hours)
    connect(deployment, hours)
    hours.wait_for_dags([f"order_sync_{name}" for name in destinations()])

    def until(event: str, ready: Callable[[], bool]) -> None:
        wait_for(event, DRILL_TIMEOUT_S, ready, deployment.check)

    def fault(**fault: object) -> None:
        requests.post(f"{sandbox}/__admin/faults", json=fault, timeout=30).raise_for_status()

    def accepted(service: str) -> int:
        return int(requests.get(f"{sandbox}/__admin/stats", timeout=30).json()[service]["accepted"])

    def unanswered() -> list[str]:
        query = """
            select d.name from batches b join destinations d on d.id = b.destination_id
            where b.begun_at is not null and coalesce(b.outcome, 'in_doubt') = 'in_doubt'
        """
        with psycopg.connect(ledger) as connection:
            return [name for (name,) in connection.execute(query)]

    with ThreadPoolExecutor() as threads:
        fault(provider="rees46", kind="slow", seconds=20, next=1)
        first = threads.submit(hours.backfill, ["rees46"])
        until("REES46 to have a request in flight", lambda: accepted("rees46") > 0)
        killed = deployment.worker_with_request()
        assert killed
        deployment.kill_service(killed)
        deployment.start_service("worker", "-3")

        fault(provider="justclick", kind="slow", seconds=10, next=1)
        second = threads.submit(six_hours(deployment).backfill, ["justclick"])
        until("JustClick to have a request in flight", lambda: accepted("justclick") > 0)
        stopped = deployment.worker_with_request()
        assert stopped
        assert deployment.stop_service(stopped) == 0
        assert set(unanswered()) == {"rees46"}
        deployment.start_service("worker", "-4")

        third = threads.submit(six_hours(deployment).backfill, ["yespo", "personaclick"])
        until("Yespo to have taken orders", lambda: accepted("yespo") > 0)
        assert deployment.stop_service("broker") == 0
        deployment.start_service("broker")
        for backfill in (first, second, third):
            backfill.result()

    judgements = judge(deployment.database("shop"), ledger, sandbox, deployment.folder / "drop")
    assert {each.service for each in judgements} == set(destinations())
    assert [line for each in judgements for line in each.differences] == []
    assert all(each.taken >= each.orders > 50 for each in judgements)
    assert unanswered() == ["rees46"]
    assert {each.service: each.held for each in judgements if each.held} == {}
    assert {each.service for each in judgements if each.sent_again} == {"rees46"}
    report.check_balance({name: hours.figures(name) for name in destinations()})
    assert {name: tries(hours, name) for name in destinations()} == {
        "rees46": 7,
        "personaclick": 6,
        "yespo": 6,
        "justclick": 7,
    }


def tries(hours: SixHours, name: str) -> int:
    """Return how many tries the loads of a destination's six runs have had."""
    runs = [run for run in hours.api.runs(f"order_sync_{name}", hours.hours) if run["run_type"] == "backfill"]
    path = "/api/v2/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/load"
    return sum(hours.api.call("GET", path.format(**run))["try_number"] for run in runs)
