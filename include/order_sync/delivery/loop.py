"""The loop: ready orders are planned against the ledger, batched, sent, and each gets its verdict."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pandas as pd
import requests

from include.order_sync.delivery import http
from include.order_sync.delivery.batching import Batch, LedgerWrites, batches_of, sizes_of
from include.order_sync.delivery.decision_table import Action
from include.order_sync.delivery.in_flight import InFlight
from include.order_sync.delivery.planning import PartPlan, Planner, SendOptions
from include.order_sync.errors import BatchRefusedError, InDoubtError, StopError, TryAgainError
from include.order_sync.ledger.encrypted_rows import QuarantineEntry
from include.order_sync.ledger.quarantine import HELD_REASON
from include.order_sync.ledger.session import LedgerSession
from include.order_sync.prefetch import prefetch
from include.order_sync.providers.base import Credentials, Outcome, Provider, Verdict

log = logging.getLogger(__name__)

ORDERS_NAMED_IN_A_MESSAGE = 20
UNANSWERED_IN_A_ROW = 3
FRUITLESS_REQUESTS = 20


@dataclass
class DeliveryResult:
    """What has become of the run's orders so far; true at any moment, also when the loop ends in an error.

    Args:
        requests: how many the run has made, whatever became of them: it begins with the batches that the run's earlier
            tries have begun.
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
        encrypt: orders, and a reason and the service's message each -> their rows, for the quarantine.
        send_options: of the destination and the run.
        result: filled while the loop runs.
        connections: how many requests may be under way at once.
    """

    provider: Provider
    credentials: Credentials
    session: requests.Session
    ledger: LedgerSession
    encrypt: Callable[[pd.DataFrame, Sequence[str], Sequence[str]], list[QuarantineEntry]]
    send_options: SendOptions = field(default_factory=SendOptions)
    result: DeliveryResult = field(default_factory=DeliveryResult)
    connections: int = 1

    def run(self, parts: Iterable[pd.DataFrame]) -> None:
        """Send what is to be sent of `parts` (READY_COLUMNS of transform.py).

        Raises:
            TryAgainError: a batch was not taken, or is in doubt and may be repeated; later ones were not sent.
            StopError: later ones were not sent, or all were and some are held.
        """
        recheck: list[pd.DataFrame] = []
        self._deliver(parts, recheck)
        # What looked unchanged beside a change that was to be sent first: now it shows whether it is.
        self.result.orders[Action.UNCHANGED] -= sum(map(len, recheck))
        self._deliver(recheck, [])
        self.ledger.resolve_delivered()
        self.result.orders += Counter()  # without those of which there are none
        self.result.complete = True
        self._judge()

    def _deliver(self, parts: Iterable[pd.DataFrame], recheck: list[pd.DataFrame]) -> None:
        """Plan parts, write batches down, and send them: while one is under way, the next lots are made ready.

        What is to be looked at again goes to `recheck`.
        """
        planner = Planner(self.provider, self.ledger.look_ahead, self.send_options)
        halves: deque[Batch] = deque()
        with InFlight(self._ask, self.connections) as in_flight:
            try:
                for planned, lot in prefetch(self._written_down(prefetch(planner.plans(parts)))):
                    if planned:
                        recheck.append(planned.recheck)
                        self._note(planned)
                    for batch in lot:
                        self._make_way(batch, in_flight, halves)
                        self._send(batch, in_flight)
                self._make_way(None, in_flight, halves)
            except BaseException:  # also Airflow's request to end: what is under way would be in doubt
                self._settle_what_has_left(in_flight)
                raise

    def _written_down(self, planned_parts: Iterable[PartPlan]) -> Iterator[tuple[PartPlan | None, list[Batch]]]:
        """Yield each part as it was planned, and the batches of its orders, by lots."""
        lots = LedgerWrites(self.provider.max_orders)
        for planned in planned_parts:
            yield planned, []
            for lot in lots.of(planned.to_send):
                yield None, self._write(lot, self.provider.max_orders)
        for lot in lots.rest():
            yield None, self._write(lot, self.provider.max_orders)

    def _write(self, orders: pd.DataFrame, size: int) -> list[Batch]:
        """Write orders down in batches of this size, and return these."""
        return batches_of(orders, self.ledger.look_ahead.write(orders, sizes_of(orders, size)), size)

    def _note(self, planned: PartPlan) -> None:
        """Count and remember what is not sent of a part."""
        self.ledger.advance(planned.newer)
        self._hold(planned.held)
        self.result.orders.update(planned.outcomes)

    def _make_way(self, batch: Batch | None, in_flight: InFlight, halves: deque[Batch]) -> None:
        """Settle what must be settled before `batch` may leave, or all if there is none; halves leave first."""
        while halves or (len(in_flight) if batch is None else not in_flight.has_place_for(batch)):
            if halves and in_flight.has_place_for(halves[0]):
                self._send(halves.popleft(), in_flight)
            else:
                halves.extend(self._settle(in_flight))
        if batch is None:
            self.ledger.write_answers()

    def _send(self, batch: Batch, in_flight: InFlight) -> None:
        self.ledger.begin(batch.number)
        self.result.requests += 1
        in_flight.send(batch)

    def _settle(self, in_flight: InFlight) -> list[Batch]:
        """Wait for one answer, write down what became of its batch, and return its halves if they are to be sent."""
        self.ledger.write_answers()  # this waits, and they would be in doubt if it were the end
        batch, answer = in_flight.take()
        try:
            verdicts = answer.result()
        except BatchRefusedError as refusal:
            if self.provider.halve_refused and len(batch) > 1:
                self.ledger.conclude(batch.number, "not_taken", reason=str(refusal))
                return self._write(batch.orders, (len(batch) + 1) // 2)
            verdicts = [Verdict(Outcome.REJECTED, str(refusal), refusal.service_message)] * len(batch)
        except InDoubtError as doubt:
            self.ledger.conclude(batch.number, "in_doubt", reason=str(doubt))
            if not batch.orders["held_if_in_doubt"].any():
                # These codes set a state, so that sending them twice does no harm.
                raise TryAgainError(f"{doubt}. The batch is in doubt, and sent again.") from None
            log.error("%s. Its %d orders are held: they are not sent again.", doubt, len(batch))
            self._hold(batch.orders)
            self._refuse_to_go_on_unanswered()
            return []
        except (TryAgainError, StopError) as error:
            self.ledger.conclude(batch.number, "not_taken", reason=str(error))
            raise
        self._record(batch, verdicts)
        return []

    def _settle_what_has_left(self, in_flight: InFlight) -> None:
        """Write down what becomes of the batches under way, though the first failure has ended the run."""
        while in_flight:
            with suppress(Exception):
                self._settle(in_flight)
        with suppress(Exception):
            self.ledger.write_answers()

    def _ask(self, batch: Batch) -> list[Verdict]:
        """Ask the service, in a thread of its own: nothing is written down here."""
        request = self.provider.request(self.credentials, batch.payloads)
        answer = http.send(self.session, self.credentials.url, request)
        try:
            return self.provider.read(answer, batch.order_ids, self.credentials)
        except (ValueError, TypeError, RecursionError) as error:
            # No answer may bring the reader down: the batch could have been taken.
            title = self.provider.title
            raise InDoubtError(f"{title} gave an answer that can't be read ({type(error).__name__})") from None

    def _record(self, batch: Batch, verdicts: list[Verdict]) -> None:
        self.result.unanswered = 0
        refused = [verdict.outcome is Outcome.REJECTED for verdict in verdicts]
        if any(refused):
            self._reject(batch.number, batch.orders[refused], [v for v in verdicts if v.outcome is Outcome.REJECTED])
        else:
            self.ledger.answered(batch.number)
        if all(refused):
            self._refuse_to_go_on_rejected()
        else:
            self.result.orders[Action.ACCEPTED] += refused.count(False)

    def _reject(self, number: int, orders: pd.DataFrame, verdicts: Sequence[Verdict]) -> None:
        reasons = [verdict.reason for verdict in verdicts]
        rejected = dict(zip(orders["order_id"], reasons, strict=True))
        try:
            entries = self.encrypt(orders, reasons, [verdict.service_message for verdict in verdicts])
        except Exception:
            # Without its rows, but not without its answer: it would be in doubt.
            self.ledger.conclude(number, "answered", rejected=rejected)
            raise
        self.ledger.conclude(number, "answered", rejected=rejected, entries=entries)
        self.result.orders[Action.REJECTED] += len(orders)
        self.result.reasons.update(reasons)

    def _hold(self, orders: pd.DataFrame) -> None:
        """Keep the rows of held orders, so that a person's decision can send them again."""
        if orders.empty:
            return
        self.ledger.quarantine(self.encrypt(orders, [HELD_REASON] * len(orders), [""] * len(orders)))
        self.result.held += orders["order_id"].tolist()
        self.result.orders[Action.HELD] += len(orders)

    def _judge(self) -> None:
        """Stop for the orders that are still held: a newer change may have resolved others since."""
        held = self.ledger.still_held(self.result.held)
        if held:
            ids = ", ".join(held[:ORDERS_NAMED_IN_A_MESSAGE])
            more = ", ..." if len(held) > ORDERS_NAMED_IN_A_MESSAGE else ""
            raise StopError(
                f"{len(held)} orders are held ({ids}{more}): they were sent, no answer tells whether "
                f"{self.provider.title} took them, and a second send could mail the customer again. Look them up there."
            )

    def _refuse_to_go_on_unanswered(self) -> None:
        """A service that answers nothing is down: each further batch would be held too."""
        self.result.unanswered += 1
        if self.result.unanswered == UNANSWERED_IN_A_ROW:
            raise TryAgainError(
                f"{UNANSWERED_IN_A_ROW} batches in a row got no answer from {self.provider.title}. "
                "Their orders are held; the others were not sent, and are tried again."
            )

    def _refuse_to_go_on_rejected(self) -> None:
        """A service that accepts nothing at all refuses the account or our release, not these orders."""
        self.result.fruitless += 1
        if self.result.fruitless >= FRUITLESS_REQUESTS and not self.result.orders[Action.ACCEPTED]:
            raise StopError(
                f"{self.provider.title} accepted nothing in {FRUITLESS_REQUESTS} requests: "
                f"{self.result.reasons.most_common(1)[0][0]}. The others were not sent. Look at the account."
            )
