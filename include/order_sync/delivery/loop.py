"""The loop of a load: ready orders are planned against the ledger, batched and sent, and each gets its verdict."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd
import requests

from include.order_sync.delivery import http
from include.order_sync.delivery.batching import Batch, LedgerWrites, batches_of, sizes_of
from include.order_sync.delivery.brake import Brake
from include.order_sync.delivery.decision_table import Action, SendOptions
from include.order_sync.delivery.in_flight import InFlight
from include.order_sync.delivery.pacing import Pace, wait_until
from include.order_sync.delivery.planning import PartPlan, Planner
from include.order_sync.delivery.result import (
    FAILURES_OF_AN_ORDER,
    FIRST_PIECES,
    ORDERS_NAMED_IN_A_MESSAGE,
    UNANSWERED_BATCHES_IN_A_ROW,
    DeliveryResult,
    named,
    stop_at_the_end,
    stop_if_down,
)
from include.order_sync.delivery.settlement import Encrypt, Settlement
from include.order_sync.errors import InDoubtError, TryAgainError
from include.order_sync.ledger.session import Failures, LedgerSession
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
    _failures: dict[str, Failures] = field(default_factory=dict, init=False, repr=False)
    _refused_before: list[str] = field(default_factory=list, init=False, repr=False)
    _failed_now: Counter[str] = field(default_factory=Counter, init=False, repr=False)
    _apart: list[pd.DataFrame] = field(default_factory=list, init=False, repr=False)
    _failed_again: list[pd.DataFrame] = field(default_factory=list, init=False, repr=False)
    _not_given_up: list[TryAgainError] = field(default_factory=list, init=False, repr=False)

    def run(self, parts: Iterable[pd.DataFrame]) -> None:
        """Send what is to be sent.

        Args:
            parts: READY_COLUMNS. They are read a second time if some orders must wait for an earlier change of theirs.

        Raises:
            TryAgainError: a batch was not taken, or is in doubt and may be repeated, or the load was asked to end;
                later batches were not sent.
            StopError: later batches were not sent, also because of the brake; or all were sent and some orders are
                held.
        """
        if self.provider.held_codes and self.ledger.ends_in_doubt():
            self.result.unanswered = UNANSWERED_BATCHES_IN_A_ROW - 1
        if not self.provider.finds_refused_orders:
            self._refused_before.extend(self.ledger.not_judged())
        if self.ledger.sender.try_number > 1:
            self._failures.update(self.ledger.failures())
        recheck = self._deliver(self._planned(parts))
        self._deliver_failed()
        # These looked unchanged beside a change that was to be sent first. That change has its verdict now.
        self.result.orders[Action.UNCHANGED] -= sum(map(len, recheck))
        if any(map(len, recheck)):
            planned = (part for part in parts if len(part))
            again = (part.loc[rows] for part, rows in zip(planned, recheck, strict=True))
            self._deliver(self._planned(again))
            self._deliver_failed()
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

    def _deliver_failed(self) -> None:
        """Send the orders that were set apart, in ever smaller batches, until those that fail are alone.

        Raises:
            TryAgainError: the service seems to be down, or an order failed alone and is not given up yet.
        """
        if not self._apart:
            return
        orders = pd.concat(self._apart, ignore_index=True)
        self._apart.clear()
        # An order's next change goes only after the verdict on the one before.
        for _, changes in orders.groupby(orders.groupby("order_id").cumcount()):
            self._failed_again.append(changes)
            size = -(-self.provider.max_orders // FIRST_PIECES)
            while self._failed_again:
                pieces = [
                    part.iloc[start : start + size]
                    for part in self._failed_again
                    for start in range(0, len(part), size)
                ]
                self._failed_again.clear()
                self._deliver((None, self._write(piece, size)) for piece in pieces)
                size = (size + 1) // 2
            for error in self._not_given_up:
                error.has_progress = self.result.delivered > 0
                raise error

    def _note_failure(self, batch: Batch, failure: TryAgainError) -> None:
        """Set a failed batch apart once more, or give its only order up: it fails alone, and others are taken."""
        stop_if_down(self.result, failure)
        self._failed_now.update(batch.order_ids)
        if len(batch) > 1:
            self._failed_again.append(batch.orders)
            return
        known = self._failures[batch.order_ids[0]]
        others_taken = known.others_taken or self.result.delivered > 0
        if others_taken and known.times + self._failed_now[batch.order_ids[0]] >= FAILURES_OF_AN_ORDER:
            self._settlement.keep_failing(batch, failure)
        else:
            self._not_given_up.append(failure)

    def _planned(self, parts: Iterable[pd.DataFrame]) -> Iterator[tuple[PartPlan | None, list[Batch]]]:
        return self._written(Planner(self.provider, self.ledger.look_ahead, self.options).plans(parts))

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

    def _written(self, plans: Iterable[PartPlan]) -> Iterator[tuple[PartPlan | None, list[Batch]]]:
        """Yield each part's plan, and the batches of each ledger write once they are recorded.

        Orders of a batch that an earlier run saw refused go last, in batches of their own: the one that the service
        refuses may be among them, and would take new ones with it.
        """
        size = self.provider.max_orders
        writes, refused = LedgerWrites(size), []
        for plan in plans:
            if self.brake:
                self.brake.count(plan.notifications)
            yield plan, []
            orders = self._without_failed(plan.to_send)
            if self._refused_before:
                was_refused = orders["order_id"].isin(self._refused_before)
                refused.append(orders[was_refused])
                orders = orders[~was_refused]
            for write in writes.add(orders):
                yield None, self._write(write, size)
        for write in writes.rest():
            yield None, self._write(write, size)
        for orders in refused:
            for write in writes.add(orders):
                yield None, self._write(write, size)
        for write in writes.rest():
            yield None, self._write(write, size)

    def _without_failed(self, orders: pd.DataFrame) -> pd.DataFrame:
        """Return the orders that have not failed in an earlier try; set the others apart: they must not stop these."""
        if not self._failures:
            return orders
        failed = orders["order_id"].isin(list(self._failures))
        self._apart.append(orders[failed])
        return orders[~failed]

    def _write(self, orders: pd.DataFrame, size: int) -> list[Batch]:
        """Record orders in batches of this size, none of which has begun; return the batches."""
        return batches_of(orders, self.ledger.look_ahead.write(orders, sizes_of(orders, size)), size)

    def _note(self, plan: PartPlan) -> None:
        """Record the orders of a part that are not sent."""
        self.ledger.record(plan.newer, "unchanged")
        self.ledger.record(plan.adopted, "adopted")
        self._settlement.hold(plan.held)
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
        try:
            size = self._settlement.settle(batch, answer)
        except TryAgainError as error:
            if not (error.is_failure and batch.order_ids[0] in self._failures):
                raise
            self._note_failure(batch, error)
            return []
        return self._write(batch.orders, size)[::-1] if size else []

    def _settle_in_flight(self, in_flight: InFlight) -> None:
        """Record the answers of the batches in flight after a failure has ended the loop."""
        while in_flight:
            with suppress(Exception):
                self._settle(in_flight)
        with suppress(Exception):
            self.ledger.write_answers()

    @cached_property
    def _settlement(self) -> Settlement:
        return Settlement(self.provider, self.ledger, self.encrypt, self.result)

    def _ask(self, batch: Batch, leave: Callable[[], None]) -> list[Verdict]:
        """Ask the service, in a thread of its own; nothing is recorded here."""
        request = self.provider.request(self.credentials, batch.payloads)
        answer = http.send(self.session, self.credentials.url, request, leave)
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
