"""Six hours of the sample shop, backfilled in a running Airflow, and their figures."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any

import yaml

from demo.airflow_api import ENDED, AirflowApi
from demo.processes import OverdueError, wait_for
from demo.report import Figures, add
from demo.sample import HOUR
from demo.settings import ROOT, DemoError

HOURS = 6
READY_TIMEOUT_S = 300
DAGS_TIMEOUT_S = 120
BACKFILL_TIMEOUT_S = 1200


def last_full_hours(now: datetime) -> list[datetime]:
    """Return the starts of the last six full hours."""
    this_hour = now.replace(minute=0, second=0, microsecond=0)
    return [this_hour - age * HOUR for age in range(HOURS, 0, -1)]


def destinations() -> dict[str, dict[str, Any]]:
    """Return the destinations of the configuration, by name."""
    configuration = yaml.safe_load((ROOT / "include" / "config" / "order_sync.yaml").read_text("utf-8"))
    return dict(configuration["destinations"])


class SixHours:
    """The last six full hours, backfilled in a running Airflow.

    :param api: of that Airflow.
    :param task_logs: where its tasks' logs are, as the end of a sentence.
    """

    def __init__(self, api: AirflowApi, task_logs: str) -> None:
        self.api = api
        self.hours = last_full_hours(datetime.now(UTC))
        self._task_logs = task_logs

    def check(self) -> None:
        """Raise a DemoError if it is in vain to wait any longer; called while waiting."""

    def wait_for_dags(self, dag_ids: Collection[str]) -> None:
        """Return when Airflow lists these DAGs; raise a DemoError with its import errors if it does not."""

        def dags_are_listed() -> bool:
            return set(dag_ids) <= self.api.dag_ids() and not self.api.import_errors()

        try:
            wait_for(f"Airflow to list {', '.join(sorted(dag_ids))}", DAGS_TIMEOUT_S, dags_are_listed, self.check)
        except OverdueError as error:
            raise DemoError("\n".join([str(error), *self.api.import_errors()])) from error

    def backfill(self, names: Iterable[str]) -> None:
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
            # Each look asks Airflow once for each destination, and takes processor time from the backfills' tasks.
            wait_for("the backfills to end", BACKFILL_TIMEOUT_S, all_ended, self.check, every_s=3)
        self._refuse_unfinished(list(dag_ids.values()))

    def figures(self, name: str) -> Figures:
        """Return the sums of the figures of a destination's backfill runs."""
        dag_id = f"order_sync_{name}"
        return add(self.api.counts(dag_id, run["dag_run_id"]) for run in self._runs(dag_id, ("success",)))

    def _can_backfill(self, dag_id: str) -> bool:
        return self.api.would_backfill(dag_id, self.hours) == HOURS

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
            raise DemoError("\n".join([*complaints, f"The logs of the tasks are {self._task_logs}"]))
