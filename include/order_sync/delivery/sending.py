"""Sends batches: halves of a refused batch first, a probe after a doubt, and each answer is recorded as it comes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pandas as pd

from include.order_sync.delivery.batching import Batch, batches_of, sizes_of
from include.order_sync.delivery.client import Client
from include.order_sync.delivery.failing import FailingOrders
from include.order_sync.delivery.in_flight import InFlight
from include.order_sync.delivery.pacing import Pace, wait_until
from include.order_sync.delivery.result import DeliveryResult
from include.order_sync.delivery.settlement import Settlement
from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.ledger.session import LedgerSession

# After a doubt so many orders ask whether the service answers again: so few more are held if it does not.
PROBE_ORDERS = 10


def write_batches(ledger: LedgerSession, orders: pd.DataFrame, size: int) -> list[Batch]:
    """Record orders in batches of this size, none of which has begun; return the batches.

    Args:
        ledger: the session of the load.
        orders: BATCH_COLUMNS, no order twice in a batch.
        size: the most orders in a batch.
    """
    return batches_of(orders, ledger.look_ahead.write(orders, sizes_of(orders, size)), size)


@dataclass(frozen=True)
class Sending:
    """Sends batches one after the other, while the answers of earlier ones come.

    Args:
        in_flight: the batches that have left, each by `client`.
        client: of the account.
        ledger: the session that holds the destination's lock.
        result: the totals of the load, kept up to date.
        failing: the orders at which the service fails.
        settlement: records answers.
        pace: of the account; None where requests may leave at any pace.
        is_stopping: whether the load was asked to end: then nothing more is sent.
    """

    in_flight: InFlight
    client: Client
    ledger: LedgerSession
    result: DeliveryResult
    failing: FailingOrders
    settlement: Settlement
    pace: Pace | None
    is_stopping: Callable[[], bool]
    # Pieces of batches that were refused, failed or probed: they go before all others.
    _halves: deque[Batch] = field(default_factory=deque, init=False)

    def send(self, batch: Batch) -> None:
        """Send a batch once there is room for it, after the halves."""
        while self._halves or not self.in_flight.has_room_for(batch):
            self._send_half_or_settle()
        self._send_now(batch)

    def finish(self) -> None:
        """Send the halves that are left, and record all answers."""
        while self._halves or self.in_flight:
            self._send_half_or_settle()
        self.ledger.write_answers()

    def record_answers(self) -> None:
        """Record the answers of the batches in flight after a failure has ended the sending; raise nothing."""
        while self.in_flight:
            with suppress(Exception):
                self._settle()
        with suppress(Exception):
            self.ledger.write_answers()

    def end_if_asked(self) -> None:
        """Raise TryAgainError if the load was asked to end. Answers of requests in flight are still recorded."""
        if self.is_stopping():
            raise TryAgainError("The load was asked to stop: the next try continues at the first unsent batch.")

    def _send_half_or_settle(self) -> None:
        if self._halves and self.in_flight.has_room_for(self._halves[0]):
            self._send_now(self._halves.popleft())
        else:
            self._settle()

    def _send_now(self, batch: Batch) -> None:
        """Send a batch that has room. In doubt it waits for the answers in flight, and a probe of it goes first.

        The rest of that batch is a half.
        """
        wait_until(self.result.not_before, self.ledger, self.in_flight, self._settle, self.is_stopping)
        if self.pace:
            self.pace.wait_for_slot(self.ledger, self.in_flight, self._settle, self.is_stopping)
        # After the wait: it may have brought the doubt.
        while self.result.unanswered and self.in_flight:
            self._settle()
        if self.result.unanswered and len(batch) > PROBE_ORDERS:
            self.ledger.conclude(batch.number, "not_taken", reason="a probe goes first: is the service up?")
            orders = batch.orders
            self._halves.extendleft(write_batches(self.ledger, orders[PROBE_ORDERS:], len(batch)))
            (batch,) = write_batches(self.ledger, orders[:PROBE_ORDERS], PROBE_ORDERS)
        if self.failing.has_waiting(batch):
            self.ledger.conclude(batch.number, "not_taken", reason="an earlier change of one of its orders failed")
            orders = self.failing.without_waiting(batch.orders)
            if orders.empty:
                return
            (batch,) = write_batches(self.ledger, orders, len(orders))
        # The wait for a connection may be long too, and a kill during it must leave no answer unrecorded.
        self.in_flight.send(batch, lambda: self._begin(batch), self.ledger.write_answers)

    def _begin(self, batch: Batch) -> None:
        self.end_if_asked()
        self.ledger.begin(batch.number)
        self.result.requests += 1

    def _settle(self) -> None:
        """Wait for one answer and record it. The batches that are sent instead of its own are halves.

        They go before all others: so a service that refuses everything has soon refused single orders.
        """
        # The wait may be long, and a kill during it would leave these answers in doubt.
        self.ledger.write_answers()
        batch, answer = self.in_flight.take()
        while self.client.answered_in_s:
            self.result.answers += 1
            self.result.answering_s += self.client.answered_in_s.popleft()
        try:
            size = self.settlement.settle(batch, answer)
        except (TryAgainError, StopError) as failure:
            if not failure.is_failure:
                raise
            self.failing.note(batch, failure)
            if self.failing.gives_up(batch):
                is_new = batch.order_ids[0] not in self.failing.given_up_before
                self.settlement.keep_failing(batch, failure, is_new=is_new)
                return
            size = self.failing.piece_size(batch, failure)
        if size:
            self._halves.extendleft(write_batches(self.ledger, batch.orders, size)[::-1])
