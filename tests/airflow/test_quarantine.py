"""Which rows the runs of a destination put into the quarantine, and what closes them without a redrive."""

import os
import time

import pytest

from include.order_sync import tuning
from include.order_sync.errors import StopError
from tests.airflow.shop import row


def test_a_bad_row_is_one_entry_however_often_it_is_seen(shop, entries):
    """A row that each run rejects is one encrypted entry, with its times and their number."""
    shop.drop(row("1", "paid", email="no-address"), row("2", "done"))
    for _ in range(3):
        shop.run()
    assert entries("order_id, reasons, times_seen, line") == [("1", ["email: not an address"], 3, 2)]
    ((encrypted,),) = entries("encrypted_row")
    assert b"no-address" not in bytes(encrypted)


def test_rejected_rows_are_written_in_bulk_once_a_run(shop, entries, ledger, monkeypatch):
    """One statement writes many rejected rows, and a retry writes none; a cleared run writes them again."""
    monkeypatch.setattr(tuning, "REJECTED_ROWS_AT_ONCE", 3)
    with ledger.begin() as connection:
        connection.exec_driver_sql(
            """
            create table statements (at bigserial);
            create function count_statement() returns trigger language plpgsql as
                $$ begin insert into statements default values; return null; end $$;
            create trigger count_statements after insert on quarantine execute function count_statement();
            """
        )
    try:
        shop.drop(*(row(str(number), "paid", email="no-address") for number in range(7)), row("8", "paid"))
        shop.run(load_kills=2, run_id="once")
        with ledger.connect() as connection:
            counted = connection.exec_driver_sql("select count(*) from statements").scalar()
    finally:
        with ledger.begin() as connection:
            connection.exec_driver_sql("drop function count_statement cascade; drop table statements")
    assert counted == 3
    assert entries("times_seen") == [(1,)] * 7
    shop.run(run_id="once")  # nothing is good in it, and nothing newly rejected
    assert entries("times_seen") == [(2,)] * 7


def test_rows_without_an_id_are_kept_too(shop, entries):
    """A row without an order id is kept with its reasons, also if the window has nothing to send."""
    shop.drop(row("", "paid"), "too,short")
    assert shop.run() == {"rows": 2, "orders": 2, "rejected": 2}
    assert [reasons for _, reasons in entries("order_id, reasons")] == [
        ["order_id: missing"],
        ["row: not as many fields as the header"],
    ]


def test_a_newer_good_row_resolves_an_entry(shop, entries):
    """A good row of the same order that is not older than the bad one closes its entry."""
    shop.drop(row("1", "paid", 11, email="no-address"))
    shop.run()
    shop.drop(row("1", "done", 10))
    shop.run()
    assert len(entries("id", "resolved_at is null")) == 1
    shop.drop(row("1", "done", 12))
    shop.run()
    assert entries("resolution") == [("a good row of the order was delivered",)]


def test_an_adoption_covers_what_the_service_rejected(shop, entries):
    """Where the service has refused an order as known already, a person may say so."""
    shop.drop(row("1", "paid"))
    shop.sandbox.fault({"provider": "yespo", "kind": "refuse_orders", "order_ids": ["1"], "next": 1})
    shop.run()
    assert shop.run(mode="adopt") == {"rows": 1, "orders": 1, "adopted": 1}
    assert entries("id", "resolved_at is null") == []


def test_an_adoption_closes_the_quarantine_of_its_orders(shop, entries):
    """What the service counts as having need not be redriven."""
    shop.drop(row("1", "hurra"))
    shop.run()
    shop.drop(row("1", "paid", 12))
    shop.run(mode="adopt")
    assert entries("resolution") == [("a good row of the order was adopted",)]


def test_entries_without_an_id_can_be_dismissed(shop, entries):
    """A row without an order id and an unreadable one are closed with a note, and are not listed when seen again."""
    shop.drop(row("", "paid"), "too,short", row("1", "hurra"), row("2", "paid"))
    shop.run()
    ids = [entry for (entry,) in entries("id", "order_id is null")]
    assert len(ids) == 2
    dismiss = {"redrive": True, "decision": "dismiss", "entries": ids, "note": "a test order", "user": "olena"}
    assert shop.run(**dismiss | {"dry_run": True}) == {}
    assert entries("id", "resolved_at is not null") == []
    assert shop.run(**dismiss) == {}
    assert shop.run() == {"rows": 4, "orders": 4, "rejected": 3, "unchanged": 1}
    assert entries("order_id, resolution, note, times_seen") == [
        (None, "dismissed by olena", "a test order", 1),
        ("1", None, None, 2),
        (None, "dismissed by olena", "a test order", 1),
    ]


def test_a_dismissed_line_is_listed_again_when_its_file_changes(shop, entries):
    """A line that can't be read is known by its place alone: in a newer file it may be another order."""
    shop.drop("too,short", row("1", "paid"))
    shop.run()
    shop.run(redrive=True, decision="dismiss", reason="fields", note="the export was cut")
    shop.runs = 0
    shop.drop("cut,too", row("1", "paid"))
    (file,) = (shop.tmp / "drop").iterdir()
    later = time.time() + 60
    os.utime(file, (later, later))
    shop.run()
    assert [note for (note,) in entries("note")] == ["the export was cut", None]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"entries": [1]}, "param `note`"),
        ({"note": "all"}, "Say which entries"),
        ({"note": "held", "batch": 1}, r"`batch` is 1, and `decision` is dismiss"),
    ],
)
def test_a_dismissal_needs_its_entries_and_a_note(shop, params, message):
    """A dismissal says which entries, and why."""
    with pytest.raises(StopError, match=message):
        shop.run(redrive=True, decision="dismiss", **params)


def test_ids_that_nobody_can_hold_are_kept_in_the_quarantine(shop, entries):
    """An id with unprintable characters, or of endless length, is rejected and fails no load."""
    shop.drop(row("a\0b", "paid"), row("9" * 5000, "paid"), row("1", "paid"))
    assert shop.run() == {"rows": 3, "orders": 3, "accepted": 1, "rejected": 2, "requests": 1}
    assert {reasons[0] for _, reasons in entries("order_id, reasons")} == {
        "order_id: longer than 255 characters, or with unprintable ones"
    }
