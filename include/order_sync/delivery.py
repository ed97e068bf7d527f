"""The loop: ready orders are planned against the ledger, batched, sent, and each gets its verdict."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd
import requests

from include.order_sync import http
from include.order_sync.errors import BatchRefusedError, InDoubtError, StopError, TryAgainError
from include.order_sync.ledger.session import LedgerSession
from include.order_sync.plan import Action, plan
from include.order_sync.providers.base import Credentials, Outcome, Provider, Verdict

log = logging.getLogger(__name__)

ORDERS_NAMED_IN_A_MESSAGE = 20


@dataclass(frozen=True)
class Choices:
    """What a destination's configuration and a run's params say about sending.

    Args:
        send_when: what makes an order changed: its code (status), or its payload (content).
        resend_in_doubt: repeat what is in doubt, also where the provider's rule would hold it.
        resend: send unchanged orders too.
    """

    send_when: Literal["status", "content"] = "status"
    resend_in_doubt: bool = False
    resend: bool = False


@dataclass
class Delivered:
    """What has become of the run's orders so far; true at any moment, also when the loop ends in an error.

    Args:
        requests: how many this try has made, whatever became of them.
        orders: how many orders have each outcome: `accepted`, `rejected`, `unchanged`, `stale`, `held`.
        rejected: the rows of orders that this try's answers rejected, with their `reasons`.
        held: ids of orders whose send is in doubt and must not be repeated without a person's word.
        refused_batches: how many batches were refused as a whole.
        complete: whether every order has its verdict, or is held.
    """

    requests: int = 0
    orders: Counter[str] = field(default_factory=Counter)
    rejected: list[pd.DataFrame] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    refused_batches: int = 0
    complete: bool = False

    @property
    def reasons(self) -> Counter[str]:
        """How many orders each reason rejected in this try."""
        return Counter(reason for rows in self.rejected for reasons in rows["reasons"] for reason in reasons)


@dataclass(frozen=True)
class Delivery:
    """Sends ready orders to one account of one service.

    Args:
        provider: whose requests and answers.
        credentials: of the account.
        session: of http.py.
        ledger: the session that holds the destination's lock.
        choices: of the destination and the run.
        delivered: filled while the loop runs.
    """

    provider: Provider
    credentials: Credentials
    session: requests.Session
    ledger: LedgerSession
    choices: Choices = field(default_factory=Choices)
    delivered: Delivered = field(default_factory=Delivered)

    def run(self, parts: Iterable[pd.DataFrame]) -> None:
        """Send what is to be sent of `parts` (READY_COLUMNS of transform.py).

        Raises:
            TryAgainError: a batch was not taken, or is in doubt and may be repeated; later ones were not sent.
            StopError: later ones were not sent, or all were and some are held, or nothing was accepted.
        """
        for batch in batches(self._to_send(parts), self.provider.max_orders):
            self._settle(batch)
        self.delivered.complete = True
        self._judge()

    def _to_send(self, parts: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        """Plan each part, count what is not sent, and yield what is."""
        own = self.ledger.own_verdicts()
        for part in parts:
            held = part["code"].isin(self.provider.held_codes) & (not self.choices.resend_in_doubt)
            orders = part.assign(payload_hash=_hashes(part["payload"]), held_if_in_doubt=held)
            states = self.ledger.states(orders["order_id"].unique().tolist())
            action = plan(orders, states, own, send_when=self.choices.send_when, resend=self.choices.resend)
            self.ledger.advance(orders[action == Action.UNCHANGED].drop_duplicates("order_id", keep="last"))
            self.delivered.held += orders.loc[action == Action.HELD, "order_id"].tolist()
            self.delivered.orders.update(action[action != Action.SEND])
            yield orders[action == Action.SEND]

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
            self.delivered.refused_batches += 1
            verdicts = [Verdict(Outcome.REJECTED, str(refusal))] * len(batch)
        except InDoubtError as doubt:
            self.ledger.conclude(number, "in_doubt", reason=str(doubt))
            if not batch["held_if_in_doubt"].any():
                # These codes set a state, so that sending them twice does no harm.
                raise TryAgainError(f"{doubt}. The batch is in doubt, and sent again.") from None
            log.error("%s. Its %d orders are held: they are not sent again.", doubt, len(batch))
            self.delivered.held += batch["order_id"].tolist()
            self.delivered.orders[Action.HELD] += len(batch)
            return
        except (TryAgainError, StopError) as error:
            self.ledger.conclude(number, "not_taken", reason=str(error))
            raise
        self._record(number, batch, verdicts)

    def _ask(self, batch: pd.DataFrame) -> list[Verdict]:
        request = self.provider.request(self.credentials, batch["payload"].tolist())
        self.delivered.requests += 1
        answer = http.send(self.session, self.credentials.url, request)
        return self.provider.read(answer, batch["order_id"].tolist(), self.credentials)

    def _record(self, number: int, batch: pd.DataFrame, verdicts: list[Verdict]) -> None:
        reasons = {
            order_id: verdict.reason
            for order_id, verdict in zip(batch["order_id"], verdicts, strict=True)
            if verdict.outcome is Outcome.REJECTED
        }
        self.ledger.conclude(number, "answered", rejected=reasons)
        self.delivered.orders[Action.ACCEPTED] += len(batch) - len(reasons)
        if reasons:
            self.delivered.orders[Action.REJECTED] += len(reasons)
            rows = batch[batch["order_id"].isin(reasons)]
            said = rows["order_id"].map(lambda order_id: [reasons[order_id]])
            self.delivered.rejected.append(rows.drop(columns=["payload_hash", "held_if_in_doubt"]).assign(reasons=said))

    def _judge(self) -> None:
        title = self.provider.title
        if self.delivered.held:
            ids = ", ".join(self.delivered.held[:ORDERS_NAMED_IN_A_MESSAGE])
            more = ", ..." if len(self.delivered.held) > ORDERS_NAMED_IN_A_MESSAGE else ""
            raise StopError(
                f"{len(self.delivered.held)} orders are held ({ids}{more}): they were sent, no answer tells whether "
                f"{title} took them, and a second send could mail the customer again. Look them up there."
            )
        if self.delivered.refused_batches and not self.delivered.orders[Action.ACCEPTED]:
            reason = self.delivered.reasons.most_common(1)[0][0]
            raise StopError(f"{title} accepted none of the orders. {reason}")


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


def _hashes(payloads: pd.Series) -> pd.Series:
    """Return a hash of each payload; credentials and signatures are in none."""
    hashes = [hashlib.blake2b(payload.encode(), digest_size=16).digest() for payload in payloads]
    return pd.Series(hashes, index=payloads.index, dtype="object")
