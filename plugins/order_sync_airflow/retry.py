"""Turns the errors of include/order_sync/errors.py into Airflow's own retries."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import RetryDecision, RetryPolicy
from airflow.sdk.exceptions import AirflowTaskTimeout

from include.order_sync import stops
from include.order_sync.errors import BatchRefusedError, InDoubtError, OrderSyncError, StopError, TryAgainError
from include.order_sync.reason import Reason
from order_sync_airflow import run_figures

if TYPE_CHECKING:
    from airflow.sdk import Context

LONGEST_DELAY_S = 3600
FIRST_DELAY_S = 60
# The first delay where the service names one: it may say "in a second" all through an outage.
FIRST_FLOOR_S = 2
TRIES_OF_UNKNOWN_ERRORS = 3
# A scheduled run ends after so many tries if only orders are left that failed alone: it would hold up the next run,
# which reads them again, beside others that tell whether the service is down.
TRIES_OF_THE_LAST_ORDERS = 5

# Errors that end a try and have no code of their own.
KINDS: dict[type[BaseException], Reason] = {
    TryAgainError: stops.TRY_AGAIN,
    InDoubtError: stops.IN_DOUBT,
    BatchRefusedError: stops.REFUSED_BATCH,
    AirflowTaskTimeout: stops.TIME_LIMIT,
}


def try_since_clear(try_number: int, max_tries: int, context: Context | None) -> int:
    """Return the number of a try, from 1, since a person has cleared the task: Airflow goes on counting.

    A clear adds the task's retries to the tries that there were.
    """
    task = (context or {}).get("task")
    before = max_tries - (task.retries or 0) if task else 0
    return try_number - max(before, 0)


def is_scheduled(context: Context | None) -> bool:
    """Return whether a later scheduled run takes up what this run has left."""
    run = (context or {}).get("dag_run")
    return bool(run and run.run_type == "scheduled")


def decide(error: BaseException, try_number: int, *, scheduled: bool) -> RetryDecision:
    """Return the decision after an error.

    Args:
        error: of the try.
        try_number: counted since the last clear.
        scheduled: whether the run is a scheduled one.
    """
    if isinstance(error, StopError):
        # Without a reason, which Airflow would log below the same message.
        return RetryDecision.fail()
    doublings = try_number - 1
    delay_s = _doubled(FIRST_DELAY_S, doublings)
    if isinstance(error, TryAgainError):
        if error.only_failing and scheduled and try_number >= TRIES_OF_THE_LAST_ORDERS:
            return RetryDecision.fail(reason="Only these orders are left, and the next scheduled run sends them again.")
        doublings = 0 if error.has_progress else doublings
        delay_s = _doubled(FIRST_DELAY_S, doublings)
        if error.after_s is not None:
            delay_s = max(error.after_s, _doubled(FIRST_FLOOR_S, doublings))
    elif try_number >= TRIES_OF_UNKNOWN_ERRORS:
        return RetryDecision.fail(reason=f"This was try {try_number}, the last one of an error that is not known.")
    return RetryDecision.retry(delay=timedelta(seconds=delay_s), reason=message_of(error))


def message_of(error: BaseException) -> str:
    """Return what a person may read of an error, in a log or a note: others than ours may quote a row."""
    code = next((reason.code for kind, reason in KINDS.items() if isinstance(error, kind)), stops.UNKNOWN_ERROR.code)
    if isinstance(error, StopError):  # it begins with a code of its own
        return str(error)
    if isinstance(error, OrderSyncError):
        return f"{code}: {error}"
    if isinstance(error, AirflowTaskTimeout):
        return f"{code}: The task reached its time limit, so something hangs: look at the last lines of its log."
    return f"{code}: An unknown error ({type(error).__name__}): see the traceback in the task's log, and report it."


class OrderSyncRetryPolicy(RetryPolicy):
    """Fails a task that can't succeed, and delays a retry as long as the service asks.

    Delays double from try to try, so that `retries` last through an outage of a day; a try that delivered something
    starts them anew. A task that dies without an error is retried by its own `retries` and `retry_delay`.
    """

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,
        context: Context | None = None,
    ) -> RetryDecision:
        """Return the decision after `exception`, and push its message for the run's note."""
        if context:
            run_figures.push_reason(context, message_of(exception))
        return decide(exception, try_since_clear(try_number, max_tries, context), scheduled=is_scheduled(context))

    def serialize(self) -> dict[str, Any]:
        """Return the policy's settings for the serialized DAG: it has none."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> OrderSyncRetryPolicy:  # noqa: ARG003
        """Return the policy of a serialized DAG."""
        return cls()


def _doubled(first_s: float, doublings: int) -> float:
    return min(first_s * 2.0**doublings, LONGEST_DELAY_S)
