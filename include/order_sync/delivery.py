"""The loop: batches of ready orders go to a service, and each order gets its verdict."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pandas as pd
import requests

from include.order_sync import http
from include.order_sync.errors import BatchRefusedError, InDoubtError, StopError, TryAgainError
from include.order_sync.providers.base import Credentials, Outcome, Provider, Verdict

log = logging.getLogger(__name__)

ORDERS_NAMED_IN_A_MESSAGE = 20


@dataclass
class Delivered:
    """What has become of the orders so far; true at any moment, also when the loop ends in an error.

    Args:
        requests: how many were made, whatever became of them.
        accepted: orders.
        rejected: the rows of rejected orders, with their `reasons`.
        in_doubt: ids of orders that may or may not have been taken, and must not be repeated by themselves.
        refused_batches: how many batches were refused as a whole.
    """

    requests: int = 0
    accepted: int = 0
    rejected: list[pd.DataFrame] = field(default_factory=list)
    in_doubt: list[str] = field(default_factory=list)
    refused_batches: int = 0

    @property
    def reasons(self) -> Counter[str]:
        """How many orders each reason rejected."""
        return Counter(reason for rows in self.rejected for reasons in rows["reasons"] for reason in reasons)


@dataclass(frozen=True)
class Delivery:
    """Sends ready orders to one account of one service.

    Args:
        provider: whose requests and answers.
        credentials: of the account.
        session: of http.py.
        delivered: filled while the loop runs.
    """

    provider: Provider
    credentials: Credentials
    session: requests.Session
    delivered: Delivered = field(default_factory=Delivered)

    def run(self, parts: Iterable[pd.DataFrame]) -> None:
        """Send all the orders of `parts` (READY_COLUMNS of transform.py).

        Raises:
            TryAgainError: a batch was not taken, or is in doubt and may be repeated; later ones were not sent.
            StopError: later ones were not sent, or all were and some are in doubt, or nothing was accepted.
        """
        for batch in batches(parts, self.provider.max_orders):
            self._settle(batch)
        self._judge()

    def _settle(self, batch: pd.DataFrame) -> None:
        """Send one batch until each of its orders has a verdict or is in doubt."""
        try:
            verdicts = self._ask(batch)
        except BatchRefusedError as refusal:
            if self.provider.halve_refused and len(batch) > 1:
                middle = len(batch) // 2
                self._settle(batch.iloc[:middle])
                self._settle(batch.iloc[middle:])
                return
            self.delivered.refused_batches += 1
            verdicts = [Verdict(Outcome.REJECTED, str(refusal))] * len(batch)
        except InDoubtError as doubt:
            if not batch["code"].isin(self.provider.held_codes).any():
                # These codes set a state, so that sending them twice does no harm.
                raise TryAgainError(f"{doubt}. The batch is in doubt, and sent again.") from None
            log.error("%s. Its %d orders are in doubt: they are not sent again.", doubt, len(batch))
            self.delivered.in_doubt += batch["order_id"].tolist()
            return
        self._record(batch, verdicts)

    def _ask(self, batch: pd.DataFrame) -> list[Verdict]:
        request = self.provider.request(self.credentials, batch["payload"].tolist())
        self.delivered.requests += 1
        answer = http.send(self.session, self.credentials.url, request)
        return self.provider.read(answer, batch["order_id"].tolist(), self.credentials)

    def _record(self, batch: pd.DataFrame, verdicts: list[Verdict]) -> None:
        refused = [verdict.outcome is Outcome.REJECTED for verdict in verdicts]
        self.delivered.accepted += len(batch) - sum(refused)
        if any(refused):
            rows = batch[refused]
            reasons = [[verdict.reason] for verdict in verdicts if verdict.outcome is Outcome.REJECTED]
            self.delivered.rejected.append(rows.assign(reasons=pd.Series(reasons, index=rows.index)))

    def _judge(self) -> None:
        title = self.provider.title
        if self.delivered.in_doubt:
            ids = ", ".join(self.delivered.in_doubt[:ORDERS_NAMED_IN_A_MESSAGE])
            raise StopError(
                f"{len(self.delivered.in_doubt)} orders are in doubt ({ids}"
                f"{', ...' if len(self.delivered.in_doubt) > ORDERS_NAMED_IN_A_MESSAGE else ''}): "
                f"they were sent and no answer tells whether {title} took them. Look them up there."
            )
        if self.delivered.refused_batches and not self.delivered.accepted:
            reason = self.delivered.reasons.most_common(1)[0][0]
            raise StopError(f"{title} accepted none of the orders. {reason}")


def batches(parts: Iterable[pd.DataFrame], max_orders: int) -> Iterator[pd.DataFrame]:
    """Yield the orders in batches, none empty, none with an order twice, an order's changes one after the other.

    Args:
        parts: READY_COLUMNS; all changes of an order lie in one part.
        max_orders: the most that a batch may hold.
    """
    waiting: list[pd.DataFrame] = []
    for part in parts:
        for change, orders in part.groupby("change"):
            if change:
                # The orders' earlier changes must have their verdict first.
                yield from _full(waiting, max_orders, last=True)
            waiting.append(orders)
            yield from _full(waiting, max_orders, last=False)
    yield from _full(waiting, max_orders, last=True)


def _full(waiting: list[pd.DataFrame], max_orders: int, *, last: bool) -> Iterator[pd.DataFrame]:
    """Take full batches out of `waiting`, and the rest too if it is the last."""
    if sum(map(len, waiting)) < max_orders and not last:
        return
    orders = pd.concat(waiting, ignore_index=True) if waiting else pd.DataFrame()
    waiting.clear()
    end = len(orders) if last else len(orders) - len(orders) % max_orders
    for start in range(0, end, max_orders):
        yield orders.iloc[start : min(start + max_orders, end)]
    if end < len(orders):
        waiting.append(orders.iloc[end:])
