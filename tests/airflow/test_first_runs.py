"""The first runs of a destination, before it is live and after, and what they adopt."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from order_sync_airflow.operators import LoadOrdersOperator

from tests.airflow.runs import DAY, HOUR, NOON


def mails(sandbox):
    """Return the ids of the orders that the service has, in the order of their first sending."""
    return [order["id"] for order in sandbox.admin("orders", provider="justclick")["orders"]]


@pytest.mark.parametrize("destinations", ["live: false, first_run: window", "first_run: window"], indirect=True)
@pytest.mark.parametrize(
    ("run_type", "params"),
    [
        ("scheduled", {}),
        ("backfill", {"resend": True}),
        ("manual", {"mode": "deliver", "from_": NOON.isoformat(), "to": (NOON + HOUR).isoformat()}),
        ("manual", {"mode": "adopt", "from_": NOON.isoformat(), "to": (NOON + HOUR).isoformat()}),
    ],
    ids=["scheduled", "backfill", "deliver", "adopt"],
)
def test_a_destination_that_is_not_live_only_plans(warehouse, sandbox, capsys, run_type, params):
    """Whatever a run's params say, it sends and remembers nothing, and its log says why."""
    counts = warehouse.counts(0, run_type, **params)
    assert counts["accepted"] == counts["requests"] == 0
    assert counts["not_sent" if params.get("mode") != "adopt" else "adopted"] == 1
    assert "PLAN ONLY" in capsys.readouterr().out
    assert mails(sandbox) == []
    assert warehouse.status() == (None, 0, 0)


@pytest.mark.parametrize("destinations", ["first_run: window"], indirect=True)
def test_an_empty_plan_finishes_no_window(warehouse):
    """An hour without orders counts as read only if the destination is live."""
    assert warehouse.counts(5) is None
    assert warehouse.status() == (None, 0, 0)


@pytest.mark.parametrize("destinations", ["live: true, first_run: adopt"], indirect=True)
def test_a_destination_that_adopts_sends_only_later_changes(warehouse, postgres, sandbox):
    """What had changed before the first run counts as known; the next real change of these orders is sent."""

    def change(order_id, status, changed_at):
        with postgres.begin() as connection:
            values = (order_id, status, changed_at)
            connection.exec_driver_sql("insert into changes values (%s, %s, %s)", values)

    change("9", "paid", NOON - 100 * DAY)
    start = warehouse.run(0)
    assert start["extract", "window"] == {
        "start": "2026-01-01T00:00:00+00:00",
        "end": (NOON + HOUR).isoformat(),
    }
    assert start["load", "counts"]["adopted"] == 2
    assert mails(sandbox) == []
    assert warehouse.status() == (1, 0, 0)
    change("8", "back", NOON + 1.5 * HOUR)
    change("9", "sent", NOON + 1.5 * HOUR)
    change("7", "paid", NOON - 200 * DAY)
    assert warehouse.counts(1)["accepted"] == 2
    assert sorted(mails(sandbox)) == ["8", "9"]
    # A backfill of the time before it began sends nothing either; a person may insist.
    counts = warehouse.counts(-200 * 24, "backfill")
    assert (counts["adopted"], counts["accepted"]) == (1, 0)
    assert warehouse.counts(-200 * 24, "backfill", resend=True)["accepted"] == 1


@pytest.mark.parametrize("destinations", ["live: true, first_run: adopt"], indirect=True)
def test_changes_of_the_first_day_are_sent_where_only_dates_are_written(drop, sandbox):
    """A date alone may be of after the begin: what is new on that day is sent; what is older is adopted."""

    def put(minutes, **days_of):
        rows = [
            f"{order_id},{status},{(NOON - days * DAY):%Y-%m-%d},{order_id},RR1"
            for order_id, (status, days) in days_of.items()
        ]
        file = drop.folder / "drop" / f"{minutes}.csv"
        file.write_text("\n".join(["order_id,status,status_changed_at,bill_id,tracking_number", *rows, ""]))
        modified = (NOON + timedelta(minutes=minutes)).timestamp()
        os.utime(file, (modified, modified))

    first = {"1": ("paid", 0), "2": ("paid", 0), "3": ("paid", 1)}
    put(1, **first)
    assert drop.counts(0)["adopted"] == 3
    put(61, **first | {"1": ("sent", 0), "4": ("paid", 0), "5": ("paid", 1)})
    counts = drop.counts(1)
    assert (counts["accepted"], counts["unchanged"], counts["adopted"]) == (2, 2, 1)
    assert sorted(mails(sandbox)) == ["1", "4"]


@pytest.mark.parametrize("destinations", ["live: false, first_run: window"], indirect=True)
def test_a_run_that_began_as_plan_only_sends_nothing(warehouse, sandbox):
    """Its note says so, also if the destination is made live before its load; the next run sends."""
    file = warehouse.folder / "order_sync.yaml"
    counts = warehouse.counts(
        0, before_load=lambda: file.write_text(file.read_text().replace("live: false", "live: true"))
    )
    assert (counts["not_sent"], mails(sandbox)) == (1, [])
    assert warehouse.status()[0] is None
    assert warehouse.counts(0)["accepted"] == 1


@pytest.mark.parametrize("destinations", ["live: true, first_run: adopt"], indirect=True)
def test_an_adoption_that_failed_is_repeated(warehouse, postgres, sandbox, monkeypatch):
    """If the first run ends before it has adopted, the next one does, and sends only its own hour's changes."""
    with postgres.begin() as connection:
        connection.exec_driver_sql("insert into changes values ('9', 'sent', %s)", (NOON + 1.5 * HOUR,))
    with monkeypatch.context() as broken:
        broken.setattr(LoadOrdersOperator, "execute", None)
        with pytest.raises(TypeError):
            warehouse.run(0)
    counts = warehouse.counts(1)
    assert (counts["adopted"], counts["accepted"]) == (1, 1)
    assert mails(sandbox) == ["9"]
    assert warehouse.run(2)["extract", "window"]["start"] == (NOON + HOUR).isoformat()


@pytest.mark.parametrize("destinations", ["live: true, first_run: adopt"], indirect=True)
@pytest.mark.parametrize("run_type", ["backfill", "manual"])
def test_before_its_first_scheduled_run_it_adopts_whatever_is_read(warehouse, sandbox, run_type):
    """A person who is early with a backfill or the trigger form mails nobody."""
    assert warehouse.counts(0, run_type)["adopted"] == 1
    assert mails(sandbox) == []


@pytest.mark.parametrize("destinations", ["live: true, first_run: send"], indirect=True)
def test_a_destination_that_sends_begins_at_its_start_date(warehouse, sandbox):
    """The first run sends all from `start_date` on, and healing does not cut it."""
    assert warehouse.counts(0)["accepted"] == 1
    assert mails(sandbox) == ["8"]
    assert warehouse.counts(1)["unchanged"] == 1


@pytest.mark.parametrize("destinations", ["live: true, first_run: send"], indirect=True)
def test_old_files_of_a_drop_are_sent_only_if_wanted(drop, sandbox):
    """`send` takes the files since `start_date`."""
    drop.put("old.csv", "1", modified=NOON - 30 * DAY)
    drop.put("older.csv", "2", modified=datetime(2025, 12, 31, tzinfo=UTC))
    assert drop.counts(0)["accepted"] == 1
    assert mails(sandbox) == ["1"]


@pytest.mark.parametrize("destinations", ["live: true, first_run: window"], indirect=True)
def test_adopt_by_hand(warehouse, drop, sandbox):
    """`mode: adopt` remembers a window, a drop or some orders as known; nothing is sent, then or later."""
    times = {"from_": NOON.isoformat(), "to": (NOON + HOUR).isoformat()}
    assert warehouse.counts(0, "manual", mode="adopt", **times)["adopted"] == 1
    assert warehouse.counts(0, "manual", mode="adopt", order_ids=["7"])["adopted"] == 1
    drop.put("a.csv", "1", "2")
    assert drop.counts(0, "manual", mode="adopt", **times)["adopted"] == 2
    assert warehouse.counts(0)["unchanged"] == 1
    assert drop.counts(0) is None  # its file is taken
    assert mails(sandbox) == []


def test_an_adoption_covers_another_status_of_the_very_same_time(warehouse, postgres, sandbox):
    """After a restore the ledger has the first status of a day, and the service the second: it is not sent again."""
    assert warehouse.counts(0)["accepted"] == 1
    with postgres.begin() as connection:
        connection.exec_driver_sql("update changes set status = 'back' where order_id = '8'")
    times = {"from_": NOON.isoformat(), "to": (NOON + HOUR).isoformat()}
    assert warehouse.counts(0, "manual", mode="adopt", **times)["adopted"] == 1
    assert warehouse.counts(0)["unchanged"] == 1
    (order,) = sandbox.admin("orders", provider="justclick")["orders"]
    assert [change["status"] for change in order["history"]] == ["sent"]


@pytest.mark.parametrize("destinations", ["live: true, first_run: window, not_older_than: 30d"], indirect=True)
def test_old_changes_are_adopted(warehouse, sandbox):
    """Changes older than `not_older_than` are adopted by each run; `resend` sends them."""
    counts = warehouse.counts(0, "manual", order_ids=["7", "8"])
    assert (counts["adopted"], counts["accepted"]) == (1, 1)
    assert mails(sandbox) == ["8"]
    assert warehouse.counts(0, "manual", order_ids=["7"])["unchanged"] == 1
    assert warehouse.counts(0, "manual", order_ids=["7"], resend=True)["accepted"] == 1


@pytest.mark.parametrize("first_run", ["window", "adopt"])
def test_a_date_alone_is_old_once_its_whole_day_is(drop, sandbox, first_run):
    """Yesterday evening's change that a run of today reads is not older than a day, though its day began before."""
    configuration = drop.folder / "order_sync.yaml"
    options = f"first_run: {first_run}, not_older_than: 1d"
    configuration.write_text(configuration.read_text().replace("first_run: window", options))
    drop.put("first.csv", "0")
    drop.counts(0)
    today = datetime.now(UTC)
    days = "".join(f"{n},paid,{today - n * DAY:%Y-%m-%d},{n},RR1\n" for n in (1, 2))
    file = drop.folder / "drop/days.csv"
    file.write_text(f"order_id,status,status_changed_at,bill_id,tracking_number\n{days}")
    modified = (NOON + 1.5 * HOUR).timestamp()
    os.utime(file, (modified, modified))
    counts = drop.counts(1)
    assert (counts["accepted"], counts["adopted"]) == (1, 1)
    assert mails(sandbox) == ["1"]
