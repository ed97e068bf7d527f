"""The window of a run, and when it is finished, healed or reconciled."""

import re

import pytest
import sqlalchemy as sa
from order_sync_airflow import ledger as ledger_command
from order_sync_airflow import ledger_connection

from include.order_sync.errors import StopError, TryAgainError
from tests.airflow.runs import DAY, HOUR, NOON, fail_next
from tests.airflow.test_first_runs import mails


def test_what_is_done_is_not_read_again(drop):
    """A run that has ended well has finished its window and taken its files."""
    drop.put("a.csv", "1", "2")
    assert drop.counts(0)["accepted"] == 2
    assert drop.status() == (1, 0, 0)
    assert drop.counts(1) is None
    assert drop.status() == (2, 0, 0)


def test_a_window_is_handed_on_as_texts(drop):
    """The XCom `window` holds only two ISO times."""
    drop.put("a.csv", "1")
    window = {"start": NOON.isoformat(), "end": (NOON + HOUR).isoformat()}
    assert drop.run(0)["extract", "window"] == window


def test_what_a_run_has_left_the_next_takes_up(drop, sandbox):
    """A failed load has finished neither window nor files, so the next good run reads both."""
    assert drop.counts(0) is None
    drop.put("a.csv", "1")
    fail_next(sandbox, kind="status", status=503)
    with pytest.raises(TryAgainError):
        drop.run(1)
    assert drop.status() == (1, 0, 0)
    healed = drop.run(4)
    assert healed["load", "counts"]["accepted"] == 1
    assert healed["extract", "window"]["start"] == (NOON + HOUR).isoformat()
    assert drop.status() == (5, 0, 0)


def test_first_runs_that_fail_are_healed_too(drop, sandbox):
    """A destination whose first run failed still starts with that run's window."""
    drop.put("a.csv", "1")
    fail_next(sandbox, kind="status", status=503)
    with pytest.raises(TryAgainError):
        drop.run(0)
    assert drop.status() == (None, 0, 0)
    assert drop.run(6)["extract", "window"]["start"] == NOON.isoformat()
    assert drop.status() == (7, 0, 0)


def test_held_orders_do_not_keep_a_window_open(drop, sandbox):
    """A held order waits in the ledger: the window is finished, and its file is not taken again."""
    drop.put("a.csv", "1", "2")
    fail_next(sandbox, kind="close", when="after")
    with pytest.raises(StopError, match="1 order is held"):
        drop.run(0)
    assert drop.status() == (1, 0, 1)
    assert drop.counts(1) is None


def test_a_gap_is_open_until_it_is_read(warehouse):
    """A manual run of a later window leaves a gap, and the next scheduled run closes it."""
    assert warehouse.counts(0)["accepted"] == 1
    later_window = {"from_": (NOON + 3 * HOUR).isoformat(), "to": (NOON + 4 * HOUR).isoformat()}
    assert warehouse.counts(0, "manual", interval=False, **later_window) is None
    assert warehouse.status() == (1, 1, 0)
    assert warehouse.counts(4) is None
    assert warehouse.status() == (5, 0, 0)


def test_rows_that_come_late_widen_the_lookback(warehouse, postgres, capsys):
    """An order that only the reconcile has found is counted, and the next runs read twice its lateness back."""
    for hour in range(3):
        warehouse.counts(hour)
    with postgres.begin() as connection:
        connection.exec_driver_sql("insert into changes values ('9', 'sent', %s)", (NOON + HOUR / 2,))
    assert warehouse.run(20)["load", "counts"]["late"] == 1
    # The run of one o'clock was the last one that read half past twelve: its window ended at two.
    assert "1 order came late" in (said := capsys.readouterr().out)
    assert "at least 1:30:00" in said
    with postgres.begin() as connection:
        # Half an hour is within the lookback, and an hour and a half within the wider one.
        for order_id, hours_ago in (("10", 0.5), ("11", 1.5)):
            connection.exec_driver_sql(
                "insert into changes values (%s, 'sent', %s)", (order_id, NOON + (21 - hours_ago) * HOUR)
            )
    healed = warehouse.run(21)
    assert healed["extract", "window"]["start"] == (NOON + 18 * HOUR).isoformat()
    assert (healed["load", "counts"]["accepted"], healed["load", "counts"]["late"]) == (2, 0)
    with warehouse.engine.begin() as ledger:
        forget = "update windows set finished_at = finished_at - interval '8 days' where destination = %s"
        ledger.exec_driver_sql(forget, (warehouse.destination,))
    assert warehouse.run_extract(22)["start"] == (NOON + 21 * HOUR).isoformat()


@pytest.mark.parametrize("why", ["it was rejected", "its time is a date", "a manual run"])
def test_orders_whose_lateness_nobody_knows_are_not_measured(warehouse, postgres, sandbox, why):
    """Only an order that was not there when its time was read is late."""
    time = NOON + (12 if why == "its time is a date" else 0.5) * HOUR

    def comes(status):
        with postgres.begin() as connection:
            connection.exec_driver_sql("delete from changes where order_id = '9'")
            connection.exec_driver_sql("insert into changes values ('9', %s, %s)", (status, time))

    counts = []
    for hour in range(15):
        if hour == 1 and why == "it was rejected":
            comes("a word of no map")
        counts.append(warehouse.counts(hour))
    comes("sent")
    if why == "a manual run":
        times = {"from_": NOON.isoformat(), "to": (NOON + HOUR).isoformat()}
        counts.append(warehouse.counts(0, "manual", **times))
    counts.append(warehouse.counts(35))
    assert "9" in mails(sandbox)
    assert not any(figures and figures.get("late") for figures in counts)
    assert warehouse.run_extract(36)["start"] == (NOON + 35 * HOUR).isoformat()


def test_the_first_good_run_of_a_day_reconciles(warehouse, postgres, sandbox):
    """Airflow skips the run over midnight, and the first run after it fails: the next one reads the days again."""

    def comes_late(order_id):
        with postgres.begin() as connection:
            connection.exec_driver_sql("insert into changes values (%s, 'sent', %s)", (order_id, NOON + HOUR / 2))

    for hour in range(3):
        warehouse.counts(hour)
    comes_late("9")
    assert warehouse.counts(3) is None
    fail_next(sandbox, kind="status", status=503)
    with pytest.raises(TryAgainError):
        warehouse.run(20)
    # Healing alone would begin after the third run.
    reconciled = warehouse.run(21)
    assert reconciled["extract", "window"]["start"] == NOON.isoformat()
    assert reconciled["load", "counts"]["accepted"] == 1
    comes_late("10")
    assert warehouse.counts(22) is None
    assert warehouse.counts(22 + 24)["accepted"] == 1


@pytest.mark.parametrize("run_type", ["backfill", "manual"])
def test_a_run_of_an_old_window_opens_nothing(warehouse, run_type):
    """The first scheduled run reads its own hour alone, also after a backfill or a manual run of one day."""
    warehouse.counts(-319 * 24, run_type)
    times = {"from_": (NOON - 300 * DAY).isoformat(), "to": (NOON - 299 * DAY).isoformat()}
    warehouse.counts(0, "manual", interval=False, **times)
    assert warehouse.run(0)["extract", "window"] == {
        "start": NOON.isoformat(),
        "end": (NOON + HOUR).isoformat(),
    }


def test_healing_has_an_end_and_says_what_to_trigger(warehouse, postgres):
    """After two months' pause the newest three days are sent; runs end red until the named range is read."""
    assert warehouse.counts(-60 * 24) is None
    with postgres.begin() as connection:
        for order_id, changed in (("9", NOON - 9 * DAY), ("10", NOON - 2 * DAY)):
            connection.exec_driver_sql("insert into changes values (%s, 'sent', %s)", (order_id, changed))
    left_out = NOON - 60 * DAY + HOUR, NOON + HOUR - 3 * DAY
    message = (
        rf"`heal_at_most`.*`from` {re.escape(left_out[0].isoformat())} and `to` {re.escape(left_out[1].isoformat())}"
    )
    pushed = {}
    with pytest.raises(StopError, match=message):
        warehouse.run(0, pushed=pushed)
    assert pushed["load", "counts"]["accepted"] == 2
    with pytest.raises(StopError, match=message):  # an hour without orders
        warehouse.run(1, pushed=pushed)
    assert pushed["extract", "window"]["start"] == NOON.isoformat()
    times = dict(zip(("from_", "to"), (time.isoformat() for time in left_out), strict=True))
    assert warehouse.counts(0, "manual", interval=False, **times)["accepted"] == 1
    assert warehouse.counts(2) is None
    assert warehouse.status() == (3, 0, 0)


def test_a_run_whose_orders_are_all_rejected_says_it_too(warehouse, postgres):
    """A run with no order to send ends red as well if older time was left out; a plan only warns."""
    assert warehouse.counts(-60 * 24) is None
    with postgres.begin() as connection:
        connection.exec_driver_sql("delete from changes")
        connection.exec_driver_sql("insert into changes values ('no number', 'sent', %s)", (NOON,))
    assert warehouse.counts(0, mode="plan")["rejected"] == 1
    with pytest.raises(StopError, match="heal_at_most"):
        warehouse.run(0)
    assert warehouse.counts(0, mode="plan")["rejected"] == 1
    with postgres.begin() as connection:
        connection.exec_driver_sql("delete from changes")
    assert warehouse.counts(2, mode="plan") is None


def test_status_is_a_plain_table(warehouse):
    """Each configured destination has a line: end of the read time, gaps, held orders, batches in doubt."""
    warehouse.counts(0)
    later_window = {"from_": (NOON + 3 * HOUR).isoformat(), "to": (NOON + 4 * HOUR).isoformat()}
    warehouse.counts(0, "manual", interval=False, **later_window)
    titles, _, new, read = ledger_command.status_table().splitlines()
    gap = f"{NOON + HOUR:%Y-%m-%d %H:%M} to {NOON + 3 * HOUR:%Y-%m-%d %H:%M}"
    assert titles.startswith("destination ")
    assert new.split()[1:] == ["never", "none", "0", "0"]
    assert re.split(r" {2,}", read.strip())[1:] == [f"{NOON + HOUR:%Y-%m-%d %H:%M}", gap, "0", "0"]


def test_a_ledger_that_is_down(drop, monkeypatch, ledger):
    """If the ledger is down a run reads nothing, and is tried again."""
    down = sa.create_engine(ledger.url.set(port=1))
    monkeypatch.setattr(ledger_connection, "ledger_engine", lambda: down)
    with pytest.raises(TryAgainError, match="'order_sync_ledger'"):
        drop.run(0)
