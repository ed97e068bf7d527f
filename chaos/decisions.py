"""Plays the person who decides about held orders: looks each up at the service, and says accept or resend."""

from __future__ import annotations

from typing import Literal

import psycopg

from chaos import verdict
from chaos.world import World

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
        decide(world.ledger, destination, sorted(shown), "accept", WHO)
        decide(world.ledger, destination, sorted(orders.keys() - shown), "resend", WHO)
    return sum(map(len, held.values()))


def decide(
    ledger: str,
    destination: str,
    order_ids: list[str],
    decision: Literal["accept", "resend"],
    who: str,  # noqa: ARG001
) -> None:
    """STAND-IN for the product's own function, to be replaced by it: the decision as one statement.

    Args:
        ledger: address of its database.
        destination: whose orders.
        order_ids: which of them; those that are not held are left as they are.
        decision: accept, or resend: the next run over a window that holds the order sends it.
        who: has decided; the product writes it down.
    """
    verdict_after = {"accept": "accepted", "resend": "in_doubt"}[decision]
    with psycopg.connect(ledger) as connection:
        connection.execute(
            "update order_states set verdict = %s where destination = %s and order_id = any(%s) and verdict = 'held'",
            (verdict_after, destination, order_ids),
        )
