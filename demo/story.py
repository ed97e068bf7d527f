"""The demo's steps, for `python -m demo`, the benchmarks and the end-to-end tests."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import subprocess
import sys
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import requests
import yaml

from demo import airflow_server, shop
from demo.airflow_api import ENDED, AirflowApi
from demo.postgres import Postgres
from demo.processes import OverdueError, Processes, check_port_is_free, wait_for
from demo.report import Figures, add
from demo.sample import HOUR
from demo.settings import ROOT, DemoError, Settings

HOURS = 6
READY_TIMEOUT_S = 300
DAGS_TIMEOUT_S = 120
BACKFILL_TIMEOUT_S = 1200


def last_full_hours(now: datetime) -> list[datetime]:
    """Return the starts of the last six full hours."""
    this_hour = now.replace(minute=0, second=0, microsecond=0)
    return [this_hour - age * HOUR for age in range(HOURS, 0, -1)]


def destinations() -> list[str]:
    """Return the names of the configured destinations."""
    configuration = yaml.safe_load((ROOT / "include" / "config" / "order_sync.yaml").read_text("utf-8"))
    return list(configuration["destinations"])


class Demo:
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
        self.hours = last_full_hours(datetime.now(UTC))
        self.url = airflow_server.base_url(settings)
        self.password = settings.secret("ui")
        self.api = AirflowApi(self.url, airflow_server.UI_USER, self.password)
        self.postgres = Postgres(settings)
        self.sandbox_url = f"http://127.0.0.1:{settings.sandbox_port}"
        self._local_http = requests.Session()
        self._local_http.trust_env = False  # the sandbox is on this machine: no proxy
        self._processes = Processes(settings.local / "processes.json", settings.logs)
        self._extra_environment = extra_environment or {}
        self._dag_ids = set(dag_ids or (f"order_sync_{name}" for name in destinations()))

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

    def backfill(self, names: list[str]) -> None:
        """Backfill the hours for these destinations; return when every run has succeeded."""
        dag_ids = {name: f"order_sync_{name}" for name in names}
        for dag_id in dag_ids.values():
            self.api.cancel_backfills(dag_id, self.hours)
            wait_for(
                f"the runs of {dag_id} since {self.hours[0]:%H:%M} UTC to end before a new backfill",
                READY_TIMEOUT_S,
                functools.partial(self._can_backfill, dag_id),
                self.check,
            )
            # A new DAG is still paused here, so no scheduled run takes one of the hours first.
            self.api.backfill(dag_id, self.hours)
            self.api.unpause(dag_id)
        print(f"Backfilling {HOURS} hours from {self.hours[0]:%Y-%m-%d %H:%M} UTC for each destination")
        shown = ""

        def all_ended() -> bool:
            nonlocal shown
            ended = {name: len(self._runs(dag_id, ENDED)) for name, dag_id in dag_ids.items()}
            progress = "  ".join(f"{name} {count}/{HOURS}" for name, count in ended.items())
            if progress != shown:
                print(f"  {datetime.now():%H:%M:%S}  {progress}")  # noqa: DTZ005  (the user's own clock)
                shown = progress
            return all(count == HOURS for count in ended.values())

        with contextlib.suppress(OverdueError):  # the message about the runs below says more
            wait_for("the backfills to end", BACKFILL_TIMEOUT_S, all_ended, self.check)
        self._refuse_unfinished(list(dag_ids.values()))

    def figures(self, name: str) -> Figures:
        """Return the sums of the figures of a destination's backfill runs."""
        dag_id = f"order_sync_{name}"
        return add(self.api.counts(dag_id, run["dag_run_id"]) for run in self._runs(dag_id, ("success",)))

    def show_status(self) -> int:
        """Print the state of each destination of a running demo; return the exit code."""
        if not self.postgres.is_running():
            raise DemoError(f"No demo is up with {self.settings.local}: start one with `make run`")
        environment = airflow_server.environment(self.settings, self.postgres, self._extra_environment)
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "plugins")])
        command = [sys.executable, "-m", "order_sync_airflow.ledger", "status"]
        return subprocess.run(command, env=environment, check=False).returncode

    def _can_backfill(self, dag_id: str) -> bool:
        return self.api.would_backfill(dag_id, self.hours) == HOURS

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
        wait_for("Airflow to be healthy", READY_TIMEOUT_S, self.api.is_healthy, self.check)
        self._processes.watch_children("airflow")
        self.api.log_in()

        def dags_are_listed() -> bool:
            return self._dag_ids <= self.api.dag_ids() and not self.api.import_errors()

        try:
            wait_for(f"Airflow to list {', '.join(sorted(self._dag_ids))}", DAGS_TIMEOUT_S, dags_are_listed, self.check)
        except OverdueError as error:
            raise DemoError("\n".join([str(error), *self.api.import_errors()])) from error

    def _runs(self, dag_id: str, states: tuple[str, ...]) -> list[dict[str, Any]]:
        """Return the backfill's runs in these states.

        The type identifies them: a repeated run keeps its id, and a scheduled run may start meanwhile.
        """
        runs = self.api.runs(dag_id, self.hours)
        return [run for run in runs if run["run_type"] == "backfill" and run["state"] in states]

    def _refuse_unfinished(self, dag_ids: list[str]) -> None:
        """Raise a DemoError unless each backfill has six runs that succeeded; it names the other runs and tasks."""
        complaints = []
        for dag_id in dag_ids:
            succeeded = self._runs(dag_id, ("success",))
            if len(succeeded) != HOURS:
                complaints.append(f"{dag_id}: {len(succeeded)} of {HOURS} runs have succeeded")
            for run in self.api.runs(dag_id, self.hours):
                if run["state"] != "success":
                    tasks = "; ".join(self.api.unfinished_tasks(dag_id, run["dag_run_id"]))
                    complaints.append(f"  {run['dag_run_id']} is {run['state']} ({tasks})")
        if complaints:
            logs = self.settings.local / "airflow" / "logs"
            raise DemoError("\n".join([*complaints, f"The logs of the tasks are in {logs}"]))
