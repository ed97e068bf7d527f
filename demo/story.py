"""The demo's steps, for `python -m demo`, the benchmarks and the end-to-end tests."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Collection, Mapping
from typing import Any

import requests

from demo import airflow_server, shop
from demo.airflow_api import UI_USER, AirflowApi
from demo.backfill import READY_TIMEOUT_S, SixHours, destinations
from demo.postgres import Postgres
from demo.processes import OverdueError, Processes, check_port_is_free, tail, wait_for
from demo.settings import ROOT, DemoError, Settings


class Demo(SixHours):
    """A sample shop, a sandbox and an Airflow, from lock() and start() to stop().

    :param extra_environment: variables for Airflow's processes that override the demo's own.
    :param dag_ids: the DAGs that start() waits for; by default those of the sample's destinations.
    """

    def __init__(
        self,
        settings: Settings,
        extra_environment: Mapping[str, str] | None = None,
        dag_ids: Collection[str] | None = None,
    ) -> None:
        self.settings = settings
        self.url = airflow_server.base_url(settings)
        self.password = settings.secret("ui")
        super().__init__(
            AirflowApi(self.url, UI_USER, self.password),
            task_logs=f"in {settings.local / 'airflow' / 'logs'}",
        )
        self.postgres = Postgres(settings)
        self.sandbox_url = f"http://127.0.0.1:{settings.sandbox_port}"
        self._local_http = requests.Session()
        self._local_http.trust_env = False  # the sandbox is on this machine: no proxy
        self._processes = Processes(settings.local / "processes.json", settings.logs)
        self._extra_environment = extra_environment or {}
        self._dag_ids = dag_ids or [f"order_sync_{name}" for name in destinations()]

    def lock(self) -> None:
        """Keep other demos out of this folder; the kernel releases the lock when this process ends."""
        self.settings.local.mkdir(parents=True, exist_ok=True)
        self._locked = (self.settings.local / "demo.lock").open("w")
        try:
            fcntl.flock(self._locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DemoError(
                f"A demo is running with {self.settings.local}: stop it first with Ctrl-C in its terminal"
            ) from error

    def start(self) -> None:
        """Start everything; return when Airflow is healthy and lists the DAGs."""
        if count := self._processes.stop_leftovers():
            print(f"Ended {count} processes that an earlier demo had left running")
        check_port_is_free(self.settings.airflow_port, "AIRFLOW_PORT")
        check_port_is_free(self.settings.sandbox_port, "SANDBOX_PORT")
        self.postgres.start()
        print(f"PostgreSQL on 127.0.0.1:{self.postgres.port}, its data in {self.settings.local / 'postgres'}")
        print(shop.fill(self.settings, self.postgres.uri("shop"), self.hours))
        environment = airflow_server.environment(self.settings, self.postgres, self._extra_environment)
        self._upgrade_ledger(environment)
        self._start_sandbox()
        self._start_airflow(environment)

    def check(self) -> None:
        """Raise a DemoError if any process has ended by itself."""
        self.postgres.check()
        self._processes.check()

    def stop(self) -> None:
        """End every process of this demo, and those that a killed demo has left."""
        try:
            self._processes.stop()
            self._processes.stop_leftovers()
        finally:
            self.postgres.stop()

    def ask_sandbox(self, method: str, path: str, **arguments: Any) -> Any:
        """Call an admin page of the sandbox, such as `stats`; return the JSON of its answer."""
        answer = self._local_http.request(method, f"{self.sandbox_url}/__admin/{path}", timeout=30, **arguments)
        answer.raise_for_status()
        return answer.json()

    def show_status(self) -> int:
        """Print the state of each destination of a running demo; return the exit code."""
        if not self.postgres.is_running():
            raise DemoError(f"No demo is up with {self.settings.local}: start one with `make run`")
        environment = airflow_server.environment(self.settings, self.postgres, self._extra_environment)
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "plugins")])
        command = [sys.executable, "-m", "order_sync_airflow.ledger", "status"]
        return subprocess.run(command, env=environment, check=False).returncode

    def _upgrade_ledger(self, environment: dict[str, str]) -> None:
        """Upgrade the ledger's tables with the command that every installation uses."""
        ended = subprocess.run(
            [sys.executable, "-m", "order_sync_airflow.ledger", "upgrade"],
            cwd=ROOT,
            env=environment | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'plugins'}"},
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode:
            raise DemoError(f"The upgrade of the ledger's tables has failed:\n{ended.stdout}{ended.stderr}".rstrip())
        print(ended.stdout.splitlines()[-1])

    def _start_sandbox(self) -> None:
        port = str(self.settings.sandbox_port)
        self._processes.start("sandbox", [sys.executable, "-m", "sandbox", "--port", port], os.environ)
        stats = f"{self.sandbox_url}/__admin/stats"

        def answers() -> bool:
            try:
                return self._local_http.get(stats, timeout=5).ok
            except requests.ConnectionError:
                return False

        wait_for(f"the sandbox to answer at {stats}", 60, answers, self.check)
        print(f"Sandbox of the services: {stats}")

    def _start_airflow(self, environment: dict[str, str]) -> None:
        command = [str(airflow_server.PROGRAMS / "airflow"), "standalone"]
        log = self._processes.start("airflow", command, environment)
        print(f"Starting Airflow (its log: {log})")
        try:
            wait_for("Airflow to be healthy", READY_TIMEOUT_S, self.api.is_healthy, self.check)
        except OverdueError as error:
            raise DemoError(f"{error}. The end of {log}:\n{tail(log)}") from error
        self._processes.watch_children("airflow")
        self.api.log_in()
        for name, fields in airflow_server.connections(self.settings, self.postgres).items():
            self.api.set_connection(name, fields)
        self.wait_for_dags(self._dag_ids)
