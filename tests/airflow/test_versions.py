"""Which of an order's rows counts: rows of one time, rows that were set back, and runs that trust the source."""

import re

import pytest

from include.order_sync.errors import StopError
from tests.airflow.runs import DAY, HOUR, NOON


def test_another_status_of_the_very_same_time_is_sent_by_a_scheduled_run(warehouse, postgres, sandbox, capsys):
    """A shop that writes dates without times: the second status of a day arrives, and is sent once."""

    def becomes(status):
        with postgres.begin() as connection:
            connection.exec_driver_sql("update changes set status = %s where order_id = '8'", (status,))

    assert warehouse.counts(0)["accepted"] == 1
    becomes("back")
    times = {"from_": NOON.replace(hour=0).isoformat(), "to": (NOON + HOUR).isoformat()}
    figures = warehouse.counts(0, "manual", interval=False, **times)
    assert (figures["stale"], figures["unchanged"], figures["requests"]) == (1, 0, 0)
    assert figures["stale_changed"] == 1
    assert re.search(r"stale: another row of the very same times was attempted +1 +8 ", capsys.readouterr().out)
    assert warehouse.counts(0, "backfill")["stale"] == 1
    assert warehouse.counts(0)["accepted"] == 1
    assert warehouse.counts(0)["unchanged"] == 1
    becomes("sent")
    assert warehouse.counts(0)["accepted"] == 1
    taken = sandbox.admin("orders", provider="justclick")["orders"]
    (history,) = [[change["status"] for change in order["history"]] for order in taken if order["id"] == "8"]
    assert history == ["sent", "return", "sent"]


UP_TO_NOW = {"from_": NOON.isoformat(), "to": (NOON + 10 * DAY).isoformat(), "trust": "source"}
A_PART = {"from_": NOON.isoformat(), "to": (NOON + HOUR * 0.7).isoformat()}


def test_a_status_that_was_set_back_is_listed_and_sent_by_a_run_that_trusts_the_source(
    warehouse, postgres, sandbox, capsys, caplog
):
    """A shop sets a status back with its own old time: it is stale and listed until a person trusts the source."""

    def becomes(status, changed_at):
        with postgres.begin() as connection:
            values = (status, changed_at)
            connection.exec_driver_sql("update changes set status = %s, changed_at = %s where order_id = '8'", values)

    def resolutions():
        with warehouse.engine.begin() as ledger:
            query = "select reasons, times_seen, resolution from quarantine where destination = %s"
            return [tuple(row) for row in ledger.exec_driver_sql(query, (warehouse.destination,))]

    def stale(*arguments, **params):
        figures = warehouse.counts(*arguments, **params)
        return figures["stale"], figures["stale_changed"], figures["requests"]

    assert warehouse.counts(0)["accepted"] == 1
    becomes("paid", NOON + HOUR / 6)
    # A run of the past can't know whether there is a newer row.
    assert stale(0, "backfill") == (1, 0, 0)
    assert resolutions() == []
    assert stale(0) == stale(1) == (1, 1, 0)
    reason = "stale: the source has changed to a row that is older than the attempted one"
    assert resolutions() == [([reason], 2, None)]
    assert re.search(rf"{reason} +1 +8 ", capsys.readouterr().out)
    assert warehouse.counts(0, "manual", interval=False, mode="plan", **UP_TO_NOW)["not_sent"] == 1
    assert warehouse.counts(0, "manual", interval=False, **UP_TO_NOW)["accepted"] == 1
    assert "trusts the source: 8" in caplog.text
    assert resolutions() == [([reason], 2, "a good row of the order was delivered")]
    # The ledger knows the row now: it is sent once, and is no change any more.
    assert warehouse.counts(0, "manual", interval=False, **UP_TO_NOW)["unchanged"] == 1
    assert stale(1) == (1, 0, 0)
    becomes("sent", NOON + HOUR * 0.9)
    assert warehouse.counts(1)["accepted"] == 1
    taken = sandbox.admin("orders", provider="justclick")["orders"]
    (history,) = [[change["status"] for change in order["history"]] for order in taken if order["id"] == "8"]
    assert history == ["sent", "paid", "sent"]


def test_a_corrected_timezone_is_no_change_of_rows(warehouse, postgres):
    """Rows that are read again with earlier times are stale and not listed; later changes that are overtaken are."""
    assert warehouse.counts(0)["accepted"] == 1
    with postgres.begin() as connection:
        connection.exec_driver_sql("update changes set changed_at = changed_at - interval '20 minutes'")
    figures = warehouse.counts(0)
    assert (figures["stale"], figures["stale_changed"]) == (1, 0)
    with postgres.begin() as connection:
        connection.exec_driver_sql(
            "update changes set status = 'back', changed_at = changed_at + interval '10 minutes' where order_id = '8'"
        )
    figures = warehouse.counts(0)
    assert (figures["stale"], figures["stale_changed"]) == (1, 1)


@pytest.mark.parametrize(
    ("run_type", "params"),
    [
        ("scheduled", {}),
        ("backfill", {}),
        ("manual", {}),
        ("manual", {"from_": NOON.isoformat(), "to": (NOON + HOUR).isoformat()}),
    ],
    ids=["scheduled", "backfill", "a logical date", "a window of the past"],
)
def test_a_run_of_the_past_may_not_trust_the_source(warehouse, run_type, params):
    """It would send old states over newer ones."""
    with pytest.raises(StopError, match="read the present"):
        warehouse.run(0, run_type, trust="source", **params)


def test_a_run_of_order_ids_may_trust_the_source(warehouse, postgres):
    """It reads the present row of these orders."""
    assert warehouse.counts(0)["accepted"] == 1
    with postgres.begin() as connection:
        connection.exec_driver_sql("update changes set status = 'back', changed_at = changed_at - interval '1 hour'")
    assert warehouse.counts(0, "manual", order_ids=["8"])["stale"] == 1
    assert warehouse.counts(0, "manual", order_ids=["8"], trust="source")["accepted"] == 1


def test_a_scheduled_run_that_is_cleared_later_overrules_nothing(warehouse, postgres):
    """A later run has read the source since: what an old run reads now may be older."""
    assert warehouse.counts(0)["accepted"] == 1
    assert warehouse.counts(5) is None
    with postgres.begin() as connection:
        connection.exec_driver_sql("update changes set status = 'back' where order_id = '8'")
    assert warehouse.counts(0)["stale"] == 1


@pytest.mark.parametrize(
    ("late", "changed_at", "between"),
    [
        ({}, NOON + HOUR / 2, {"run_type": "manual", "order_ids": ["8"]}),
        ({}, NOON + HOUR / 2, {"run_type": "manual", "interval": False, **A_PART}),
        ({"run_type": "manual", "order_ids": ["8"], "resend": True}, NOON + HOUR / 2, {}),
        ({"run_type": "manual", "order_ids": ["8"], "trust": "source"}, NOON + HOUR / 2, {}),
        ({"run_type": "manual", "order_ids": ["8"], "trust": "source"}, NOON + HOUR * 0.9, {}),
        ({"run_type": "manual", "interval": False, **UP_TO_NOW}, NOON + HOUR * 0.9, {}),
        ({"run_type": "manual", "order_ids": ["8"], "mode": "adopt"}, NOON + HOUR / 2, {}),
    ],
    ids=["order ids", "a part of the hour", "resend", "trust, the same time", "trust", "trust up to now", "adopt"],
)
def test_a_load_that_comes_late_overrules_nothing_that_was_read_after_it(
    warehouse, postgres, sandbox, late, changed_at, between
):
    """Its run has read the source before another run has: after an outage, an approval, or a clear of load alone."""

    def another_run():
        with postgres.begin() as connection:
            values = ("back", changed_at)
            connection.exec_driver_sql("update changes set status = %s, changed_at = %s where order_id = '8'", values)
        assert warehouse.counts(0, **between)["accepted"] == 1

    assert warehouse.counts(0, before_load=another_run, **late)["stale"] == 1
    taken = sandbox.admin("orders", provider="justclick")["orders"]
    assert [change["status"] for order in taken for change in order["history"]] == ["return"]


def test_a_load_that_comes_late_sends_what_no_other_run_has_sent(warehouse, postgres):
    """Another run has read the source since, but has sent none of these orders."""

    def another_run():
        with postgres.begin() as connection:
            connection.exec_driver_sql("insert into changes values ('9', 'sent', %s)", (NOON + HOUR / 3,))
        assert warehouse.counts(0, "manual", order_ids=["9"])["accepted"] == 1

    assert warehouse.counts(0)["accepted"] == 1
    with postgres.begin() as connection:
        connection.exec_driver_sql("update changes set status = 'back' where order_id = '8'")
    assert warehouse.counts(0, before_load=another_run)["accepted"] == 1


@pytest.mark.parametrize(
    "bad",
    [
        ("a word of no map", f"{NOON + HOUR / 2}"),
        ("sent", "no time"),
    ],
    ids=["of the very same time", "of an unknown time"],
)
def test_an_older_good_row_leaves_the_rejection_of_a_newer_one_open(warehouse, postgres, bad):
    """A rejected row is listed until a newer row of its order is delivered, not because an older one was."""

    def insert(*row):
        with postgres.begin() as connection:
            connection.exec_driver_sql("insert into texts values ('9', %s, %s, %s)", (*row, NOON + HOUR / 2))

    def resolutions():
        with warehouse.engine.begin() as ledger:
            query = "select resolution from quarantine where destination = %s"
            return ledger.exec_driver_sql(query, (warehouse.destination,)).scalars().all()

    with postgres.begin() as connection:
        connection.exec_driver_sql("create table texts (id text, status text, time text, changed_at timestamptz)")
    columns = "id as order_id, status, time as status_changed_at, id as bill_id, 'RR1' as tracking_number"
    windowed = "changed_at >= :window_start and changed_at < :window_end"
    (warehouse.folder / "sql/orders.sql").write_text(f"select {columns} from test.texts where {windowed}")
    insert("paid", f"{NOON + HOUR / 2}")
    insert(*bad)
    counts = warehouse.counts(0)
    assert (counts["accepted"], counts["rejected"]) == (1, 1)
    assert resolutions() == [None]
    assert warehouse.counts(0)["unchanged"] == 1
    assert resolutions() == [None]
    with postgres.begin() as connection:
        connection.exec_driver_sql("delete from texts")
    insert("sent", f"{NOON + 40 * HOUR / 60}")
    assert warehouse.counts(0)["accepted"] == 1
    assert resolutions() == ["a good row of the order was delivered"]


def test_a_status_that_changes_within_one_date(warehouse, postgres, sandbox):
    """Two statuses of one date have equal versions: the second is sent, because the service has another code."""

    def changes(word, hour):
        with postgres.begin() as connection:
            connection.exec_driver_sql("delete from changes")
            connection.exec_driver_sql("insert into changes values ('9', %s, %s)", (word, NOON + (hour + 0.5) * HOUR))

    query = (warehouse.folder / "sql/orders.sql").read_text()
    (warehouse.folder / "sql/orders.sql").write_text(query.replace("changed_at as", "changed_at::date as", 1))
    outcomes = []
    for hour, word in ((0, "paid"), (2, "back"), (4, "back")):
        changes(word, hour)
        counts = warehouse.counts(hour)
        outcomes.append({name: counts[name] for name in ("accepted", "unchanged") if counts[name]})

    assert outcomes == [{"accepted": 1}, {"accepted": 1}, {"unchanged": 1}]
