"""The finished windows of a destination, in PostgreSQL."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from include.order_sync.errors import TryAgainError
from include.order_sync.ledger import lateness, schema, windows
from include.order_sync.ledger.retention import remove_old
from include.order_sync.model import Window

MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)


def hours(start: int, end: int) -> Window:
    """Return a window from one hour of a day to another."""
    return Window(MIDNIGHT + timedelta(hours=start), MIDNIGHT + timedelta(hours=end))


def after(ledger: sa.Engine, *finished: Window, begun: Window | None = None) -> tuple[Window | None, list[Window]]:
    """Return the gapless window and the gaps after these windows have been finished in this sequence."""
    destination = str(uuid.uuid4())
    with schema.transaction(ledger, "order_sync_ledger") as connection:
        for first in [begun] if begun else finished[:1]:
            windows.begin(connection, destination, first.start)
        for number, window in enumerate(finished):
            windows.finish(connection, destination, window, f"run {number}")
    with schema.transaction(ledger, "order_sync_ledger") as connection:
        return windows.gapless(connection, destination), windows.gaps(connection, destination)


@pytest.mark.parametrize(
    ("finished", "gapless", "gaps"),
    [
        pytest.param([], None, [], id="none"),
        pytest.param([hours(9, 10)], hours(9, 10), [], id="one"),
        pytest.param([hours(9, 10), hours(10, 11)], hours(9, 11), [], id="one after the other"),
        pytest.param([hours(9, 11), hours(10, 12)], hours(9, 12), [], id="overlapping"),
        pytest.param([hours(9, 12), hours(10, 11)], hours(9, 12), [], id="one within the other"),
        pytest.param([hours(9, 10), hours(12, 13)], hours(9, 10), [hours(10, 12)], id="a hole"),
        pytest.param(
            [hours(9, 10), hours(12, 13), hours(15, 16)], hours(9, 10), [hours(10, 12), hours(13, 15)], id="two holes"
        ),
        pytest.param([hours(9, 10), hours(12, 13), hours(10, 12)], hours(9, 13), [], id="a hole that was healed"),
        pytest.param([hours(9, 10), hours(2, 3)], hours(9, 10), [], id="an old backfill is no gap"),
        pytest.param([hours(9, 10), hours(8, 9)], hours(9, 10), [], id="a backfill backwards"),
    ],
)
def test_gapless(ledger: sa.Engine, finished: list[Window], gapless: Window | None, gaps: list[Window]) -> None:
    """The gapless time starts with the first finished window, and ends at the first gap."""
    assert after(ledger, *finished) == (gapless, gaps)


def test_a_first_window_that_failed_counts(ledger: sa.Engine) -> None:
    """If the first runs fail, their windows are a gap until they are read."""
    assert after(ledger, begun=hours(9, 10)) == (hours(9, 9), [])
    assert after(ledger, hours(12, 13), begun=hours(9, 10)) == (hours(9, 9), [hours(9, 12)])
    assert after(ledger, hours(9, 13), begun=hours(9, 10)) == (hours(9, 13), [])


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 4)), min_size=1, max_size=12))
def test_gapless_as_counted_by_hand(ledger: sa.Engine, finished: list[tuple[int, int]]) -> None:
    """Every hour since the first window's start is read, in a gap, or later than all that was read."""
    read = {hour for start, length in finished for hour in range(start, start + length)}
    gapless, gaps = after(ledger, *(hours(start, start + length) for start, length in finished))

    assert gapless is not None
    first = finished[0][0]
    missing = [hour for hour in range(first, max(read)) if hour not in read]
    assert [gap for gap in gaps if gap.start >= gap.end] == []
    in_gaps = [hour for hour in range(24) if any(gap.start <= hours(hour, 24).start < gap.end for gap in gaps)]
    assert in_gaps == missing
    end = next(hour for hour in range(first, 24) if hour not in read)
    assert gapless == hours(first, end)


def test_a_window_without_a_scheduled_run_opens_nothing(ledger: sa.Engine) -> None:
    """A backfilled window is covered, but only `begin` says where the destination begins."""
    destination = str(uuid.uuid4())
    with schema.transaction(ledger, "order_sync_ledger") as connection:
        windows.finish(connection, destination, hours(2, 3), "backfill")
        assert windows.gapless(connection, destination) is None
        assert windows.unread(connection, destination, hours(9, 10).start) == []
        windows.begin(connection, destination, hours(1, 2).start)
        assert windows.unread(connection, destination, hours(9, 10).start) == [hours(1, 2), hours(3, 9)]
        assert windows.unread(connection, destination, hours(2, 3).start) == [hours(1, 2)]
        windows.finish(connection, destination, hours(1, 2), "run")
        assert windows.unread(connection, destination, hours(3, 4).start) == []


@pytest.mark.parametrize(
    ("finished", "hour"),
    [
        pytest.param([], None, id="none"),
        pytest.param([hours(-24, 0)], 0, id="one"),
        pytest.param([hours(-25, -1), hours(-16, 8)], 8, id="the later of two"),
        pytest.param([hours(-16, 8), hours(-25, -1)], 8, id="whichever was finished last"),
        pytest.param([hours(-24, 0), hours(-15, 8)], 0, id="a shorter one after it"),
        pytest.param([hours(-16, -4), hours(-4, 8)], None, id="two that reach as far together, read at two times"),
        pytest.param([hours(-30, 1), hours(1, 2)], 1, id="a wider one"),
    ],
)
def test_what_reaches_far_back_has_reconciled(ledger: sa.Engine, finished: list[Window], hour: int | None) -> None:
    """The last finished window that reaches so far back tells up to when, whatever its run was."""
    destination = str(uuid.uuid4())
    with schema.transaction(ledger, "order_sync_ledger") as connection:
        windows.begin(connection, destination, hours(-100, 0).start)
        for window in finished:
            windows.finish(connection, destination, window, "run")
        expected = None if hour is None else hours(hour, 99).start
        assert windows.reconciled_up_to(connection, destination, timedelta(days=1)) == expected


def test_all_since_the_beginning_has_reconciled(ledger: sa.Engine) -> None:
    """On the first days there are fewer hours than `reconcile` has; and clocks may differ a little."""
    destination, other = str(uuid.uuid4()), str(uuid.uuid4())
    with schema.transaction(ledger, "order_sync_ledger") as connection:
        windows.begin(connection, destination, hours(9, 10).start)
        windows.finish(connection, destination, hours(9, 10), "run")
        assert windows.reconciled_up_to(connection, destination, timedelta(days=3)) == hours(9, 10).end
        late = Window(hours(-23, 0).start, hours(0, 1).end - timedelta(seconds=2))
        windows.finish(connection, other, late, "run")
        assert windows.reconciled_up_to(connection, other, timedelta(days=1)) == late.end


@pytest.mark.parametrize(
    ("late_by", "at_most", "reads"),
    [(None, 48, 1), (0.5, 48, 1), (1, 48, 1), (5, 48, 10), (40, 48, 48), (40, 0, 1)],
    ids=["no row", "less than lookback", "as lookback", "twice as far", "up to reconcile", "without reconcile"],
)
def test_late_rows_widen_the_lookback(ledger: sa.Engine, late_by: float | None, at_most: int, reads: float) -> None:
    """A scheduled run reads twice as far back as the latest row of the last days came, up to `reconcile`."""
    destination, lookback = str(uuid.uuid4()), timedelta(hours=1)
    with schema.transaction(ledger, "order_sync_ledger") as connection:
        late = None if late_by is None else timedelta(hours=late_by)
        windows.finish(connection, destination, hours(9, 10), "run", late)
        found = lateness.widened(connection, destination, lookback, timedelta(hours=at_most))
        assert found == timedelta(hours=reads)


@pytest.mark.parametrize(
    ("finished", "is_read"),
    [
        pytest.param([], False, id="none"),
        pytest.param([hours(0, 4), hours(6, 8)], False, id="others"),
        pytest.param([hours(0, 5)], True, id="up to it"),
        pytest.param([hours(5, 6)], True, id="from it on"),
        pytest.param([hours(0, 8)], True, id="over it"),
    ],
)
def test_what_a_new_destination_begins_with_is_read(ledger: sa.Engine, finished: list[Window], is_read: bool) -> None:
    """The beginning is read once a window reaches it, and only of the destination that has begun there."""
    destination, other = str(uuid.uuid4()), str(uuid.uuid4())
    with schema.transaction(ledger, "order_sync_ledger") as connection:
        windows.begin(connection, destination, hours(5, 6).start)
        windows.begin(connection, other, hours(20, 21).start)
        for window in finished:
            windows.finish(connection, destination, window, "run")
        assert windows.has_first_reading(connection, destination) is is_read
        assert windows.has_first_reading(connection, other) is False


def test_destinations_know_nothing_of_each_other(ledger: sa.Engine) -> None:
    """Each destination has its own windows."""
    after(ledger, hours(9, 10))

    assert after(ledger) == (None, [])


@pytest.mark.parametrize("fault", ["down", "old"])
def test_a_ledger_that_can_t_be_used(postgres: sa.Engine, fault: str) -> None:
    """If the ledger is down, or without this release's tables, a retry follows; the message names the connection."""
    engine: Any = postgres
    if fault == "down":
        engine = sa.create_engine(postgres.url.set(port=1))
    with (
        pytest.raises(TryAgainError, match="'order_sync_ledger'"),
        schema.transaction(engine, "order_sync_ledger"),
    ):
        pytest.fail("it must not be entered")


AGE = "update windows set finished_at = now() - interval '91 days' where destination = %s and window_start < %s"


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 3)), min_size=1, max_size=20), st.integers(0, 32))
def test_old_windows_are_merged(ledger: sa.Engine, starts: list[tuple[int, int]], aged_before: int) -> None:
    """Ten years of hourly windows become one row for each stretch; the gapless time and the gaps stay the same."""
    destination = str(uuid.uuid4())
    with schema.transaction(ledger, "order_sync_ledger") as connection:
        windows.begin(connection, destination, hours(starts[0][0], 40).start)
        for start, length in starts:
            windows.finish(connection, destination, hours(start, start + length), "run")
        before = windows.gapless(connection, destination), windows.gaps(connection, destination)
        connection.exec_driver_sql(AGE, (destination, hours(aged_before, 40).start))
    remove_old(ledger, attempts_days=90, quarantine_days=90)
    with schema.transaction(ledger, "order_sync_ledger") as connection:
        assert (windows.gapless(connection, destination), windows.gaps(connection, destination)) == before
        count = sa.text("select run, count(*) from windows where destination = :name group by run")
        left = dict(connection.execute(count, {"name": destination}).all())
    assert left.get("run", 0) == sum(start >= aged_before for start, _ in starts)
    merged = {hour for start, length in starts if start < aged_before for hour in range(start, start + length)}
    assert left.get("merged by retention", 0) == len({hour for hour in merged if hour - 1 not in merged})
