"""Tells which column of a file holds what, by its name and by what most of its cells are."""

from __future__ import annotations

from dataclasses import dataclass, field

from include.order_sync.model import IDENTITY_COLUMNS, TIME_COLUMNS
from include.order_sync.preview.guess_forms import are_ids, are_most, date_forms, is_id, times_of
from include.order_sync.preview.guess_items import json_items
from include.order_sync.preview.guess_names import COLUMN_NAMES, places_of, plain
from include.order_sync.preview.guess_sample import Sample
from include.order_sync.preview.guess_statuses import is_nothing, meaning


@dataclass
class Columns:
    """The columns of a file.

    Args:
        found: canonical column -> its index.
        unsure: canonical column -> why it is unsure.
        refused: index -> the canonical column that its name is known for, but not its cells.
    """

    found: dict[str, int] = field(default_factory=dict)
    unsure: dict[str, str] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)


def columns_of(sample: Sample) -> Columns:
    """Return the columns that are proposed for a file."""
    if sample.names is None:
        unsure = dict.fromkeys(COLUMN_NAMES, "by its values: the file has no header")
        return Columns(_by_values(sample), unsure)
    columns = Columns()
    names = [plain(name) for name in sample.names]
    for column, given in COLUMN_NAMES.items():
        free = [at for at in places_of(column, sample.names) if at not in columns.found.values()]
        fitting = [at for at in free if _fits(column, sample, at)]
        columns.refused |= {at: column for at in free if at not in fitting}
        if not fitting and column not in (*IDENTITY_COLUMNS, "customer_id"):
            words = [f" {plain(name)} " for name in given if len(name) > 3]
            near = [at for at, other in enumerate(names) if any(word in f" {other} " for word in words)]
            fitting = [at for at in near if at not in columns.found.values() and _fits(column, sample, at)]
            if fitting:
                columns.unsure[column] = "a name near to those that are known"
        if column == "status":  # some exports have its number beside its word
            fitting.sort(key=lambda at: not any(map(meaning, sample.values(at))))
        if fitting:
            columns.found[column] = fitting[0]
            others = [repr(sample.names[at]) for at in fitting[1:3] if column in IDENTITY_COLUMNS]
            if others and column != "status":
                columns.unsure[column] = f"or {' or '.join(others)}"
    if "status_changed_at" not in columns.found and "created_at" in columns.found:
        columns.found["status_changed_at"] = columns.found["created_at"]
        columns.unsure["status_changed_at"] = "the order's own time; or leave it out, and say `status_time: file`"
    return columns


def _fits(column: str, sample: Sample, at: int) -> bool:
    bad, total, _ = _bad_cells(column, sample, at)
    return not total or bad < total / 2


def misfits(column: str, sample: Sample, at: int) -> str:
    """Return what is said of the cells of a column that do not fit; empty if all do."""
    bad, total, fault = _bad_cells(column, sample, at)
    if not total and column in IDENTITY_COLUMNS:
        return "all of its cells are empty"
    return f"{bad} of {total} {'cell' if total == 1 else 'cells'} {fault[0] if bad == 1 else fault[1]}" if bad else ""


def _bad_cells(column: str, sample: Sample, at: int) -> tuple[int, int, tuple[str, str]]:
    """Return how many of how many cells do not fit, and what is said of one and of several."""
    values = sample.values(at)
    good, fault = len(values), ("", "")
    if column == "order_id":
        good, fault = sum(map(is_id, values)), ("looks like no id", "look like no ids")
    elif column == "customer_id":  # in many exports names of people are called so
        good, fault = sum(is_id(value) or "@" in value for value in values), ("looks like no id", "look like no ids")
    elif column == "items":
        good = sum(json_items(value) is not None for value in values)
        fault = ("is no JSON array of items", "are no JSON arrays of items")
    elif column in TIME_COLUMNS:
        values = times_in(sample, at)
        good, fault = len(times_of(values)), ("is no time of this form", "are no times of this form")
    return len(values) - good, len(values), fault


def times_in(sample: Sample, at: int) -> list[str]:
    """Return the texts of a column of times, without words for nothing."""
    return [value for value in sample.values(at) if not is_nothing(value)]


def _by_values(sample: Sample) -> dict[str, int]:
    found: dict[str, int] = {}
    for at in range(max(map(len, sample.rows))):
        values = sample.values(at)
        tests = {
            "status": any(map(meaning, values)),
            "status_changed_at": date_forms(values) is not None,
            "email": are_most(sum("@" in value for value in values), values),
            "order_id": are_ids(values) and len(set(values)) > len(values) // 2,
        }
        for column, is_it in tests.items():
            if is_it and column not in found:
                found[column] = at
                break
    return found
