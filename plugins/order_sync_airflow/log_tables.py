"""Tables for task logs: reasons for rejection, the plan of a run, entries of the quarantine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def reasons_table(reasons: Counter[str], first_rows: Mapping[str, str], cures: Mapping[str, str]) -> str:
    """Return a table of the reasons for rejection: number of orders, first row, and cure."""
    from tabulate import tabulate  # not at the top: DAG parsing imports this module

    rows = [
        (reason, orders, first_rows.get(reason, ""), cures.get(reason, "")) for reason, orders in reasons.most_common()
    ]
    return tabulate(rows, headers=["reason", "orders", "first row", "cure"], tablefmt="simple")


def plan_table(orders: pd.DataFrame) -> str:
    """Return a table of orders: the code that the service has, and the code that it would get."""
    from tabulate import tabulate  # not at the top: DAG parsing imports this module

    return tabulate(orders.fillna("-").to_numpy().tolist(), headers=orders.columns.tolist(), disable_numparse=True)


def entries_table(entries: Iterable[Mapping[str, Any]]) -> str:
    """Return a table of quarantine entries: ids, reasons, files and lines, but no content of rows."""
    from tabulate import tabulate  # not at the top: DAG parsing imports this module

    rows = [(e["id"], e["order_id"], "; ".join(e["reasons"]), e["origin"], e["line"]) for e in entries]
    return tabulate(
        rows, headers=["entry", "order", "reasons", "origin", "line"], tablefmt="simple", disable_numparse=True
    )
