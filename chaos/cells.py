"""The cells fault x service x outcome of a storm, and those that must occur for it to prove enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg
from tabulate import tabulate

from chaos import shop
from chaos.driver import Lane
from chaos.sender import pull
from chaos.storm import SECOND, SIGNALS, Strike
from chaos.world import World
from sandbox.registry import SERVICES

# A fault or a strike, a service, an outcome.
Cell = tuple[str, str, str]

# A batch is under way from `begun_at` to `concluded_at`. One of a killed sender is concluded by the next load.
OUTCOME_AT = """
    select case
        when b.outcome = 'answered' and exists (select from rejections r where r.batch_id = b.id) then 'rejected'
        when b.outcome = 'answered' then 'accepted'
        when b.outcome = 'not_taken' and later.same_try then 'halved'
        when b.outcome = 'not_taken' then 'not taken'
        when a.held_if_in_doubt then 'held'
        when later.batch_id is null then 'in doubt'
        else 'resent' end
    from batches b
    join destinations d on d.id = b.destination_id and d.name = %(service)s
    cross join lateral (select * from attempts where batch_id = b.id order by held_if_in_doubt desc limit 1) a
    left join lateral (
        select l.id as batch_id, (l.run, l.try) = (b.run, b.try) as same_try
        from attempts other join batches l on l.id = other.batch_id and l.outcome not in ('unchanged', 'adopted')
        where other.destination_id = a.destination_id and other.partition_hash = a.partition_hash
          and other.order_id = a.order_id and other.code = a.code and l.id > b.id
        order by l.id limit 1
    ) later on true
    where b.begun_at <= %(at)s and (b.concluded_at is null or b.concluded_at >= %(at)s)
    order by b.begun_at desc limit 1
"""


# Rows of the source that are easily taken for others: what they are called, and their orders and times.
ROWS = {
    "equal times": """
        select order_id, changed_at from order_changes group by 1, 2 having count(distinct status) > 1
    """,
    "first pass of the repeated hour": """
        select order_id, changed_at from order_changes
        where id %% 2 = 0 and changed_at >= %(first)s and changed_at < %(second)s
    """,
    "second pass of the repeated hour": """
        select order_id, changed_at from order_changes
        where id %% 2 = 0 and changed_at >= %(second)s and changed_at < %(second)s + interval '1 hour'
    """,
    "row before it was changed": "select order_id, changed_at from replaced_rows",
    "row that was changed": """
        select c.order_id, c.changed_at from order_changes c join replaced_rows using (id)
    """,
}
OUTCOME_OF_ROW = """
    select d.name, s.verdict, count(*)
    from settled_attempts s join destinations d on d.id = s.destination_id
    join unnest(%s::text[], %s::timestamptz[]) as row (order_id, changed_at)
        on (s.order_id, s.status_changed_at) = (row.order_id, row.changed_at)
    group by 1, 2
"""
SECOND_DEPLOYMENT = "second deployment"
SENT_BY_SECOND = """
    select count(*) from batches b join destinations d on d.id = b.destination_id where d.name = %s and b.run = %s
"""


def count(
    world: World, strikes: Iterable[Strike], intruders: Iterable[Lane], runs: Iterable[Mapping[str, Any]]
) -> Counter[Cell]:
    """Return how often each cell has occurred.

    Args:
        world: with the sandbox's list of spoiled requests, and the ledger.
        strikes: of the storm; one that met no request under way has the outcome `no request`.
        intruders: the lanes of second deployments, each with its one run.
        runs: of the report.
    """
    struck = [
        (fault_name(hit["fault"]), hit["provider"], hit["at"]) for hit in world.admin("GET", "faults/hits")["hits"]
    ]
    for strike in strikes:
        struck += [(strike.kind, service, strike.at) for service in ([strike.service] if strike.service else SERVICES)]
    cells: Counter[Cell] = Counter()
    with psycopg.connect(world.ledger) as connection:
        for name, service, at in struck:
            found = connection.execute(OUTCOME_AT, {"service": service, "at": at}).fetchone()
            cells[name, service, found[0] if found else "no request"] += 1
        for lane in intruders:
            (second,) = lane.finished
            sent = connection.execute(SENT_BY_SECOND, (second.destination, SECOND)).fetchone()
            orders = pull(lane.world, second, "transform")["orders"]
            outcome = "sent" if sent != (0,) else "refused" if orders else "no request"
            cells[SECOND_DEPLOYMENT, second.destination, outcome] += 1
        cells += _of_rows(world, connection)
    for run in runs:
        for outcome in ("accepted", "unchanged", "stale", "not_sent"):
            cells["all runs", run["destination"], outcome.replace("_", " ")] += run["figures"].get(outcome, 0)
    return cells


def _of_rows(world: World, ledger: psycopg.Connection) -> Counter[Cell]:
    """Return how often each outcome came of the rows of ROWS."""
    first, second = shop.REPEATED_HOURS
    cells: Counter[Cell] = Counter()
    with psycopg.connect(world.source) as source:
        for name, query in ROWS.items():
            rows = source.execute(query, {"first": first, "second": second}).fetchall()
            ids, times = [row[0] for row in rows], [row[1] for row in rows]
            for service, outcome, number in ledger.execute(OUTCOME_OF_ROW, (ids, times)):
                cells[name, service, outcome.replace("_", " ")] += number
    return cells


def as_table(cells: Counter[Cell]) -> str:
    """Return a row for each fault, and a column for each service with the outcomes of its requests."""
    names = sorted({name for name, _, _ in cells})
    rows = [
        [
            name,
            *(
                ", ".join(
                    f"{times} {outcome}"
                    for (n, s, outcome), times in sorted(cells.items())
                    if (n, s) == (name, service)
                )
                for service in SERVICES
            ),
        ]
        for name in names
    ]
    return tabulate(rows, headers=["fault", *SERVICES])


def fault_name(fault: Mapping[str, Any]) -> str:
    """Return a fault's name: what it does, and whether before or after the service has taken the request."""
    if fault["kind"] == "status" and "order_ids" in fault:
        return f"{fault['status']} of one order"
    what = [str(fault[key]) for key in ("status", "form") if key in fault] or [fault["kind"]]
    if fault.get("status") == 429:
        what.append({None: "without Retry-After", 1: "Retry-After"}.get(fault.get("retry_after"), "absurd Retry-After"))
    return " ".join([*what, *([fault["when"]] if "when" in fault else [])])


def missing(cells: Counter[Cell], faults: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the cells that should have occurred and did not, as sentences.

    Each fault must have met each of its services, and each service each outcome that it can have. No second deployment
    may have sent anything.
    """
    intruded = [
        f"a second deployment has sent to {service}"
        for (name, service, outcome), times in sorted(cells.items())
        if (name, outcome) == (SECOND_DEPLOYMENT, "sent") and times
    ]
    met = {(name, service) for (name, service, outcome), times in cells.items() if times and outcome != "no request"}
    occurred = {(service, outcome) for (_, service, outcome), times in cells.items() if times}
    lacking = [f"no {name} met a request to {service}" for name, service in sorted(meetings(faults) - met)]
    return (
        intruded
        + lacking
        + [f"no order of {service} was {outcome}" for service, outcome in sorted(outcomes() - occurred)]
    )


def meetings(faults: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Return each fault, signal or kind of row, and each service of which it must meet a request."""
    aimed = {(kind, service) for kind in (*SIGNALS, SECOND_DEPLOYMENT, *ROWS) for service in SERVICES}
    return aimed | {(fault_name(fault), fault["provider"]) for fault in faults}


def outcomes() -> set[tuple[str, str]]:
    """Return each service, and each outcome that its orders must have, by the facts of its documentation."""
    expected = set()
    for name, service in SERVICES.items():
        can = {"accepted", "unchanged", "stale", "not taken"}
        can |= {"resent"} if service.repeatable_codes else set()
        can |= {"held"} if set(service.codes.values()) - service.repeatable_codes else set()
        can |= {"halved"} if service.max_orders > 1 else set()
        can |= set() if service.mails_rejections else {"rejected"}
        expected |= {(name, outcome) for outcome in can}
    return expected
