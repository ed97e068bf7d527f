"""What people do: they decide about held orders, redrive and dismiss the quarantine, clear runs and backfill days."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from chaos.world import World
from include.order_sync.model import Window
from simulation.dag import HOUR
from simulation.tasks import DagRun

HELD = """
    select o.order_id, o.code from orders_in_doubt o join destinations d on d.id = o.destination_id
    where o.held and d.name = %s order by 1
"""
OPEN = "select distinct reasons[1] from quarantine where destination = %s and resolved_at is null order by 1"
UNKNOWN_STATUS = "status: not in the status map"
NO_PARAMS: dict[str, Any] = dict.fromkeys(("reason", "from", "to", "order_ids", "entries", "note", "batch", "decision"))


@dataclass
class Person:
    """Looks after a destination once a day.

    Args:
        world: of the sandbox.
        dice: choose what is cleared.
        decided: how many held orders were decided.
    """

    world: World
    dice: random.Random
    decided: int = 0
    number: int = 0

    def morning(self, ledger: str, destination: str, now: datetime, ended: list[DagRun]) -> Iterator[DagRun]:
        """Yield the runs that the person starts.

        Args:
            ledger: its address.
            destination: its name.
            now: of the morning.
            ended: scheduled runs of the last days.
        """
        with psycopg.connect(ledger) as connection:
            held: dict[str, str] = dict(connection.execute(HELD, (destination,)).fetchall())
            reasons = [reason for (reason,) in connection.execute(OPEN, (destination,))]
        shown = {order_id for order_id, code in held.items() if code in self._codes(destination, order_id)}
        self.decided += len(held)
        for decision, order_ids in (("accept", shown), ("resend", held.keys() - shown)):
            if order_ids:
                yield self._redrive(now, destination, decision=decision, order_ids=sorted(order_ids))
        for reason in reasons:
            if reason == UNKNOWN_STATUS:
                yield self._redrive(now, destination, decision="dismiss", reason=reason, note="not one of ours")
        if self.dice.random() < 0.3:
            yield self._redrive(now, destination)
        if ended and self.dice.random() < 0.3:
            yield self.dice.choice(ended)
        if self.dice.random() < 0.1:
            yield from self._backfill(destination, now)

    def redrive(self, destination: str, now: datetime) -> DagRun:
        """Return a redrive of all that is in the quarantine."""
        return self._redrive(now, destination)

    def _backfill(self, destination: str, now: datetime) -> Iterator[DagRun]:
        """Yield the backfill of some hours of the last two weeks, last hour first."""
        last = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=self.dice.randrange(2, 14 * 24))
        for hour in range(6):
            end = last - hour * HOUR
            run_id = f"{destination} backfill {end:%Y-%m-%dT%H} of {now:%Y-%m-%d}"
            yield DagRun(f"order_sync_{destination}", run_id, "backfill", now, Window(end - HOUR, end))

    def _redrive(self, now: datetime, destination: str, **params: Any) -> DagRun:
        self.number += 1
        given = {**NO_PARAMS, "dry_run": False, "at_most": 1000, **params}
        return DagRun("order_sync_redrive", f"{destination} redrive {self.number}", "manual", now, params=given)

    def _codes(self, destination: str, order_id: str) -> set[str]:
        """Return the codes that the service shows of an order."""
        found = self.world.admin("GET", f"orders?provider={destination}&id={order_id}")["orders"]
        return {str(change["status"]) for order in found for change in order["history"]}
