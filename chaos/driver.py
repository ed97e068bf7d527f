"""Plays Airflow: lanes of runs, each task's try a process; what ends with TRY_AGAIN, or is killed, is tried again."""

from __future__ import annotations

import multiprocessing
import random
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import wait

# The tasks would each import these on first use; they are forked from here.
import pyarrow.dataset  # noqa: F401
import upath.implementations.local  # noqa: F401

import include.order_sync.columns.json_text  # noqa: F401
from chaos.sender import STOPPED, TASKS, TRY_AGAIN, Run, perform
from chaos.world import World

# Airflow would wait a minute and longer; what counts here is that there is a pause in which others run.
PAUSE_S = 0.1
TICK_S = 0.05
TRIES = 31

# Forked, as Airflow forks its tasks: a process that starts from nothing spends its time on imports.
_processes = multiprocessing.get_context("fork")


class ChaosError(Exception):
    """A run that no fault explains has failed."""


@dataclass
class Lane:
    """Runs that go one after the other, as the hourly runs of a DAG or the runs of a backfill.

    Args:
        world: where.
        runs: what is still to come.
        finished: the runs that have ended, and whether all was well.
        tries: how many processes were started.
        killed: how many of them SIGKILL has ended.
    """

    world: World
    runs: Iterator[Run]
    finished: list[Run] = field(default_factory=list)
    tries: int = 0
    killed: int = 0
    process: multiprocessing.process.BaseProcess | None = None
    _run: Run | None = None
    _to_do: list[str] = field(default_factory=list)
    _try_number: int = 0
    _not_before: float = 0

    def go_on(self) -> bool:
        """Note how a process has ended, and start the next; False when there is nothing left to do."""
        if self.process is not None:
            if self.process.is_alive():
                return True
            self._note_end(self.process)
        if self._run is None:
            self._run = next(self.runs, None)
            self._to_do, self._try_number = list(TASKS), 0
            if self._run is None:
                return False
        if time.monotonic() >= self._not_before:
            self.tries += 1
            self._try_number += 1
            self.process = _processes.Process(
                target=perform, args=(self.world, self._run, self._to_do[0], self._try_number)
            )
            self.process.start()
        return True

    def _note_end(self, process: multiprocessing.process.BaseProcess) -> None:
        assert self._run is not None  # noqa: S101  (it has a process)
        self.process = None
        code = process.exitcode
        if code in (TRY_AGAIN, -signal.SIGKILL) and self._try_number < TRIES:
            self.killed += code == -signal.SIGKILL
            self._not_before = time.monotonic() + PAUSE_S
            return
        task = self._to_do[0]
        if code != 0 and (code, task) != (STOPPED, "load"):
            raise ChaosError(
                f"The {task} of {self._run.destination} {self._run.name} ended with exit code {code} at try "
                f"{self._try_number}: see above, and {self.world.folder}/logs/sender.log for what came before"
            )
        self._to_do = [] if code == STOPPED else self._to_do[1:]
        self._try_number = 0
        if not self._to_do:
            self.finished.append(self._run)
            self._run = None


def drive(lanes: Iterable[Lane], dice: random.Random, *, kills: int = 0, kill_every_s: float = 1) -> None:
    """Run all lanes side by side to their ends.

    Args:
        lanes: what to run.
        dice: choose when to kill, and which process.
        kills: how many times to send SIGKILL at most; who has ended just before is not killed by it.
        kill_every_s: how long, on average, until the next one.
    """
    lanes = list(lanes)
    next_kill = time.monotonic() + kill_every_s
    try:
        while sum(lane.go_on() for lane in lanes):
            running = [lane.process for lane in lanes if lane.process is not None]
            wait([process.sentinel for process in running], TICK_S)
            if kills and running and time.monotonic() >= next_kill:
                dice.choice(running).kill()
                kills -= 1
                next_kill = time.monotonic() + dice.uniform(0.2, 1.8) * kill_every_s
    finally:
        for lane in lanes:
            if lane.process is not None:
                lane.process.kill()
                lane.process.join()
