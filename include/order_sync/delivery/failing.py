"""Orders at which the service fails: they go last, in ever smaller batches, until those that fail are alone."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import pandas as pd

from include.order_sync.counted import counted, named
from include.order_sync.delivery.batching import Batch
from include.order_sync.delivery.result import LONGEST_WAIT_S, DeliveryResult
from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.ledger.session import Failures, Kept

# A service that fails so often in a row seems to be down, or to refuse the account: this ends the try. It is more than
# the levels of PIECES, so that a bad order in each batch does not look like an outage.
FAILED_IN_A_ROW = 8
# So many failures end a try, whatever was answered in between; the next try goes on.
FAILED_IN_A_TRY = 200
# After more failures in a row a batch is split at once, to learn whether the service is up.
FAILED_BEFORE_A_SPLIT = 2
# A failed batch is sent again in so many pieces. A bad order costs one failure a level: 1000, 250, 63, 16, 4, 1.
PIECES = 4
# An order that has failed in so many tries, at last alone, is given up if the service has answered others meanwhile.
TRIES_OF_AN_ORDER = 3
# Where it has not, because no others are left: is the order bad, or the service down? Delays of 1, 2, 4 and 8 minutes.
TRIES_UNTIL_UNSURE = 5

Failure = TryAgainError | StopError


@dataclass(frozen=True)
class Turn:
    """Orders of a try that are sent together, before or after others.

    Args:
        order_ids: of these orders; None for all that have no other turn.
        max_orders: the most of them in one request.
    """

    order_ids: frozenset[str] | None
    max_orders: int


@dataclass
class FailingOrders:
    """Knows which orders have failed, and decides what follows from another failure.

    Args:
        result: of the load.
        known: the orders that failed in earlier tries of the run.
        given_up_before: orders that an earlier run has given up: they are sent once in a run.
        not_judged: orders whose batch an earlier run saw refused as a whole.
    """

    result: DeliveryResult
    known: Mapping[str, Failures] = field(default_factory=dict)
    given_up_before: frozenset[str] = frozenset()
    not_judged: frozenset[str] = frozenset()
    _waiting: set[str] = field(default_factory=set, init=False)
    _alone: list[tuple[Batch, Failure]] = field(default_factory=list, init=False)
    _last: Failure | None = field(default=None, init=False)

    @classmethod
    def of(
        cls, result: DeliveryResult, known: Mapping[str, Failures], kept: Mapping[str, Kept], *, redrive: bool
    ) -> FailingOrders:
        """Return the failing orders of a try.

        Args:
            result: of the load.
            known: the orders that failed in earlier tries of the run.
            kept: the orders in the quarantine that were not sent because of their service.
            redrive: whether a person has looked at them, so that they are orders like all others.
        """
        before = {} if redrive else {order_id: each for order_id, each in kept.items() if not each.by_this_run}
        return cls(
            result,
            known,
            frozenset(order_id for order_id, each in before.items() if each.is_failing),
            frozenset(order_id for order_id, each in before.items() if not each.is_failing),
        )

    def turns(self, max_orders: int) -> Iterator[Turn]:
        """Yield the turns of a try. Within each kind, orders with the fewest failures go first: a try may end early.

        1. all orders that are in no other turn;
        2. those whose batch was refused: the one that the service refuses would take new ones with it;
        3. those of failed batches;
        4. those that have failed alone while the service answered others: in an outage any order fails alone.
        """
        yield Turn(None, max_orders)
        # One that has failed in this run has its turn with those: in two turns it would count twice.
        if not_judged := self.not_judged - self.known.keys():
            yield Turn(not_judged, max_orders)
        tries = {id_: (each.alone and each.others_answered, each.tries) for id_, each in self.known.items()}
        tries |= dict.fromkeys(self.given_up_before, (True, TRIES_OF_AN_ORDER))
        for key in sorted(set(tries.values())):
            ids = frozenset(id_ for id_, of_order in tries.items() if of_order == key)
            is_alone, _ = key
            yield Turn(ids, 1 if is_alone else _piece(min(max_orders, len(ids))))

    def chosen(self, parts: Iterable[pd.DataFrame], turn: Turn) -> Iterator[pd.DataFrame]:
        """Yield the orders of each part that have this turn."""
        others = list(self.known.keys() | self.given_up_before | self.not_judged)
        for part in parts:
            if turn.order_ids is not None:
                yield part[part["order_id"].isin(list(turn.order_ids))]
            else:
                yield part[~part["order_id"].isin(others)] if others else part

    def note(self, batch: Batch, failure: Failure) -> None:
        """Count a failure.

        Raises:
            TryAgainError: the service seems to be down, or fails too often in this try.
            StopError: it seems to refuse the account.
        """
        result = self.result
        result.failed += 1
        if result.failed >= FAILED_IN_A_TRY:
            raise self._final(failure)
        if self._is_suspect(batch):
            return
        result.failed_in_a_row += 1
        if result.failed_in_a_row >= FAILED_IN_A_ROW:
            raise self._final(failure)
        if isinstance(failure, TryAgainError) and failure.after_s is not None:
            self._wait(failure.after_s, failure)

    def gives_up(self, batch: Batch) -> bool:
        """Return whether the orders of a failed batch are given up: one order, and the service answers others."""
        order_id = batch.order_ids[0]
        if len(batch) > 1 or not self._is_suspect(batch):
            return False
        if order_id in self.given_up_before:
            return self.result.answered > 0
        return self.known[order_id].tries + 1 >= TRIES_OF_AN_ORDER

    def piece_size(self, batch: Batch, failure: Failure) -> int:
        """Return the size of the batches in which the orders of a failed one are sent again at once.

        It is 0 where they wait for the next try, and so do their later changes.
        """
        is_known = batch.order_ids[0] in self.known
        looks_down = self.result.failed_in_a_row > FAILED_BEFORE_A_SPLIT
        if len(batch) > 1 and (is_known or looks_down or isinstance(failure, StopError)):
            return _piece(len(batch))
        self._waiting.update(batch.order_ids)
        if len(batch) == 1:
            self._alone.append((batch, failure))
        self._last = failure
        return 0

    def has_waiting(self, batch: Batch) -> bool:
        """Return whether an earlier change of one of these orders waits for the next try."""
        return bool(self._waiting) and not self._waiting.isdisjoint(batch.order_ids)

    def without_waiting(self, orders: pd.DataFrame) -> pd.DataFrame:
        """Return the orders without those whose earlier change waits for the next try."""
        return orders[~orders["order_id"].isin(list(self._waiting))]

    def unsure(self, *, has_answered: bool) -> list[tuple[Batch, Failure]]:
        """Return the orders that wait, each alone in its failed request, if no further try would tell more of them.

        Args:
            has_answered: whether the service has answered in this run: in an outage of hours the run goes on.
        """
        if len(self._alone) < len(self._waiting):
            return []
        for batch, _ in self._alone:
            known = self.known.get(batch.order_ids[0])
            is_old = has_answered and known is not None and known.tries + 1 >= TRIES_UNTIL_UNSURE
            if batch.order_ids[0] not in self.given_up_before and not is_old:
                return []
        return self._alone

    def raise_if_waiting(self) -> None:
        """Raise the last failure if orders wait for the next try."""
        if self._last:
            error = self._final(self._last)
            if isinstance(error, TryAgainError):
                error.only_failing = len(self._alone) == len(self._waiting)
            raise error

    def _is_suspect(self, batch: Batch) -> bool:
        """Return whether the service has answered others since it failed at these orders in an earlier try."""
        known = self.known.get(batch.order_ids[0])
        answered = self.result.answered > 0
        return batch.order_ids[0] in self.given_up_before or bool(known and (answered or known.others_answered))

    def _wait(self, seconds: float, failure: Failure) -> None:
        """Let the load wait a short time that the service names; raise the failure if it is long."""
        if seconds > LONGEST_WAIT_S or not self.result.delivered:
            raise failure
        self.result.not_before = max(self.result.not_before, time.monotonic() + seconds)

    def _final(self, failure: Failure) -> Failure:
        """Return the error that ends the try: where the service answers others, the next try goes on."""
        if not self.result.answered and not any(each.others_answered for each in self.known.values()):
            return failure
        ids = sorted(self._waiting)
        error = TryAgainError(
            f"{str(failure).rstrip('.')}. It answers other requests. {counted(len(ids), 'order')} not taken "
            f"({named(ids)}); the next try sends these last, in smaller requests.",
            failure.after_s if isinstance(failure, TryAgainError) else None,
        )
        error.is_failure = True
        return error


def _piece(orders: int) -> int:
    return -(-orders // PIECES)
