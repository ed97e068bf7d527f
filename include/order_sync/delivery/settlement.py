"""Settles answers: what the service said of a batch is recorded in the ledger and in the running totals."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import pandas as pd

from include.order_sync.counted import ORDERS_NAMED, counted
from include.order_sync.delivery.batching import Batch
from include.order_sync.delivery.decision_table import Action
from include.order_sync.delivery.result import (
    NOT_SENT,
    DeliveryResult,
    may_wait,
    stop_if_all_refused,
    stop_if_fruitless,
    stop_if_unanswered,
)
from include.order_sync.errors import (
    BatchRefusedError,
    BatchTooLargeError,
    InDoubtError,
    OrderSyncError,
    StopError,
    TryAgainError,
)
from include.order_sync.ledger.encrypted_rows import QuarantineEntry
from include.order_sync.ledger.reasons import FAILING_REASON, HELD_REASON, NOT_JUDGED_REASON, STALE_REASONS
from include.order_sync.ledger.session import FAILED, Kept, LedgerSession
from include.order_sync.providers.base import Outcome, Provider, Verdict

log = logging.getLogger(__name__)

# Orders, a reason for each and the service's message for each -> their encrypted rows.
Encrypt = Callable[[pd.DataFrame, Sequence[str], Sequence[str]], list[QuarantineEntry]]


@dataclass(frozen=True)
class Settlement:
    """Records the outcome of each batch of a load.

    Args:
        provider: whose answers.
        ledger: the session that holds the destination's lock.
        encrypt: makes the rows for the quarantine.
        result: the totals of the load, kept up to date.
    """

    provider: Provider
    ledger: LedgerSession
    encrypt: Encrypt
    result: DeliveryResult

    def settle(self, batch: Batch, answer: Future[list[Verdict]]) -> int:
        """Record the outcome of a batch; return 0, or the size of the batches in which its orders are sent again.

        Raises:
            TryAgainError: the batch was not taken, or is in doubt and may be repeated.
            StopError: nothing of the batch was taken, and a person has to act.
        """
        try:
            verdicts = answer.result()
        except BatchRefusedError as refusal:
            self._note_answer()
            is_judged = self.provider.finds_refused_orders or isinstance(refusal, BatchTooLargeError)
            if is_judged and len(batch) > 1:
                self.ledger.conclude(batch.number, "not_taken", reason=str(refusal))
                return (len(batch) + 1) // 2
            if not is_judged:
                self._set_aside(batch, refusal)
                return 0
            verdicts = [Verdict(Outcome.REJECTED, str(refusal), refusal.service_message)] * len(batch)
        except InDoubtError as doubt:
            self._settle_doubt(batch, doubt)
            return 0
        except TryAgainError as error:
            self.ledger.conclude(batch.number, "not_taken", reason=_reason(error))
            if not may_wait(self.result, error):
                raise
            wait_s = self.result.not_before - time.monotonic()
            log.info("%s. The load waits %.0f s; then the batch is sent again.", error, wait_s)
            return len(batch)
        except StopError as error:
            self.ledger.conclude(batch.number, "not_taken", reason=_reason(error))
            raise
        self._record(batch, verdicts)
        return 0

    def hold(self, orders: pd.DataFrame) -> None:
        """Keep the rows of held orders, so that a person's decision can send them again.

        Args:
            orders: order_id, partition_hash, position, rank, source_hash.
        """
        if orders.empty:
            return
        self.ledger.quarantine(self.encrypt(orders, [HELD_REASON] * len(orders), [""] * len(orders)))
        self.result.held += orders["order_id"].tolist()
        self.result.orders[Action.HELD] += len(orders)

    def keep_failing(self, batch: Batch, failure: OrderSyncError, *, is_new: bool) -> None:
        """Keep the order of a batch of one, at which the service fails while it takes others, for a redrive."""
        self.ledger.quarantine(self.encrypt(batch.orders, [FAILING_REASON], [str(failure)]))
        self.result.orders[NOT_SENT] += 1
        if is_new:
            self.result.failing.append(batch.order_ids[0])
        log.error("%s. Order %s is not sent: it waits in the quarantine for a redrive.", failure, batch.order_ids[0])

    def note_kept(self, orders: pd.DataFrame, kept: Mapping[str, Kept]) -> None:
        """Count orders that are not sent because they are in the quarantine, and keep their rows as they are now.

        Args:
            orders: the columns of `hold`.
            kept: what the ledger says of each.
        """
        if orders.empty:
            return
        of_each = [kept[order_id] for order_id in orders["order_id"]]
        reasons = [FAILING_REASON if each.is_failing else NOT_JUDGED_REASON for each in of_each]
        self.ledger.quarantine(self.encrypt(orders, reasons, [""] * len(orders)))
        self.result.orders[NOT_SENT] += len(orders)
        for order_id, each in zip(orders["order_id"], of_each, strict=True):
            if each.by_this_run and each.is_new:
                (self.result.failing if each.is_failing else self.result.not_judged).append(order_id)

    def note_stale(self, orders: pd.DataFrame) -> None:
        """Count stale orders by their reason, and keep the rows that the source has changed for a person.

        Args:
            orders: the columns of `hold`, and `stale`.
        """
        if orders.empty:
            return
        for reason, alike in orders.groupby("stale"):
            why = str(reason)
            self.result.stale[why] += len(alike)
            ids = self.result.stale_orders.setdefault(why, [])
            ids += alike["order_id"].head(ORDERS_NAMED - len(ids)).tolist()
        listed = orders[orders["stale"].isin(STALE_REASONS)]
        if not listed.empty:
            self.ledger.quarantine(self.encrypt(listed, listed["stale"].tolist(), [""] * len(listed)))

    def _settle_doubt(self, batch: Batch, doubt: InDoubtError) -> None:
        if not batch.orders["held_if_in_doubt"].any():
            self.ledger.conclude(batch.number, "in_doubt", reason=f"{FAILED}{doubt}")
            # These codes set a state, so that sending them twice does no harm.
            error = TryAgainError(f"{doubt}. The batch is in doubt, and sent again.", after_s=doubt.after_s)
            error.is_failure = True
            raise error from None
        self.ledger.conclude(batch.number, "in_doubt", reason=str(doubt))
        log.error("%s. Held, and not sent again: %s.", doubt, counted(len(batch), "order"))
        self.hold(batch.orders)
        self.result.unanswered += 1
        stop_if_unanswered(self.result, self.provider.title, doubt.after_s)

    def _set_aside(self, batch: Batch, refusal: BatchRefusedError) -> None:
        """Keep the orders of a refused batch for a redrive: nobody can say which of them is bad, or whether any is."""
        orders = batch.orders
        # First: without the rows the batch would be in doubt.
        self.ledger.conclude(batch.number, "not_taken", reason=str(refusal))
        self.ledger.quarantine(
            self.encrypt(orders, [NOT_JUDGED_REASON] * len(orders), [refusal.service_message] * len(orders))
        )
        self.result.orders[NOT_SENT] += len(orders)
        self.result.not_judged += batch.order_ids
        self.result.refusal = str(refusal)
        self.result.refused_in_a_row += 1
        log.error("%s. Not sent, and in the quarantine for a redrive: %s.", refusal, counted(len(orders), "order"))
        stop_if_all_refused(self.result, self.provider.title)

    def _note_answer(self) -> None:
        self.result.answered += 1
        self.result.failed_in_a_row = 0

    def _record(self, batch: Batch, verdicts: list[Verdict]) -> None:
        self._note_answer()
        self.result.unanswered = self.result.refused_in_a_row = 0
        refused = [verdict.outcome is Outcome.REJECTED for verdict in verdicts]
        if any(refused):
            self._reject(batch.number, batch.orders[refused], [v for v in verdicts if v.outcome is Outcome.REJECTED])
        else:
            self.ledger.answered(batch.number)
        if all(refused):
            self.result.fruitless += 1
            stop_if_fruitless(self.result, self.provider.title)
        else:
            self.result.waits_in_a_row = 0
            self.result.delivered += refused.count(False)
            self.result.changes.update(batch.changes(refused))
            self.result.orders[Action.ACCEPTED] += refused.count(False)

    def _reject(self, number: int, orders: pd.DataFrame, verdicts: Sequence[Verdict]) -> None:
        reasons = [verdict.reason for verdict in verdicts]
        rejected = dict(zip(orders["order_id"], reasons, strict=True))
        try:
            entries = self.encrypt(orders, reasons, [verdict.service_message for verdict in verdicts])
        except Exception:
            # Record the answer even without the rows: otherwise the batch would be in doubt.
            self.ledger.conclude(number, "answered", rejected=rejected)
            raise
        self.ledger.conclude(number, "answered", rejected=rejected, entries=entries)
        self.result.orders[Action.REJECTED] += len(orders)
        self.result.reasons.update(reasons)


def _reason(error: TryAgainError | StopError) -> str:
    """Return the ledger's reason for a batch that was not taken."""
    return f"{FAILED}{error}" if error.is_failure else str(error)
