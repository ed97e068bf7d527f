"""Holds requests back until the pace of their account allows the next one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from include.order_sync.delivery.in_flight import InFlight
from include.order_sync.ledger.session import LedgerSession

log = logging.getLogger(__name__)

# A longer wait is worth a line in the log.
LOGGED_WAIT_S = 10

# A wait notices within this time that the load was asked to end.
STOP_CHECK_S = 0.5


@dataclass(frozen=True)
class Pace:
    """How fast requests may leave to one account, counted over all destinations and workers.

    Args:
        account: the id of its Airflow connection.
        requests_a_second: at most; 0.5 is one request in two seconds.
    """

    account: str
    requests_a_second: float

    def wait_for_slot(
        self, ledger: LedgerSession, in_flight: InFlight, settle: Callable[[], None], is_stopping: Callable[[], bool]
    ) -> None:
        """Reserve a slot for one request, and wait for it.

        Call it before the request's batch is begun: then an end of the load during the wait leaves nothing in doubt.
        Answers that come during the wait are recorded at once, for the same reason.

        Args:
            ledger: the session of the load.
            in_flight: the load's batches in flight.
            settle: takes one answer from `in_flight`, and records it.
            is_stopping: whether the load was asked to end, which ends the wait.
        """
        slot = ledger.reserve_slot(self.account, self.requests_a_second)
        due = time.monotonic() + slot.wait_s
        if slot.wait_s > LOGGED_WAIT_S:
            log.info(
                "The next request waits %.0f s: connection %r may be sent %g requests a second.",
                slot.wait_s,
                self.account,
                self.requests_a_second,
            )
        wait_until(due, ledger, in_flight, settle, is_stopping)


def wait_until(
    due: float,
    ledger: LedgerSession,
    in_flight: InFlight,
    settle: Callable[[], None],
    is_stopping: Callable[[], bool],
) -> None:
    """Wait, and record the answers that come meanwhile.

    Args:
        due: the end of the wait, by time.monotonic().
        ledger: the session of the load.
        in_flight: the load's batches in flight.
        settle: takes one answer from `in_flight`, and records it.
        is_stopping: whether the load was asked to end, which ends the wait.
    """
    while time.monotonic() < due and not is_stopping():
        ledger.write_answers()
        if in_flight.wait(min(due - time.monotonic(), STOP_CHECK_S)):
            settle()
