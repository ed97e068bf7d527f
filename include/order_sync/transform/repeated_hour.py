"""Tells the two passes of an hour that comes twice, where a source writes local times without an offset.

In autumn a shop's 03:40 is two moments. Read as the wrong one, a status counts as newer or older than it is. These tell
the pass of an order's row:

- No time lies after the file's modified time, or after now.
- `status_changed_at` does not lie after `updated_at`. If both say nearly the same, they are of one write.
- An order's rows stand in the order of their writing. So where a time steps back, the second pass begins.

What none of these tells is read as the second pass, and named in the log. So a row's version is never too low, and what
a table shows as an order's present state is never kept back as stale. docs/decisions/0019 has the reasons.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import product
from typing import NamedTuple

import pandas as pd

from include.order_sync.transform.times import read_times

# The two times of a version; only these decide which row is the newer.
VERSION_TIMES = ("status_changed_at", "updated_at")

# By so much may clocks of one shop differ, or a coarse time lie before the exact one.
_TOLERANCE_US = 60_000_000

_Moment = int | None  # microseconds since 1970


class _Reading(NamedTuple):
    """One way to read a row's two times."""

    changed: _Moment
    updated: _Moment


def tell_passes(
    orders: dict[str, pd.Series], first_passes: Mapping[str, pd.Series], now: datetime | None
) -> tuple[dict[str, pd.Series], pd.Index]:
    """Return the times with their passes told.

    Args:
        orders: `order_id`, TIME_COLUMNS in the second pass, `file_modified_at` and `rank`; an order's rows in source
            order, but for rows with a rank, which come from the quarantine.
        first_passes: column -> first pass of the times in a repeated hour, by the orders' index.
        now: no row was written after it; None if that is not known.

    Returns:
        The columns of `first_passes`; and the index of the rows of which nothing tells the pass of a version's time.
    """
    concerned = pd.Index([]).append([first_passes[column].index for column in VERSION_TIMES if column in first_passes])
    ids = orders["order_id"]
    rows = pd.DataFrame(orders, columns=["order_id", "rank", "file_modified_at", *VERSION_TIMES])
    rows = rows[ids.isin(ids[concerned].dropna())]
    latest = [] if now is None else [round(now.timestamp() * 1_000_000)]
    written = _moments(rows["file_modified_at"])
    firsts = {column: _moments(first_passes.get(column)) for column in VERSION_TIMES}
    seconds = {column: _moments(rows[column]) for column in VERSION_TIMES}
    moments: dict[str, dict[Hashable, _Moment]] = {column: {} for column in VERSION_TIMES}
    untold: list[Hashable] = []
    without_neighbours = set(rows.index[rows["rank"].notna()])
    for index in _by_order(rows["order_id"]):
        possible: Sequence[Sequence[_Reading]] = [
            _possible(
                _both(firsts["status_changed_at"], seconds["status_changed_at"], row),
                _both(firsts["updated_at"], seconds["updated_at"], row),
                min([written[row], *latest] if row in written else latest, default=None),
            )
            for row in index
        ]
        if without_neighbours.isdisjoint(index):
            possible = _in_sequence(possible)
        for row, readings in zip(index, possible, strict=True):
            untold += [row] if len(readings) > 1 else []
            for column, moment in zip(VERSION_TIMES, readings[-1], strict=True):
                if row in firsts[column]:
                    moments[column][row] = moment
    told = {column: orders[column].copy() for column in first_passes}
    for column in first_passes.keys() & set(VERSION_TIMES):
        times = pd.Series(moments[column], dtype="int64").astype("datetime64[us, UTC]")
        told[column][times.index] = times
    if "created_at" in first_passes:
        first = first_passes["created_at"]
        told["created_at"][first.index] = _created(first, orders["created_at"], (orders | told)["status_changed_at"])
    return told, pd.Index(untold)


def _by_order(order_ids: pd.Series) -> Iterable[list[Hashable]]:
    """Return the rows of each order, in source order."""
    by_order: dict[str, list[Hashable]] = {}
    for row, order_id in order_ids.items():
        by_order.setdefault(str(order_id), []).append(row)
    return by_order.values()


def _created(first: pd.Series, created: pd.Series, changed: pd.Series) -> pd.Series:
    """Return the times of creation in a repeated hour: an order is not placed after it got its status.

    No version depends on them.

    Args:
        first: the first passes of these times.
        created: all times of creation, in the second pass.
        changed: `status_changed_at`, told.
    """
    second = created[first.index]
    is_late = second - changed[first.index] > pd.Timedelta(_TOLERANCE_US, "us")
    return second.where(~is_late, first)


def with_offsets(raw: pd.DataFrame, orders: pd.DataFrame, timezone: str) -> pd.DataFrame:
    """Return the raw rows with an offset where the first pass was told, so that each is read so without the others.

    Args:
        raw: rows that leave their window, for the quarantine.
        orders: their canonical orders or ready orders, in the same sequence.
        timezone: of times without an offset.
    """
    for column in VERSION_TIMES:
        if column not in raw or column not in orders or raw.empty:
            continue
        alone = read_times(raw[column].str.strip(), timezone)
        if not len(alone.first_passes):
            continue
        as_read = pd.Series(orders[column].array, index=raw.index)
        told = as_read[alone.first_passes.index]
        told = told[told == alone.first_passes]
        raw = raw.assign(**{column: raw[column].where(~raw.index.isin(told.index), as_read.map(_with_offset))})
    return raw


def _with_offset(at: pd.Timestamp) -> str | None:
    return None if pd.isna(at) else at.isoformat()


def _moments(times: pd.Series | None) -> dict[Hashable, int]:
    if times is None:
        return {}
    known = times.dropna()
    return dict(zip(known.index, known.dt.as_unit("us").astype("int64").tolist(), strict=True))


def _both(firsts: Mapping[Hashable, int], seconds: Mapping[Hashable, int], row: Hashable) -> tuple[_Moment, ...]:
    second = seconds.get(row)
    return (firsts[row], second) if row in firsts else (second,)


def _possible(changed: Iterable[_Moment], updated: Iterable[_Moment], limit: _Moment) -> Sequence[_Reading]:
    """Return the ways to read one row that its own times leave, the earliest first.

    A rule that leaves none is not kept by this source, so it says nothing.
    """
    readings = [_Reading(*pair) for pair in product(changed, updated)]
    readings = [one for one in readings if _at_most(one.changed, limit) and _at_most(one.updated, limit)] or readings
    readings = [one for one in readings if _at_most(one.changed, one.updated)] or readings
    return [one for one in readings if _at_most(one.updated, one.changed)] or readings


def _at_most(one: _Moment, other: _Moment) -> bool:
    return one is None or other is None or one <= other + _TOLERANCE_US


def _in_sequence(rows: Sequence[Sequence[_Reading]]) -> Sequence[Sequence[_Reading]]:
    """Return the ways to read an order's rows that let no time step back; all, if there are none such."""
    earliest: list[_Reading] = []
    for readings in rows:
        after = [reading for reading in readings if not earliest or _goes_on(earliest[-1], reading)]
        if not after:
            return rows
        earliest.append(after[0])
    latest: list[_Reading] = []
    for readings in reversed(rows):
        # There is at least one: the earliest ones are such a way.
        latest.append([reading for reading in readings if not latest or _goes_on(reading, latest[-1])][-1])
    return [
        [reading for reading in readings if _goes_on(low, reading) and _goes_on(reading, high)]
        for readings, low, high in zip(rows, earliest, reversed(latest), strict=True)
    ]


def _goes_on(one: _Reading, other: _Reading) -> bool:
    return all(a is None or b is None or a <= b for a, b in zip(one, other, strict=True))
