"""The retry policy after each kind of error."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowTaskTimeout
from order_sync_airflow.retry import OrderSyncRetryPolicy

from include.order_sync import stops
from include.order_sync.errors import BatchRefusedError, InDoubtError, StopError, TryAgainError
from include.order_sync.ledger import schema


@pytest.mark.parametrize(
    ("error", "action", "delay"),
    [
        (StopError(stops.REFUSED_LOGIN, "wrong key"), RetryAction.FAIL, None),
        (TryAgainError("busy"), RetryAction.RETRY, timedelta(minutes=1)),
        (TryAgainError("busy", after_s=7), RetryAction.RETRY, timedelta(seconds=7)),
        (TryAgainError("busy", after_s=0), RetryAction.RETRY, timedelta(seconds=2)),
        (InDoubtError("lost"), RetryAction.RETRY, timedelta(minutes=1)),
        (BatchRefusedError("bad", "a service message"), RetryAction.RETRY, timedelta(minutes=1)),
        (MemoryError(), RetryAction.RETRY, timedelta(minutes=1)),
    ],
    ids=lambda value: repr(value),
)
def test_errors_decide(error, action, delay):
    """A StopError ends the task, a TryAgainError waits as the service or the task says, the rest for a minute."""
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
    first = 60 if after_s is None else 2
    assert waits[:4] == [timedelta(seconds=first * times) for times in (1, 2, 4, 8)]
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


@pytest.mark.parametrize(
    ("run_type", "only_failing", "ends_at"),
    [("scheduled", True, 5), ("manual", True, None), ("scheduled", False, None)],
)
def test_the_last_orders_do_not_hold_up_the_next_run(run_type, only_failing, ends_at):
    """A scheduled run that only has orders left which fail alone ends, and the next one takes them up."""
    error = TryAgainError("HTTP 500")
    error.only_failing = only_failing
    context = {"dag_run": SimpleNamespace(run_type=run_type), "ti": SimpleNamespace(xcom_push=lambda *_: None)}
    decisions = [OrderSyncRetryPolicy().evaluate(error, number, 30, context) for number in range(1, 31)]
    ended = [number for number, each in enumerate(decisions, 1) if each.action == RetryAction.FAIL]
    assert ended[:1] == ([ends_at] if ends_at else [])
    if ends_at:
        assert decisions[ends_at - 1].reason.endswith("the next scheduled run sends them again.")


def test_an_unknown_error_ends_the_task_at_its_third_try():
    """The reason has a code, names the kind of error, and does not quote it."""
    error = ValueError("anna@shop.example")
    decisions = [OrderSyncRetryPolicy().evaluate(error, number, 30) for number in (1, 2, 3)]
    assert [each.action for each in decisions] == [RetryAction.RETRY, RetryAction.RETRY, RetryAction.FAIL]
    assert [each.retry_delay for each in decisions[:2]] == [timedelta(minutes=1), timedelta(minutes=2)]
    assert decisions[0].reason.startswith("OS-955: An unknown error (ValueError)")
    assert "This was try 3" in decisions[2].reason
    assert "anna" not in "".join(each.reason for each in decisions)


@pytest.mark.parametrize("retries", [30, 2, 0])
def test_a_cleared_task_begins_anew(retries):
    """After a clear at its 31st try the delays begin with a minute again, and unknown errors have three tries."""
    context = {"ti": SimpleNamespace(xcom_push=lambda *_: None), "task": SimpleNamespace(retries=retries)}
    policy = OrderSyncRetryPolicy()

    def decided(error, number):
        return policy.evaluate(error, 31 + number, 31 + retries, context)

    assert [decided(TryAgainError("away"), number).retry_delay for number in (1, 2)] == [
        timedelta(minutes=1),
        timedelta(minutes=2),
    ]
    assert [decided(ValueError(), number).action for number in (2, 3)] == [RetryAction.RETRY, RetryAction.FAIL]


def test_a_task_that_hangs_ends_at_its_third_try():
    """The reason says that it was the time limit."""
    policy = OrderSyncRetryPolicy()
    decisions = [policy.evaluate(AirflowTaskTimeout("Timeout"), number, 30) for number in (1, 2, 3)]
    assert [each.action for each in decisions] == [RetryAction.RETRY, RetryAction.RETRY, RetryAction.FAIL]
    assert "time limit" in decisions[1].reason


def test_the_reason_goes_into_the_runs_note():
    """The message of an error is pushed for the note, and an unknown error's own text is not."""
    pushed = []
    context = {"ti": SimpleNamespace(xcom_push=lambda key, value: pushed.append((key, value)))}
    for error in (StopError(stops.REFUSED_LOGIN, "wrong key"), ValueError("anna@shop.example")):
        OrderSyncRetryPolicy().evaluate(error, 1, 30, context)
    assert pushed[0] == ("reason", "OS-902: wrong key")
    assert "ValueError" in pushed[1][1]
    assert "anna" not in pushed[1][1]


def test_a_try_comes_soon_after_a_short_outage_of_the_ledger():
    """A ledger that is away for a minute is tried again after one minute, and then after two."""
    nowhere = sa.create_engine("postgresql+psycopg://order_sync@127.0.0.1:1/ledger")
    delays = []
    for number in (1, 2):
        with pytest.raises(TryAgainError, match="can't be reached") as away, schema.transaction(nowhere, "ledger"):
            pass
        delays.append(OrderSyncRetryPolicy().evaluate(away.value, number, 30).retry_delay)
    assert delays == [timedelta(minutes=1), timedelta(minutes=2)]


def test_policy_survives_serialization():
    """The policy survives the serialization of its DAG."""
    assert isinstance(OrderSyncRetryPolicy.deserialize(OrderSyncRetryPolicy().serialize()), OrderSyncRetryPolicy)
