"""The demo's figures, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from tabulate import tabulate

from demo.settings import DemoError

# The possible outcomes of a row, and of an order.
ROWS = ("orders", "superseded", "skipped")
ORDERS = ("accepted", "adopted", "rejected", "not_for_provider", "unchanged", "stale", "held")
COLUMNS = ("rows", "superseded", "skipped", "orders", *ORDERS, "requests")

Figures = dict[str, int]


def add(runs: Iterable[Mapping[str, int]]) -> Figures:
    """Return the sum of each column over the runs."""
    sums = dict.fromkeys(COLUMNS, 0)
    for run in runs:
        for column in COLUMNS:
            sums[column] += run[column]
    return sums


def check_balance(by_destination: Mapping[str, Figures]) -> None:
    """Raise a DemoError if a destination's figures do not balance: rows were lost, or counted twice."""
    for name, figures in by_destination.items():
        for whole, parts in (("rows", ROWS), ("orders", ORDERS)):
            if figures[whole] != sum(figures[part] for part in parts):
                sums = " + ".join(f"{figures[part]} {part}" for part in parts)
                raise DemoError(f"{name}: {figures[whole]} {whole} are not {sums}")


def as_table(by_destination: Mapping[str, Figures]) -> str:
    """Return a table with one row a destination."""
    rows = [[name, *(figures[column] for column in COLUMNS)] for name, figures in by_destination.items()]
    return tabulate(rows, headers=["destination", *COLUMNS])


def as_json(by_destination: Mapping[str, Figures], seconds: float) -> str:
    """Return the figures as one line of JSON."""
    return json.dumps({"destinations": dict(by_destination), "seconds": round(seconds, 1)})
