"""The measurements of `make bench`: one function for each group of rows returns figures by name."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import csv_drop, parsing, scheduler
from benchmarks.world import BenchmarkError, Ran, World
from demo.settings import ARROW_ALLOCATOR

LEDGER_RUNS = 5
LATENCY_MS = 50
MAX_ORDERS = 1000
PACED_REQUESTS = 20
PACE = 5.0

Figures = dict[str, float]


@dataclass(frozen=True)
class Size:
    """Numbers of orders.

    Args:
        orders: for REES46, and in the drop.
        many: for the test that memory does not grow with the orders.
        yespo: for Yespo, with two items each.
        run: in a run whose orders are new to the ledger.
        in_ledger: other orders that the ledger holds.
        bills: for JustClick, some with two changes.
        bulky: for Yespo, with 6 KB of items in a JSON column each.
        entries: in the quarantine, for the page.
    """

    orders: int
    many: int
    yespo: int
    run: int
    in_ledger: int
    bills: int
    bulky: int
    entries: int


WHOLE = Size(
    orders=1_000_000,
    many=5_000_000,
    yespo=200_000,
    run=10_000,
    in_ledger=10_000_000,
    bills=5000,
    bulky=20_000,
    entries=1_000_000,
)
SHORT = Size(
    orders=20_000, many=100_000, yespo=4000, run=1000, in_ledger=200_000, bills=500, bulky=2000, entries=20_000
)


def rees46(world: World, size: Size, runs: int) -> Figures:
    """Measure new orders, then the same orders again, against peers that send all of them each time."""
    url = world.start_sink()
    seconds: dict[str, list[float]] = defaultdict(list)
    for _ in range(runs):
        with world.new_shop() as shop:
            shop.fill(size.orders)
            for name in ("dlt", "drt"):
                _count_peer(seconds, name, world.peer(name, shop, url), size.orders)
            seconds["ours"].append(world.ours(shop, url, "rees46", size.orders).seconds)
            changed = shop.change()
            again = world.ours(shop, url, "rees46", size.orders, sent=changed)
            seconds["again"].append(again.seconds)
            if again.received["requests"] > -(-changed // MAX_ORDERS):
                raise BenchmarkError(f"{changed} changed orders took {again.received['requests']} requests")
    medians = _medians(seconds)
    rival = _fastest(medians, "dlt", "drt")
    return {
        **{f"rees46_{name}_s": median for name, median in medians.items()},
        "rees46": medians["ours"] / rival,
        "again": medians["again"] / rival,
    }


def yespo(world: World, size: Size, runs: int) -> Figures:
    """Measure orders with items against hand-written pandas code."""
    url = world.start_sink()
    seconds: dict[str, list[float]] = defaultdict(list)
    with world.new_shop() as shop:
        for _ in range(runs):
            shop.fill(size.yespo, items=True)
            _count_peer(seconds, "pandas", world.peer("pandas", shop, url), size.yespo)
            seconds["ours"].append(world.ours(shop, url, "yespo", size.yespo).seconds)
    medians = _medians(seconds)
    return {
        **{f"yespo_{name}_s": median for name, median in medians.items()},
        "yespo": medians["ours"] / _fastest(medians, "pandas"),
    }


def memory(world: World, size: Size, _runs: int) -> Figures:
    """Measure the memory of whole runs, each in one process; in Airflow three tasks would share the work."""
    url = world.start_sink()
    peaks = {}
    with world.new_shop() as shop:
        shop.fill(size.orders, items=True)
        for provider in ("rees46", "yespo"):
            peaks[provider] = world.ours(shop, url, provider, size.orders).peak_mb
        with tempfile.TemporaryDirectory(dir=world.folder) as name:
            shop.write_csv(csv_drop.file_in(Path(name)))
            peaks["csv"] = _read_drop(world, "ours", Path(name), size.orders).peak_mb
        for part, orders in (("", size.bulky), ("_of_one_part", size.bulky // 2)):
            shop.fill(orders)
            shop.add_json_items()
            peaks[f"json{part}"] = world.ours(shop, url, "yespo", orders, source="yespo_json").peak_mb
        shop.fill(size.many)
        many = world.ours(shop, url, "rees46", size.many).peak_mb
    return {
        **{f"memory_{name}_mb": peak for name, peak in peaks.items()},
        "memory_many_mb": many,
        "memory": max(peaks.values()),
        "growth": many / peaks["rees46"],
    }


def ledger(world: World, size: Size, _runs: int) -> Figures:
    """Measure orders that are new to the ledger, with an empty ledger and with one that holds many others."""
    url = world.start_sink()
    seconds: dict[str, list[float]] = defaultdict(list)
    with world.new_shop() as new, world.new_shop() as old:
        for shop in (new, old):
            shop.fill(size.run)
        old.fill_ledger(LEDGER_RUNS * size.run + 1, size.in_ledger)
        for run in range(LEDGER_RUNS):
            new.empty_ledger()
            for name, shop in (("new", new), ("old", old)):
                shop.replace(run * size.run + 1, size.run)
                seconds[name].append(world.ours(shop, url, "rees46", size.run).seconds)
    medians = _medians(seconds)
    return {
        **{f"ledger_{name}_s": median for name, median in medians.items()},
        "ledger": medians["old"] / medians["new"],
    }


def justclick(world: World, size: Size, runs: int) -> Figures:
    """Measure the load of one order a request to a slow service."""
    url = world.start_sink(LATENCY_MS)
    rates = []
    with world.new_shop() as shop:
        for _ in range(runs):
            shop.fill(size.bills)
            changes = size.bills + shop.add_second_changes()
            ran = world.ours(shop, url, "justclick", changes)
            if ran.received["late"]:
                raise BenchmarkError(f"{ran.received['late']} changes came after newer changes of their orders")
            rates.append(changes / ran.figures["load_s"])
    return {"justclick": statistics.median(rates)}


def pace(world: World, _size: Size, runs: int) -> Figures:
    """Measure how long requests to one account of a pace take by the sink's clock, from one worker and from two."""
    url = world.start_sink()
    seconds: dict[str, list[float]] = defaultdict(list)
    with world.new_shop() as shop:
        for _ in range(runs):
            for workers in (1, 2):
                orders = PACED_REQUESTS // workers
                shop.fill(orders)
                received = world.paced(shop, url, orders, workers, PACE)
                # Between the first and the last of 20 requests lie 19 gaps.
                seconds[f"pace_{workers}"].append(received["span_s"] * PACED_REQUESTS / (PACED_REQUESTS - 1))
    medians = _medians(seconds)
    due = PACED_REQUESTS / PACE
    return {
        **{f"{name}_s": median for name, median in medians.items()},
        "pace": max(abs(median - due) for median in medians.values()),
    }


def csv(world: World, size: Size, runs: int) -> Figures:
    """Measure a drop against pandas, which only reads its file."""
    seconds: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(dir=world.folder) as name:
        with world.new_shop() as shop:
            shop.fill(size.orders)
            shop.write_csv(csv_drop.file_in(Path(name)))
        for _ in range(runs):
            for reader in ("pandas", "ours"):
                seconds[reader].append(_read_drop(world, reader, Path(name), size.orders).figures["seconds"])
    medians = _medians(seconds)
    return {
        **{f"csv_{name}_s": median for name, median in medians.items()},
        "csv": medians["ours"] / medians["pandas"],
    }


def parse(_world: World, _size: Size, _runs: int) -> Figures:
    """Measure the parsing of the DAG file."""
    figures = parsing.measure()
    return {**figures, "parsing": figures["parsing_extra_s"]}


def schedule(_world: World, _size: Size, _runs: int) -> Figures:
    """Measure runs in a real Airflow."""
    figures = scheduler.measure()
    return {**figures, "quiet": figures["quiet_ratio"], "backfill": figures["backfill_ratio"]}


def page(world: World, size: Size, _runs: int) -> Figures:
    """Measure the views of the page on a full ledger."""
    with world.new_shop() as shop:
        shop.fill_for_page(size.in_ledger, size.entries)
        ran = world.run("the page", [sys.executable, "-m", "benchmarks.page"], {"DSN": shop.dsn})
    seconds = {f"page_{view}_s": taken for view, taken in ran.figures.items()}
    return {**seconds, "page": 1000 * max(seconds.values())}


Measure = Callable[[World, Size, int], Figures]
GROUPS: dict[str, Measure] = {
    "rees46": rees46,
    "again": rees46,
    "yespo": yespo,
    "memory": memory,
    "ledger": ledger,
    "justclick": justclick,
    "pace": pace,
    "csv": csv,
    "parsing": parse,
    "scheduler": schedule,
    "page": page,
}


def _read_drop(world: World, reader: str, folder: Path, orders: int) -> Ran:
    command = [sys.executable, "-m", "benchmarks.csv_drop", reader]
    # Ours runs as deployed; the others as they are installed.
    settings = ARROW_ALLOCATOR if reader == "ours" else {}
    ran = world.run(f"{reader} from the drop", command, {"DROP": str(folder), **settings})
    if ran.figures["orders"] != orders:
        raise BenchmarkError(f"{reader} has read {ran.figures['orders']} of {orders} rows of the drop")
    return ran


def _count_peer(seconds: dict[str, list[float]], name: str, ran: Ran, orders: int) -> None:
    """Add the seconds of a peer's run, if the sink has received each order exactly once."""
    if ran.sent_once(orders):
        seconds[name].append(ran.seconds)
    else:
        print(f"    this run does not count: the sink has {ran.received} of {orders} orders", file=sys.stderr)


def _medians(seconds: dict[str, list[float]]) -> Figures:
    return {name: statistics.median(times) for name, times in seconds.items()}


def _fastest(medians: Figures, *names: str) -> float:
    """Return the least median among the peers with at least one run that counts."""
    counting = [medians[name] for name in names if name in medians]
    if not counting:
        raise BenchmarkError(f"No run of {', '.join(names)} counts")
    return min(counting)
