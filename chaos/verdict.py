"""The verdict: it reads the source's table, the sandbox's admin and the sender's report, and imports nothing of ours.

The codes that each service must show come from the sandbox, and not from the sender's own tables. The sandbox follows
the services' documentation, so a mistake in the sender's tables shows as a difference.
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

# Status label of the shop -> its status, where the two differ.
MEANINGS = {"new": "created", "packing": "in_progress"}

ROWS = ("orders", "superseded", "skipped")
OUTCOMES = ("accepted", "rejected", "unchanged", "stale", "held", "not_sent", "not_for_provider")
BACKFILL = "backfill"  # the names of a backfill's runs begin with it
# When a change was there: in time, late, or only until its row was changed in place.
IN_TIME, LATE, GONE = 0, 1, 2
CHANGES = f"""
    select order_id, single, status, changed_at, lateness from (
        select id, order_id, single, status, changed_at, late::int as lateness from order_changes
        union all select id, order_id, single, status, changed_at, {GONE} from replaced_rows
    ) as changes
    order by changed_at, id
"""  # noqa: S608

Code = str | int
# Order, whether it also goes to services of single orders, status label, time, when it was there.
Changes = Sequence[tuple[str, bool, str, datetime, int]]
Codes = Mapping[str, Sequence[Code]]


@dataclass(frozen=True)
class Facts:
    """The facts of a service, as the sandbox shows them.

    Args:
        max_orders: the most orders in one request.
        codes: status -> its code; an absent status is not for this service.
        repeatable_codes: may be sent again when they are in doubt: they set a state and mail nobody.
        takes_events: each change must reach the service, and not the newest of an order alone.
    """

    max_orders: int
    codes: Mapping[str, Code]
    repeatable_codes: Collection[Code]
    takes_events: bool

    def code(self, status_label: str) -> Code | None:
        """Return the code of a status label, or None if its status is not for this service."""
        return self.codes.get(MEANINGS.get(status_label, status_label))


@dataclass
class Judgement:
    """The findings at one service.

    Args:
        service: its name.
        orders: how many orders it must know.
        requests: how many requests it received.
        taken: how many changes it took.
        held: how many orders the sender lists as held.
        rejected: how many orders the sender lists as rejected by the service, or given up, and can send again.
        sent_again: how many repetitions it took.
        due: how many changes had to reach it, each of them, and not the newest of an order alone.
        runs: the number of the sender's runs.
        differences: the breaches of the promise, each with its order's number.
    """

    service: str
    orders: int = 0
    requests: int = 0
    taken: int = 0
    held: int = 0
    rejected: int = 0
    sent_again: int = 0
    due: int = 0
    runs: int = 0
    differences: list[str] = field(default_factory=list)


def judge(source: str, sandbox: str, report: Path, *, late_too: bool, each_change: bool = False) -> list[Judgement]:
    """Return a judgement for each service.

    Args:
        source: address of the source's database.
        sandbox: address of the sandbox.
        report: path of the sender's report.
        late_too: changes that were committed late must be at the services too.
        each_change: a service that takes events must have each change that hourly runs alone have read. The report
            then lists the orders that were interrupted.
    """
    with psycopg.connect(source) as connection:
        changes: Changes = connection.execute(CHANGES).fetchall()
    reported = json.loads(report.read_text())
    stats = requests.get(f"{sandbox}/__admin/stats", timeout=60).json()
    services = requests.get(f"{sandbox}/__admin/services", timeout=60).json()
    judgements = []
    for service, shown_facts in services.items():
        facts = Facts(**shown_facts)
        service_changes = [change for change in changes if change[1] or facts.max_orders > 1]
        excused = {*reported["held"].get(service, {}), *reported["rejected"].get(service, {})}
        runs = [run for run in reported["runs"] if run["destination"] == service]
        judgement = judge_orders(
            service,
            facts,
            service_changes,
            taken_by(sandbox, service),
            excused,
            reported["sent_again"].get(service, {}),
            late_too=late_too,
            due_from=read_in_order_from(runs) if each_change and facts.takes_events else None,
            interrupted=reported["interrupted"].get(service, []) if each_change else (),
        )
        judgement.held = len(reported["held"].get(service, {}))
        judgement.rejected = len(sendable(facts, service_changes, reported["rejected"].get(service, {})))
        judgement.requests = stats[service]["requests"]
        judgement.runs = len(runs)
        judgement.differences += judge_balances(service_changes, runs)
        judgements.append(judgement)
    return judgements


def taken_by(sandbox: str, service: str) -> dict[str, list[Code]]:
    """Return, for each order, the codes that the service took, oldest first."""
    answer = requests.get(f"{sandbox}/__admin/orders", params={"provider": service}, timeout=120)
    return {order["id"]: [change["status"] for change in order["history"]] for order in answer.json()["orders"]}


def read_in_order_from(runs: Sequence[Mapping[str, Any]]) -> datetime:
    """Return the time from which on a service's hourly runs alone read, one after the other.

    A backfill reads the last hour first, so that an earlier change of an order is stale by right.
    """
    return max(datetime.fromisoformat(run["end"]) for run in runs if run["run"].startswith(BACKFILL))


def sendable(facts: Facts, changes: Changes, rejected: Mapping[str, Collection[str]]) -> set[str]:
    """Return the rejected orders that a later run can send: their row for the service, or a newer one, is still there.

    The row that was rejected may be gone, and the one in its place not for this service.

    Args:
        facts: of the service.
        changes: of the source.
        rejected: order -> the times of its rejected changes.
    """
    since = {order_id: min(map(datetime.fromisoformat, times)) for order_id, times in rejected.items()}
    return {
        order_id
        for order_id, _, status, at, lateness in changes
        if order_id in since and at >= since[order_id] and lateness != GONE and facts.code(status) is not None
    }


def judge_orders(
    service: str,
    facts: Facts,
    changes: Changes,
    taken: Codes,
    excused: Collection[str],
    sent_again: Mapping[str, Mapping[str, int]],
    *,
    late_too: bool = True,
    due_from: datetime | None = None,
    interrupted: Collection[str] = (),
) -> Judgement:
    """Judge the orders of one service by four rules; a breach is a difference.

    - An order has its newest code, or a newer one that was late or is gone, unless it is held or rejected.
    - An older code never follows a newer one.
    - A code is taken once; a repeatable code may be taken again as often as the sender lists it.
    - With `due_from`, an order has the code of each change that was in time from then on, unless it was interrupted.

    Args:
        service: its name.
        facts: of the service.
        changes: of the source, by version.
        taken: order -> the codes that the service took, oldest first.
        excused: orders that the sender lists as held or rejected.
        sent_again: order -> code -> how often it was in doubt and sent again, by the sender's own list.
        late_too: only the newest of all changes is right, also if it was committed late.
        due_from: the time from which on runs read in order; None where the newest change is enough.
        interrupted: orders that the sender lists as having been in doubt, refused or given up at any time: a newer
            change goes on without the one before.
    """
    due: dict[str, set[Code]] = {}
    in_source: dict[str, list[Code]] = {}
    right: dict[
        str, list[Code | None]
    ] = {}  # order -> its newest code, None for no order, and those that may follow it
    for order_id, _, status_label, changed_at, lateness in changes:
        code = facts.code(status_label)
        if code is not None:
            if due_from and changed_at >= due_from and lateness == IN_TIME and order_id not in interrupted:
                due.setdefault(order_id, set()).add(code)
            in_source.setdefault(order_id, []).append(code)
            may_lack = lateness == GONE or (lateness == LATE and not late_too)
            right[order_id] = [*right.get(order_id, [None]), code] if may_lack else [code]
    judgement = Judgement(service, orders=len(in_source), taken=sum(map(len, taken.values())))
    judgement.due = sum(map(len, due.values()))
    for order_id in sorted(in_source.keys() | taken.keys()):
        expected, got = in_source.get(order_id, []), taken.get(order_id, [])
        if order_id not in excused and (got[-1] if got else None) not in right.get(order_id, [None]):
            newest = expected[-1] if expected else "nothing"
            judgement.differences.append(f"{service} {order_id}: it has {got}, and the newest is {newest}")
        if lost := due.get(order_id, set()).difference(got):
            judgement.differences.append(f"{service} {order_id}: it has {got}, and {sorted(lost)} never came")
        if never := [code for code in got if code not in expected]:
            judgement.differences.append(f"{service} {order_id}: the source never had {never}, only {expected}")
        # The shop's orders never return to a code, so each code has one index.
        indices = [expected.index(code) for code in got if code in expected]
        if indices != sorted(indices):
            judgement.differences.append(f"{service} {order_id}: an older state over a newer one: {got} of {expected}")
        for code, times in Counter(got).items():
            listed = sent_again.get(order_id, {}).get(str(code), 0) if code in facts.repeatable_codes else 0
            if times > 1 + listed:
                judgement.differences.append(
                    f"{service} {order_id}: {code} was taken {times} times, and {listed} were listed as sent again"
                )
            judgement.sent_again += times - 1
    return judgement


def judge_balances(changes: Changes, runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a difference for each run whose figures do not balance, or that missed rows of its window.

    A row that was late may have come after the run has read, and one that is gone may have been there.
    """
    all_times = [change[3] for change in changes]
    times = [change[3] for change in changes if not change[4]]
    differences = []
    for run in runs:
        figures = run["figures"]
        start, end = (datetime.fromisoformat(run[name]) for name in ("start", "end"))
        fewest, most = (bisect_left(found, end) - bisect_left(found, start) for found in (times, all_times))
        counted, outcomes = sum(figures[name] for name in ROWS), sum(figures.get(name, 0) for name in OUTCOMES)
        if not fewest <= figures["rows"] <= most or counted != figures["rows"] or outcomes != figures["orders"]:
            differences.append(
                f"{run['destination']} {run['run']}: the source has {fewest} to {most} rows in its window, "
                f"the run counts {figures}"
            )
    return differences
