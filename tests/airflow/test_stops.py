"""Tasks that Airflow asks to stop, or ends at their time limit."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from airflow.sdk.exceptions import AirflowTaskTimeout
from order_sync_airflow import operators

from include.order_sync import tuning
from include.order_sync.delivery import http
from include.order_sync.errors import TryAgainError
from include.order_sync.ledger.opening import open_session
from include.order_sync.providers import PROVIDERS
from tests.airflow.shop import Shop, row


@pytest.fixture(autouse=True)
def unraisable(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a stop changes for its own process is as before after each test."""
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The loads that have begun; on SIGTERM the last of them is asked to stop, as by Airflow's task runner."""
    loads: list[Any] = []
    execute = operators.LoadOrdersOperator.execute
    monkeypatch.setattr(
        operators.LoadOrdersOperator, "execute", lambda load, context: (loads.append(load), execute(load, context))[1]
    )
    before = signal.signal(signal.SIGTERM, lambda *_: loads[-1].on_kill())
    yield loads
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("loads")
def test_a_stop_in_mid_request_leaves_nothing_in_doubt(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, entries: Callable[[str], list[Any]]
) -> None:
    """On SIGTERM the request in flight gets its answer, nothing more is sent, and the next run sends the rest."""
    monkeypatch.setitem(PROVIDERS, "yespo", replace(PROVIDERS["yespo"], max_orders=1, by_items={}))
    shop.drop(*(row(str(number), "paid") for number in range(5)))
    send = http.send

    def stopped_send(session: Any, url: str, request: Any, leave: Callable[[], None]) -> Any:
        def leave_first() -> None:
            leave()
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.2)

        return send(session, url, request, leave_first)

    monkeypatch.setattr(http, "send", stopped_send)
    with pytest.raises(TryAgainError, match="asked to stop"):
        shop.run()
    monkeypatch.setattr(http, "send", send)
    assert entries("order_id") == []
    assert shop.run() == {"rows": 5, "orders": 5, "accepted": 4, "unchanged": 1, "requests": 4}


@pytest.mark.parametrize("waits_for", ["another load", "a lost request"])
def test_a_stop_ends_a_load_that_waits(shop: Shop, loads: list[Any], ledger: sa.Engine, waits_for: str) -> None:
    """A load that waits for the lock, or for a lost sender's request, ends at once, and has left nothing in doubt."""
    shop.drop(row("1", "paid"))
    shop.run()
    shop.drop(row("2", "paid"))
    asked: list[float] = []

    def ask() -> None:
        while len(loads) < 2:
            time.sleep(0.05)
        time.sleep(1)  # by then it waits
        asked.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGTERM)

    with open_session(ledger, "ledger", destination=shop.name, run="other", try_number=1) as other:
        if waits_for == "a lost request":
            begun = "insert into batches (destination_id, run, try, orders, begun_at) values (%s, 'other', 1, 0, now())"
            other.connection.execute(begun, (other.sender.destination_id,))
            other.connection.close()
        thread = threading.Thread(target=ask)
        thread.start()
        with pytest.raises(TryAgainError, match="asked to stop"):
            shop.run()
        assert time.monotonic() - asked[0] < 2
        thread.join()
    with ledger.begin() as connection:
        connection.exec_driver_sql("update batches set outcome = 'not_taken' where outcome is null")
    assert shop.run()["accepted"] == 1


def test_a_stop_ends_a_task_that_sends_nothing(shop: Shop) -> None:
    """Extract and transform end at once when Airflow asks them to stop, and are tried again."""
    with pytest.raises(TryAgainError, match="asked to stop"):
        operators.ExtractOrdersOperator(task_id="extract", destination=shop.name).on_kill()


def test_a_stop_while_python_frees_memory_is_not_lost() -> None:
    """Python drops an error that is raised there: the task ends all the same, a moment later."""

    class Freed:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    task = operators.TransformOrdersOperator(task_id="transform", destination="yespo", staged="/nowhere")
    before = signal.signal(signal.SIGTERM, lambda *_: task.on_kill())
    try:
        with pytest.raises(TryAgainError, match="asked to stop"):  # noqa: PT012  (it comes while the task sleeps)
            Freed()
            time.sleep(5)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_load_ends_well_at_its_time_limit(shop: Shop, monkeypatch: pytest.MonkeyPatch, entries: Any) -> None:
    """A load that reaches its limit sends nothing more and leaves nothing in doubt; the next one sends the rest."""
    shop.drop(row("1", "paid"))
    with monkeypatch.context() as short:
        short.setattr(tuning, "LOAD_S", 0)
        with pytest.raises(TryAgainError, match="asked to stop") as stopped:
            shop.run()
    assert stopped.value.counts["requests"] == 0
    assert entries("order_id") == []
    assert shop.run() == {"rows": 1, "orders": 1, "accepted": 1, "requests": 1}


@pytest.mark.parametrize("kind", [operators.ExtractOrdersOperator, operators.LoadOrdersOperator])
def test_a_time_limit_is_told_as_that(kind: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """After its time limit a task is not said to have been asked to stop, and Airflow's time-out stays the error."""
    more = {"staged": "/nowhere"} if kind is operators.LoadOrdersOperator else {}
    task = kind(task_id="task", destination="yespo", **more)
    with pytest.raises(AirflowTaskTimeout):  # noqa: PT012  (as Airflow's runner does)
        try:
            raise AirflowTaskTimeout("Timeout")
        except AirflowTaskTimeout:
            task.on_kill()
            raise
    said = capsys.readouterr().out
    assert "its time limit" in said
    assert "Asked to stop" not in said
