"""What the watch finds in the ledger: each problem alone, and none in a quiet shop."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from include.order_sync import watch
from include.order_sync.configuration.loading import DEFAULT_FILE, load
from include.order_sync.configuration.models import Destination
from include.order_sync.ledger import files, schema, windows
from include.order_sync.ledger.opening import open_session
from include.order_sync.model import FileVersion, Window
from tests.unit.ledger.test_order_history import sent, version

NOW = datetime.now(UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SAMPLE = load(DEFAULT_FILE)


@pytest.fixture
def destination() -> Destination:
    """A destination of one test, from a CSV drop, with `fresh_within` of three hours."""
    return SAMPLE.destinations["personaclick"].model_copy(update={"name": f"fresh_{uuid.uuid4().hex[:8]}"})


@pytest.fixture
def connection(ledger: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction of the ledger."""
    with schema.transaction(ledger, "order_sync_ledger") as connection:
        yield connection


def found(connection: sa.Connection, destination: Destination) -> dict[str, str]:
    """Return the problems by kind."""
    source = SAMPLE.sources[destination.source]
    return {each.kind: each.text for each in watch.of_ledger(connection, destination, source, destination.name, NOW)}


def read(connection: sa.Connection, destination: Destination, up_to: datetime) -> None:
    """Let the destination have read its source up to a time."""
    windows.begin(connection, destination.name, NOW - 30 * DAY)
    windows.finish(connection, destination.name, Window(NOW - 30 * DAY, up_to), "run")


def runs(connection: sa.Connection, destination: Destination, ages: list[timedelta], accepted: int = 5) -> None:
    """Record scheduled runs that ended so long ago and accepted orders."""
    counts = "rows, superseded, skipped, orders, adopted, rejected, unchanged, stale, held, not_sent, requests"
    zeros = ", ".join("0" * len(counts.split(",")))
    insert = f"""
        insert into run_records (destination, run, try, kind, begun_by, recorded_at, is_complete, is_plan, delays,
                                 accepted, not_for_provider, {counts})
        values (:name, :run, 1, '', 'schedule', :at, true, false, '{{}}', :accepted, 0, {zeros})
    """
    for age in ages:
        values = {"name": destination.name, "run": f"dag {age} a b", "at": NOW - age, "accepted": accepted}
        connection.execute(sa.text(insert), values)


def entries(connection: sa.Connection, destination: Destination, number: int, age: timedelta) -> None:
    """Put entries into the quarantine that were first seen so long ago."""
    insert = """
        insert into quarantine (destination, row_hash, reasons, encrypted_row, origin, run, first_seen_at)
        select :name, decode(md5(:age || n), 'hex'), '{status: missing}', '', 'x', 'r', :at
        from generate_series(1, :number) n
    """
    values = {"name": destination.name, "number": number, "age": str(age), "at": NOW - age}
    connection.execute(sa.text(insert), values)


def test_a_quiet_shop_is_well(connection, destination):
    """Runs go on and bring nothing: no alarm, for a shop that is quiet at night and for a new one."""
    read(connection, destination, NOW - HOUR)
    assert found(connection, destination) == {}
    runs(connection, destination, [day * DAY + hour * HOUR for day in range(10) for hour in range(9, 20)])
    assert found(connection, destination) == {}


def test_a_paused_dag_is_late(connection, destination):
    """Nothing was read for longer than `fresh_within`; a destination that has never run is left alone."""
    assert found(connection, destination) == {}
    read(connection, destination, NOW - 4 * HOUR)
    problems = found(connection, destination)
    assert list(problems) == ["late"]
    assert f"Is {destination.dag_id} paused" in problems["late"]


def test_a_first_run_that_fails_is_late(connection, destination):
    """A destination that has begun and read nothing is late once it is overdue."""
    windows.begin(connection, destination.name, NOW - 2 * HOUR)
    assert found(connection, destination) == {}
    connection.execute(sa.text("delete from first_windows where destination = :name"), {"name": destination.name})
    windows.begin(connection, destination.name, NOW - 4 * HOUR)
    assert list(found(connection, destination)) == ["late"]


def test_a_source_is_silent_against_its_own_rhythm(connection, destination):
    """Hourly orders, one accident of a day, and none for four hours; two hours are no silence yet."""
    hourly = [number * HOUR for number in range(30, 60)]
    read(connection, destination, NOW - HOUR)
    runs(
        connection,
        destination,
        [*[4 * HOUR + number * HOUR for number in range(30)], *[2 * DAY + age for age in hourly]],
    )
    assert list(found(connection, destination)) == ["silent"]
    runs(connection, destination, [2 * HOUR])
    assert found(connection, destination) == {}


def test_a_source_that_stays_silent_is_not_well_again(connection, destination):
    """Its rhythm is that of the days before its last order, however long ago that was."""
    read(connection, destination, NOW - HOUR)
    runs(connection, destination, [40 * DAY + number * HOUR for number in range(30)])
    assert list(found(connection, destination)) == ["silent"]
    # Of a rhythm of long ago nothing is left.
    runs(connection, destination, [number * HOUR for number in range(3)])
    assert found(connection, destination) == {}


def test_runs_that_accept_nothing_are_no_rhythm(connection, destination):
    """Green runs without an order do not hide the silence."""
    read(connection, destination, NOW - HOUR)
    runs(connection, destination, [4 * HOUR + number * HOUR for number in range(30)])
    runs(connection, destination, [HOUR, 2 * HOUR, 3 * HOUR], accepted=0)
    assert list(found(connection, destination)) == ["silent"]


@pytest.mark.parametrize(("hours", "kinds"), [(25, ["held"]), (23, [])])
def test_held_orders_wait_for_a_day_at_most(ledger, destination, hours, kinds):
    """Orders that are held longer are a problem."""
    with open_session(ledger, "ledger", destination=destination.name, run="dag run a b", try_number=1) as session:
        session.conclude(sent(session, version(session, "1", order_id="H-1", held=True)), "in_doubt")
        with session.transaction() as cursor:
            query = "update batches set concluded_at = %s where destination_id = %s"
            cursor.execute(query, (NOW - hours * HOUR, session.sender.destination_id))
    with schema.transaction(ledger, "order_sync_ledger") as connection:
        assert list(found(connection, destination)) == kinds


@pytest.mark.parametrize(
    ("before", "new", "kinds"), [(0, 20, []), (0, 21, ["quarantine"]), (70, 30, []), (70, 31, ["quarantine"])]
)
def test_a_growing_quarantine(connection, destination, before, new, kinds):
    """A day that brings more than twenty entries, and more than three times the usual, is a problem."""
    entries(connection, destination, before, 3 * DAY)
    entries(connection, destination, new, HOUR)
    assert list(found(connection, destination)) == kinds


def test_files_that_could_not_be_used(connection, destination):
    """An unusable file is a problem until it is written anew and taken."""
    bad = FileVersion("/drop/a.csv", "1", 10, NOW - HOUR, "unusable 1")
    files.take(connection, destination.name, [bad], "run")
    assert "/drop/a.csv" in found(connection, destination)["files"]
    earlier = "update files_taken set taken_at = taken_at - interval '1 hour' where destination = :name"
    connection.execute(sa.text(earlier), {"name": destination.name})
    files.take(connection, destination.name, [FileVersion("/drop/a.csv", "2", 10, NOW, "good", 1, 0)], "run")
    assert found(connection, destination) == {}


def test_only_what_no_run_has_seen_is_looked_at(connection, destination):
    """The source is looked at from the newest change that a run has read, and not where that is fresh."""
    assert watch.overdue(connection, destination, destination.name, NOW) is None  # it has never begun
    read(connection, destination, NOW)
    assert watch.overdue(connection, destination, destination.name, NOW) == Window(
        NOW - 3 * HOUR - 3 * DAY, NOW - 3 * HOUR
    )
    insert = "insert into freshness (destination, newest_read) values (:name, :newest)"
    connection.execute(sa.text(insert), {"name": destination.name, "newest": NOW - 5 * HOUR})
    assert watch.overdue(connection, destination, destination.name, NOW) == Window(NOW - 5 * HOUR, NOW - 3 * HOUR)
    update = "update freshness set newest_accepted = :at where destination = :name"
    connection.execute(sa.text(update), {"name": destination.name, "at": NOW - 2 * HOUR})
    assert watch.overdue(connection, destination, destination.name, NOW) is None


def test_mistakes_of_live_destinations_alone(tmp_path):
    """A mistake in a destination that sends is a problem; in one that is being set up it is none."""
    text = Path(DEFAULT_FILE).read_text("utf-8").replace("provider: yespo", "provider: yespoo")
    file = tmp_path / "order_sync.yaml"
    file.write_text(text, "utf-8")
    (problem,) = watch.of_configuration(load(file))
    assert (problem.destination, problem.kind) == ("yespo", "mistake")
    assert "did you mean 'yespo'" in problem.text
    file.write_text(text.replace("live: true", "live: false"), "utf-8")
    assert watch.of_configuration(load(file)) == []
    # Nobody would be told: so a monitor outside must see it.
    wrong = Path(DEFAULT_FILE).read_text("utf-8") + "\nalarms: {email: 7}\n"
    file.write_text(wrong, "utf-8")
    assert [each.destination for each in watch.of_configuration(load(file))] == ["configuration"]
    file.write_text("no: yaml: here", "utf-8")
    assert [each.destination for each in watch.of_configuration(load(file))] == ["configuration"]


def test_the_digest_counts_a_day(connection, destination):
    """It says up to when data is there, what was accepted and rejected, and the reasons in the quarantine."""
    read(connection, destination, NOW - HOUR)
    runs(connection, destination, [HOUR, 2 * HOUR, 30 * HOUR])
    entries(connection, destination, 3, HOUR)
    said: Any = watch.digest(connection, destination, destination.name, NOW)
    assert f"data up to {NOW - HOUR:%Y-%m-%d %H:%M} UTC; accepted 10, rejected 0 in 24 hours" in said
    assert "open in the quarantine: status: missing (3)" in said
