"""An order at which the service fails, from its first run to its redrive, by the operators."""

import contextlib

import pytest
import sqlalchemy as sa
from order_sync_airflow import operators

from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.ledger.reasons import FAILING_REASON
from tests.airflow.test_operators import Shop, Task, address, row, shop  # noqa: F401  (fixtures)


def tries(shop: Shop, number: int) -> list[Exception]:  # noqa: F811
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


def finished_windows(ledger: sa.Engine, shop: Shop) -> int:  # noqa: F811
    """Return how many windows the destination has finished."""
    with ledger.connect() as connection:
        query = sa.text("select count(*) from windows where destination = :name")
        return connection.execute(query, {"name": shop.name}).scalar_one()


def test_an_order_at_which_the_service_fails(shop, ledger):  # noqa: F811
    """It is listed with what the service said; later runs send it once and are green, and a redrive delivers it."""
    poison = {"provider": "yespo", "kind": "status", "status": 500, "order_ids": ["2"]}
    shop.sandbox.fault(poison).raise_for_status()
    shop.drop(row("1", "paid"), row("2", "paid"), row("3", "paid"))
    errors = tries(shop, 3)
    assert [type(error) for error in errors] == [TryAgainError, TryAgainError, StopError]
    assert "1 orders are not sent (2)" in str(errors[-1])
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
