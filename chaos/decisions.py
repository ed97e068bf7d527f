"""Plays the person who decides about held orders: looks up each order at the service, then accepts or resends it."""

from __future__ import annotations

from typing import Literal

import psycopg

from chaos import verdict
from chaos.world import World
from include.order_sync.ledger import quarantine

DECIDED_BY = "chaos"


def decide_all(world: World, held: dict[str, dict[str, str]]) -> int:
    """Accept each held order whose code the service shows, resend the others; return how many orders were held.

    Args:
        world: with the service and the ledger.
        held: destination -> order id -> the held code.
    """
    for destination, orders in held.items():
        taken = verdict.taken_by(world.sandbox, destination)
        shown = {order_id for order_id, code in orders.items() if code in map(str, taken.get(order_id, []))}
        _decide(world, destination, sorted(shown), "accept")
        _decide(world, destination, sorted(orders.keys() - shown), "resend")
    return sum(map(len, held.values()))


def _decide(world: World, destination: str, order_ids: list[str], decision: Literal["accept", "resend"]) -> None:
    if order_ids:
        with psycopg.connect(world.ledger) as connection, connection.cursor() as cursor:
            quarantine.decide(cursor, destination, decision, DECIDED_BY, order_ids=order_ids)
