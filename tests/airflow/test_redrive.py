"""Redrives: which entries of the quarantine they choose, send and close, and what their dry runs say."""

import contextlib
import json

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from order_sync_airflow.operators import redrive

from include.order_sync.configuration import sql_source
from include.order_sync.errors import StopError
from include.order_sync.ledger import opening
from tests.airflow.shop import HEADER, NOW, row, use_keys


def test_a_redrive_sends_with_todays_map(shop, entries):
    """A redrive sends rows that were rejected for an unknown status label, once the map has the label."""
    shop.drop(row("1", "hurra"), row("2", "hurra", email="bad"))
    shop.run()
    shop.configure(more=", hurra: delivered")
    assert shop.run(redrive=True, reason="status map") == {
        "rows": 2,
        "orders": 2,
        "accepted": 1,
        "rejected": 1,
        "requests": 1,
    }
    assert shop.taken() == {"1": ["DELIVERED"]}
    assert entries("order_id, reasons", "resolved_at is null") == [("2", ["email: not an address"])]
    assert shop.run(redrive=True, order_ids=["1"]) == {}


def test_a_redrive_reads_rows_in_todays_forms(shop, entries, capsys):
    """The cure of a time that could not be read is a form: the row is read by it, but keeps the id of its order."""
    shop.drop(row("#1", "paid").replace("2026-11-01T10:00:00Z", "01.11.2026 10:00").replace("C1", "'7.0"))
    shop.run()
    assert entries("order_id, reasons") == [("#1", ["status_changed_at: not a date and time"])]
    file = shop.tmp / "order_sync.yaml"
    forms = "timezone: UTC\n    dates: [d.m.y]\n    strip_ids: true\n"
    file.write_text(file.read_text("utf-8").replace("timezone: UTC\n", forms), "utf-8")
    capsys.readouterr()
    shop.run(redrive=True, dry_run=True)
    assert "would pass now" in logged(capsys)
    assert shop.run(redrive=True)["accepted"] == 1
    (order,) = shop.sandbox.admin("orders", provider="yespo")["orders"]
    payload = order["payload"]
    assert (payload["externalOrderId"], payload["externalCustomerId"]) == ("#1", "7")
    assert entries("order_id", "resolved_at is null") == []


def test_a_redrive_sends_the_items_of_a_second_query(shop, postgres, monkeypatch, capsys):
    """The quarantine keeps a row with the items that a second query gave, and its dry run checks them too."""
    url = postgres.url
    place = {"host": url.host, "port": url.port, "schema": url.database}
    account = {"conn_type": "postgres", "login": url.username, "password": url.password}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(place | account))
    monkeypatch.setattr(sql_source, "SQL_FOLDER", shop.tmp)
    item = "order_id, item_id, name, quantity, cost, url, image_url"
    for name, columns in (("orders", f"{HEADER}, updated_at"), ("items", item)):
        windowed = "updated_at >= :window_start and updated_at < :window_end"
        (shop.tmp / f"{name}.sql").write_text(f"select {columns} from test.{name} where {windowed}")
    with postgres.begin() as connection:
        for name, header in (("orders", HEADER), ("items", item)):
            columns = ", ".join(f"{column} text" for column in header.split(","))
            connection.exec_driver_sql(f"create table {name} ({columns}, updated_at timestamptz)")
        for order_id, image in (("1", "'https://s.example/7.png'"), ("2", "null")):
            values = ", ".join(f"'{value}'" for value in row(order_id, "hurra").split(","))
            connection.exec_driver_sql(f"insert into orders values ({values}, '{NOW}')")
            values = f"'{order_id}', '7', 'Lamp', '2', '9.95', 'https://s.example/7', {image}, '{NOW}'"
            connection.exec_driver_sql(f"insert into items values ({values})")
    file = shop.tmp / "order_sync.yaml"
    for more in ("", ", hurra: delivered"):
        shop.configure(more=more)
        text = file.read_text("utf-8").replace(
            f"type: csv\n    path: {shop.tmp}/drop/*.csv",
            "type: sql\n    connection: warehouse\n    query: orders.sql\n    items_query: items.sql",
        )
        file.write_text(text, "utf-8")
        if not more:
            assert shop.run() == {"rows": 2, "orders": 2, "rejected": 2}
    capsys.readouterr()
    shop.run(redrive=True, dry_run=True)
    listed = [line.partition("orders.sql")[2] for line in capsys.readouterr().out.splitlines() if "orders.sql" in line]
    assert ["would pass now" in line for line in listed] == [True, False]
    assert "still rejected: OS-223 items: image_url missing" in listed[1]
    assert shop.run(redrive=True) == {"rows": 2, "orders": 2, "accepted": 1, "rejected": 1, "requests": 1}
    (order,) = shop.sandbox.admin("orders", provider="yespo")["orders"]
    assert [item["externalItemId"] for item in order["payload"]["items"]] == ["7"]


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, "123"),
        ({"from": "2026-01-02T00:00:00Z"}, "23"),
        ({"to": "2026-01-02T00:00:00Z"}, "1"),
        ({"from": "2026-01-02T00:00:00Z", "to": "2026-01-03T00:00:00Z"}, "2"),
        ({"at_most": 2}, "12"),
        ({"order_ids": ["3"]}, "3"),
        ({"reason": "not in the status"}, "123"),
        ({"reason": "email"}, ""),
    ],
    ids=str,
)
def test_a_redrive_takes_the_entries_that_its_params_choose(shop, entries, ledger, params, found):
    """`from` and `to` are about the time at which a row was last seen, and `at_most` takes the oldest entries."""
    shop.drop(*(row(order_id, "hurra") for order_id in "123"))
    with contextlib.suppress(StopError):  # none of three is good
        shop.run()
    set_times = """
        update quarantine set last_seen_at = make_timestamptz(2026, 1, order_id::int, 0, 0, 0, 'UTC')
        where destination = :name
    """
    with ledger.begin() as connection:
        connection.execute(sa.text(set_times), {"name": shop.name})
    shop.configure(more=", hurra: delivered")
    shop.run(redrive=True, **params)
    assert "".join(sorted(shop.taken())) == found
    closed = entries("order_id, resolution", "resolved_at is not null")
    assert closed == [(order_id, "a good row of the order was delivered") for order_id in found]


def test_a_redrive_closes_an_entry_that_does_not_fail_again(shop, entries):
    """An entry whose row is older than the delivered one has nothing to send: the redrive closes it all the same."""
    shop.drop(row("1", "paid", 12))
    shop.run()
    shop.drop(row("1", "hurra", 11))
    with contextlib.suppress(StopError):
        shop.run()
    assert entries("order_id", "resolved_at is null") == [("1",)]
    shop.configure(more=", hurra: paid")
    shop.run(redrive=True)
    assert entries("resolution") == [("redriven",)]


def test_a_dry_run_changes_nothing(shop, entries, monkeypatch):
    """A dry run of a redrive lists entries; it neither sends nor resolves them, and waits for no load."""
    shop.drop(row("1", "hurra"))
    shop.run()
    shop.configure(more=", hurra: delivered")
    monkeypatch.setattr(opening, "_take_lock", lambda *_: pytest.fail("a dry run takes the destination's lock"))
    assert shop.run(redrive=True, dry_run=True) == {}
    assert shop.taken() == {}
    assert entries("resolved_at") == [(None,)]


def test_a_redrive_of_a_destination_that_is_not_live_is_dry(shop, entries, capsys):
    """A redrive of such a destination only lists, and says why. Its params don't change that."""
    shop.drop(row("1", "hurra"))
    shop.run()
    shop.run(redrive=True, dry_run=True)
    assert "is not `live`" not in logged(capsys)
    shop.configure(more=", hurra: delivered", live="false")
    assert shop.run(redrive=True) == {}
    assert "is not `live` in the configuration" in logged(capsys)
    assert shop.taken() == {}
    assert entries("resolved_at") == [(None,)]


def test_what_the_service_rejected_is_sent_again_by_a_redrive_alone(shop, entries):
    """An order that the service rejected goes to the quarantine, and only a redrive repeats it."""
    shop.drop(row("1", "paid"), row("2", "paid"))
    shop.sandbox.fault({"provider": "yespo", "kind": "refuse_orders", "order_ids": ["2"], "next": 1})
    shop.run()
    assert entries("order_id, reasons") == [("2", ["Yespo lists the order as failed"])]
    assert shop.run() == {"rows": 2, "orders": 2, "unchanged": 1, "rejected": 1}
    assert shop.run(redrive=True) == {"rows": 1, "orders": 1, "accepted": 1, "requests": 1}
    assert entries("id", "resolved_at is null") == []


@pytest.mark.parametrize("fate", ["rejected by transform", "rejected by the service", "held"])
def test_a_redrive_knows_the_later_of_two_rows_of_one_time(shop, fate):
    """A quarantined row that followed another with the same two times is still the newer one in its redrive."""
    shop.drop(row("1", "paid"))
    shop.run()
    faults = {"rejected by the service": {"kind": "refuse_orders", "order_ids": ["1"]}, "held": {"kind": "close"}}
    if fate in faults:
        shop.sandbox.fault({"provider": "yespo", "next": 1, **faults[fate]}).raise_for_status()
    shop.drop(row("1", "paid"), row("1", "hurra" if fate == "rejected by transform" else "done"))
    with pytest.raises(StopError, match="held") if fate == "held" else contextlib.nullcontext():
        shop.run()
    shop.configure(more=", hurra: delivered")
    decision = {"decision": "resend", "order_ids": ["1"]} if fate == "held" else {}
    assert shop.run(redrive=True, **decision) == {"rows": 1, "orders": 1, "accepted": 1, "requests": 1}
    assert shop.taken() == {"1": ["IN_PROGRESS", "DELIVERED"]}


def test_a_redrive_in_the_hour_that_comes_twice_sends_nothing_older(shop, capsys):
    """A quarantined row of the first pass is older than a delivered one of the second, also without that beside it."""
    file = shop.tmp / "order_sync.yaml"
    night = "2025-10-26 03:{}:00".format
    times = [("1", "hurra", night(40)), ("1", "done", night(10)), ("2", "done", night(20))]
    for more in ("", ", hurra: paid"):
        shop.configure(more=more)
        text = file.read_text("utf-8").replace("timezone: UTC", "timezone: Europe/Kyiv")
        file.write_text(text + "    changes: every\n", "utf-8")
        if not more:
            shop.drop(*(row(order_id, word).replace("2026-11-01T10:00:00Z", at) for order_id, word, at in times))
            assert shop.run() == {"rows": 3, "orders": 3, "rejected": 1, "accepted": 2, "requests": 1}
            (warning,) = [
                line for line in capsys.readouterr().out.splitlines() if "in the hour that comes twice" in line
            ]
            assert "1 order with a time" in warning
            assert "Ids: 2 [" in warning
    assert shop.run(redrive=True) == {}
    assert shop.taken() == {"1": ["DELIVERED"], "2": ["DELIVERED"]}


def test_a_dry_run_shows_what_the_service_said(shop, capsys):
    """The service's message on a rejected order is in the dry run's list, without personal data."""
    shop.drop(row("1", "paid"))
    said = {"message": "the phone of anna@shop.example is too short"}
    shop.sandbox.fault({"provider": "yespo", "kind": "refuse_orders", "order_ids": ["1"], "next": 1} | said)
    shop.run()
    assert shop.xcoms["load", "reason"] == "1 order rejected: OS-299 Yespo lists the order as failed."
    capsys.readouterr()
    assert shop.run(redrive=True, dry_run=True) == {}
    shown = capsys.readouterr().out
    assert "the phone of <e-mail> is too short" in shown
    assert "anna@shop" not in shown


def logged(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was logged, with single blanks."""
    return " ".join(capsys.readouterr().out.split())


def test_a_dry_run_says_what_would_become_of_each_entry(shop, entries, capsys):
    """A row that today's map knows would pass; one that has another fault too, or still has its own, would not."""
    shop.drop(row("1", "hurra"), row("2", "hurra", email=""), row("3", "hossa"), row("4", "hossa", email=""))
    with pytest.raises(StopError):  # none of four is good
        shop.run()
    shop.configure(more=", hurra: delivered")
    before = shop.staged()
    capsys.readouterr()
    shop.run(redrive=True, dry_run=True)
    listed = {line.split()[1]: line for line in capsys.readouterr().out.splitlines() if "drop/" in line}
    assert "would pass now" in listed["1"]
    assert "still rejected: OS-208 contact: neither email nor phone" in listed["2"]
    assert "still rejected: OS-129 status: not in the status map (hossa)" in listed["3"]
    both = "OS-129 status: not in the status map (hossa); OS-208 contact: neither email nor phone"
    assert f"still rejected: {both}" in listed["4"]
    assert shop.taken() == {}
    stored = entries("reasons", "order_id = '4' and resolved_at is null")
    assert stored == [(["status: not in the status map (hossa)", "contact: neither email nor phone"],)]
    assert entries("resolved_at") == [(None,)] * 4
    assert shop.staged() == before  # no row stays


def test_a_dry_run_tells_nothing_of_a_row_that_no_key_opens(shop, monkeypatch, capsys):
    """The entries behind it get what is said of their own rows."""
    shop.drop(row("1", "hurra"))
    shop.run()
    use_keys(monkeypatch, Fernet.generate_key().decode())
    shop.drop(row("2", "hurra", email=""))
    shop.run()
    shop.configure(more=", hurra: delivered")
    capsys.readouterr()
    shop.run(redrive=True, dry_run=True)
    listed = {line.split()[1]: line for line in capsys.readouterr().out.splitlines() if "drop/" in line}
    assert ["still rejected: OS-208" in listed[order_id] for order_id in "12"] == [False, True]
    assert "not sent" not in listed["1"]


def test_a_dry_run_says_that_a_status_is_no_longer_sent(shop, capsys):
    """Nothing would be left to send: the run is green, and says why of the entry."""
    shop.drop(row("1", "hurra"))
    with contextlib.suppress(StopError):
        shop.run()
    shop.configure(more=", hurra: returned")
    file = shop.tmp / "order_sync.yaml"
    file.write_text(f"{file.read_text('utf-8')}    statuses: {{returned: null}}\n", "utf-8")
    capsys.readouterr()
    shop.run(redrive=True, dry_run=True)
    assert "its status is not for this provider" in logged(capsys)


def test_orders_and_entries_that_are_not_there_are_named(shop, capsys):
    """Each id and number of a redrive's params without an entry is named; the others are redriven."""
    shop.drop(row("1", "hurra"))
    shop.run()
    shop.configure(more=", hurra: delivered")
    capsys.readouterr()
    assert shop.run(redrive=True, order_ids=["1", "A-7", "A-8"])["accepted"] == 1
    said = logged(capsys)
    assert "Not among these are 2 orders of the params" in said
    assert "They are: A-7, A-8" in said
    shop.run(redrive=True, entries=[999999])
    said = logged(capsys)
    assert "Not among these are 1 entry of the params" in said
    assert "They are: 999999" in said


def test_a_redrive_refuses_times_that_do_not_fit(shop):
    """`to` must lie after `from`."""
    with pytest.raises(StopError, match=r"OS-602.*must lie before `to`"):
        shop.run(redrive=True, **{"from": "2026-01-02T00:00:00", "to": "2026-01-01T22:00:00-02:00"})


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"batch": 7}, r"OS-602.*`batch` is 7, and `decision` is empty.*resend or accept"),
        ({"note": "a test order"}, r"OS-602.*`note` has a text.*dismiss"),
        ({"decision": "accept", "batch": 7, "reason": "OS-129"}, r"OS-602.*`decision` is accept.*`reason` \(OS-129\)"),
        ({"decision": "resend", "order_ids": ["1"], "entries": [3]}, r"`entries` \(\[3\]\) empty"),
    ],
    ids=["batch", "note", "accept", "resend"],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_params_of_a_redrive_must_not_contradict_each_other(shop, monkeypatch, params, message, dry_run):
    """Else it would send what was to be dismissed. Neither ledger nor service is asked before, also in a dry run."""
    monkeypatch.setattr(redrive, "open_ledger", lambda *_, **__: pytest.fail("the ledger was asked"))
    with pytest.raises(StopError, match=message) as stop:
        shop.run(redrive=True, dry_run=dry_run, **params)
    assert "Nothing was read or sent" in str(stop.value)


@pytest.mark.parametrize("reason", ["OS-129", "OS-129 status: not in the status map", "not in the status"])
def test_a_redrive_takes_a_reason_by_its_code(shop, reason):
    """A code chooses the rows that are kept with its text, also with the shop's word behind it."""
    shop.drop(row("1", "hurra"), row("2", "paid", email=""), row("3", "paid"))
    shop.run()
    shop.configure(more=", hurra: delivered")
    assert shop.run(redrive=True, reason=reason) == {"rows": 1, "orders": 1, "accepted": 1, "requests": 1}
    assert set(shop.taken()) == {"1", "3"}
