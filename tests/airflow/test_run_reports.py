"""What a run says of itself: its kind, its tries, its metrics, its asset's event and its progress."""

from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.definitions.asset import AssetUniqueKey
from airflow.sdk.execution_time.context import OutletEventAccessors
from order_sync_airflow import metrics, operators, progress

from include.order_sync.errors import TryAgainError
from include.order_sync.ledger import run_records
from tests.airflow.shop import row


@pytest.mark.parametrize(
    ("live", "params", "kind"),
    [
        ("true", {}, ""),
        ("true", {"mode": "plan"}, "PLAN"),
        ("true", {"mode": "adopt"}, "ADOPT"),
        ("false", {"mode": "adopt"}, "PLAN ONLY"),
        ("true", {"redrive": True}, "REDRIVE"),
        ("true", {"redrive": True, "dry_run": True}, "REDRIVE, dry run"),
        ("false", {"redrive": True}, "PLAN ONLY"),
        ("true", {"redrive": True, "dry_run": True, "decision": "accept"}, "REDRIVE, dry run of accept"),
        (
            "true",
            {"redrive": True, "decision": "dismiss", "reason": "status", "note": "a test"},
            "REDRIVE, dismissed 1 entry",
        ),
    ],
)
def test_a_run_says_what_it_is_to_do(shop, live, params, kind):
    """The kind of a run, for its note, is what it really does, whatever its params."""
    shop.drop(row("1", "нове"))
    shop.run()
    assert shop.xcoms["transform", "reason"] == "1 order rejected: OS-129 status: not in the status map (нове 1)."
    shop.configure(live=live)
    shop.run(**params)
    assert shop.xcoms["extract", "kind"] == kind


def test_each_try_is_recorded_for_the_page(shop, ledger, monkeypatch):
    """A run, one without orders, a plan, a failed and a dry one: each leaves a record of what it did, and no other."""

    def records() -> list[tuple[Any, ...]]:
        query = """
            select kind, begun_by, is_complete, is_plan, rows, accepted, rejected, requests from runs_v1
            where destination = :name order by recorded_at
        """
        with ledger.connect() as connection:
            return [tuple(found) for found in connection.execute(sa.text(query), {"name": shop.name})]

    shop.drop(row("1", "paid"), row("2", "paid"), row("3", "on hold"))
    shop.run()
    shop.drop()
    shop.run()
    shop.drop(row("4", "paid"))
    shop.run(mode="plan")
    shop.sandbox.fault({"provider": "yespo", "next": 1, "kind": "status", "status": 503}).raise_for_status()
    with pytest.raises(TryAgainError):
        shop.run()
    shop.run(redrive=True, dry_run=True)
    assert records() == [
        ("", "backfill", True, False, 3, 2, 1, 1),
        ("", "backfill", True, False, 0, 0, 0, 0),
        ("PLAN", "backfill", True, True, 1, 0, 0, 0),
        ("", "backfill", False, False, 1, 0, 0, 1),
        ("REDRIVE, dry run", "backfill", True, True, 0, 0, 0, 0),
    ]
    with ledger.connect() as connection:
        query = "select newest_read, read_up_to is null from freshness where destination = :name"
        connection.exec_driver_sql("set datestyle = 'ISO'; set timezone = 'UTC'")
        found = connection.execute(sa.text(query), {"name": shop.name}).one()
    assert tuple(found) == (datetime(2026, 11, 1, 10, tzinfo=UTC), True)


def test_a_run_that_is_cleared_while_its_load_ends_counts_for_itself(shop, ledger, monkeypatch):
    """Its extract is read anew meanwhile, so the run has another key: the new one must not take its orders away."""
    report = operators.LoadOrdersOperator._report

    def cleared(load: Any, context: Any, *arguments: Any) -> Any:
        context["ti"].xcoms["extract", "read_at"] = datetime.now(UTC).isoformat()
        return report(load, context, *arguments)

    monkeypatch.setattr(operators.LoadOrdersOperator, "_report", cleared)
    shop.drop(row("1", "paid"))
    shop.run()
    query = """
        select r.accepted, b.run = r.run, w.run = r.run
        from run_records r, windows w, batches b join destinations d on d.id = b.destination_id
        where r.destination = :name and w.destination = :name and d.name = :name
    """
    with ledger.connect() as connection:
        assert [tuple(each) for each in connection.execute(sa.text(query), {"name": shop.name})] == [(1, True, True)]


def test_a_run_that_cannot_be_recorded_is_no_red_run(shop, ledger, monkeypatch):
    """The orders are delivered and the window is finished, and the log says that the page does not know it."""

    def refused(*_: Any) -> None:
        raise TryAgainError("the ledger is restarting")

    monkeypatch.setattr(run_records, "record", refused)
    shop.drop(row("1", "paid"))
    assert shop.run()["accepted"] == 1
    assert shop.taken() == {"1": ["IN_PROGRESS"]}


def test_a_run_is_told_to_the_metrics(shop, monkeypatch):
    """Each try tells what it has added, and how the destination stands."""
    told: list[tuple[str, float]] = []
    for kind in ("incr", "gauge"):
        monkeypatch.setattr(metrics.stats, kind, lambda name, value, **_: told.append((name, value)))
    shop.drop(row("1", "paid"), row("2", "hurra"), row("3", "paid"))
    shop.run()
    assert {name: value for name, value in told if name != "order_sync.request_seconds"} == {
        "order_sync.accepted": 2,
        "order_sync.rejected": 1,
        "order_sync.held": 0,
        "order_sync.newest_accepted": datetime(2026, 11, 1, 10, tzinfo=UTC).timestamp(),
    }
    assert 0 < dict(told)["order_sync.request_seconds"] < 60


@pytest.mark.parametrize(("params", "kind"), [({}, ""), ({"mode": "plan"}, "PLAN")])
def test_the_event_of_an_asset_has_counts_and_kind(shop, monkeypatch, params, kind):
    """Airflow makes an event if the load succeeds: whoever is scheduled by it sees what was done."""
    asset, event = Asset(f"order-sync://{shop.name}"), SimpleNamespace(extra={})
    monkeypatch.setattr(operators, "LoadOrdersOperator", partial(operators.LoadOrdersOperator, outlets=[asset]))
    make = shop.context
    monkeypatch.setattr(shop, "context", lambda *given: make(*given) | {"outlet_events": {asset: event}})
    shop.drop(row("1", "paid"))
    shop.run(**params)
    assert event.extra["kind"] == kind
    assert event.extra["accepted"] == (0 if kind else 1)


def test_a_redrive_names_the_asset_of_its_destination(shop, monkeypatch):
    """Its destination is a param, so its load has an alias: the event it makes is that of the destination."""
    events, alias = OutletEventAccessors(), AssetAlias("order_sync_redrive")
    monkeypatch.setattr(operators, "LoadOrdersOperator", partial(operators.LoadOrdersOperator, outlets=[alias]))
    make = shop.context
    monkeypatch.setattr(shop, "context", lambda *given: make(*given) | {"outlet_events": events})
    shop.drop(row("1", "paid"))
    shop.run()
    (event,) = events[alias].asset_alias_events
    assert event.dest_asset_key == AssetUniqueKey.from_asset(Asset(f"order-sync://{shop.name}"))
    assert event.extra["accepted"] == 1


def test_a_load_shows_its_progress(shop, monkeypatch, capsys):
    """A long load logs how many of its orders are done."""
    monkeypatch.setattr(progress, "EVERY_S", 0.05)
    shop.sandbox.fault({"provider": "yespo", "kind": "slow", "seconds": 0.5, "when": "before", "next": 1})
    shop.drop(row("1", "paid"), row("2", "hurra"))
    shop.run()
    assert "0 of 1 order (0%)" in capsys.readouterr().out
