"""Compares the sample shop with the sandbox, order by order, by the rules of chaos' own verdict.

The meanings of the shop's words stand here once more, and the codes come from the sandbox: a mistake in the project's
maps shows as a difference.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import LiteralString

import psycopg
import requests

from chaos.report import HELD, SENT_AGAIN
from chaos.verdict import Code, Facts, Judgement, judge_orders, taken_by

MEANINGS = {
    "new": "created",
    "paid": "paid",
    "processing": "in_progress",
    "shipped": "shipped",
    "delivered": "delivered",
    "cancelled": "cancelled",
    "returned": "returned",
    "abandoned": "abandoned",
    "Новый": "created",
    "Оплачен": "paid",
    "В работе": "in_progress",
    "Отправлен": "shipped",
    "Доставлен": "delivered",
    "Отменён": "cancelled",
    "Возврат": "returned",
}


@dataclass
class Source:
    """The changes of one source as a service must get them, and how its order ids are called there."""

    changes: list[tuple[str, bool, str, datetime, bool]] = field(default_factory=list)
    services_ids: dict[str, set[str]] = field(default_factory=dict)

    def add(self, order_id: str | None, service_id: str | None, word: str | None, at: str | None) -> None:
        """Add a row, unless it is one that no service can take."""
        if not order_id or not service_id or word not in MEANINGS:
            return
        try:
            time = datetime.fromisoformat(at or "")
        except ValueError:
            return
        self.services_ids.setdefault(order_id, set()).add(service_id)
        self.changes.append((service_id, True, MEANINGS[word], time, False))


def judge(shop: str, ledger: str, sandbox: str, drop: Path) -> list[Judgement]:
    """Return a judgement of each service.

    Orders in the ledger's quarantine are excused from having their newest code: those held, and those with a bad row.

    Args:
        shop: address of the sample shop's database.
        ledger: address of the ledger.
        sandbox: address of the sandbox.
        drop: the folder of the shop's CSV files.
    """
    facts = requests.get(f"{sandbox}/__admin/services", timeout=60).json()
    stats = requests.get(f"{sandbox}/__admin/stats", timeout=60).json()
    with psycopg.connect(ledger) as connection:
        listed = _by_destination(connection, "select destination, order_id from quarantine where order_id is not null")
        held = _by_destination(connection, HELD)
        sent_again: dict[str, dict[str, dict[str, int]]] = {}
        for service, order_id, code, times in connection.execute(SENT_AGAIN):
            sent_again.setdefault(service, {}).setdefault(order_id, {})[code] = times
    judgements = []
    for service, shown in facts.items():
        source = _warehouse(shop) if service in ("rees46", "yespo") else _drop(drop, of_bills=service == "justclick")
        source.changes.sort(key=lambda change: change[3])
        excused = {name for order_id in listed.get(service, ()) for name in source.services_ids.get(order_id, ())}
        again = sent_again.get(service, {})
        judgement = _judge(service, Facts(**shown), source, taken_by(sandbox, service), excused, again)
        judgement.requests = stats[service]["requests"]
        judgement.rejected, judgement.held = (len(orders.get(service, ())) for orders in (listed, held))
        judgements.append(judgement)
    return judgements


def _judge(
    service: str,
    facts: Facts,
    source: Source,
    taken: dict[str, list[Code]],
    excused: set[str],
    again: Mapping[str, Mapping[str, int]],
) -> Judgement:
    """Judge orders that never return to a code by chaos' verdict, and those few that do by their order alone."""
    codes: dict[str, list[Code]] = {}
    for order_id, _, status, _, _ in source.changes:
        if (code := facts.code(status)) is not None and codes.setdefault(order_id, [])[-1:] != [code]:
            codes[order_id].append(code)
    returning = {order_id for order_id, found in codes.items() if len(set(found)) < len(found)}
    judgement = judge_orders(
        service,
        facts,
        [change for change in source.changes if change[0] not in returning],
        {order_id: got for order_id, got in taken.items() if order_id not in returning},
        excused,
        again,
    )
    for order_id in sorted(returning):
        judgement.orders += 1
        got = taken.get(order_id, [])
        judgement.taken += len(got)
        once = [code for code, _ in groupby(got)] if order_id in again else got
        expected = iter(codes[order_id])
        if not all(code in expected for code in once):
            judgement.differences.append(f"{service} {order_id}: it has {got}, which is no part of {codes[order_id]}")
        elif order_id not in excused and got[-1:] != codes[order_id][-1:]:
            judgement.differences.append(f"{service} {order_id}: it has {got}, and the newest is {codes[order_id][-1]}")
    return judgement


def _by_destination(connection: psycopg.Connection, query: LiteralString) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for destination, order_id, *_ in connection.execute(query):
        found.setdefault(destination, set()).add(order_id)
    return found


def _warehouse(shop: str) -> Source:
    source = Source()
    with psycopg.connect(shop) as connection:
        for order_id, word, at in connection.execute(
            "select order_id, status, changed_at from order_changes order by id"
        ):
            source.add(order_id, order_id, word, at)
    return source


def _drop(drop: Path, *, of_bills: bool) -> Source:
    source = Source()
    for row in _rows(drop):
        order_id = row["Order number"]
        source.add(order_id, row["JustClick bill"] if of_bills else order_id, row["Status"], row["Changed at"])
    return source


def _rows(drop: Path) -> Iterator[dict[str, str]]:
    for path in sorted(drop.glob("*/orders-*.csv")):
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = csv.reader(file, delimiter=";")
        yield from (dict(zip(header, row, strict=True)) for row in rows if row)
