"""The sender's own report, as JSON: the figures of its runs, the held orders, and repeated sends in doubt."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import psycopg

from chaos.sender import TASKS, Run, pull
from chaos.world import World
from include.order_sync.ledger.reasons import FAILING_REASON

HELD = """
    select d.name, o.order_id, o.code from orders_in_doubt o join destinations d on d.id = o.destination_id
    where o.held order by 1, 2
"""
# With those that were given up, as the service fails at each request with them.
REJECTED = """
    select d.name, s.order_id, s.status_changed_at
    from order_states s join destinations d on d.id = s.destination_id
    where s.verdict = 'rejected'
    union select destination, order_id, status_changed_at from quarantine
    where resolved_at is null and %(failing)s = any(reasons)
    order by 1, 2, 3
"""
# How often an order was in doubt with a code that may be repeated by rule, and a later attempt had the same code.
SENT_AGAIN = """
    select d.name, a.order_id, a.code, count(*)
    from attempts a
    join destinations d on d.id = a.destination_id
    join batches b on b.id = a.batch_id
    where b.outcome = 'in_doubt' and not a.held_if_in_doubt and exists (
        select from attempts later
        join batches l on l.id = later.batch_id
        where later.destination_id = a.destination_id and later.partition_hash = a.partition_hash
          and later.order_id = a.order_id and later.code = a.code and l.id > b.id
          and l.outcome not in ('unchanged', 'adopted'))
    group by 1, 2, 3 order by 1, 2, 3
"""
# Orders of which a change was in doubt, refused or given up, however it went on.
INTERRUPTED = """
    select d.name, a.order_id from attempts a
    join batches b on b.id = a.batch_id join destinations d on d.id = b.destination_id
    where b.outcome = 'in_doubt'
    union select d.name, r.order_id from rejections r
    join batches b on b.id = r.batch_id join destinations d on d.id = b.destination_id
    union select destination, order_id from quarantine where order_id is not null
    order by 1, 2
"""


def write_report(world: World, runs: Iterable[Run]) -> Path:
    """Write the report and return its path.

    Its keys:
    - `runs`: for each run its destination, name, start, end and figures.
    - `held`: destination -> order id -> code.
    - `rejected`: destination -> order id -> the times of its changes that are rejected or given up, and not resolved.
    - `sent_again`: destination -> order id -> code -> how often.
    - `interrupted`: destination -> order ids of which any change was in doubt, refused or given up.
    """
    with psycopg.connect(world.ledger) as connection:
        held: dict[str, dict[str, str]] = {}
        for destination, order_id, code in connection.execute(HELD):
            held.setdefault(destination, {})[order_id] = code
        rejected: dict[str, dict[str, list[str]]] = {}
        for destination, order_id, at in connection.execute(REJECTED, {"failing": FAILING_REASON}):
            rejected.setdefault(destination, {}).setdefault(order_id, []).append(at.isoformat())
        sent_again: dict[str, dict[str, dict[str, int]]] = {}
        for destination, order_id, code, times in connection.execute(SENT_AGAIN):
            sent_again.setdefault(destination, {}).setdefault(order_id, {})[code] = times
        interrupted: dict[str, list[str]] = {}
        for destination, order_id in connection.execute(INTERRUPTED):
            interrupted.setdefault(destination, []).append(order_id)
    path = world.folder / "report.json"
    report = {"runs": [_run_entry(world, run) for run in runs], "held": held, "rejected": rejected}
    path.write_text(json.dumps(report | {"sent_again": sent_again, "interrupted": interrupted}, indent=1))
    return path


def _run_entry(world: World, run: Run) -> dict[str, object]:
    figures: dict[str, int] = {}
    for task in TASKS:
        figures |= pull(world, run, task)
    return {
        "destination": run.destination,
        "run": run.name,
        "start": run.window.start.isoformat(),
        "end": run.window.end.isoformat(),
        "figures": figures,
    }
