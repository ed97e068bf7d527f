"""The retry policy after each kind of error."""

from datetime import timedelta

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowTaskTimeout
from order_sync_airflow.retry import OrderSyncRetryPolicy

from include.order_sync.errors import BatchRefusedError, InDoubtError, StopError, TryAgainError


@pytest.mark.parametrize(
    ("error", "action", "delay"),
    [
        (StopError("wrong key"), RetryAction.FAIL, None),
        (TryAgainError("busy"), RetryAction.RETRY, timedelta(minutes=1)),
        (TryAgainError("busy", after_s=7), RetryAction.RETRY, timedelta(seconds=7)),
        (TryAgainError("busy", after_s=0), RetryAction.RETRY, timedelta(seconds=2)),
        (InDoubtError("lost"), RetryAction.DEFAULT, None),
        (BatchRefusedError("bad", "a service message"), RetryAction.DEFAULT, None),
        (MemoryError(), RetryAction.DEFAULT, None),
    ],
    ids=lambda value: repr(value),
)
def test_errors_decide(error, action, delay):
    """A StopError ends the task, a TryAgainError waits as the service or the task says, Airflow handles the rest."""
    decision = OrderSyncRetryPolicy().evaluate(error, try_number=1, max_tries=30)
    assert (decision.action, decision.retry_delay) == (action, delay)


@pytest.mark.parametrize("after_s", [None, 1])
def test_delays_outlast_an_outage_of_a_day(after_s):
    """Delays double up to an hour, whether the service names a short one or none; a long one stays as it is."""
    waits = [
        OrderSyncRetryPolicy().evaluate(TryAgainError("busy", after_s), number, 30).retry_delay
        for number in range(1, 31)
    ]
    assert waits == sorted(waits)
    assert waits[-1] == timedelta(hours=1)
    assert sum(waits, timedelta()) > timedelta(hours=18)
    asked = TryAgainError("busy", after_s=7200)
    assert OrderSyncRetryPolicy().evaluate(asked, 30, 30).retry_delay == timedelta(hours=2)


@pytest.mark.parametrize(("after_s", "delay_s"), [(None, 60), (1, 2), (30, 30)])
def test_progress_starts_the_delays_anew(after_s, delay_s):
    """After a try that delivered something the next one comes as soon as after the first."""
    error = TryAgainError("busy", after_s)
    error.has_progress = True
    assert OrderSyncRetryPolicy().evaluate(error, 20, 30).retry_delay == timedelta(seconds=delay_s)


def test_an_unknown_error_ends_the_task_at_its_third_try():
    """The reason names the kind of error, and does not quote it."""
    error = ValueError("anna@shop.example")
    actions = [OrderSyncRetryPolicy().evaluate(error, number, 30).action for number in (1, 2, 3)]
    assert actions == [RetryAction.DEFAULT, RetryAction.DEFAULT, RetryAction.FAIL]
    reason = OrderSyncRetryPolicy().evaluate(error, 3, 30).reason
    assert "ValueError" in reason
    assert "anna" not in reason


def test_a_task_that_hangs_ends_at_its_third_try():
    """The reason says that it was the time limit."""
    policy = OrderSyncRetryPolicy()
    actions = [policy.evaluate(AirflowTaskTimeout("Timeout"), number, 30).action for number in (1, 2, 3)]
    assert actions == [RetryAction.DEFAULT, RetryAction.DEFAULT, RetryAction.FAIL]
    assert "time limit" in policy.evaluate(AirflowTaskTimeout("Timeout"), 3, 30).reason


def test_policy_survives_serialization():
    """The policy survives the serialization of its DAG."""
    assert isinstance(OrderSyncRetryPolicy.deserialize(OrderSyncRetryPolicy().serialize()), OrderSyncRetryPolicy)
