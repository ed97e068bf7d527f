"""The window that a run reads."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.order_sync.errors import StopError
from include.order_sync.model import Window
from include.order_sync.sources.run_window import (
    Healing,
    HealingRule,
    RunRequest,
    RunWindow,
    reconcile_reach,
    run_window,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TEN = datetime(2026, 11, 21, 10, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
INTERVAL = Window(TEN, TEN + HOUR)
# Of a day that was reconciled.
HEALING = HealingRule(
    lookback=HOUR, reconcile=2 * DAY, at_most=3 * DAY, start_date=TEN - 90 * DAY, reconciled_up_to=MIDNIGHT - DAY
)
IDS = frozenset({"007"})


def read(run_request: RunRequest, healing: HealingRule = HEALING, *, has_ids_query: bool = False) -> RunWindow:
    """Return the window and order ids that a run reads."""
    return run_window(run_request, healing, has_ids_query=has_ids_query)


@pytest.mark.parametrize("by", ["schedule", "person"])
@pytest.mark.parametrize(
    ("unread", "start"),
    [
        pytest.param([], TEN - HOUR, id="all is well"),
        pytest.param([Window(TEN - 5 * HOUR, TEN)], TEN - 5 * HOUR, id="five hours are missing"),
        pytest.param([Window(TEN - 5 * HOUR, TEN - 4 * HOUR)], TEN - 5 * HOUR, id="a hole"),
        pytest.param([Window(TEN - DAY, TEN)], TEN - DAY, id="no run has succeeded yet"),
    ],
)
def test_a_scheduled_run_heals(by: Any, unread: list[Window], start: datetime) -> None:
    """A scheduled run reads from the first unread time, at least the lookback, to its interval's end."""
    healing = replace(HEALING, began=TEN - DAY, unread=tuple(unread))
    expected = RunWindow(Window(start, INTERVAL.end), healing=Healing(TEN - DAY, TEN - DAY))

    assert read(RunRequest(by, INTERVAL), healing) == expected


@pytest.mark.parametrize("reconciled", [None, TEN])
def test_the_first_run_of_window_reads_its_own_interval_alone(reconciled: datetime | None) -> None:
    """Nothing before the first scheduled run's data interval is read by itself, neither rows nor files."""
    first = replace(HEALING, reconciled_up_to=reconciled)
    assert first.begin(INTERVAL) == TEN
    assert read(RunRequest("schedule", INTERVAL), first) == RunWindow(INTERVAL, healing=Healing(TEN, TEN))
    second = Window(INTERVAL.end, INTERVAL.end + HOUR)
    twice = replace(first, began=TEN, lookback=5 * HOUR)
    assert read(RunRequest("schedule", second), twice).window == Window(TEN, second.end)


@pytest.mark.parametrize(("first_run", "began"), [("adopt", INTERVAL.end), ("send", TEN - 90 * DAY)])
def test_the_first_run_of_adopt_and_send_reads_all(first_run: Any, began: datetime) -> None:
    """It reads from `start_date` on, whatever `heal_at_most` is, and so does each run until one has finished that."""
    healing = replace(HEALING, first_run=first_run)
    expected = RunWindow(Window(TEN - 90 * DAY, INTERVAL.end), healing=Healing(TEN - 90 * DAY, TEN - 90 * DAY))
    assert healing.begin(INTERVAL) == began
    assert read(RunRequest("schedule", INTERVAL), healing) == expected
    begun = replace(healing, began=began, unread=(Window(TEN - 90 * DAY, TEN),))
    assert read(RunRequest("schedule", INTERVAL), begun) == expected
    later = Window(TEN + HOUR, TEN + 2 * HOUR)
    start = max(TEN, began)
    assert read(RunRequest("schedule", later), replace(begun, has_first_reading=True, unread=())).window == Window(
        start, later.end
    )


def test_a_run_of_an_old_interval_reads_it() -> None:
    """A person may trigger a data interval from before the destination began."""
    assert read(RunRequest("person", INTERVAL), replace(HEALING, began=TEN + DAY)).window == INTERVAL


@pytest.mark.parametrize(
    ("unread", "start", "left_out"),
    [
        pytest.param([(60, 0)], 3 * DAY, [(60, 3)], id="paused for two months"),
        pytest.param([(60, 3)], HOUR * 2, [(60, 3)], id="the next hour"),
        pytest.param([(60, 50), (40, 30)], HOUR * 2, [(60, 50), (40, 30)], id="two old holes"),
        pytest.param([(60, 50), (2, 1)], 2 * DAY, [(60, 50)], id="an old hole and a new one"),
        pytest.param([(2, 0)], 2 * DAY, [], id="two days"),
    ],
)
def test_healing_has_an_end(unread: list[tuple[int, int]], start: timedelta, left_out: list[tuple[int, int]]) -> None:
    """Of unread time only the newest `heal_at_most` is read; the rest is named."""

    def days(pairs: list[tuple[int, int]]) -> tuple[Window, ...]:
        return tuple(Window(INTERVAL.end - a * DAY, INTERVAL.end - b * DAY if b else INTERVAL.start) for a, b in pairs)

    found = read(RunRequest("schedule", INTERVAL), replace(HEALING, began=TEN - 90 * DAY, unread=days(unread)))
    assert found.window == Window(INTERVAL.end - start, INTERVAL.end)
    assert found.healing == Healing(TEN - 90 * DAY, INTERVAL.end - 3 * DAY, days(left_out))


@pytest.mark.parametrize("at_most", [timedelta(0), DAY])
def test_a_run_always_reads_its_own_interval(at_most: timedelta) -> None:
    """`heal_at_most` never cuts the data interval or the lookback, and bounds `reconcile`."""
    week = Window(MIDNIGHT - 7 * DAY, MIDNIGHT)
    healing = replace(HEALING, at_most=at_most, reconcile=30 * DAY, began=MIDNIGHT - 90 * DAY, reconciled_up_to=None)

    assert read(RunRequest("schedule", week), healing).window == Window(week.start - HOUR, week.end)


@pytest.mark.parametrize(
    ("reconciled", "reaches"),
    [
        pytest.param(None, 3 * DAY, id="never"),
        pytest.param(MIDNIGHT - DAY, HOUR, id="today"),
        pytest.param(MIDNIGHT - DAY - HOUR, 3 * DAY, id="yesterday"),
        pytest.param(MIDNIGHT - 2 * DAY, 3 * DAY + 10 * HOUR, id="yesterday, in its first hour"),
        pytest.param(MIDNIGHT - 30 * DAY, 5 * DAY, id="a month ago"),
    ],
)
@pytest.mark.parametrize("length", [HOUR, DAY, 9 * DAY], ids=["an hourly schedule", "a daily one", "a longer one"])
@pytest.mark.parametrize("zone", [UTC, ZoneInfo("Europe/Kyiv")], ids=str)
def test_once_a_day_rows_committed_late_are_read(
    length: timedelta, zone: Any, reconciled: datetime | None, reaches: timedelta
) -> None:
    """The run that finds no reconcile of its day reads `reconcile` days before the last one, at any hour."""
    healing = replace(HEALING, began=MIDNIGHT - 30 * DAY, at_most=5 * DAY, reconciled_up_to=reconciled)
    interval = Window((TEN - length).astimezone(zone), TEN.astimezone(zone))
    start = min(TEN - length - HOUR, TEN - reaches)

    assert read(RunRequest("schedule", interval), healing).window == Window(start, TEN)


@pytest.mark.parametrize("reconcile", [0, 1, 2])
@given(
    lateness=st.floats(0, 1),
    hour=st.floats(0, 48),
    good=st.lists(st.booleans(), min_size=120, max_size=120).map(lambda some: [*some, *[True] * 30]),
)
def test_a_row_that_comes_up_to_reconcile_late_is_read(
    reconcile: int, lateness: float, hour: float, good: list[bool]
) -> None:
    """Whichever hourly runs fail, and at whatever hours the others reconcile; 0 turns it off."""
    rule = replace(HEALING, reconcile=reconcile * DAY, at_most=20 * DAY)
    began, done, is_read, full_reads = TEN, list[Window](), False, 0
    changed = began + hour * HOUR
    committed = changed + lateness * reconcile * DAY
    reach = reconcile_reach(rule.reconcile, rule.at_most)
    for number, succeeds in enumerate(good):
        interval = Window(TEN + number * HOUR, TEN + (number + 1) * HOUR)
        reconciled = [each.end for each in done if each.start <= max(each.end - reach, began)]
        covered = max((each.end for each in done), default=began)
        unread = (Window(covered, interval.start),) if covered < interval.start else ()
        healing = replace(rule, began=began, unread=unread, reconciled_up_to=max(reconciled, default=None))
        window = read(RunRequest("schedule", interval), healing).window
        assert window is not None
        full_reads += window.start < min(covered, interval.start) - HOUR
        if succeeds:
            done.append(window)
            is_read |= committed <= interval.end and window.start <= changed < window.end
    assert is_read
    assert reconcile or not full_reads


def test_a_reconcile_reaches_a_day_further_than_rows_come_late() -> None:
    """The run may be any of its day; `heal_at_most` is the limit."""
    assert reconcile_reach(2 * DAY, 20 * DAY) == 3 * DAY
    assert reconcile_reach(2 * DAY, 2 * DAY) == 2 * DAY


def test_nothing_before_the_first_window_is_read_by_itself() -> None:
    """A destination that began yesterday does not read three days back."""
    began = MIDNIGHT - 9 * HOUR
    healing = replace(HEALING, began=began, reconciled_up_to=None)
    window = read(RunRequest("schedule", Window(MIDNIGHT - HOUR, MIDNIGHT)), healing).window

    assert window == Window(began, MIDNIGHT)


def test_a_backfill_reads_its_own_interval() -> None:
    """A backfill reads its own interval and heals nothing; with order ids it sends only these."""
    healing = replace(HEALING, began=TEN - DAY, unread=(Window(TEN - 5 * HOUR, TEN),))

    assert read(RunRequest("backfill", INTERVAL), healing) == RunWindow(INTERVAL)
    assert read(RunRequest("backfill", INTERVAL, order_ids=IDS), healing, has_ids_query=True) == RunWindow(
        INTERVAL, IDS
    )


@pytest.mark.parametrize("interval", [INTERVAL, None], ids=["with", "without"])
def test_a_person_names_the_window(interval: Window | None) -> None:
    """`from` and `to` override the data interval, and order ids narrow them, also if a query reads by ids."""
    run_request = RunRequest("person", interval, TEN - DAY, TEN)

    assert read(run_request) == RunWindow(Window(TEN - DAY, TEN))
    assert read(replace(run_request, order_ids=IDS), has_ids_query=True) == RunWindow(Window(TEN - DAY, TEN), IDS)


@pytest.mark.parametrize("interval", [INTERVAL, None], ids=["with", "without"])
def test_orders_by_their_ids(interval: Window | None) -> None:
    """The source's query for ids reads order ids without a window; without that query they are refused."""
    run_request = RunRequest("person", interval, order_ids=IDS)

    assert read(run_request, has_ids_query=True) == RunWindow(None, IDS)
    with pytest.raises(StopError, match=r"no `by_ids_query`.*`from` and `to`"):
        read(run_request)


@pytest.mark.parametrize(
    ("run_request", "message"),
    [
        (RunRequest("person"), "no data interval.*`from` and `to`"),
        (RunRequest("person", start=TEN), "both params"),
        (RunRequest("person", end=TEN), "both params"),
        (RunRequest("person", start=TEN, end=TEN), "must lie before"),
        (RunRequest("backfill", INTERVAL, TEN - DAY, TEN), "Only manual runs"),
        (RunRequest("schedule", INTERVAL, TEN - DAY, TEN), "Only manual runs"),
    ],
    ids=["none", "no to", "no from", "empty", "backfill", "scheduled"],
)
def test_a_window_that_is_none_is_refused(run_request: RunRequest, message: str) -> None:
    """A run without a valid window stops, and the message names the params to give."""
    with pytest.raises(StopError, match=message):
        read(run_request)


@given(st.lists(st.booleans(), max_size=100), st.integers(0, 100))
def test_whatever_fails_the_next_good_run_reads_it(good: list[bool], lookback_minutes: int) -> None:
    """After each good run, nothing since the first run's start is unread, whichever hourly runs have failed."""
    healing = replace(HEALING, lookback=timedelta(minutes=lookback_minutes), at_most=5 * DAY)
    begin = end = None
    for hour, succeeds in enumerate(good):
        interval = Window(TEN + hour * HOUR, TEN + (hour + 1) * HOUR)
        unread = (Window(end, interval.start),) if end and end < interval.start else ()
        window = read(RunRequest("schedule", interval), replace(healing, began=begin, unread=unread)).window
        assert window is not None
        assert window.start <= interval.start
        assert window.end == interval.end
        begin = begin or window.start
        end = end or window.start
        assert begin <= window.start <= end
        end = window.end if succeeds else end
