"""The retry policy after each kind of error."""

from datetime import timedelta

import pytest
from airflow.sdk import RetryAction
from order_sync_airflow.retry import OrderSyncRetryPolicy

from include.order_sync.errors import BatchRefusedError, InDoubtError, StopError, TryAgainError


@pytest.mark.parametrize(
    ("error", "action", "delay"),
    [
        (StopError("wrong key"), RetryAction.FAIL, None),
        (TryAgainError("busy"), RetryAction.RETRY, None),
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


def test_a_service_that_says_soon_does_not_use_up_all_tries():
    """Short waits grow with the tries, so that they last through an outage of a day; long waits stay as they are."""
    waits = [
        OrderSyncRetryPolicy().evaluate(TryAgainError("busy", after_s=1), number, 30).retry_delay
        for number in range(1, 31)
    ]
    assert sum(waits, timedelta()) > timedelta(hours=18)
    asked = TryAgainError("busy", after_s=7200)
    assert OrderSyncRetryPolicy().evaluate(asked, 30, 30).retry_delay == timedelta(hours=2)


def test_policy_survives_serialization():
    """The policy survives the serialization of its DAG."""
    assert isinstance(OrderSyncRetryPolicy.deserialize(OrderSyncRetryPolicy().serialize()), OrderSyncRetryPolicy)
