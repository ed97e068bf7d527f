"""What strikes the senders besides the service's faults: signals, people, the source, and a ledger that fails."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psycopg

from chaos import shop
from chaos.driver import Lane
from chaos.sender import Run
from chaos.world import World
from demo.postgres import Postgres
from include.order_sync.model import Window
from sandbox.registry import SERVICES

# SIGKILL leaves no time to record anything; SIGTERM is what a deployment sends.
SIGNALS = ("SIGKILL", "SIGTERM")
# While this trigger exists, PostgreSQL refuses each intent and each outcome as it does on a full disk.
FULL_DISK = """
    create or replace function full_disk() returns trigger language plpgsql as
    $$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$;
    create trigger full_disk before insert or update on batches execute function full_disk();
"""
FULL_S = 0.5
# Rows are changed for so long, while runs read: they see the old rows, until all are committed at once.
CHANGING_S = 0.5
SECOND = "second"  # the run of a second deployment
SECOND_READS = Window(shop.FIRST_HOUR, shop.FIRST_HOUR + timedelta(hours=3))
# Long enough for a signal to come before the answer.
SLOW_S = 0.5


# Strikes; it gets all lanes.
Step = Callable[[list[Lane]], None]


@dataclass(frozen=True)
class Strike:
    """A strike: its kind and its time, and the service whose senders it meant; None is all of them."""

    kind: str
    service: str | None
    at: datetime


class Storm:
    """The strikes of a proof: signals come by time, all others are spread evenly over each service's runs.

    Args:
        world: to strike.
        postgres: the server of its databases.
        dice: choose.
        faults: of the services; each strikes the next request once, so that none is left to chance alone.
        runs: of each service.
        signals: the most signals to send at any time to processes of any task.
        signal_every_s: average time between two of them.
    """

    def __init__(
        self,
        world: World,
        postgres: Postgres,
        dice: random.Random,
        faults: Sequence[dict[str, Any]],
        runs: int,
        signals: int,
        signal_every_s: float,
    ) -> None:
        self.strikes: list[Strike] = []
        self.intruders: list[Lane] = []
        self._world, self._postgres, self._dice = world, postgres, dice
        for_all: list[Step] = [*[self._commit_late] * 6, *[self._change_rows] * 5]
        for_all += [self._restart_ledger, self._fill_disk] * 2
        self._to_come: dict[str, list[Step]] = {}
        for number, service in enumerate(SERVICES):
            mine: list[Step] = [partial(self._post, fault) for fault in faults if fault["provider"] == service]
            mine += [partial(self._clear, service), partial(self._deploy_again, service)]
            mine += [partial(self._aim, kind, service) for kind in SIGNALS]
            mine += for_all[number :: len(SERVICES)]
            dice.shuffle(mine)
            self._to_come[service] = mine
        self._every = max(runs // (max(map(len, self._to_come.values())) + 1), 1)
        self._ended = dict.fromkeys(SERVICES, 0)
        self._signals, self._signal_every_s = signals, signal_every_s
        self._next_signal = time.monotonic() + signal_every_s
        self._full_until = self._changing_until = float("inf")
        self._changing: psycopg.Connection | None = None
        self._aims: dict[float, tuple[str, str]] = {}  # the seconds of a slow answer -> its service, and the signal

    def strike(self, lanes: list[Lane]) -> None:
        """Strike if the time has come; called again and again while the lanes work."""
        if time.monotonic() >= self._full_until:
            self._ledger("drop trigger full_disk on batches")
            self._full_until = float("inf")
        if time.monotonic() >= self._changing_until:
            self._commit_changed_rows()
        if self._aims:
            self._signal_slow_ones(lanes)
        running = [lane for lane in lanes if lane.process is not None]
        if self._signals and running and time.monotonic() >= self._next_signal:
            self._signal(SIGNALS[self._signals % 2], self._dice.choice(running))
            self._signals -= 1
            self._next_signal = time.monotonic() + self._dice.uniform(0.2, 1.8) * self._signal_every_s
        # By each service's own runs: some services are done long before others.
        ended = Counter(run.destination for lane in lanes for run in lane.finished)
        for service, to_come in self._to_come.items():
            if to_come and ended[service] >= self._ended[service] + self._every:
                self._ended[service] += self._every
                to_come.pop()(lanes)

    def _note(self, kind: str, service: str | None = None) -> None:
        self.strikes.append(Strike(kind, service, datetime.now(UTC)))

    def _signal(self, kind: str, lane: Lane) -> None:
        if lane.process is not None and lane.run is not None:
            self._note(kind, lane.run.destination)
            (lane.process.terminate if kind == "SIGTERM" else lane.process.kill)()

    def _post(self, fault: dict[str, Any], _lanes: list[Lane]) -> None:
        """Let the fault strike the next request."""
        self._world.admin("POST", "faults", {"next": 1, **fault})

    def _aim(self, kind: str, service: str, _lanes: list[Lane]) -> None:
        """Slow the service's next answer down: the signal comes meanwhile."""
        seconds = SLOW_S + len(self.strikes) / 1000  # tells this fault from the others
        # Before: other faults that strike the same request come later.
        fault = {"provider": service, "kind": "slow", "seconds": seconds, "when": "before", "next": 1}
        self._world.admin("POST", "faults", fault)
        self._aims[seconds] = (service, kind)
        self._note(f"aim {kind}", service)

    def _signal_slow_ones(self, lanes: list[Lane]) -> None:
        """Signal the loads of each service that an aim is slowing down."""
        for fault in self._world.admin("GET", "faults")["faults"]:
            if fault["fired"] and (aim := self._aims.pop(fault.get("seconds"), None)):
                service, kind = aim
                for lane in lanes:
                    if lane.run is not None and (lane.run.destination, lane.task) == (service, "load"):
                        self._signal(kind, lane)

    def _clear(self, service: str, lanes: list[Lane]) -> None:
        """Clear a run that has ended: it begins anew, and has nothing to send."""
        ended = [
            lane
            for lane in lanes
            if lane not in self.intruders and lane.finished and lane.finished[-1].destination == service
        ]
        if ended:
            self._dice.choice(ended).clear_last()
            self._note("clear", service)

    def _commit_late(self, _lanes: list[Lane]) -> None:
        """Commit some changes of hours that were read long ago, or are being read now."""
        shop.commit_late(self._world.source)
        self._note("late commits")

    def _change_rows(self, _lanes: list[Lane]) -> None:
        """Begin to change rows of the source in place."""
        self._commit_changed_rows()
        self._changing = psycopg.connect(self._world.source)
        shop.change_in_place(self._changing)
        self._changing_until = time.monotonic() + CHANGING_S
        self._note("changed rows")

    def _commit_changed_rows(self) -> None:
        self._changing_until = float("inf")
        if self._changing:
            with suppress(psycopg.OperationalError), self._changing:  # a restart has undone the change
                self._changing.commit()
            self._changing = None

    def _deploy_again(self, service: str, lanes: list[Lane]) -> None:
        """Let another deployment, with marks of its own, send to the service over the same ledger."""
        elsewhere = replace(self._world, folder=self._world.folder / "second")
        lane = Lane(elsewhere, iter([Run(service, SECOND, SECOND_READS)]))
        self.intruders.append(lane)
        lanes.append(lane)

    def _restart_ledger(self, _lanes: list[Lane]) -> None:
        """Restart the PostgreSQL server of the ledger and the source, as an upgrade does: every session ends."""
        self._note("restart")
        self._postgres.restart()

    def _fill_disk(self, _lanes: list[Lane]) -> None:
        """Let the ledger refuse all writes for a moment."""
        self._note("full disk")
        self._ledger(FULL_DISK)
        self._full_until = time.monotonic() + FULL_S

    def _ledger(self, statements: str) -> None:
        with psycopg.connect(self._world.ledger) as connection:
            connection.execute(statements)
