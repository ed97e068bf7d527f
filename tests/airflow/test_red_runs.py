"""When a run of the operators ends red: its sums are off, or too many of its orders are rejected."""

import pytest
import sqlalchemy as sa
from order_sync_airflow import operators, run_figures

from include.order_sync.errors import StopError
from include.order_sync.ledger.session import LedgerSession
from include.order_sync.staging.run_folder import RAW
from tests.airflow.shop import row


@pytest.mark.parametrize("lost", ["an order of load", "an order of the ledger", "a row of transform"])
def test_a_run_whose_sums_are_off_is_red_and_finishes_no_window(shop, ledger, monkeypatch, lost):
    """Whichever figure lacks one, the run is red, and the next one reads the window again; what it sent counts."""
    shop.drop(row("1", "paid"), row("2", "paid"))
    if lost == "an order of the ledger":
        monkeypatch.setattr(LedgerSession, "own_accepted", lambda _: 1)
    elif lost == "an order of load":
        report = operators.LoadOrdersOperator._report
        monkeypatch.setattr(
            operators.LoadOrdersOperator, "_report", lambda *arguments: report(*arguments) | {"unchanged": -1}
        )
    else:
        pull = run_figures.pull
        monkeypatch.setattr(run_figures, "pull", lambda *arguments: pull(*arguments) | {"rows": 3})
    with pytest.raises(StopError, match="The sums are off"):
        shop.run()
    with ledger.connect() as connection:
        query = sa.text("select count(*) from windows where destination = :name")
        assert connection.execute(query, {"name": shop.name}).scalar() == 0
        query = sa.text("select accepted, is_complete from runs_v1 where destination = :name")
        assert [tuple(each) for each in connection.execute(query, {"name": shop.name})] == [(2, False)]


@pytest.mark.parametrize(
    ("setting", "rows", "limit"),
    [
        ("max_rejected: 1", [row(str(number), "paid" if number > 1 else "hurra") for number in range(9)], "rejected"),
        (
            "max_rejected_share: 0.1",
            [row(str(number), "paid" if number > 2 else "hurra") for number in range(20)],
            "rejected_share",
        ),
        ("none_good_of: 2", [row("1", "hurra"), row("2", "hurra")], "none_good_of"),
    ],
)
def test_each_threshold_makes_a_run_red(shop, setting, rows, limit):
    """A run beyond one of the three limits of its destination is red, after the good orders were sent."""
    shop.drop(*rows)
    file = shop.tmp / "order_sync.yaml"
    file.write_text(f"{file.read_text('utf-8')}    {setting}\n", "utf-8")
    with pytest.raises(StopError, match=limit):
        shop.run()
    assert len(shop.taken()) == sum(",paid," in line for line in rows)


def test_rejected_orders_are_good_for_one_red_run(shop):
    """A run with nothing good is red for newly rejected orders, whatever is unchanged; not for known ones."""
    shop.drop(row("9", "paid"))
    shop.run()
    bad = [row(str(number), "paid", email="no-address") for number in range(1, 4)]
    shop.drop(row("9", "paid"), *bad)
    with pytest.raises(StopError, match="none_good_of"):
        shop.run()
    shop.drop(row("9", "paid"), *bad)
    assert shop.run()["rejected"] == 3
    with pytest.raises(StopError, match="none_good_of"):
        shop.run(redrive=True)


def test_parts_of_a_red_run_stay(shop):
    """A run that is red for its rejected rows keeps its parts, so that its load alone can be cleared."""
    shop.drop(*(row(order_id, "paid", email="no-address") for order_id in "123"))
    with pytest.raises(StopError, match="none_good_of"):
        shop.run()
    assert shop.staged() == {RAW, "rejected"}
