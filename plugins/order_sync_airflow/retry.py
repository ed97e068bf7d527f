"""Turns the errors of include/order_sync/errors.py into Airflow's own retries."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import RetryDecision, RetryPolicy

from include.order_sync.errors import StopError, TryAgainError

if TYPE_CHECKING:
    from airflow.sdk import Context

LONGEST_FLOOR_S = 3600


class OrderSyncRetryPolicy(RetryPolicy):
    """Fails a task that can't succeed, and delays a retry as long as the service asks.

    Every other error, a crash for instance, is retried by the task's own `retries` and `retry_delay`.
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
            delay = None
            if exception.after_s is not None:
                # A service that always says "in a second" must not use up all retries during an outage.
                delay = timedelta(seconds=max(exception.after_s, min(2**try_number, LONGEST_FLOOR_S)))
            return RetryDecision.retry(delay=delay, reason=str(exception))
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """Return the policy's settings for the serialized DAG: it has none."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> OrderSyncRetryPolicy:  # noqa: ARG003
        """Return the policy of a serialized DAG."""
        return cls()
