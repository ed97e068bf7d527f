"""Plays Airflow: it runs each try of a task in a process, and retries one that ends with TRY_AGAIN or is killed."""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import wait

# Each task would import these on first use. Tasks are forked from this process, so it imports them once.
import pyarrow.dataset  # noqa: F401
import upath.implementations.local  # noqa: F401

import include.order_sync.columns.json_text  # noqa: F401
from chaos.sender import STOPPED, TASKS, TRY_AGAIN, Run, perform
from chaos.world import World

# Airflow would wait a minute or longer. Here any pause in which other lanes run is enough.
PAUSE_S = 0.1
TICK_S = 0.05
TRIES = 31

# Forked, as Airflow forks its tasks: a spawned process would spend its time on imports. As Airflow does, what is there
# is kept from the garbage collector, which would write to each page and so copy it.
gc.freeze()
_processes = multiprocessing.get_context("fork")


class ChaosError(Exception):
    """A run has failed, and no fault explains it."""


@dataclass
class Lane:
    """Runs that follow one another, like the hourly runs of a DAG or the runs of a backfill.

    Args:
        world: of the runs.
        runs: that are still to start.
        finished: the runs that have ended.
        tries: how many processes were started.
        killed: how many of them were ended by SIGKILL.
        process: of the task that runs now.
        run: that is under way.
    """

    world: World
    runs: Iterator[Run]
    finished: list[Run] = field(default_factory=list)
    tries: int = 0
    killed: int = 0
    process: multiprocessing.process.BaseProcess | None = None
    run: Run | None = None
    _to_do: list[str] = field(default_factory=list)
    _try_number: int = 0
    _not_before: float = 0

    @property
    def task(self) -> str:
        """The task of the run that is to do."""
        return self._to_do[0]

    def clear_last(self) -> None:
        """Let the last run that has ended begin anew, before the next one."""
        self.runs = itertools.chain([self.finished.pop()], self.runs)

    def advance(self) -> bool:
        """Note the end of a process and start the next one; return False when nothing is left to do."""
        if self.process is not None:
            if self.process.is_alive():
                return True
            self._note_end(self.process)
        if self.run is None:
            self.run = next(self.runs, None)
            self._to_do, self._try_number = list(TASKS), 0
            if self.run is None:
                return False
        if time.monotonic() >= self._not_before:
            self.tries += 1
            self._try_number += 1
            self.process = _processes.Process(
                target=perform, args=(self.world, self.run, self._to_do[0], self._try_number)
            )
            self.process.start()
        return True

    def _note_end(self, process: multiprocessing.process.BaseProcess) -> None:
        assert self.run is not None  # noqa: S101  (it has a process)
        self.process = None
        code = process.exitcode
        if code in (TRY_AGAIN, -signal.SIGKILL, -signal.SIGTERM) and self._try_number < TRIES:
            self.killed += code == -signal.SIGKILL
            self._not_before = time.monotonic() + PAUSE_S
            return
        task = self._to_do[0]
        if code != 0 and (code, task) != (STOPPED, "load"):
            raise ChaosError(
                f"The {task} of {self.run.destination} {self.run.name} ended with exit code {code} at try "
                f"{self._try_number}: see the traceback above, and earlier tries in {self.world.folder}/logs/sender.log"
            )
        self._to_do = [] if code == STOPPED else self._to_do[1:]
        self._try_number = 0
        if not self._to_do:
            self.finished.append(self.run)
            self.run = None


def drive(lanes: Iterable[Lane], strike: Callable[[list[Lane]], None] | None = None) -> None:
    """Run all lanes side by side to their ends.

    Args:
        lanes: to run.
        strike: called between the steps; it may signal processes and clear runs.
    """
    lanes = list(lanes)
    try:
        while sum(lane.advance() for lane in lanes):
            wait([lane.process.sentinel for lane in lanes if lane.process is not None], TICK_S)
            if strike:
                strike(lanes)
    finally:
        for lane in lanes:
            if lane.process is not None:
                lane.process.kill()
                lane.process.join()
