from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from ruamel.yaml import YAML

from demo.airflow_api import UI_USER, service_connection
from demo.backfill import destinations
from demo.processes import free_port
from demo.report import Figures
from demo.settings import ROOT, Settings
from demo.story import Demo
from sandbox.registry import SERVICES
from tests.e2e.runs import Run

MINUTES_OF_A_BACKFILL = 4
ROLES = ("viewer", "user", "op")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the end-to-end tests last: quick tests then fail first, and run without Airflow beside them."""
    items.sort(key=lambda item: item.path.is_relative_to(Path(__file__).parent))


@dataclass(frozen=True)
class Backfilled:
    """A demo after its backfills, and the sandbox's content at that moment.

    Args:
        demo: with its processes.
        figures: destination -> of its backfill.
        stats: of the sandbox: provider -> its counts.
        orders: of the sandbox: provider -> order id -> order.
        removed: an open run of a destination that is not in the configuration any more.
    """

    demo: Demo
    figures: dict[str, Figures]
    stats: dict[str, dict[str, int]]
    orders: dict[str, dict[str, dict[str, Any]]]
    removed: Run


def _wait_out_the_hour() -> None:
    """Wait for the next hour if it is near: its scheduled run would take orders from the backfill's figures."""
    now = datetime.now(UTC)
    left = 3600 - (now.minute * 60 + now.second)
    if left < MINUTES_OF_A_BACKFILL * 60:
        time.sleep(left + 1)


@pytest.fixture(scope="session")
def backfilled() -> Iterator[Backfilled]:
    """A real Airflow with a small shop, and the extra destinations of `_configuration`."""
    _wait_out_the_hour()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that a stopped test run leaves nothing behind
    with tempfile.TemporaryDirectory(prefix="order-sync-e2e-") as folder:
        settings = Settings(
            local=Path(folder), airflow_port=free_port(), sandbox_port=free_port(), shop_orders=240, shop_seed=7
        )
        address = f"http://127.0.0.1:{settings.sandbox_port}/rees46"
        wrong = service_connection("rees46", address, SERVICES["rees46"].account.login, "not-the-demo-secret")
        demo = Demo(
            settings,
            {
                "ORDER_SYNC_CONFIG": str(_configuration(settings.local)),
                "AIRFLOW_CONN_REES46_WRONG": json.dumps(wrong),
                "PYTHONPATH": os.pathsep.join(map(str, [ROOT, Path(__file__).with_name("local_settings")])),
                # A removed DAG is noticed sooner.
                "AIRFLOW__DAG_PROCESSOR__STALE_DAG_THRESHOLD": "20",
                "AIRFLOW__SCHEDULER__PARSING_CLEANUP_INTERVAL": "10",
                # The files stay as they are, and each task reads the configuration anew.
                "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
                **_users(settings),
            },
        )
        demo.lock()
        try:
            demo.start()
            demo.backfill(destinations())
            yield Backfilled(
                demo=demo,
                figures={name: demo.figures(name) for name in destinations()},
                stats=_ask(demo, "stats"),
                orders={
                    provider: {order["id"]: order for order in _ask(demo, f"orders?provider={provider}")["orders"]}
                    for provider in SERVICES
                },
                removed=_remove_destination(demo),
            )
        finally:
            demo.stop()


def _remove_destination(demo: Demo) -> Run:
    """Remove a destination whose run waits for a retry: it ends minutes later, so this is done before all tests."""
    faults = f"{demo.sandbox_url}/__admin/faults"
    refuses = {"provider": "rees46", "kind": "status", "status": 503, "retry_after": 3600, "next": 1}
    requests.post(faults, json=refuses, timeout=30).raise_for_status()
    run = Run.start(demo, "rees46_removed")
    run.wait("to wait for a retry", lambda: run.states()["load"] == "up_for_retry")
    file, yaml = Path(demo.settings.local) / "order_sync.yaml", YAML(typ="safe")
    configuration = yaml.load(file)
    del configuration["destinations"]["rees46_removed"]
    yaml.dump(configuration, file)
    return run


@pytest.fixture
def sandbox(backfilled: Backfilled) -> Callable[[str], Any]:
    """Return a function that gets an admin page of the sandbox, such as `stats`."""
    return lambda path: _ask(backfilled.demo, path)


@pytest.fixture
def faults(backfilled: Backfilled) -> Iterator[Callable[..., None]]:
    """Return a function that puts a fault in force until the test ends."""
    url = f"{backfilled.demo.sandbox_url}/__admin/faults"

    def add(**fault: Any) -> None:
        requests.post(url, json=fault, timeout=30).raise_for_status()

    yield add
    requests.delete(url, timeout=30).raise_for_status()


@pytest.fixture
def change(backfilled: Backfilled) -> Iterator[Callable[..., None]]:
    """Return a function that changes the destinations of the configuration until the test ends."""
    file, yaml = Path(backfilled.demo.settings.local) / "order_sync.yaml", YAML(typ="safe")
    before = file.read_text("utf-8")

    def write(edit: Callable[[dict[str, Any]], Any]) -> None:
        configuration = yaml.load(before)
        edit(configuration["destinations"])
        yaml.dump(configuration, file)

    yield write
    file.write_text(before, "utf-8")


def _ask(demo: Demo, path: str) -> Any:
    answer = requests.get(f"{demo.sandbox_url}/__admin/{path}", timeout=30)
    answer.raise_for_status()
    return json.loads(answer.text, parse_float=Decimal)


def _users(settings: Settings) -> dict[str, str]:
    """Return the settings of a user for each role of Airflow's simple auth manager; password and name are the role."""
    path = settings.local / "passwords.json"
    path.write_text(json.dumps({role: role for role in ROLES} | {UI_USER: settings.secret("ui")}))
    users = ",".join(f"{role}:{role}" for role in (*ROLES, UI_USER))
    return {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": users,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(path),
    }


def _configuration(folder: Path) -> Path:
    """Write the demo's configuration with more destinations.

    One has a wrong secret, others get their tasks stopped, and one may send three notifications.

    All but the first share an account with another destination, but not its ledger, and have no scheduled runs.
    """
    yaml = YAML(typ="safe")
    configuration = yaml.load(ROOT / "include" / "config" / "order_sync.yaml")
    destinations = configuration["destinations"]
    destinations["wrong_secret"] = {**destinations["rees46"], "connection": "rees46_wrong"}
    by_hand = {"schedule": "0 0 1 1 *", "start_date": datetime.now(UTC).date()}
    for name in ("rees46_killed", "yespo_killed", "yespo_stopped", "rees46_mistaken", "rees46_removed", "yespo_paged"):
        destinations[name] = destinations[name.partition("_")[0]] | by_hand
    destinations["yespo_braked"] = destinations["yespo"] | by_hand | {"approve_above": 3}
    path = folder / "order_sync.yaml"
    yaml.dump(configuration, path)
    return path
