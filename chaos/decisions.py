"""Plays the person who decides about held orders: looks each up at the service, and says accept or resend."""

from __future__ import annotations

from typing import Literal

import psycopg

from chaos import verdict
from chaos.world import World
from include.order_sync.ledger import quarantine

WHO = "chaos"


def decide_all(world: World, held: dict[str, dict[str, str]]) -> int:
    """Decide about all that is held: accept what the service shows, else resend; return how many orders.

    Args:
        world: where.
        held: destination -> order id -> the code that is held.
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
            quarantine.decide(cursor, destination, decision, WHO, order_ids=order_ids)
