"""The verdict: reads the source's table, the sandbox's admin and the sender's report, and nothing of include/.

What each service must show is no table of the sender's: the sandbox says it, whose modules are written anew from the
services' documentation. So a mistake in the sender's own tables shows as a difference.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import requests

# The shop's word -> the status that it means, where the two differ.
MEANINGS = {"new": "created", "packing": "in_progress"}

ROWS = ("orders", "superseded", "skipped")
OUTCOMES = ("accepted", "rejected", "unchanged", "stale", "held", "not_for_provider")

Code = str | int
Changes = Sequence[tuple[str, bool, str, datetime]]
Codes = Mapping[str, Sequence[Code]]


@dataclass(frozen=True)
class Facts:
    """What the sandbox says of a service.

    Args:
        max_orders: of one request.
        codes: status -> its code; a status that is absent is not for this service.
        repeatable_codes: may be sent again while they are in doubt: they set a state, and mail nobody.
    """

    max_orders: int
    codes: Mapping[str, Code]
    repeatable_codes: Collection[Code]

    def code(self, word: str) -> Code | None:
        """Return the code of the shop's word for a status, or None if it is not for this service."""
        return self.codes.get(MEANINGS.get(word, word))


@dataclass
class Judgement:
    """What was found at one service.

    Args:
        service: its name.
        orders: how many it must know.
        requests: how many it was asked.
        taken: how many changes it took.
        held: how many orders the sender lists as held.
        sent_again: how many repetitions are listed as in doubt and sent again by rule, and were taken.
        runs: of the sender.
        differences: what does not hold, with the order's number.
    """

    service: str
    orders: int = 0
    requests: int = 0
    taken: int = 0
    held: int = 0
    sent_again: int = 0
    runs: int = 0
    differences: list[str] = field(default_factory=list)


def judge(source: str, sandbox: str, report: Path) -> list[Judgement]:
    """Return what was found at each service.

    Args:
        source: address of the source's database.
        sandbox: address of the sandbox.
        report: the sender's.
    """
    with psycopg.connect(source) as connection:
        query = "select order_id, single, status, changed_at from order_changes order by changed_at, id"
        changes: Changes = connection.execute(query).fetchall()
    said = json.loads(report.read_text())
    stats = requests.get(f"{sandbox}/__admin/stats", timeout=60).json()
    services = requests.get(f"{sandbox}/__admin/services", timeout=60).json()
    found = []
    for service, known in services.items():
        facts = Facts(**known)
        its = [change for change in changes if change[1] or facts.max_orders > 1]
        judgement = judge_orders(
            service,
            facts,
            its,
            taken_by(sandbox, service),
            said["held"].get(service, {}),
            said["sent_again"].get(service, {}),
        )
        judgement.requests = stats[service]["requests"]
        runs = [run for run in said["runs"] if run["destination"] == service]
        judgement.runs = len(runs)
        judgement.differences += judge_sums(its, runs)
        found.append(judgement)
    return found


def taken_by(sandbox: str, service: str) -> dict[str, list[Code]]:
    """Return the codes that the service has taken of each order, in order."""
    answer = requests.get(f"{sandbox}/__admin/orders", params={"provider": service}, timeout=120)
    return {order["id"]: [change["status"] for change in order["history"]] for order in answer.json()["orders"]}


def judge_orders(
    service: str,
    facts: Facts,
    changes: Changes,
    taken: Codes,
    held: Mapping[str, str],
    sent_again: Mapping[str, Mapping[str, int]],
) -> Judgement:
    """Return what does not hold of the orders.

    Args:
        service: its name.
        facts: of it.
        changes: of the source, in the order of their versions.
        taken: order -> the codes that the service took, in order.
        held: orders that the sender lists as held.
        sent_again: order -> code -> how often it was in doubt and sent again, as the sender lists it.
    """
    shown: dict[str, list[Code]] = {}
    for order_id, _, word, _ in changes:
        code = facts.code(word)
        if code is not None:
            shown.setdefault(order_id, []).append(code)
    judgement = Judgement(service, orders=len(shown), taken=sum(map(len, taken.values())), held=len(held))
    for order_id in sorted(shown.keys() | taken.keys()):
        expected, got = shown.get(order_id, []), taken.get(order_id, [])
        if order_id not in held and got[-1:] != expected[-1:]:
            newest = expected[-1] if expected else "nothing"
            judgement.differences.append(f"{service} {order_id}: it has {got}, and the newest is {newest}")
        # The shop's orders never go back to a code, so each code has one place.
        places = [expected.index(code) if code in expected else -1 for code in got]
        if places != sorted(places):
            judgement.differences.append(f"{service} {order_id}: an older state over a newer one: {got} of {expected}")
        for code, times in Counter(got).items():
            listed = sent_again.get(order_id, {}).get(str(code), 0) if code in facts.repeatable_codes else 0
            if times > 1 + listed:
                judgement.differences.append(
                    f"{service} {order_id}: {code} was taken {times} times, and {listed} were listed as sent again"
                )
            judgement.sent_again += times - 1
    return judgement


def judge_sums(changes: Changes, runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the runs whose two sums are off, or who have not read what the source has in their window."""
    times = [change[3] for change in changes]
    differences = []
    for run in runs:
        figures = run["figures"]
        start, end = (datetime.fromisoformat(run[name]) for name in ("start", "end"))
        rows = bisect_left(times, end) - bisect_left(times, start)
        used, outcomes = sum(figures[name] for name in ROWS), sum(figures[name] for name in OUTCOMES)
        if figures["rows"] != rows or used != rows or outcomes != figures["orders"]:
            differences.append(
                f"{run['destination']} {run['run']}: the source has {rows} rows in its window, it counts {figures}"
            )
    return differences
