"""The running totals of a load, and the rules that stop it."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from include.order_sync import stops, tuning
from include.order_sync.counted import are, counted, named
from include.order_sync.delivery.decision_table import Action
from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.ledger.reasons import OLDER
from include.order_sync.reason import Reason

UNANSWERED_BATCHES_IN_A_ROW = 3
FRUITLESS_REQUESTS = 20
REFUSED_BATCHES_IN_A_ROW = 3

# A service that takes no more for now is waited for within the try: so long at most, and so often without an order that
# it accepts in between. A longer Retry-After is a task retry.
LONGEST_WAIT_S = 120
# An account's limit may be one of an hour: thirty hours with orders in each must not use up thirty retries.
LONGEST_WAIT_FOR_A_LIMIT_S = 3600
WAITS_IN_A_ROW = 3

# The outcome of orders that a run does not send: a plan, or a batch that the service refused as a whole.
NOT_SENT = "not_sent"


@dataclass
class DeliveryResult:
    """Running totals of a load; accurate at any time, also after an error.

    Args:
        requests: how many the run has made; it starts with the batches that earlier tries of the run have begun.
        orders: how many orders have each outcome: an Action but SEND, or NOT_SENT.
        delivered: how many orders this try delivered.
        changes: how many of these orders have each change, as planning.py joins its codes.
        reasons: how many orders this try rejected for each reason.
        stale: how many orders are stale for each reason of stale.py.
        stale_orders: the ids of the first of them.
        held: ids of orders whose send is in doubt and waits for a person.
        unanswered: how many batches in a row got no answer, with the last one of an earlier try.
        fruitless: how many requests were answered without one accepted order.
        answered: how many requests of this try got an answer: the service is up.
        not_judged: ids of orders that this run is the first not to send: the service refused their whole batch.
        refused_in_a_row: how many batches it refused since the last accepted or judged order.
        refusal: the last refusal, fit for a log.
        failing: ids of orders that this run is the first to give up: the service fails at them and takes others.
        failed: how many requests of this try have failed, where one of the orders may be the cause.
        failed_in_a_row: how many of these came since the last answer.
        not_before: the time, by time.monotonic(), before which the service takes no request.
        waits_in_a_row: how often the load has waited for that since the last accepted order.
        answers: how many requests of this try have ended.
        answering_s: the seconds between their leaving and their end.
        complete: whether every order has its verdict, is held, or waits for a redrive.
    """

    requests: int = 0
    orders: Counter[str] = field(default_factory=Counter)
    delivered: int = 0
    changes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    stale: Counter[str] = field(default_factory=Counter)
    stale_orders: dict[str, list[str]] = field(default_factory=dict)
    held: list[str] = field(default_factory=list)
    unanswered: int = 0
    fruitless: int = 0
    answered: int = 0
    not_judged: list[str] = field(default_factory=list)
    refused_in_a_row: int = 0
    refusal: str = ""
    failing: list[str] = field(default_factory=list)
    failed: int = 0
    failed_in_a_row: int = 0
    not_before: float = 0.0
    waits_in_a_row: int = 0
    answers: int = 0
    answering_s: float = 0.0
    complete: bool = False

    @property
    def request_s(self) -> float | None:
        """The seconds that a request of this try took on average; None without any."""
        return self.answering_s / self.answers if self.answers else None

    @property
    def code_changes(self) -> dict[tuple[str | None, str], int]:
        """How many orders this try delivered by the code that the service had, None without one, and the new one."""
        split = ((change.split("\t"), orders) for change, orders in self.changes.items())
        return {(before or None, code): orders for (before, code), orders in split}

    @property
    def stale_changed(self) -> int:
        """The number of stale orders whose row has changed in the source."""
        return self.stale.total() - self.stale[OLDER]


def may_wait(result: DeliveryResult, error: TryAgainError) -> bool:
    """Return whether the load waits as long as the service asks, and sets `not_before`; otherwise the task retries.

    It waits in a try that has delivered something: an account's limit must use up no retry.

    Args:
        result: of the load.
        error: the service's answer: it took nothing.
    """
    after_s = tuning.UNNAMED_WAIT_S if error.after_s is None and error.is_limit else error.after_s
    longest_s = LONGEST_WAIT_FOR_A_LIMIT_S if error.is_limit else LONGEST_WAIT_S
    if after_s is None or after_s > longest_s or error.is_failure or not result.delivered:
        return False
    now = time.monotonic()
    if now >= result.not_before:  # requests that were in flight at once share one wait
        result.waits_in_a_row += 1
    if result.waits_in_a_row > WAITS_IN_A_ROW:
        return False
    result.not_before = max(result.not_before, now + max(after_s, 1))
    return True


def stop_if_unanswered(result: DeliveryResult, title: str, after_s: float | None) -> None:
    """Raise TryAgainError if the service seems to be down: a batch got no answer, and neither did the probes after it.

    Args:
        result: of the load.
        title: the service's.
        after_s: seconds to wait, where the service has named them.
    """
    if result.unanswered >= UNANSWERED_BATCHES_IN_A_ROW:
        raise TryAgainError(
            f"{title} gave no answer {UNANSWERED_BATCHES_IN_A_ROW} times in a row. "
            "These orders are held; the others were not sent, and are tried again.",
            after_s=after_s,
        )


def stop_if_fruitless(result: DeliveryResult, title: str) -> None:
    """Raise StopError if the service accepts nothing: then the fault is the account or our release, not the orders.

    Args:
        result: of the load.
        title: the service's.
    """
    if result.fruitless >= FRUITLESS_REQUESTS and not result.orders[Action.ACCEPTED]:
        raise StopError(
            stops.ACCEPTS_NOTHING,
            f"{title} accepted nothing, and rejected {counted(result.orders[Action.REJECTED], 'order')} in this try ("
            f"{counted(result.requests, 'request')} of this run): {result.reasons.most_common(1)[0][0]}. "
            "The others were not sent. Look at the account. If it was the cause, trigger a redrive of those that are "
            "rejected (DAG order_sync_redrive).",
        )


def stop_if_all_refused(result: DeliveryResult, title: str) -> None:
    """Raise StopError if the service refuses batch after batch: then it refuses the account, not the orders.

    Args:
        result: of the load.
        title: the service's.
    """
    if result.refused_in_a_row >= REFUSED_BATCHES_IN_A_ROW:
        raise StopError(
            stops.REFUSES_ALL,
            f"{result.refusal}, {REFUSED_BATCHES_IN_A_ROW} times in a row. Nothing of these batches was taken, and the "
            f"others were not sent. Look at the account at {title}: is the feature switched on, are login and password "
            "right? Then trigger a redrive of this destination (DAG order_sync_redrive) and the next run.",
        )


def stop_at_the_end(result: DeliveryResult, held: list[str], title: str) -> None:
    """Raise StopError if a load has held orders that were not held before, or if orders wait for a redrive.

    Args:
        result: of the load.
        held: ids of the orders that this run is the first to hold.
        title: the service's.
    """
    found: list[tuple[Reason, str]] = []
    if held:
        said = (
            f"{are(len(held), 'order')} held ({named(held)}): each was sent, no answer tells whether {title} "
            "took it, and a second send could mail the customer again. Look each up there, and trigger the DAG "
            "order_sync_redrive with a `decision`."
        )
        found.append((stops.NEWLY_HELD, said))
    if result.not_judged:
        refusal = result.refusal or f"{title} refused their whole batch"
        said = (
            f"{are(len(result.not_judged), 'order')} not sent: {refusal}, and named no "
            "order. The quarantine has the rows. Look at the account and at them, then trigger a redrive (DAG "
            "order_sync_redrive)."
        )
        found.append((stops.NOT_JUDGED_BATCHES, said))
    if result.failing:
        said = (
            f"{are(len(result.failing), 'order')} not sent ({named(result.failing)}): "
            f"{title} fails at each request with such an order, and takes the others. The quarantine has the rows. "
            "Look at them, or ask the service's support; then trigger a redrive (DAG order_sync_redrive)."
        )
        found.append((stops.FAILING_ORDERS, said))
    if found:
        (first, message), *others = found
        raise StopError(first, " ".join([message, *(f"{reason.code}: {said}" for reason, said in others)]))
