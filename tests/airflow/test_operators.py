"""The operators one after the other, as in a run, from a CSV drop to the sandbox and the ledger."""

import contextlib
import errno
import json
import os
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from order_sync_airflow import operators

from include.order_sync.delivery import http
from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.staging.run_folder import RAW, READY, Staging
from tests.airflow.shop import NOW, row


@pytest.mark.parametrize("fate", ["rejected", "held"])
def test_a_clear_of_extract_in_mid_load_mixes_no_orders_up(shop, entries, ledger, monkeypatch, fate):
    """While a load waits for its answer, its run is cleared and reads other rows: its own order is kept."""
    keys = Fernet(os.environ["AIRFLOW__CORE__FERNET_KEY"])
    fault = {"rejected": {"kind": "refuse_orders", "order_ids": ["1"]}, "held": {"kind": "close"}}[fate]
    shop.sandbox.fault({"provider": "yespo", "next": 1, **fault}).raise_for_status()
    shop.drop(row("1", "paid"), row("2", "paid"))
    context = shop.context("run")
    folder = shop.stage(context)
    window = context["ti"].xcom_pull("extract", "window")
    send = http.send

    def cleared_send(*arguments: Any) -> Any:
        shop.drop(row("8", "paid"), row("9", "paid"), row("1", "done", 11), row("2", "done", 11))
        shop.stage(context)
        return send(*arguments)

    monkeypatch.setattr(http, "send", cleared_send)
    load = operators.LoadOrdersOperator(task_id="load", staged=folder, destination=shop.name)
    with pytest.raises(StopError, match="held") if fate == "held" else contextlib.nullcontext():
        load.execute(context)
    kept = [
        (order_id, json.loads(keys.decrypt(bytes(token)))["row"])
        for order_id, token in entries("order_id, encrypted_row")
    ]
    orders = [(order_id, content["order_id"], content["status"]) for order_id, content in kept]
    assert sorted(orders) == [("1", "1", "paid"), ("2", "2", "paid")][: 2 if fate == "held" else 1]
    with ledger.connect() as connection:
        query = sa.text("select window_end = cast(:end as timestamptz) from windows where destination = :name")
        ended = connection.execute(query, {"name": shop.name, "end": window["end"]}).scalars().all()
    assert ended == [True]  # of the window that this load has read
    load.on_success_callback[-1]({**context, "task": load})
    assert shop.staged() == {RAW, READY}  # the later read's


def test_an_extract_that_fails_leaves_nothing(shop, monkeypatch):
    """Tries that fail fill no disk: each stages in a folder of its own."""
    shop.drop(row("1", "paid"))
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(Staging, "write_files", lambda *_: (_ for _ in ()).throw(full))
    with pytest.raises(TryAgainError, match="Make room"):
        shop.run()
    assert shop.staged() == set()


def test_a_cleared_resend_sends_nothing_again(shop):
    """A run with `resend` sends each version once: cleared, it sends what is new alone; another run sends all again."""
    shop.drop(row("1", "paid"), row("2", "paid"))
    shop.run()
    assert shop.run(resend=True, run_id="again") == {"rows": 2, "orders": 2, "accepted": 2, "requests": 1}
    shop.drop(row("1", "paid"), row("2", "done", 11), row("3", "paid"))
    cleared = shop.run(resend=True, run_id="again")
    assert cleared == {"rows": 3, "orders": 3, "accepted": 2, "unchanged": 1, "requests": 1}
    assert {order: len(codes) for order, codes in shop.taken().items()} == {"1": 2, "2": 3, "3": 1}
    shop.drop(row("1", "paid"), row("2", "done", 11), row("3", "paid"))
    (newer,) = (shop.tmp / "drop").iterdir()
    os.utime(newer, (NOW.timestamp() + 60, NOW.timestamp() + 60))
    assert shop.run(resend=True, run_id="again") == {"rows": 3, "orders": 3, "unchanged": 3}
    assert shop.run(resend=True) == {"rows": 3, "orders": 3, "accepted": 3, "requests": 1}


def test_a_resend_sends_again_what_its_own_run_has_sent_without_it(shop):
    """A backfill over hours that have runs takes these over: their orders are sent again, once."""
    shop.drop(row("1", "paid"), row("2", "paid"))
    assert shop.run(run_id="scheduled")["accepted"] == 2
    for accepted in (2, 0):
        assert shop.run(run_id="scheduled", resend=True).get("accepted", 0) == accepted


def test_a_scheduled_run_records_the_files_that_it_does_not_read(shop, ledger):
    """The page can list them; the next scheduled run writes the list anew; plans and other runs leave it as it is."""
    shop.drop(row("1", "paid"))
    lost = shop.tmp / "drop" / "lost.csv"

    def extract(run_type: str) -> list[str]:
        context = shop.context(f"run of {run_type}")
        context["dag_run"].run_type = run_type
        task = operators.ExtractOrdersOperator(task_id="extract", destination=shop.name)
        context["ti"].task_id = "extract"
        task.execute(context)
        query = sa.text("select path from files_not_read_v1 where destination = :name")
        with ledger.connect() as connection:
            return list(connection.execute(query, {"name": shop.name}).scalars())

    lost.symlink_to("nothing")
    assert extract("backfill") == []
    assert extract("scheduled") == [str(lost)]
    lost.unlink()
    assert extract("backfill") == [str(lost)]
    shop.configure(live="false")
    assert extract("scheduled") == [str(lost)]
    shop.configure()
    assert extract("scheduled") == []


def test_a_run_delivers_and_the_next_sends_nothing(shop):
    """A run sends the drop's orders; the next run over the same file sends nothing."""
    shop.drop(row("1", "paid"), row("2", "done"))
    assert shop.run() == {"rows": 2, "orders": 2, "accepted": 2, "requests": 1}
    assert shop.run() == {"rows": 2, "orders": 2, "unchanged": 2}
    assert shop.taken() == {"1": ["IN_PROGRESS"], "2": ["DELIVERED"]}


def test_a_changed_map_resends_nothing_that_a_newer_file_repeats(shop):
    """A full export gives each order a newer version; after a changed map only the orders that changed are sent."""
    shop.drop(row("1", "paid"), row("2", "paid"))
    shop.run()
    file = shop.tmp / "order_sync.yaml"
    file.write_text(file.read_text("utf-8").replace("paid: paid", "paid: delivered"), "utf-8")
    shop.drop(row("1", "paid"), row("2", "paid", 11))
    (newer,) = (shop.tmp / "drop").iterdir()
    os.utime(newer, (NOW.timestamp() + 60, NOW.timestamp() + 60))
    assert shop.run() == {"rows": 2, "orders": 2, "accepted": 1, "unchanged": 1, "requests": 1}
    assert shop.run(resend=True)["accepted"] == 2


def test_a_full_export_costs_no_row_for_an_unchanged_order(shop, entries, ledger):
    """An order that each newer file repeats is written once; another status is sent, an older file's is not.

    It is written again where that closes an entry of the quarantine.
    """

    def attempts() -> int:
        query = "select count(*) from attempts where destination_id = (select id from destinations where name = :name)"
        with ledger.connect() as connection:
            return connection.execute(sa.text(query), {"name": shop.name}).scalar()

    def export(minute: int, *rows: str) -> dict[str, int]:
        shop.drop(*rows)
        (file,) = (shop.tmp / "drop").iterdir()
        at = NOW.timestamp() + 60 * minute
        os.utime(file, (at, at))
        return shop.run()

    export(0, row("1", "paid"), row("2", "paid"))
    for minute in (5, 10):
        assert export(minute, row("1", "paid"), row("2", "paid")) == {"rows": 2, "orders": 2, "unchanged": 2}
    assert attempts() == 2
    assert export(15, row("1", "done"), row("2", "paid", 11))["accepted"] == 1
    assert export(12, row("1", "paid"), row("2", "done")) == {"rows": 2, "orders": 2, "stale": 2}
    assert shop.taken() == {"1": ["IN_PROGRESS", "DELIVERED"], "2": ["IN_PROGRESS"]}
    assert attempts() == 4
    export(20, row("1", "done"), row("2", "paid", 11, email="no-address"))
    assert len(entries("id", "resolved_at is null")) == 1
    for minute in (25, 30):
        export(minute, row("1", "done"), row("2", "paid", 11))
    assert entries("resolution") == [("a good row of the order was delivered",)]
    assert attempts() == 5


@pytest.mark.parametrize(("top", "slots"), [("", 0), ("pace: {yespo: 100}", 1)])
def test_a_load_keeps_the_pace_of_its_connection(shop, ledger, top, slots):
    """Requests take slots of the account that its connection names, if the configuration gives it a pace."""
    with ledger.begin() as connection:
        connection.exec_driver_sql("delete from request_slots where connection = 'yespo'")
    shop.configure(top=top)
    shop.drop(row("1", "paid"))
    shop.run()
    assert shop.taken() == {"1": ["IN_PROGRESS"]}
    with ledger.connect() as connection:
        count = "select count(*) from request_slots where connection = 'yespo'"
        assert connection.exec_driver_sql(count).scalar() == slots


def test_a_killed_adoption_is_counted_alike(shop):
    """A load that adopted and was killed counts the same orders at its next try, and sends none."""
    shop.drop(row("1", "paid"), row("2", "paid"))
    assert shop.run(mode="adopt", load_kills=1) == {"rows": 2, "orders": 2, "adopted": 2}
    assert shop.run() == {"rows": 2, "orders": 2, "unchanged": 2}
    assert shop.taken() == {}


def test_a_run_that_reads_anew_counts_anew(shop):
    """A run whose extract is cleared counts only the rows that it reads now."""
    shop.drop(row("1", "paid"), row("2", "paid"))
    shop.run()
    shop.runs -= 1  # the same run, with its first start time
    shop.drop(row("1", "done", 11), row("2", "paid"))
    assert shop.run() == {"rows": 2, "orders": 2, "accepted": 1, "unchanged": 1, "requests": 1}


def test_requests_of_all_tries_count(shop):
    """A load's retry counts the requests of earlier tries too; another run starts at zero."""
    shop.drop(row("1", "paid"))
    assert shop.run(load_kills=2)["requests"] == 1
    assert "requests" not in shop.run()


GOOD, BAD = row("1", "paid"), row("2", "paid", email="no-address")


@pytest.mark.parametrize(("rows", "mode"), [((GOOD, BAD), "deliver"), ((BAD,), "deliver"), ((GOOD, BAD), "plan")])
def test_parts_stay_until_success_is_recorded(shop, rows, mode):
    """A load that is killed after its work finds its parts in the retry; then only the rejected rows stay."""
    shop.drop(*rows)
    counts = shop.run(mode=mode, load_kills=1)
    assert counts["rows"] == counts["rejected"] + counts.get("accepted", 0) + counts.get("not_sent", 0)
    assert shop.staged() == {"rejected"}


def test_a_plan_sends_and_remembers_nothing(shop, entries):
    """`mode: plan` counts the orders that it would send, and changes neither service, ledger nor quarantine."""
    shop.drop(row("1", "paid"))
    shop.run()
    shop.drop(row("1", "done", 11), row("2", "paid"), row("3", "paid", email="bad"))
    assert shop.run(mode="plan") == {"rows": 3, "orders": 3, "not_sent": 2, "rejected": 1}
    assert shop.taken() == {"1": ["IN_PROGRESS"]}
    assert entries("id") == []
    assert shop.run() == {"rows": 3, "orders": 3, "accepted": 2, "rejected": 1, "requests": 1}


def test_maintenance_removes_what_is_old(shop, entries, ledger):
    """Maintenance removes old attempts, resolved entries and run folders; states, open entries and held orders stay."""
    shop.drop(row("1", "paid"), row("2", "hurra"), row("3", "paid", email="bad"))
    shop.run()
    shop.drop(row("3", "paid", 11), row("1", "done", 11))
    shop.run()
    folders = {part.parents[2] for part in (shop.tmp / "staging").rglob("rejected/*.parquet")}  # of runs
    with ledger.begin() as connection:
        for statement in (
            "update batches set concluded_at = now() - interval '91 days' "
            "where destination_id = (select id from destinations where name = :name)",
            "update quarantine set resolved_at = now() - interval '91 days' where destination = :name "
            "and resolved_at is not null",
        ):
            connection.execute(sa.text(statement), {"name": shop.name})
    for part in (shop.tmp / "staging").rglob("*"):
        os.utime(part, (0, 0))
    under_way = min(folder.name for folder in folders)
    asked: list[dict[str, Any]] = []

    def get_dr_count(**of_run: Any) -> int:
        asked.append(of_run)
        return int(of_run["run_ids"] == [unquote(under_way)])

    operators.RemoveOldOperator(task_id="remove").execute({"ti": SimpleNamespace(get_dr_count=get_dr_count)})
    assert [folder.name for folder in folders if folder.exists()] == [under_way]
    assert {of_run["dag_id"] for of_run in asked} == {"dag"}
    assert asked[0]["states"] == ["queued", "running"]
    assert entries("order_id") == [("2",)]
    assert shop.run() == {"rows": 2, "orders": 2, "unchanged": 2}
    with ledger.connect() as connection:
        query = "select order_id, code from attempts a join destinations d on d.id = destination_id and d.name = :name"
        kept = connection.execute(sa.text(f"{query} order by 1"), {"name": shop.name}).all()
    assert [tuple(attempt) for attempt in kept] == [("1", "DELIVERED"), ("3", "IN_PROGRESS")]
