"""An order at which the service fails, from its first run to its redrive, by the operators."""

import contextlib
import json
import re

import pytest
import sqlalchemy as sa
from order_sync_airflow import operators

from demo.airflow_api import service_connection
from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.ledger.reasons import FAILING_REASON
from sandbox.registry import SERVICES
from tests.airflow.shop import Shop, Task, row


def tries(shop: Shop, number: int) -> list[Exception]:
    """Run extract and transform, and so many tries of load; return the errors of the tries."""
    shop.runs += 1
    context = shop.context(f"run {shop.runs}")
    folder = shop.stage(context)
    load = operators.LoadOrdersOperator(task_id="load", staged=folder, destination=shop.name)
    shop.xcoms = context["ti"].xcoms
    errors: list[Exception] = []
    for try_number in range(1, number + 1):
        try:
            load.execute({**context, "ti": Task("load", try_number, shop.xcoms), "task": load})
        except (StopError, TryAgainError) as error:
            errors.append(error)
    return errors


def finished_windows(ledger: sa.Engine, shop: Shop) -> int:
    """Return how many windows the destination has finished."""
    with ledger.connect() as connection:
        query = sa.text("select count(*) from windows where destination = :name")
        return connection.execute(query, {"name": shop.name}).scalar_one()


def test_an_order_at_which_the_service_fails(shop, ledger):
    """It is listed with what the service said; later runs send it once and are green, and a redrive delivers it."""
    poison = {"provider": "yespo", "kind": "status", "status": 500, "order_ids": ["2"]}
    shop.sandbox.fault(poison).raise_for_status()
    shop.drop(row("1", "paid"), row("2", "paid"), row("3", "paid"))
    errors = tries(shop, 3)
    assert [type(error) for error in errors] == [TryAgainError, TryAgainError, StopError]
    assert "1 order is not sent (2)" in str(errors[-1])
    assert finished_windows(ledger, shop) == 1
    with ledger.connect() as connection:
        query = sa.text("select order_id, reasons from quarantine where destination = :name and resolved_at is null")
        assert connection.execute(query, {"name": shop.name}).all() == [("2", [FAILING_REASON])]

    shop.drop(row("1", "done", 11), row("2", "paid"), row("3", "paid"))
    counts = shop.run()
    assert (counts["accepted"], counts["unchanged"], counts["not_sent"]) == (1, 1, 1)
    assert finished_windows(ledger, shop) == 2

    # Alone it can't be told from an outage: that window is not finished, and the next run reads it again.
    shop.drop(row("2", "done", 12))
    with pytest.raises(StopError, match="no other order was left"):
        shop.run()
    assert finished_windows(ledger, shop) == 2

    shop.sandbox.request("DELETE", "/__admin/faults")
    with contextlib.suppress(StopError):
        shop.run(redrive=True, reason="not sent")
    assert shop.taken()["2"] == ["DELIVERED"]


def test_a_plan_does_not_count_what_waits_for_a_redrive(shop, monkeypatch, capsys):
    """Orders that REES46 refused with their whole batch are not sent by a run, so its plan does not show them."""
    login, secret = SERVICES["rees46"].account
    account = service_connection("rees46", f"{shop.sandbox.url}/rees46", login, secret)
    monkeypatch.setenv("AIRFLOW_CONN_REES46", json.dumps(account))
    file = shop.tmp / "order_sync.yaml"
    yespo, rees46 = "provider: yespo\n    connection: yespo", "provider: rees46\n    connection: rees46"
    file.write_text(file.read_text("utf-8").replace(yespo, rees46), "utf-8")
    shop.sandbox.fault({"provider": "rees46", "kind": "status", "status": 400, "next": 1}).raise_for_status()
    shop.drop(row("1", "paid"), row("2", "paid"))
    with pytest.raises(StopError, match="2 orders are not sent"):
        shop.run()
    shop.drop(row("1", "paid"), row("2", "paid"), row("3", "done"))
    assert shop.run(mode="plan") == {"rows": 3, "orders": 3, "not_sent": 3}
    said = capsys.readouterr().out.split("Plan only", 1)[1]
    assert re.findall(r"^(\d) ", said, re.MULTILINE) == ["3"]
    assert "Not sent: 2 orders that wait in the quarantine for a redrive." in said
    assert shop.run() == {"rows": 3, "orders": 3, "accepted": 1, "not_sent": 2, "requests": 1}
