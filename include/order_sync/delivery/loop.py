"""The loop of a load: ready orders are planned against the ledger, batched and sent, and each gets its verdict."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from include.order_sync import stops
from include.order_sync.counted import are, counted, named
from include.order_sync.delivery.batching import Batch, LedgerWrites
from include.order_sync.delivery.brake import Brake
from include.order_sync.delivery.client import Client
from include.order_sync.delivery.decision_table import Action, SendOptions
from include.order_sync.delivery.failing import FailingOrders, Turn
from include.order_sync.delivery.in_flight import InFlight
from include.order_sync.delivery.pacing import Pace
from include.order_sync.delivery.planning import PartPlan, Planner, kept_back
from include.order_sync.delivery.result import (
    UNANSWERED_BATCHES_IN_A_ROW,
    DeliveryResult,
    stop_at_the_end,
)
from include.order_sync.delivery.sending import Sending, write_batches
from include.order_sync.delivery.settlement import Encrypt, Settlement
from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.ledger.session import Kept, LedgerSession
from include.order_sync.prefetch import prefetch

log = logging.getLogger(__name__)


def never() -> bool:
    """Return False: no one asks this load to end."""
    return False


@dataclass(frozen=True)
class Delivery:
    """Sends ready orders to one account of one service.

    Args:
        client: of the account.
        ledger: the session that holds the destination's lock.
        encrypt: makes the rows for the quarantine.
        options: of the destination and the run.
        result: running totals, filled while the loop runs.
        connections: how many requests may be in flight at once.
        pace: of the account; None where requests may leave at any pace.
        is_stopping: whether the load was asked to end: then nothing more is sent.
        brake: how many notifications the load may send; None for any number.
    """

    client: Client
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
        if self.client.provider.held_codes and self.ledger.ends_in_doubt():
            self.result.unanswered = UNANSWERED_BATCHES_IN_A_ROW - 1
        for turn in self._failing.turns(self.client.provider.max_orders):
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
                "%s held before this run, and waiting for a decision: %s", counted(len(before), "order"), named(before)
            )
        stop_at_the_end(self.result, [order_id for order_id in held if held[order_id]], self.client.provider.title)

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
            title = self.client.provider.title
            raise StopError(
                stops.FAILING_ORDERS,
                f"{failure}. {are(len(unsure), 'order')} not sent ({named(self.result.failing)}): each failed "
                f"alone, and no other order was left, so either {title} is down or it fails at each. The "
                "quarantine has the rows. The next scheduled run sends each once more. If none follows, look at them, "
                "then trigger a redrive (DAG order_sync_redrive).",
            )

    def _deliver_turn(self, parts: Iterable[pd.DataFrame], turn: Turn) -> None:
        """Send the orders of a turn."""

        def planned(some: Iterable[pd.DataFrame]) -> Iterator[tuple[PartPlan | None, list[Batch]]]:
            keep = kept_back(self._kept, self.options)
            planner = Planner(self.client.provider, self.ledger.look_ahead, self.options, keep)
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
        with InFlight(self.client.ask, self.connections) as in_flight:
            sending = Sending(
                in_flight,
                self.client,
                self.ledger,
                self.result,
                self._failing,
                self._settlement,
                self.pace,
                self.is_stopping,
            )
            try:
                for plan, batches in prefetch(batches_of_parts):
                    sending.end_if_asked()
                    if plan:
                        recheck.append(plan.recheck)
                        self._note(plan)
                    for batch in batches:
                        sending.send(batch)
                sending.finish()
            except BaseException as error:  # also Airflow's request to end: batches in flight would be in doubt
                sending.record_answers()
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
                yield None, write_batches(self.ledger, write, max_orders)
        for write in writes.rest():
            yield None, write_batches(self.ledger, write, max_orders)

    def _note(self, plan: PartPlan) -> None:
        """Record the orders of a part that are not sent."""
        self.ledger.record(plan.newer, "unchanged")
        self.ledger.record(plan.adopted, "adopted")
        self._settlement.hold(plan.held)
        self._settlement.note_kept(plan.kept, self._kept)
        self._settlement.note_stale(plan.stale)
        if plan.overruled:
            log.warning(
                "%s sent though the row is older than the attempted one, because the run trusts the source: %s",
                counted(len(plan.overruled), "order"),
                named(plan.overruled),
            )
        self.result.orders.update(plan.outcomes)

    @cached_property
    def _kept(self) -> dict[str, Kept]:
        """The orders that are in the quarantine because of their service, when the try begins."""
        return self.ledger.kept()

    @cached_property
    def _failing(self) -> FailingOrders:
        known = self.ledger.failures() if self.ledger.sender.try_number > 1 else {}
        return FailingOrders.of(self.result, known, self._kept, redrive=self.options.retry_rejected)

    @cached_property
    def _settlement(self) -> Settlement:
        return Settlement(self.client.provider, self.ledger, self.encrypt, self.result)
