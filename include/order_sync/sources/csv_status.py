"""Gives the rows of a file their status and its time, where these are in several columns or in the file's own time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from include.order_sync.configuration.csv_values import StatusRule
from include.order_sync.transform.times import NO_DATE


def with_statuses(
    table: pa.Table, rules: Sequence[StatusRule], places: Sequence[int], time: str | None, missing: Sequence[str] = ()
) -> pa.Table:
    """Return the rows with the columns `status` and, if a rule gives times, `status_changed_at`.

    Args:
        table: columns are named by their index in the file.
        rules: the first that applies to a row gives its status word.
        places: the index of each rule's column.
        time: the name of the column that has the time where the rule gives none; None without such a column.
        missing: words for nothing, in any case: no rule without `is` applies to them, or to a date for none.
    """
    words = pa.nulls(table.num_rows, pa.string())
    nothing = pa.array(["", *(word.lower() for word in missing)], pa.string())
    base = table.column(time) if time else words
    times = base
    for rule, place in reversed(list(zip(rules, places, strict=True))):
        text = pc.utf8_trim_whitespace(pc.fill_null(table.column(str(place)), ""))
        if rule.is_:
            wanted = pa.array([word.lower() for word in rule.is_], pa.string())
            applies = pc.is_in(pc.utf8_lower(text), value_set=wanted)
        else:
            is_none = pc.or_(pc.is_in(pc.utf8_lower(text), value_set=nothing), pc.match_substring_regex(text, NO_DATE))
            applies = pc.invert(is_none)
        words = pc.if_else(applies, pa.scalar(rule.word) if rule.word else text, words)
        times = pc.if_else(applies, text if rule.time else base, times)
    table = table.append_column("status", words)
    if not any(rule.time for rule in rules):
        return table
    if time == "status_changed_at":  # the file's own: the rules' times replace it
        table = table.drop_columns([time])
    return table.append_column("status_changed_at", times)


def with_file_time(table: pa.Table, file_time: datetime) -> pa.Table:
    """Return the rows with the file's time as their `status_changed_at`."""
    times = pa.repeat(pa.scalar(file_time.isoformat(sep=" ")), table.num_rows)
    return table.append_column("status_changed_at", times)
