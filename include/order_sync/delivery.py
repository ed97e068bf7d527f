"""The loop: ready orders are planned against the ledger, batched, sent, and each gets its verdict."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import pandas as pd
import requests

from include.order_sync import http
from include.order_sync.errors import BatchRefusedError, InDoubtError, StopError, TryAgainError
from include.order_sync.ledger.quarantine import HELD_REASON
from include.order_sync.ledger.sealing import Entry
from include.order_sync.ledger.session import LedgerSession
from include.order_sync.plan import Action
from include.order_sync.planner import Choices, Planner
from include.order_sync.providers.base import Credentials, Outcome, Provider, Verdict

log = logging.getLogger(__name__)

ORDERS_NAMED_IN_A_MESSAGE = 20
UNANSWERED_IN_A_ROW = 3
FRUITLESS_REQUESTS = 20


@dataclass
class Delivered:
    """What has become of the run's orders so far; true at any moment, also when the loop ends in an error.

    Args:
        requests: how many the run has made, whatever became of them: it begins with the batches that the run's earlier
            tries have written down.
        orders: how many orders have each outcome: `accepted`, `rejected`, `unchanged`, `stale`, `held`.
        reasons: how many orders each reason rejected in this try.
        held: ids of orders whose send is in doubt and must not be repeated without a person's word.
        unanswered: how many batches in a row have brought no answer.
        fruitless: how many requests were answered without one order being accepted.
        complete: whether every order has its verdict, or is held.
    """

    requests: int = 0
    orders: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    held: list[str] = field(default_factory=list)
    unanswered: int = 0
    fruitless: int = 0
    complete: bool = False


@dataclass(frozen=True)
class Delivery:
    """Sends ready orders to one account of one service.

    Args:
        provider: whose requests and answers.
        credentials: of the account.
        session: of http.py.
        ledger: the session that holds the destination's lock.
        seal: orders, and a reason and the service's words each -> their rows, for the quarantine.
        choices: of the destination and the run.
        delivered: filled while the loop runs.
    """

    provider: Provider
    credentials: Credentials
    session: requests.Session
    ledger: LedgerSession
    seal: Callable[[pd.DataFrame, Sequence[str], Sequence[str]], list[Entry]]
    choices: Choices = field(default_factory=Choices)
    delivered: Delivered = field(default_factory=Delivered)

    def run(self, parts: Iterable[pd.DataFrame]) -> None:
        """Send what is to be sent of `parts` (READY_COLUMNS of transform.py).

        Raises:
            TryAgainError: a batch was not taken, or is in doubt and may be repeated; later ones were not sent.
            StopError: later ones were not sent, or all were and some are held.
        """
        behind: list[pd.DataFrame] = []
        for batch in batches(self._to_send(parts, behind), self.provider.max_orders):
            self._settle(batch)
        for unchanged in behind:
            self.ledger.advance(unchanged)
        self.delivered.complete = True
        self._judge()

    def _to_send(self, parts: Iterable[pd.DataFrame], behind: list[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        """Plan each part, count what is not sent, and yield what is.

        What is unchanged against a change that has yet to be sent goes to `behind`: the ledger may learn of it only
        after that one.
        """
        planner = Planner(self.provider, self.ledger, self.choices)
        for part in parts:
            orders, action = planner.plan(part)
            send = action == Action.SEND
            unchanged = orders[action == Action.UNCHANGED].drop_duplicates("order_id", keep="last")
            later = unchanged["order_id"].isin(orders.loc[send, "order_id"])
            self.ledger.advance(unchanged[~later])
            behind.append(unchanged[later].drop(columns="payload"))
            self._hold(orders[action == Action.HELD])
            self.delivered.orders.update(action[~action.isin([Action.SEND, Action.HELD])])
            yield orders[send]

    def _settle(self, batch: pd.DataFrame) -> None:
        """Send one batch until each of its orders has a verdict or is in doubt."""
        number = self.ledger.intend(batch)
        try:
            verdicts = self._ask(batch)
        except BatchRefusedError as refusal:
            if self.provider.halve_refused and len(batch) > 1:
                self.ledger.conclude(number, "not_taken", reason=str(refusal))
                middle = len(batch) // 2
                self._settle(batch.iloc[:middle])
                self._settle(batch.iloc[middle:])
                return
            verdicts = [Verdict(Outcome.REJECTED, str(refusal), refusal.words)] * len(batch)
        except InDoubtError as doubt:
            self.ledger.conclude(number, "in_doubt", reason=str(doubt))
            if not batch["held_if_in_doubt"].any():
                # These codes set a state, so that sending them twice does no harm.
                raise TryAgainError(f"{doubt}. The batch is in doubt, and sent again.") from None
            log.error("%s. Its %d orders are held: they are not sent again.", doubt, len(batch))
            self._hold(batch)
            self._refuse_to_go_on_unanswered()
            return
        except (TryAgainError, StopError) as error:
            self.ledger.conclude(number, "not_taken", reason=str(error))
            raise
        self._record(number, batch, verdicts)

    def _ask(self, batch: pd.DataFrame) -> list[Verdict]:
        request = self.provider.request(self.credentials, batch["payload"].tolist())
        self.delivered.requests += 1
        answer = http.send(self.session, self.credentials.url, request)
        try:
            return self.provider.read(answer, batch["order_id"].tolist(), self.credentials)
        except (ValueError, TypeError, RecursionError) as error:
            # No answer may bring the reader down: the batch could have been taken.
            title = self.provider.title
            raise InDoubtError(f"{title} gave an answer that can't be read ({type(error).__name__})") from None

    def _record(self, number: int, batch: pd.DataFrame, verdicts: list[Verdict]) -> None:
        self.delivered.unanswered = 0
        refused = [verdict.outcome is Outcome.REJECTED for verdict in verdicts]
        rows, said = batch[refused], [verdict for verdict in verdicts if verdict.outcome is Outcome.REJECTED]
        reasons = [verdict.reason for verdict in said]
        entries = self.seal(rows, reasons, [verdict.words for verdict in said])
        rejected = dict(zip(rows["order_id"], reasons, strict=True))
        self.ledger.conclude(number, "answered", rejected=rejected, entries=entries)
        if len(rows) < len(batch):
            self.delivered.orders[Action.ACCEPTED] += len(batch) - len(rows)
        if len(rows):
            self.delivered.orders[Action.REJECTED] += len(rows)
            self.delivered.reasons.update(reasons)
        if len(rows) == len(batch):
            self._refuse_to_go_on_rejected()

    def _hold(self, orders: pd.DataFrame) -> None:
        """Keep the rows of held orders, so that a person's decision can send them again."""
        if orders.empty:
            return
        self.ledger.quarantine(self.seal(orders, [HELD_REASON] * len(orders), [""] * len(orders)))
        self.delivered.held += orders["order_id"].tolist()
        self.delivered.orders[Action.HELD] += len(orders)

    def _judge(self) -> None:
        """Stop for the orders that are still held: a newer change may have resolved others since."""
        states = self.ledger.states(self.delivered.held)
        held = sorted(states.loc[states["verdict"] == Action.HELD, "order_id"])
        if held:
            ids = ", ".join(held[:ORDERS_NAMED_IN_A_MESSAGE])
            more = ", ..." if len(held) > ORDERS_NAMED_IN_A_MESSAGE else ""
            raise StopError(
                f"{len(held)} orders are held ({ids}{more}): they were sent, no answer tells whether "
                f"{self.provider.title} took them, and a second send could mail the customer again. Look them up there."
            )

    def _refuse_to_go_on_unanswered(self) -> None:
        """A service that answers nothing is down: each further batch would be held too."""
        self.delivered.unanswered += 1
        if self.delivered.unanswered == UNANSWERED_IN_A_ROW:
            raise TryAgainError(
                f"{UNANSWERED_IN_A_ROW} batches in a row got no answer from {self.provider.title}. "
                "Their orders are held; the others were not sent, and are tried again."
            )

    def _refuse_to_go_on_rejected(self) -> None:
        """A service that accepts nothing at all refuses the account or our release, not these orders."""
        self.delivered.fruitless += 1
        if self.delivered.fruitless >= FRUITLESS_REQUESTS and not self.delivered.orders[Action.ACCEPTED]:
            raise StopError(
                f"{self.provider.title} accepted nothing in {FRUITLESS_REQUESTS} requests: "
                f"{self.delivered.reasons.most_common(1)[0][0]}. The others were not sent. Look at the account."
            )


def batches(parts: Iterable[pd.DataFrame], max_orders: int) -> Iterator[pd.DataFrame]:
    """Yield the orders in batches, none empty, none with an order twice, an order's changes one after the other.

    Args:
        parts: `order_id` and what else an order carries; all changes of an order lie in one part, in order.
        max_orders: the most that a batch may hold.
    """
    waiting: list[pd.DataFrame] = []
    for part in parts:
        for change, orders in part.groupby(part.groupby("order_id").cumcount()):
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
