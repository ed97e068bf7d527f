"""A campaign: hours of a shop and its runs, with all that happens to them, and the report for the verdict."""

from __future__ import annotations

import heapq
import itertools
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from order_sync_airflow import run_figures, run_note
from order_sync_airflow.operators.maintenance import RemoveOldOperator

from chaos.report import HELD, REJECTED, SENT_AGAIN
from chaos.world import World
from include.order_sync.ledger import schema, windows
from include.order_sync.ledger.reasons import FAILING_REASON
from include.order_sync.providers import PROVIDERS
from simulation import old_ledger
from simulation.clock import Clock
from simulation.dag import HOUR, Ended, Lane
from simulation.growth import Growth
from simulation.people import Person
from simulation.shop import Shop, changes
from simulation.surroundings import Outage, Surroundings, outages
from simulation.tasks import DagRun, Store, attempt

# The last hours have no faults, so that all is settled: a reconcile, a redrive and a person's morning lie in them.
QUIET = timedelta(hours=52)
DAY = timedelta(days=1)
CLEARED_WITHIN = timedelta(days=6)


@dataclass(frozen=True)
class Plan:
    """The plan of a campaign.

    Args:
        seed: of all that is left to chance.
        start: of the first hour.
        hours: of the campaign.
        orders_an_hour: new orders of the shop.
        is_slice: some hours for a test: nothing comes late, is upgraded, is down or gets a signal, and the last quarter
            is quiet.
    """

    seed: int
    start: datetime
    hours: int
    orders_an_hour: float = 6
    is_slice: bool = False

    @property
    def end(self) -> datetime:
        """The end of the last hour."""
        return self.start + self.hours * HOUR

    @property
    def quiet_from(self) -> datetime:
        """The end of changes and faults."""
        return self.end - (self.hours // 4 * HOUR if self.is_slice else QUIET)


@dataclass
class Campaign:
    """The state of a campaign."""

    world: World
    plan: Plan
    clock: Clock
    store: Store = field(default_factory=Store)
    growth: Growth = field(default_factory=lambda: Growth({}))
    runs: list[dict[str, Any]] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    red: int = 0
    upgraded_from: str = "none"
    _ended: dict[str, list[DagRun]] = field(default_factory=lambda: {name: [] for name in PROVIDERS})
    _sent_again: dict[tuple[str, str, str], int] = field(default_factory=dict)
    _due: list[tuple[datetime, int, Callable[[datetime], datetime | None]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Prepare the shop, the lanes, and what is to happen."""
        plan = self.plan
        self.dice = random.Random(plan.seed)
        self._numbers = itertools.count()
        made = changes(self.dice, plan.start, plan.quiet_from, plan.orders_an_hour, late=not plan.is_slice)
        self.shop = Shop.open(self.world.source, made)
        schema.upgrade(old_ledger.engine(self.world.ledger))
        self.surroundings = Surroundings(self.world, self.dice)
        self.surroundings.apply()
        self.person = Person(self.world, self.dice)
        self.lanes = {
            name: Lane(name, self.store, self.dice, plan.start + HOUR, last_end=plan.start, is_struck=not plan.is_slice)
            for name in PROVIDERS
        }
        for lane in self.lanes.values():
            self._at(lane.next_at, self._lane(lane))
        self._at(plan.quiet_from, self._calm_down)
        self._at(plan.start + timedelta(hours=3.3), self._maintain)
        self._at(plan.start + timedelta(hours=9), self._morning)
        if not plan.is_slice:
            for outage in outages(self.dice, plan.start, plan.quiet_from - DAY):
                self._at(outage.start, partial(self._outage, self.surroundings.begin, outage))
                self._at(outage.end, partial(self._outage, self.surroundings.end, outage))
            self._at(plan.start + self.dice.uniform(0.3, 0.6) * (plan.quiet_from - plan.start), self._fall_back)

    def play(self) -> None:
        """Play all hours."""
        while self._due and self._due[0][0] < self.plan.end:
            at, _, act = heapq.heappop(self._due)
            self.clock.move_to(at)
            self.shop.commit(self.clock.now)
            again = act(self.clock.now)
            if again:
                self._at(again, act)
        self._keep_sent_again()

    def report(self) -> Path:
        """Write the report for the verdict, as chaos/report.py does, and return its path."""
        held: dict[str, dict[str, str]] = {}
        rejected: dict[str, list[str]] = {}
        sent_again: dict[str, dict[str, dict[str, int]]] = {}
        with psycopg.connect(self.surroundings.world.ledger) as connection:
            for destination, order_id, code in connection.execute(HELD):
                held.setdefault(destination, {})[order_id] = code
            for destination, order_id in connection.execute(REJECTED, {"failing": FAILING_REASON}):
                rejected.setdefault(destination, []).append(order_id)
        for (destination, order_id, code), times in self._sent_again.items():
            sent_again.setdefault(destination, {}).setdefault(order_id, {})[code] = times
        path = self.world.folder / "report.json"
        report = {"runs": self.runs, "held": held, "rejected": rejected, "sent_again": sent_again}
        path.write_text(json.dumps(report, indent=1))
        return path

    def check_windows(self) -> list[str]:
        """Return each destination whose hours were not all read."""
        found = []
        with old_ledger.engine(self.surroundings.world.ledger).connect() as connection:
            for name in PROVIDERS:
                read = windows.gapless(connection, name)
                if read is None or read.end < self.plan.end - HOUR:
                    found.append(f"{name}: read without a gap up to {read and read.end}, and not to {self.plan.end}")
        return found

    def _at(self, at: datetime, act: Callable[[datetime], datetime | None]) -> None:
        heapq.heappush(self._due, (at, next(self._numbers), act))

    def _outage(self, change: Callable[[Outage], None], outage: Outage, _now: datetime) -> None:
        change(outage)

    def _lane(self, lane: Lane) -> Callable[[datetime], datetime]:
        def act(now: datetime) -> datetime:
            if not self.surroundings.works("workers"):
                return now + timedelta(minutes=10)
            ended = lane.act(now)
            if lane.staged:
                self.clock.date_files(lane.staged)
            if ended:
                self._note(lane, ended)
            return max(lane.next_at, now)

        return act

    def _note(self, lane: Lane, ended: Ended) -> None:
        """Note a run that has ended: its figures for the verdict, if it has finished its window, and its note."""
        run, xcoms = ended.run, ended.xcoms
        self.red += ended.state == "failed"
        figures = run_figures.merge(
            {task: xcoms[task, "counts"] for task in run_figures.TASKS if (task, "counts") in xcoms}
        )
        note = run_note.with_line(None, run.start_date, "", figures, ended.said)
        self.growth.note("characters of a note", len(note))
        self.growth.note("characters of an XCom", max((len(json.dumps(value)) for value in xcoms.values()), default=0))
        if run.run_type == "scheduled":
            recent = [
                one
                for one in self._ended[lane.destination]
                if one.interval and one.interval.end > run.start_date - CLEARED_WITHIN
            ]
            self._ended[lane.destination] = [*recent, run]
        window = xcoms.get(("extract", "window"))
        if window and self._has_finished(run, xcoms["extract", "read_at"]):
            self.runs.append({"destination": lane.destination, "run": run.run_id, **window, "figures": figures})

    def _has_finished(self, run: DagRun, read_at: str) -> bool:
        key = f"{run.dag_id} {run.run_id} {run.start_date.isoformat()} {read_at}"
        if not self.surroundings.works("ledger"):
            return False
        with psycopg.connect(self.surroundings.world.ledger) as connection:
            return connection.execute("select from windows where run = %s", (key,)).fetchone() is not None

    def _morning(self, now: datetime) -> datetime:
        if self.surroundings.works("ledger") and self.surroundings.works("workers"):
            for name, lane in self.lanes.items():
                ledger = self.surroundings.world.ledger
                lane.waiting.extend(self.person.morning(ledger, name, now, self._ended[name]))
        return now + DAY

    def _maintain(self, now: datetime) -> datetime:
        if not (self.surroundings.works("ledger") and self.surroundings.works("workers")):
            return now + HOUR
        self._keep_sent_again()
        self.clock.date_files(self.world.folder / "staging")  # also of extracts that were killed
        run = DagRun("order_sync_maintenance", f"maintenance {now:%Y-%m-%d}", "scheduled", now)
        task = RemoveOldOperator(task_id="remove_old")
        outcome = attempt(task, run.context(self.store, task, 1, 0))
        if outcome.state != "success":
            self.differences.append(f"maintenance of {now:%Y-%m-%d} failed: {outcome.said}")
            return now + DAY
        ledger, staging = self.surroundings.world.ledger, self.world.folder / "staging"
        self.growth.measure(ledger, staging, now.timestamp(), len(self.store.variables))
        return now + DAY

    def _keep_sent_again(self) -> None:
        """Keep the list of repeated sends: retention removes it from the ledger."""
        with psycopg.connect(self.surroundings.world.ledger) as connection:
            for *key, times in connection.execute(SENT_AGAIN):
                name, order_id, code = key
                found = self._sent_again.get((name, order_id, code), 0)
                self._sent_again[name, order_id, code] = max(found, times)

    def _calm_down(self, now: datetime) -> None:
        self.surroundings.strikes = False
        self.surroundings.apply()
        for name, lane in self.lanes.items():
            lane.is_struck = False
            lane.waiting.append(self.person.redrive(name, now))

    def _fall_back(self, now: datetime) -> datetime | None:
        """Put the ledger of an earlier release in place of ours, and upgrade it some hours later."""
        if not (self.surroundings.works("ledger") and self.surroundings.works("workers")):
            return now + HOUR
        revision = self.dice.choice(old_ledger.revisions())
        ledger = self.surroundings.world.ledger
        url = sa.make_url(ledger)
        with psycopg.connect(ledger, autocommit=True) as connection:
            connection.execute("create database chaos_ledger_of_before")
        old = url.set(database="chaos_ledger_of_before").render_as_string(hide_password=False)
        self._keep_sent_again()
        self.clock.use(old)
        old_ledger.fill(ledger, old, revision)
        if revision < old_ledger.MARKS:
            self.store.variables.clear()
        self.surroundings.use_ledger(old)
        self.upgraded_from = revision
        self._at(now + timedelta(hours=self.dice.uniform(1, 5)), self._upgrade)
        return None

    def _upgrade(self, now: datetime) -> datetime | None:
        if not self.surroundings.works("ledger"):
            return now + HOUR
        schema.upgrade(old_ledger.engine(self.surroundings.world.ledger))
        return None
