"""Plays Airflow for a destination's DAGs: hourly runs without catch-up, retries, and what people start."""

from __future__ import annotations

import random
import time
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from order_sync_airflow.operators import (
    ExtractOrdersOperator,
    LoadOrdersOperator,
    StageQuarantineOperator,
    TransformOrdersOperator,
)
from order_sync_airflow.operators.base import DestinationOperator

from include.order_sync.model import Window
from simulation.tasks import DagRun, Outcome, Store, attempt, attempt_with_signal

HOUR = timedelta(hours=1)
TASKS = ("extract", "transform", "load")
RETRIES = 30
# Airflow's own delays of a task that dies without an error.
FIRST_DELAY, LONGEST_DELAY = timedelta(minutes=1), HOUR
# How many of the runs a signal strikes.
STRUCK = 0.012


@dataclass
class Ended:
    """A run that has ended.

    Args:
        run: it.
        state: success or failed.
        said: the reason of a failure.
        xcoms: of its tasks.
    """

    run: DagRun
    state: str
    said: str
    xcoms: dict[tuple[str, str], Any]


@dataclass
class Lane:
    """The runs of a destination: scheduled ones, and before them those that people have started.

    Args:
        destination: its name.
        store: of XComs and Variables.
        dice: choose which tries a signal strikes.
        next_at: when it has something to do.
        last_end: of the newest data interval that has a run.
        waiting: runs that people have started or cleared.
        is_struck: whether signals strike.
    """

    destination: str
    store: Store
    dice: random.Random
    next_at: datetime
    last_end: datetime
    waiting: deque[DagRun] = field(default_factory=deque)
    is_struck: bool = True
    run: DagRun | None = None
    signals: int = 0
    kills: int = 0
    tries: int = 0
    _to_do: list[str] = field(default_factory=list)
    _try_number: int = 0
    _usual_s: dict[str, float] = field(default_factory=dict)

    def act(self, now: datetime) -> Ended | None:
        """Do what is due; return the run that has ended by it."""
        if self.run is None:
            self.run = self._next_run(now)
            if self.run is None:
                self.next_at = self.last_end + HOUR
                return None
            self._to_do, self._try_number = list(TASKS), 0
        outcome = self._attempt(self.run)
        if outcome.state in ("retry", "killed"):
            delay = outcome.delay
            if outcome.state == "killed":
                delay = min(FIRST_DELAY * 2.0 ** (self._try_number - 1), LONGEST_DELAY)
            if self._try_number <= RETRIES:
                self.next_at = now + delay
                return None
            outcome = replace(outcome, state="failed")
        self.next_at = now
        self._try_number = 0
        self._to_do = self._to_do[1:] if outcome.state == "success" else []
        if self._to_do:
            return None
        ended = Ended(
            self.run,
            "failed" if outcome.state == "failed" else "success",
            outcome.said,
            self.store.of_run(self.run.run_id),
        )
        self.store.forget(self.run.run_id)
        self.run = None
        return ended

    @property
    def staged(self) -> Path | None:
        """The folder of the run under way, once it has staged something."""
        folder = self.run and self.store.xcoms.get((self.run.run_id, "extract", "return_value"))
        return Path(folder).parent if folder else None

    def _next_run(self, now: datetime) -> DagRun | None:
        if self.waiting:
            return replace(self.waiting.popleft(), start_date=now)
        end = now.replace(minute=0, second=0, microsecond=0)
        if end <= self.last_end:
            return None
        self.last_end = end  # without catch-up: hours in between have no run
        return DagRun(
            f"order_sync_{self.destination}",
            f"{self.destination} {end:%Y-%m-%dT%H}",
            "scheduled",
            now,
            Window(end - HOUR, end),
        )

    def _attempt(self, run: DagRun) -> Outcome:
        self._try_number += 1
        self.tries += 1
        name = self._to_do[0]
        if name == "extract" and self._try_number == 1:
            self.store.forget(run.run_id)  # of a run that was cleared
        task = self._task(run, name)
        context = run.context(self.store, task, self._try_number, RETRIES)
        if self.is_struck and self.dice.random() < STRUCK:
            self.signals += 1
            kind = self.dice.choice(("SIGKILL", "SIGTERM"))
            after_s = self.dice.uniform(0.001, 1.3 * self._usual_s.get(name, 0.1))
            outcome = attempt_with_signal(self.store, task, context, kind, after_s)  # type: ignore[arg-type]
            self.kills += outcome.state == "killed"
        else:
            started = time.monotonic()
            outcome = attempt(task, context)
            if outcome.state == "success":
                self._usual_s[name] = 0.9 * self._usual_s.get(name, 0.1) + 0.1 * (time.monotonic() - started)
        if outcome.value is not None:
            self.store.put("xcoms", (run.run_id, name, "return_value"), outcome.value)
        return outcome

    def _task(self, run: DagRun, name: str) -> DestinationOperator:
        redrives = run.dag_id == "order_sync_redrive"
        given = {"task_id": name, "destination": self.destination}
        if name == "extract":
            return StageQuarantineOperator(**given) if redrives else ExtractOrdersOperator(**given)
        staged = self.store.xcoms[run.run_id, "extract", "return_value"]
        if name == "transform":
            return TransformOrdersOperator(staged=staged, retry_rejected=redrives, **given)
        return LoadOrdersOperator(staged=staged, retry_rejected=redrives, **given)
