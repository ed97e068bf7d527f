"""Local times that are two moments or none: which pass of the hour that comes twice a time is of."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from include.order_sync.transform.canonical import canonical_orders
from include.order_sync.transform.repeated_hour import with_offsets
from include.order_sync.transform.times import read_times

KYIV = "Europe/Kyiv"
DAY = "2026-10-25 "
FIRST, SECOND, UNTOLD = "first", "second", "untold"
FILE = "file_modified_at"


def at(clock: str) -> pd.Timestamp:
    """Return a moment of that night in UTC. The second pass is 01:00 to 02:00."""
    return pd.Timestamp(f"{DAY}{clock}Z")


def passes(raw: pd.DataFrame, now: datetime | None = None) -> list[str]:
    """Return for each row the pass of its `status_changed_at` in Kyiv, or UNTOLD, which is read as the second."""
    orders = canonical_orders(raw, KYIV, now)
    is_first = orders["status_changed_at"] < at("01:00")
    assert not (is_first & orders["pass_untold"]).any()
    return [
        UNTOLD if untold else FIRST if first else SECOND
        for first, untold in zip(is_first, orders["pass_untold"], strict=True)
    ]


Row = dict[str, Any]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        pytest.param([{}], [UNTOLD], id="nothing tells"),
        pytest.param([{"updated_at": f"{DAY}00:45:00Z"}], [FIRST], id="updated before the second pass"),
        pytest.param([{"updated_at": f"{DAY}01:10:00Z"}], [FIRST], id="updated before the second pass came so far"),
        pytest.param([{"updated_at": f"{DAY}01:40:00.2Z"}], [SECOND], id="updated in the same write"),
        pytest.param([{"updated_at": f"{DAY}01:39:59.8Z"}], [SECOND], id="updated by a clock that is a little behind"),
        pytest.param([{"updated_at": f"{DAY}01:55:00Z"}], [UNTOLD], id="updated later, for any reason"),
        pytest.param([{"updated_at": "2026-10-25"}], [UNTOLD], id="updated on a date that lies before both"),
        pytest.param([{"updated_at": f"{DAY}03:40:00"}], [UNTOLD], id="updated at the same local time"),
        pytest.param(
            [{"updated_at": f"{DAY}03:10:00"}], [FIRST], id="updated at an earlier local time: after the change"
        ),
        pytest.param([{FILE: at("00:45")}], [FIRST], id="the file was complete before the second pass"),
        pytest.param([{FILE: at("01:10")}], [FIRST], id="the file was complete before the second pass came so far"),
        pytest.param([{FILE: at("01:45")}], [UNTOLD], id="the file is of any later time"),
        pytest.param([{}, {"c": "03:10"}], [FIRST, SECOND], id="a step back"),
        pytest.param(
            [{"c": "03:05"}, {}, {"c": "03:10"}, {"c": "03:50"}], [FIRST, FIRST, SECOND, SECOND], id="of four"
        ),
        pytest.param(
            [{"c": "02:50"}, {}, {"c": "03:10"}, {"c": "04:05"}], [FIRST, FIRST, SECOND, SECOND], id="between"
        ),
        pytest.param([{}, {"c": "03:50"}], [UNTOLD, UNTOLD], id="no step back"),
        pytest.param([{}, {"c": "03:10"}, {"c": "03:05"}], [UNTOLD] * 3, id="two steps back: not in order of writing"),
        pytest.param([{"c": "04:30"}, {}, {"c": "03:10"}], [SECOND, UNTOLD, UNTOLD], id="the newest first"),
        pytest.param([{}, {"order_id": "B", "c": "03:10"}], [UNTOLD, UNTOLD], id="a step back of another order"),
        pytest.param([{"rank": 0}, {"rank": 0, "c": "03:10"}], [UNTOLD, UNTOLD], id="rows of the quarantine"),
        pytest.param(
            [{"updated_at": f"{DAY}03:50:00"}, {"c": "03:45", "updated_at": f"{DAY}03:48:00"}],
            [FIRST, UNTOLD],
            id="updates step back, changes do not",
        ),
        pytest.param([{FILE: at("00:45")}, {FILE: at("02:30")}], [FIRST, UNTOLD], id="the same row in two files"),
        pytest.param([{"order_id": None}], [SECOND], id="a row without an order is rejected anyway"),
    ],
)
def test_what_tells_the_pass(raw_orders: Callable[..., pd.DataFrame], rows: list[Row], told: list[str]) -> None:
    """`updated_at`, the file's time and the order of an order's rows tell the pass; what nothing tells is flagged."""
    changes = [{"status_changed_at": f"{DAY}{row.get('c', '03:40')}:00"} | row for row in rows]
    raw = raw_orders(*[{key: value for key, value in row.items() if key != "c"} for row in changes])

    assert passes(raw) == told


def test_now_tells_the_pass(raw_orders: Callable[..., pd.DataFrame]) -> None:
    """A row that is read before the second pass came so far is of the first one."""
    raw = raw_orders({"status_changed_at": f"{DAY}03:40:00"})

    assert passes(raw, at("01:05").to_pydatetime()) == [FIRST]
    assert passes(raw, at("01:45").to_pydatetime()) == [UNTOLD]


def test_an_order_is_not_created_after_its_status(raw_orders: Callable[..., pd.DataFrame]) -> None:
    """`created_at` is of the first pass if the second one lies after the status."""
    night = {"created_at": f"{DAY}03:40:00"}
    raw = raw_orders(night | {"status_changed_at": f"{DAY}00:50:00Z"}, night | {"status_changed_at": f"{DAY}01:50:00Z"})

    assert canonical_orders(raw, KYIV)["created_at"].tolist() == [at("00:40"), at("01:40")]


def test_a_row_that_leaves_its_window_keeps_its_pass(raw_orders: Callable[..., pd.DataFrame]) -> None:
    """A row whose first pass its neighbours told is read so alone too; other texts stay as they are."""
    clocks = ("03:40", "03:10", "05:00")
    raw = raw_orders(*({"status_changed_at": f" {DAY}{clock}:00", "updated_at": None} for clock in clocks))
    orders = canonical_orders(raw, KYIV)
    kept = with_offsets(raw, orders, KYIV)

    assert kept["status_changed_at"].tolist()[1:] == raw["status_changed_at"].tolist()[1:]
    for row in range(len(raw)):
        alone = canonical_orders(kept.iloc[[row]], KYIV)
        assert alone["status_changed_at"].tolist() == orders["status_changed_at"].tolist()[row : row + 1]


def test_a_time_that_does_not_exist(raw_orders: Callable[..., pd.DataFrame]) -> None:
    """A time in the hour that spring skips is flagged; a date alone, whose midnight is skipped, is that day's start."""
    spring = "2026-03-29 {}:30:00".format
    orders = canonical_orders(raw_orders(*({"status_changed_at": spring(hour)} for hour in ("02", "03", "04"))), KYIV)
    assert orders["skipped_hour"].tolist() == [False, True, False]

    beirut = canonical_orders(raw_orders({"status_changed_at": "2026-03-29"}, {"updated_at": "x"}), "Asia/Beirut")
    assert beirut["status_changed_at"][0] == pd.Timestamp("2026-03-28T22:00:00Z")
    assert not beirut["skipped_hour"].any()


def test_a_date_alone_is_one_moment(raw_orders: Callable[..., pd.DataFrame]) -> None:
    """A date whose midnight comes twice is not flagged: its shop writes no hours."""
    midnight = raw_orders(
        {"status_changed_at": "2026-11-01"}, {"order_id": "B", "status_changed_at": "2026-11-01 00:00"}
    )
    orders = canonical_orders(midnight, "America/Havana")

    assert orders["pass_untold"].tolist() == [False, True]


@cache
def jumps(zone: str) -> list[tuple[datetime, timedelta]]:
    """Return the moments when a zone's clocks jump, and how far, forward if positive."""
    info = ZoneInfo(zone)
    week, found = timedelta(days=7), []
    low = datetime(1901, 1, 1, tzinfo=UTC)
    while low.year < 2101:
        high = low + week
        if low.astimezone(info).utcoffset() != high.astimezone(info).utcoffset():
            before, after = low, high
            while after - before > timedelta(seconds=1):
                middle = (before + (after - before) / 2).replace(microsecond=0)
                same = middle.astimezone(info).utcoffset() == low.astimezone(info).utcoffset()
                before, after = (middle, after) if same else (before, middle)
            found.append((after, local(after, zone) - local(before, zone) - (after - before)))
        low = high
    return found


zones = st.sampled_from(sorted(available_timezones()))
shares = st.floats(0, 0.999)


def local(moment: datetime, zone: str) -> datetime:
    """Return what a zone's clocks show, without an offset."""
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


@settings(max_examples=100)
@given(st.data(), zones, shares)
def test_the_odd_times_of_all_zones(data: st.DataObject, zone: str, share: float) -> None:
    """In every zone a time that comes twice has two moments, and one that does not exist has the moment of the jump."""
    found = jumps(zone)
    assume(found)
    jump_at, jump = data.draw(st.sampled_from(found))
    start = min(local(jump_at, zone), local(jump_at, zone) - jump)
    odd = start + abs(jump) * share
    read = read_times(pd.Series([odd.isoformat(" ", "microseconds")], dtype="str"), zone)
    first, second = (odd.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1))

    if jump < timedelta(0):
        assert (read.times.tolist(), read.first_passes.tolist()) == ([second], [first])
        assert read.skipped.empty
    else:
        assert (read.times.tolist(), read.skipped.tolist()) == ([jump_at], [0])
        assert read.first_passes.empty


@settings(max_examples=100)
@given(
    st.data(),
    zones,
    st.lists(st.floats(-1.5, 2.5), min_size=1, max_size=6),
    st.booleans(),
    st.sampled_from([None, 0, 30, 3000]),
)
def test_what_is_told_is_true(
    raw_orders: Any, data: st.DataObject, zone: str, when: list[float], updated: bool, file_after_s: int | None
) -> None:
    """Rows in the order of their writing, around any zone's repeated hour: no time steps back, none told is wrong."""
    found = [(jump_at, -jump) for jump_at, jump in jumps(zone) if jump < timedelta(0)]
    assume(found)
    jump_at, length = data.draw(st.sampled_from(found))
    moments = [(jump_at + length * share).replace(microsecond=0) for share in sorted(when)]
    texts = [local(moment, zone).isoformat(" ") for moment in moments]
    written = None if file_after_s is None else moments[-1] + timedelta(seconds=file_after_s)
    raw = raw_orders(
        *({"status_changed_at": text, FILE: written, "updated_at": text if updated else None} for text in texts)
    )
    orders = canonical_orders(raw, zone)

    assert orders["status_changed_at"].is_monotonic_increasing
    told = ~orders["pass_untold"]
    assert orders.loc[told, "status_changed_at"].tolist() == [
        moment for moment, known in zip(moments, told, strict=True) if known
    ]
    steps_back = [one for one, other in pairwise(texts) if other < one]
    assert told.all() or not steps_back
