"""The loop of a load: ready orders are planned against the ledger, batched and sent, and each gets its verdict."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd
import requests

from include.order_sync import stops
from include.order_sync.delivery import http
from include.order_sync.delivery.batching import Batch, LedgerWrites, batches_of, sizes_of
from include.order_sync.delivery.brake import Brake
from include.order_sync.delivery.decision_table import Action, SendOptions
from include.order_sync.delivery.failing import FailingOrders, Turn
from include.order_sync.delivery.in_flight import InFlight
from include.order_sync.delivery.pacing import Pace, wait_until
from include.order_sync.delivery.planning import PartPlan, Planner, kept_back
from include.order_sync.delivery.result import (
    ORDERS_NAMED_IN_A_MESSAGE,
    UNANSWERED_BATCHES_IN_A_ROW,
    DeliveryResult,
    named,
    stop_at_the_end,
)
from include.order_sync.delivery.settlement import Encrypt, Settlement
from include.order_sync.errors import InDoubtError, StopError, TryAgainError
from include.order_sync.ledger.session import Kept, LedgerSession
from include.order_sync.prefetch import prefetch
from include.order_sync.providers.base import Credentials, Provider, Verdict

log = logging.getLogger(__name__)

# After a doubt so many orders ask whether the service answers again: so few more are held if it does not.
PROBE_ORDERS = 10


def never() -> bool:
    """Return False: no one asks this load to end."""
    return False


@dataclass(frozen=True)
class Delivery:
    """Sends ready orders to one account of one service.

    Args:
        provider: whose requests and answers.
        credentials: of the account.
        session: of http.py.
        ledger: the session that holds the destination's lock.
        encrypt: makes the rows for the quarantine.
        options: of the destination and the run.
        result: running totals, filled while the loop runs.
        connections: how many requests may be in flight at once.
        pace: of the account; None where requests may leave at any pace.
        is_stopping: whether the load was asked to end: then nothing more is sent.
        brake: how many notifications the load may send; None for any number.
    """

    provider: Provider
    credentials: Credentials
    session: requests.Session
    ledger: LedgerSession
    encrypt: Encrypt
    options: SendOptions = field(default_factory=SendOptions)
    result: DeliveryResult = field(default_factory=DeliveryResult)
    connections: int = 1
    pace: Pace | None = None
    is_stopping: Callable[[], bool] = never
    brake: Brake | None = None

    def run(self, parts: Iterable[pd.DataFrame]) -> None:
        """Send what is to be sent.

        Args:
            parts: READY_COLUMNS. They are read again for orders that go last, or must wait for an earlier change.

        Raises:
            TryAgainError: a batch was not taken, or is in doubt and may be repeated, or the load was asked to end;
                later batches were not sent.
            StopError: later batches were not sent, also because of the brake; or all were sent and some orders are
                held.
        """
        if self.provider.held_codes and self.ledger.ends_in_doubt():
            self.result.unanswered = UNANSWERED_BATCHES_IN_A_ROW - 1
        for turn in self._failing.turns(self.provider.max_orders):
            self._deliver_turn(parts, turn)
        self._stop_if_unsure()
        try:
            self._failing.raise_if_waiting()
        except TryAgainError as error:
            error.has_progress = self.result.delivered > 0
            raise
        self.ledger.resolve_delivered()
        self.result.orders += Counter()  # drops outcomes that no order has
        self.result.complete = True
        # A newer change may have resolved some of the held orders since.
        held = self.ledger.still_held(self.result.held)
        before = [order_id for order_id, is_new in held.items() if not is_new]
        if before:
            log.warning(
                "%d orders were held before this run, and still wait for a decision: %s", len(before), named(before)
            )
        stop_at_the_end(self.result, [order_id for order_id in held if held[order_id]], self.provider.title)

    def _stop_if_unsure(self) -> None:
        """List the orders that are left if nobody can tell whether they are bad or the service is down, and raise.

        Their window is not finished: the next scheduled run reads them again, beside others that tell.

        Raises:
            StopError: there are such orders.
        """
        unsure = self._failing.unsure(has_answered=self.result.answered > 0 or self.ledger.own_accepted() > 0)
        for batch, failure in unsure:
            self._settlement.keep_failing(batch, failure, is_new=True)
        if unsure:
            _, failure = unsure[-1]
            raise StopError(
                stops.FAILING_ORDERS,
                f"{failure}. {len(unsure)} orders are not sent ({named(self.result.failing)}): each failed alone, and "
                f"no other order was left, so either {self.provider.title} is down or it fails at these. They wait in "
                "the quarantine. The next scheduled run sends them once more. If none follows, look at their rows, "
                "then trigger a redrive (DAG order_sync_redrive).",
            )

    def _deliver_turn(self, parts: Iterable[pd.DataFrame], turn: Turn) -> None:
        """Send the orders of a turn."""

        def planned(some: Iterable[pd.DataFrame]) -> Iterator[tuple[PartPlan | None, list[Batch]]]:
            keep = kept_back(self._kept, self.options)
            planner = Planner(self.provider, self.ledger.look_ahead, self.options, keep)
            return self._written(planner.plans(some), turn.max_orders)

        recheck = self._deliver(planned(self._failing.chosen(parts, turn)))
        # These looked unchanged beside a change that was to be sent first. That change has its verdict now.
        self.result.orders[Action.UNCHANGED] -= sum(map(len, recheck))
        if any(map(len, recheck)):
            chosen = (part for part in self._failing.chosen(parts, turn) if len(part))
            again = (part.loc[rows] for part, rows in zip(chosen, recheck, strict=True))
            self._deliver(planned(again))

    def _deliver(self, batches_of_parts: Iterable[tuple[PartPlan | None, list[Batch]]]) -> list[pd.Index]:
        """Send batches; return the orders of each part that is not empty to plan again afterwards.

        A prefetch thread plans the next part and writes its batches while requests are in flight.

        Args:
            batches_of_parts: as _written gives them.
        """
        recheck: list[pd.Index] = []
        halves: deque[Batch] = deque()
        with InFlight(self._ask, self.connections) as in_flight:
            try:
                for plan, batches in prefetch(batches_of_parts):
                    self._end_if_asked()
                    if plan:
                        recheck.append(plan.recheck)
                        self._note(plan)
                    for batch in batches:
                        self._make_room(batch, in_flight, halves)
                        self._send(batch, in_flight, halves)
                self._make_room(None, in_flight, halves)
            except BaseException as error:  # also Airflow's request to end: batches in flight would be in doubt
                self._settle_in_flight(in_flight)
                if isinstance(error, TryAgainError):
                    error.has_progress = self.result.delivered > 0
                raise
        return recheck

    def _written(self, plans: Iterable[PartPlan], max_orders: int) -> Iterator[tuple[PartPlan | None, list[Batch]]]:
        """Yield each part's plan, and the batches of each ledger write once they are recorded."""
        writes = LedgerWrites(max_orders)
        for plan in plans:
            if self.brake:
                self.brake.count(plan.notifications)
            yield plan, []
            for write in writes.add(plan.to_send):
                yield None, self._write(write, max_orders)
        for write in writes.rest():
            yield None, self._write(write, max_orders)

    def _write(self, orders: pd.DataFrame, size: int) -> list[Batch]:
        """Record orders in batches of this size, none of which has begun; return the batches."""
        return batches_of(orders, self.ledger.look_ahead.write(orders, sizes_of(orders, size)), size)

    def _note(self, plan: PartPlan) -> None:
        """Record the orders of a part that are not sent."""
        self.ledger.record(plan.newer, "unchanged")
        self.ledger.record(plan.adopted, "adopted")
        self._settlement.hold(plan.held)
        self._settlement.note_kept(plan.kept, self._kept)
        self._settlement.note_stale(plan.stale)
        if plan.overruled:
            log.warning(
                "%d orders are sent though their row is older than the one that was attempted, because the run trusts "
                "the source: %s%s",
                len(plan.overruled),
                ", ".join(plan.overruled[:ORDERS_NAMED_IN_A_MESSAGE]),
                ", ..." if len(plan.overruled) > ORDERS_NAMED_IN_A_MESSAGE else "",
            )
        self.result.orders.update(plan.outcomes)

    def _make_room(self, batch: Batch | None, in_flight: InFlight, halves: deque[Batch]) -> None:
        """Wait for answers until `batch` can be sent (with None: until nothing is in flight).

        Halves of a refused batch go first.
        """
        while halves or (len(in_flight) if batch is None else not in_flight.has_room_for(batch)):
            if halves and in_flight.has_room_for(halves[0]):
                self._send(halves.popleft(), in_flight, halves)
            else:
                halves.extendleft(self._settle(in_flight))
        if batch is None:
            self.ledger.write_answers()

    def _send(self, batch: Batch, in_flight: InFlight, halves: deque[Batch]) -> None:
        """Send a batch. After a doubt it waits for the answers in flight; without one, a probe of it goes first.

        The rest of that batch is a half.
        """

        def settle() -> None:
            halves.extendleft(self._settle(in_flight))

        wait_until(self.result.not_before, self.ledger, in_flight, settle, self.is_stopping)
        if self.pace:
            self.pace.wait_for_slot(self.ledger, in_flight, settle, self.is_stopping)
        # After the wait: it may have brought the doubt.
        while self.result.unanswered and in_flight:
            settle()
        if self.result.unanswered and len(batch) > PROBE_ORDERS:
            self.ledger.conclude(batch.number, "not_taken", reason="a probe goes first: is the service up?")
            orders = batch.orders
            halves.extendleft(self._write(orders[PROBE_ORDERS:], len(batch)))
            (batch,) = self._write(orders[:PROBE_ORDERS], PROBE_ORDERS)
        if self._failing.has_waiting(batch):
            self.ledger.conclude(batch.number, "not_taken", reason="an earlier change of one of its orders failed")
            orders = self._failing.without_waiting(batch.orders)
            if orders.empty:
                return
            (batch,) = self._write(orders, len(orders))
        # The wait for a connection may be long too, and a kill during it must leave no answer unrecorded.
        in_flight.send(batch, lambda: self._begin(batch), self.ledger.write_answers)

    def _begin(self, batch: Batch) -> None:
        self._end_if_asked()
        self.ledger.begin(batch.number)
        self.result.requests += 1

    def _end_if_asked(self) -> None:
        """Raise TryAgainError if the load was asked to end. Answers of requests in flight are still recorded."""
        if self.is_stopping():
            raise TryAgainError("The load was asked to stop: the next try continues at the first unsent batch.")

    def _settle(self, in_flight: InFlight) -> list[Batch]:
        """Wait for one answer and record it; return the batches that are sent instead of its own, the later first.

        The caller puts them before all others: so a service that refuses everything has soon refused single orders.
        """
        # The wait may be long, and a kill during it would leave these answers in doubt.
        self.ledger.write_answers()
        batch, answer = in_flight.take()
        while self._answered_in_s:
            self.result.answers += 1
            self.result.answering_s += self._answered_in_s.popleft()
        try:
            size = self._settlement.settle(batch, answer)
        except (TryAgainError, StopError) as failure:
            if not failure.is_failure:
                raise
            self._failing.note(batch, failure)
            if self._failing.gives_up(batch):
                is_new = batch.order_ids[0] not in self._failing.given_up_before
                self._settlement.keep_failing(batch, failure, is_new=is_new)
                return []
            size = self._failing.piece_size(batch, failure)
        return self._write(batch.orders, size)[::-1] if size else []

    def _settle_in_flight(self, in_flight: InFlight) -> None:
        """Record the answers of the batches in flight after a failure has ended the loop."""
        while in_flight:
            with suppress(Exception):
                self._settle(in_flight)
        with suppress(Exception):
            self.ledger.write_answers()

    @cached_property
    def _kept(self) -> dict[str, Kept]:
        """The orders that are in the quarantine because of their service, when the try begins."""
        return self.ledger.kept()

    @cached_property
    def _failing(self) -> FailingOrders:
        known = self.ledger.failures() if self.ledger.sender.try_number > 1 else {}
        return FailingOrders.of(self.result, known, self._kept, redrive=self.options.retry_rejected)

    @cached_property
    def _answered_in_s(self) -> deque[float]:
        """Seconds of the requests that have ended since the last one was settled; their threads append them."""
        return deque()

    @cached_property
    def _settlement(self) -> Settlement:
        return Settlement(self.provider, self.ledger, self.encrypt, self.result)

    def _ask(self, batch: Batch, leave: Callable[[], None]) -> list[Verdict]:
        """Ask the service, in a thread of its own; nothing is recorded here."""
        request = self.provider.request(self.credentials, batch.payloads)
        left_at: float | None = None

        def leave_now() -> None:
            nonlocal left_at
            leave()
            left_at = time.monotonic()

        try:
            answer = http.send(self.session, self.credentials.url, request, leave_now)
        finally:
            if left_at is not None:
                self._answered_in_s.append(time.monotonic() - left_at)
        title = self.provider.title
        try:
            verdicts = self.provider.read(answer, batch.order_ids, self.credentials)
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
            # No answer may break the reader: the batch could have been taken.
            raise InDoubtError(f"{title} gave an answer that can't be read ({type(error).__name__})") from None
        if len(verdicts) != len(batch):
            # Nobody knows which order a result is missing for.
            raise InDoubtError(f"{title} gave {len(verdicts)} results for {len(batch)} orders")
        return verdicts
