"""`python -m simulation`: months of a shop in minutes, judged by the verdict of chaos."""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import structlog
from tabulate import tabulate

from chaos.verdict import judge
from chaos.world import World, open_world
from simulation.campaign import Campaign, Plan
from simulation.clock import simulated
from simulation.surroundings import settings
from simulation.tasks import Store, supervised

ROOT = Path(__file__).resolve().parent.parent
DIFFERENCES_SHOWN = 20
# Some days before the clocks of the shop's country change, in spring for even seeds, in autumn for odd ones.
STARTS = (datetime(2025, 3, 17, tzinfo=UTC), datetime(2025, 10, 13, tzinfo=UTC))


def main() -> int:
    """Return 0 if the promise holds, else 1."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="of the orders and all that happens; random by default")
    parser.add_argument("--days", type=int, default=30, help="of the shop; at least 5")
    parser.add_argument(
        "--folder",
        type=Path,
        default=ROOT / ".local" / "simulation",
        help="folder of the proof, which is emptied first",
    )
    options = parser.parse_args()
    if options.days < 5:
        parser.error("give at least 5 days: the last two have no faults")
    seed = random.randrange(100_000) if options.seed is None else options.seed
    plan = Plan(seed, STARTS[seed % 2], options.days * 24)
    with open_world(options.folder.resolve()) as (world, postgres):
        logging.basicConfig(
            filename=world.folder / "logs" / "simulation.log",
            level=logging.INFO,
            format="%(asctime)s %(message)s",
            force=True,
        )
        # The tasks' own lines would take as long as their work.
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
        with psycopg.connect(postgres.uri("postgres"), autocommit=True) as connection:
            # The server is not killed, and its disk is busy with the runs alone.
            connection.execute("alter system set fsync = off")
            connection.execute("select pg_reload_conf()")
        return prove(world, plan)


def prove(world: World, plan: Plan) -> int:
    """Play the campaign, judge it, and print the result; return the exit code."""
    print(f"Seed {plan.seed}: {plan.hours} hours from {plan.start:%Y-%m-%d} on", flush=True)
    started = time.monotonic()
    store = Store()
    with settings(world, plan.start), simulated(world.ledger, plan.start) as clock, supervised(store):
        campaign = Campaign(world, plan, clock, store)
        campaign.play()
        differences = [*campaign.differences, *campaign.check_windows(), *campaign.growth.broken()]
        report = campaign.report()
    seconds = time.monotonic() - started
    judgements = judge(world.source, world.sandbox, report, late_too=True)
    for judgement in judgements:
        for state in ("held", "rejected"):
            if left := getattr(judgement, state):
                judgement.differences.append(f"{judgement.service}: {left} orders are still {state}")
    rows = [asdict(judgement) for judgement in judgements]
    differences += [difference for row in rows for difference in row["differences"]]
    lanes = campaign.lanes.values()
    figures = {
        "seed": plan.seed,
        "shop_hours": plan.hours,
        "seconds": round(seconds),
        "shop_hours_a_second": round(plan.hours / seconds, 1),
        "changes": campaign.shop.committed,
        "tries": sum(lane.tries for lane in lanes),
        "signals": sum(lane.signals for lane in lanes),
        "killed": sum(lane.kills for lane in lanes),
        "red_runs": campaign.red,
        "decided": campaign.person.decided,
        "outages": campaign.surroundings.counts,
        "upgraded_from": campaign.upgraded_from,
    }
    print(tabulate([row | {"differences": len(row["differences"])} for row in rows], headers="keys"))
    print(tabulate(sorted(campaign.growth.peaks.items()), headers=["what grows", "at most"], floatfmt="g"))
    print(", ".join(f"{name} {number}" for name, number in figures.items()))
    for difference in differences[:DIFFERENCES_SHOWN]:
        print(f"  {difference}")
    if len(differences) > DIFFERENCES_SHOWN:
        print(f"  and {len(differences) - DIFFERENCES_SHOWN} more")
    print("The promise does not hold." if differences else "The promise holds.")
    print(json.dumps({"holds": not differences, **figures, "growth": campaign.growth.peaks, "services": rows}))
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
