"""`python -m chaos`: a storm of faults, a verdict, the decisions about held orders, and a second verdict."""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from tabulate import tabulate

from chaos import cells, shop
from chaos.decisions import decide_all
from chaos.driver import ChaosError, Lane, drive
from chaos.faults import each_once, faults
from chaos.report import write_report
from chaos.sender import Run
from chaos.storm import Storm
from chaos.verdict import Judgement, judge
from chaos.world import World, open_world
from demo.postgres import Postgres
from include.order_sync.ledger import schema
from include.order_sync.model import Window
from include.order_sync.providers import PROVIDERS

ROOT = Path(__file__).resolve().parent.parent
DIFFERENCES_SHOWN = 20
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Size:
    """The amount of work.

    Args:
        orders: for the services that take many orders a request.
        singles: how many of the orders also go to the services that take one order a request.
        hours: of the shop; backfills load the first half, last hour first, and hourly runs load the second half.
        signal_every_s: average time between two signals.
        kills: the fewest ends by SIGKILL that prove enough; up to four times as many signals are sent.
        meets_every_cell: whether each fault must meet each service, and each service have each outcome.
    """

    orders: int
    singles: int
    hours: int
    signal_every_s: float
    kills: int
    meets_every_cell: bool


WHOLE = Size(orders=60_000, singles=3000, hours=60, signal_every_s=1.2, kills=20, meets_every_cell=True)
SHORT = Size(orders=6000, singles=300, hours=8, signal_every_s=0.3, kills=5, meets_every_cell=False)


def main() -> int:
    """Return 0 if the promise holds, else 1."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="seed of the orders and the faults; random by default")
    parser.add_argument("--short", action="store_true", help="take one minute only")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / ".local" / "chaos", help="folder of the proof, which is emptied first"
    )
    options = parser.parse_args()
    seed = random.randrange(100_000) if options.seed is None else options.seed
    with open_world(options.folder.resolve()) as (world, postgres):
        logging.basicConfig(
            filename=world.folder / "logs" / "sender.log", level=logging.INFO, format="%(asctime)s %(message)s"
        )
        try:
            return prove(world, postgres, SHORT if options.short else WHOLE, seed)
        except ChaosError as error:
            print(f"{error}\nSeed {seed}", file=sys.stderr)
            return 1


def prove(world: World, postgres: Postgres, size: Size, seed: int) -> int:
    """Run the storm, judge, decide about held orders, send them, judge again, and print the result."""
    dice = random.Random(seed)
    started = time.monotonic()
    changes = shop.fill(world.source, size.orders, size.singles, size.hours, dice)
    schema.upgrade(sa.create_engine(sa.make_url(world.ledger).set(drivername="postgresql+psycopg")))
    print(f"Seed {seed}: {size.orders} orders with {changes} changes in {size.hours} hours", flush=True)

    world.admin("POST", "faults", faults(seed))
    lanes = [Lane(world, runs(name, size.hours)) for name in PROVIDERS for runs in (backfill, hourly)]
    once = each_once(size.orders)
    storm = Storm(world, postgres, dice, once, size.hours, 4 * size.kills, size.signal_every_s)
    drive(lanes, storm.strike)
    faults_fired = sum(fault["fired"] for fault in world.admin("GET", "faults")["faults"])
    finished = [run for lane in lanes for run in lane.finished]
    report = write_report(world, finished)
    after_storm = judge(world.source, world.sandbox, report, late_too=False, each_change=True)
    met = cells.count(world, storm.strikes, storm.intruders, json.loads(report.read_text())["runs"])

    world.admin("DELETE", "faults")
    decided = decide_all(world, json.loads(report.read_text())["held"])
    final_lanes = [Lane(world, whole(name, size.hours)) for name in PROVIDERS]
    drive(final_lanes)
    report = write_report(world, [*finished, *(run for lane in final_lanes for run in lane.finished)])
    after_decisions = judge(world.source, world.sandbox, report, late_too=True, each_change=True)
    for judgement in after_decisions:
        for state in ("held", "rejected"):
            if left := getattr(judgement, state):
                judgement.differences.append(f"{judgement.service}: {left} orders are still {state}")

    killed = sum(lane.killed for lane in lanes)
    figures = {
        "seed": seed,
        "seconds": round(time.monotonic() - started),
        "changes": changes,
        "tries": sum(lane.tries for lane in lanes),
        "killed": killed,
        "faults": faults_fired,
        "decided": decided,
    }
    print(cells.as_table(met))
    too_few = [f"Only {killed} senders were killed; the proof takes {size.kills}"] if killed < size.kills else []
    too_few += cells.missing(met, once) if size.meets_every_cell else []
    return print_result(figures, {"storm": after_storm, "decided": after_decisions}, too_few)


def backfill(destination: str, hours: int) -> Iterator[Run]:
    """Yield the runs of the first half of the hours, last hour first."""
    for hour in reversed(range(hours // 2)):
        start = shop.FIRST_HOUR + hour * HOUR
        yield Run(destination, f"backfill-{hour:03d}", Window(start, start + HOUR))


def hourly(destination: str, hours: int) -> Iterator[Run]:
    """Yield the runs of the second half of the hours, in order; each looks back an hour."""
    for hour in range(hours // 2, hours):
        start = shop.FIRST_HOUR + hour * HOUR
        yield Run(destination, f"hourly-{hour:03d}", Window(start - HOUR, start + HOUR))


def whole(destination: str, hours: int) -> Iterator[Run]:
    """Yield one manual run over all hours, which also sends again what was rejected."""
    yield Run(destination, "manual", Window(shop.FIRST_HOUR, shop.FIRST_HOUR + hours * HOUR), retries_rejected=True)


def print_result(figures: dict[str, int], phases: dict[str, list[Judgement]], too_few: list[str]) -> int:
    """Print the table and the differences, then all of it as one line of JSON; return the exit code.

    Args:
        figures: of the whole proof.
        phases: phase -> its judgements.
        too_few: what the storm should have met, and has not.
    """
    rows = [{"after": phase, **asdict(judgement)} for phase, found in phases.items() for judgement in found]
    differences = [*too_few, *(difference for row in rows for difference in row["differences"])]
    print(tabulate([row | {"differences": len(row["differences"])} for row in rows], headers="keys"))
    print(", ".join(f"{name} {number}" for name, number in figures.items()))
    for difference in differences[:DIFFERENCES_SHOWN]:
        print(f"  {difference}")
    if len(differences) > DIFFERENCES_SHOWN:
        print(f"  and {len(differences) - DIFFERENCES_SHOWN} more")
    print("The promise does not hold." if differences else "The promise holds.")
    print(json.dumps({"holds": not differences, **figures, "services": rows}))
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
