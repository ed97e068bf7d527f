"""`python -m benchmarks`: measure everything that has a bound; print one table and one line of JSON.

Each figure is compared with the one that benchmarks/kept.json has of an earlier commit, within the noise of both.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tabulate import tabulate

from benchmarks import kept
from benchmarks.measures import GROUPS, SHORT, WHOLE, Figures, Measure, Size
from benchmarks.world import BenchmarkError, World, open_world
from demo.settings import ROOT, DemoError


@dataclass(frozen=True)
class Row:
    """One figure and its bound.

    Args:
        figure: its name.
        group: the group that measures it.
        title: its description in the table.
        bound: that the figure must keep.
        reach: a good value.
        form: format of figure, bound and reach.
        at_least: whether a greater figure is better.
    """

    figure: str
    group: str
    title: str
    bound: float
    reach: float
    form: str = "{:.3g}"
    at_least: bool = False

    def holds(self, measured: float) -> bool:
        """Whether the measured figure keeps the bound."""
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
        3,
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
    Row(
        "page",
        "page",
        "the slowest view of the page Order Sync,\nwith 10,000,000 orders and 1,000,000 entries in the quarantine",
        300,
        100,
        "{:.0f} ms",
    ),
)


def main() -> int:
    """Measure the groups of ONLY in ROUNDS, with medians of RUNS; return 0 if every bound holds, else 1.

    KEEP=1 keeps the figures in the repository, in place of those of an earlier commit.
    """
    only = [name for name in os.environ.get("ONLY", "").split(",") if name] or list(GROUPS)
    runs = os.environ.get("RUNS") or "3"
    rounds = os.environ.get("ROUNDS") or "1"
    size = SHORT if _is_set("SHORT") else WHOLE
    form: kept.Form = "short" if size is SHORT else "whole"
    unknown = [name for name in only if name not in GROUPS]
    if unknown or not runs.isdecimal() or int(runs) == 0:
        print(f"Set ONLY to some of {','.join(GROUPS)}, and RUNS to a whole number from 1", file=sys.stderr)
        return 2
    if not rounds.isdecimal() or int(rounds) == 0 or (_is_set("KEEP") and int(rounds) < kept.LEAST_ROUNDS):
        print(f"Set ROUNDS to a whole number from 1; with KEEP=1 from {kept.LEAST_ROUNDS}", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # so that a stopped benchmark leaves nothing behind
    measured: list[Figures] = []
    try:
        for number in range(int(rounds)):
            print(f"Round {number + 1} of {rounds}", file=sys.stderr, flush=True)
            measured.append({})
            with open_world(ROOT / ".local" / "bench") as world:
                for measure in dict.fromkeys(GROUPS[name] for name in only):
                    measured[-1] |= _figures(measure, world, size, int(runs))
    except DemoError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped before its end", file=sys.stderr)
        return 130
    if size is SHORT:
        print(
            "The bounds are for the whole form: with few orders Python's start takes most of the time", file=sys.stderr
        )
    rows = [row for row in ROWS if row.group in only]
    values = {
        name: [one[name] for one in measured if name in one] for name in {name for one in measured for name in one}
    }
    failed = print_result(rows, {name: statistics.median(found) for name, found in values.items()}, kept.read(form))
    if _is_set("KEEP"):
        try:
            kept.keep(form, {row.figure: values[row.figure] for row in rows if row.figure in values})
        except kept.NotKeptError as error:
            print(f"Nothing is kept. {error}", file=sys.stderr)
            return 1
    return failed


def _is_set(name: str) -> bool:
    return os.environ.get(name, "0") not in ("", "0")


def _figures(measure: Measure, world: World, size: Size, runs: int) -> Figures:
    """Return the figures of a group, or none if it fails: the other groups go on."""
    print(f"{measure.__name__} ...", file=sys.stderr, flush=True)
    started = time.monotonic()
    try:
        figures = measure(world, size, runs)
    except (BenchmarkError, DemoError, RuntimeError, subprocess.SubprocessError) as error:
        print(f"{measure.__name__} has failed: {error}", file=sys.stderr)
        return {}
    print(f"{measure.__name__}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return figures


def print_result(rows: Sequence[Row], figures: Figures, known: Mapping[str, kept.Kept]) -> int:
    """Print the table, then all of it as one line of JSON; return the exit code: only bounds count for it.

    Args:
        rows: of the table.
        figures: measured ones, by name.
        known: the kept ones, by name.
    """
    table, entries = [], []
    for row in rows:
        measured = figures.get(row.figure)
        holds = measured is not None and row.holds(measured)
        shown = "failed" if measured is None else row.form.format(measured) + ("" if holds else " (!)")
        before = known.get(row.figure)
        against = "no figure kept" if before is None else ""
        band = ""
        if before is not None:
            band = " to ".join(row.form.format(edge) for edge in before.band)
            against = "failed" if measured is None else before.judge(measured, at_least=row.at_least)
            if before.machine != kept.machine():
                band += "\n(another machine)"
        table.append([row.title, row.form.format(row.bound), row.form.format(row.reach), shown, band, against])
        title = row.title.replace("\n", " ")
        entries.append(
            {"figure": title, "bound": row.bound, "reach_for": row.reach, "measured": measured, "holds": holds}
            | {"kept": before and before.median, "band": before and before.band, "against_kept": against}
        )
    head = ["figure", "bound", "reach for", "measured", "noise of the kept one", "against it"]
    print(tabulate(table, head, tablefmt="grid", disable_numparse=True))
    every_bound_holds = all(entry["holds"] for entry in entries)
    print(json.dumps({"holds": every_bound_holds, "rows": entries, "figures": figures}))
    return 0 if every_bound_holds else 1


if __name__ == "__main__":
    sys.exit(main())
