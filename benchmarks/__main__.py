"""`python -m benchmarks`: measure all that has a bound, and print one table and one line of JSON."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tabulate import tabulate

from benchmarks.measures import GROUPS, SHORT, WHOLE, Figures, Measure, Size
from benchmarks.world import BenchmarkError, World, open_world
from demo.settings import ROOT, DemoError


@dataclass(frozen=True)
class Row:
    """One bound.

    Args:
        figure: the name of what is held against it.
        group: that measures it.
        what: it is.
        bound: it must keep.
        reach: what would be good.
        form: how each of the three is written.
        at_least: whether more is better.
    """

    figure: str
    group: str
    what: str
    bound: float
    reach: float
    form: str = "{:.3g}"
    at_least: bool = False

    def holds(self, measured: float) -> bool:
        """Tell whether the bound does."""
        return measured >= self.bound if self.at_least else measured <= self.bound


ROWS = (
    Row(
        "rees46",
        "rees46",
        "1,000,000 orders never seen before to REES46, whole process,\n"
        "over the faster of dlt and drt (which keep no ledger)",
        1.0,
        0.7,
    ),
    Row("again", "again", "the same million again, 1 % changed (10 requests)", 0.5, 0.25),
    Row(
        "yespo",
        "yespo",
        "Yespo, 200,000 orders with two items each,\nover hand-written pandas that builds the same payload",
        0.6,
        0.3,
    ),
    Row("memory", "memory", "peak memory, largest process", 400, 250, "{:.0f} MB"),
    Row("growth", "memory", "peak memory at 5,000,000 over that at 1,000,000", 1.1, 1.0),
    Row(
        "ledger",
        "ledger",
        "a run of 10,000 orders with 10,000,000 in the ledger over the same with none",
        1.1,
        1.0,
    ),
    Row(
        "justclick",
        "justclick",
        "JustClick, 50 ms latency at the sink, `connections: 16`,\norder of one order's changes kept",
        200,
        300,
        "{:.0f} orders/s",
        at_least=True,
    ),
    Row(
        "pace",
        "pace",
        "20 requests at 5 a second to one account, from one worker and from two:\n"
        "how far from 4 s they take, by the clock of the sink",
        0.2,
        0.05,
        "{:.2g} s",
    ),
    Row(
        "csv",
        "csv",
        "CSV drop of 1,000,000 plain rows, extract + transform,\nover `pandas.read_csv` (pyarrow engine) of it",
        4,
        2,
    ),
    Row(
        "parsing",
        "parsing",
        "parsing `dags/order_sync.py` with 50 destinations, over an empty DAG file",
        0.5,
        0.2,
        "+ {:.2g} s",
    ),
    Row(
        "quiet",
        "scheduler",
        "an hour without changes in the real scheduler, over a DAG of three empty tasks",
        1.5,
        1.2,
    ),
    Row(
        "backfill",
        "scheduler",
        "a backfill of 72 hours in the real scheduler, 1,000 orders an hour,\n"
        "over the same backfill of three empty tasks",
        2,
        1.5,
    ),
)


def main() -> int:
    """Measure the groups of ONLY, each median of RUNS; return 0 if every bound of theirs holds, else 1."""
    only = [name for name in os.environ.get("ONLY", "").split(",") if name] or list(GROUPS)
    runs = os.environ.get("RUNS") or "3"
    size = WHOLE if os.environ.get("SHORT", "0") in ("", "0") else SHORT
    unknown = [name for name in only if name not in GROUPS]
    if unknown or not runs.isdecimal() or int(runs) == 0:
        print(f"ONLY takes {','.join(GROUPS)}, and RUNS a number from 1", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # so that a stopped benchmark leaves nothing behind
    figures: Figures = {}
    try:
        with open_world(ROOT / ".local" / "bench") as world:
            for measure in dict.fromkeys(GROUPS[name] for name in only):
                figures |= _figures(measure, world, size, int(runs))
    except DemoError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped before its end", file=sys.stderr)
        return 130
    if size is SHORT:
        print("With few orders most of the time is Python's start: the bounds are for the whole form", file=sys.stderr)
    return tell([row for row in ROWS if row.group in only], figures)


def _figures(measure: Measure, world: World, size: Size, runs: int) -> Figures:
    """Return what a group has measured: nothing if it failed, as the others may still tell something."""
    print(f"{measure.__name__} ...", file=sys.stderr, flush=True)
    started = time.monotonic()
    try:
        figures = measure(world, size, runs)
    except (BenchmarkError, DemoError, RuntimeError, subprocess.SubprocessError) as error:
        print(f"{measure.__name__} has failed: {error}", file=sys.stderr)
        return {}
    print(f"{measure.__name__}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return figures


def tell(rows: Sequence[Row], figures: Figures) -> int:
    """Print the table, and all of it as one line of JSON; return the exit code."""
    table, told = [], []
    for row in rows:
        measured = figures.get(row.figure)
        holds = measured is not None and row.holds(measured)
        shown = "failed" if measured is None else row.form.format(measured) + ("" if holds else " (!)")
        table.append([row.what, row.form.format(row.bound), row.form.format(row.reach), shown])
        what = row.what.replace("\n", " ")
        told.append({"what": what, "bound": row.bound, "reach_for": row.reach, "measured": measured, "holds": holds})
    print(tabulate(table, ["what", "bound", "reach for", "measured"], tablefmt="grid", disable_numparse=True))
    every = all(row["holds"] for row in told)
    print(json.dumps({"holds": every, "rows": told, "figures": figures}))
    return 0 if every else 1


if __name__ == "__main__":
    sys.exit(main())
