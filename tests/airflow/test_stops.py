"""Tasks that Airflow asks to stop, or ends at their time limit."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowTaskTimeout
from order_sync_airflow import operators

from include.order_sync import tuning
from include.order_sync.delivery import http
from include.order_sync.errors import TryAgainError
from include.order_sync.providers import PROVIDERS
from tests.airflow.shop import Shop, row


def test_a_stop_in_mid_request_leaves_nothing_in_doubt(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, entries: Callable[[str], list[Any]]
) -> None:
    """On SIGTERM the request in flight gets its answer, nothing more is sent, and the next run sends the rest."""
    monkeypatch.setitem(PROVIDERS, "yespo", replace(PROVIDERS["yespo"], max_orders=1, by_items={}))
    shop.drop(*(row(str(number), "paid") for number in range(5)))
    on_kill = operators.LoadOrdersOperator.on_kill
    loads: list[Any] = []
    monkeypatch.setattr(operators.LoadOrdersOperator, "pre_execute", lambda *_: None)
    execute = operators.LoadOrdersOperator.execute
    monkeypatch.setattr(
        operators.LoadOrdersOperator, "execute", lambda load, context: (loads.append(load), execute(load, context))[1]
    )
    send = http.send

    def stopped_send(session: Any, url: str, request: Any, leave: Callable[[], None]) -> Any:
        def leave_first() -> None:
            leave()
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.2)

        return send(session, url, request, leave_first)

    before = signal.signal(signal.SIGTERM, lambda *_: on_kill(loads[-1]))  # as Airflow's task runner does
    try:
        monkeypatch.setattr(http, "send", stopped_send)
        with pytest.raises(TryAgainError, match="asked to stop"):
            shop.run()
    finally:
        signal.signal(signal.SIGTERM, before)
    monkeypatch.setattr(http, "send", send)
    assert entries("order_id") == []
    assert shop.run() == {"rows": 5, "orders": 5, "accepted": 4, "unchanged": 1, "requests": 4}


def test_a_stop_ends_a_task_that_sends_nothing(shop: Shop) -> None:
    """Extract and transform end at once when Airflow asks them to stop, and are tried again."""
    with pytest.raises(TryAgainError, match="asked to stop"):
        operators.ExtractOrdersOperator(task_id="extract", destination=shop.name).on_kill()


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
