"""Turns the errors of include/order_sync/errors.py into Airflow's own retries."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import RetryDecision, RetryPolicy
from airflow.sdk.exceptions import AirflowTaskTimeout

from include.order_sync.errors import StopError, TryAgainError

if TYPE_CHECKING:
    from airflow.sdk import Context

LONGEST_DELAY_S = 3600
FIRST_DELAY_S = 60
# The first delay where the service names one: it may say "in a second" all through an outage.
FIRST_FLOOR_S = 2
TRIES_OF_UNKNOWN_ERRORS = 3


class OrderSyncRetryPolicy(RetryPolicy):
    """Fails a task that can't succeed, and delays a retry as long as the service asks.

    Delays double from try to try, so that `retries` last through an outage of a day; a try that delivered something
    starts them anew. A task that dies without an error is retried by its own `retries` and `retry_delay`.
    """

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,  # noqa: ARG002  (Airflow's signature)
        context: Context | None = None,  # noqa: ARG002
    ) -> RetryDecision:
        """Return the decision after `exception`."""
        if isinstance(exception, StopError):
            return RetryDecision.fail(reason=str(exception))
        if isinstance(exception, TryAgainError):
            doublings = 0 if exception.has_progress else try_number - 1
            if exception.after_s is None:
                delay_s = _doubled(FIRST_DELAY_S, doublings)
            else:
                delay_s = max(exception.after_s, _doubled(FIRST_FLOOR_S, doublings))
            return RetryDecision.retry(delay=timedelta(seconds=delay_s), reason=str(exception))
        if try_number >= TRIES_OF_UNKNOWN_ERRORS:
            if isinstance(exception, AirflowTaskTimeout):
                return RetryDecision.fail(reason=f"The task reached its time limit, at try {try_number}.")
            # Its text may quote a row.
            name = type(exception).__name__
            return RetryDecision.fail(reason=f"An unknown error ({name}) at try {try_number}: see the traceback above.")
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """Return the policy's settings for the serialized DAG: it has none."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> OrderSyncRetryPolicy:  # noqa: ARG003
        """Return the policy of a serialized DAG."""
        return cls()


def _doubled(first_s: float, doublings: int) -> float:
    return min(first_s * 2.0**doublings, LONGEST_DELAY_S)
