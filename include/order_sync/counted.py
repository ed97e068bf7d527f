"""Numbers of things in singular and plural, and the first names of a list, for messages."""

from __future__ import annotations

from collections.abc import Sequence

# A message or a log names so many orders, and no more.
ORDERS_NAMED = 20


def things(number: int, thing: str) -> str:
    """Return the thing in singular or plural: `row` of 1, `rows` of 2, `entries` of 0."""
    if number == 1:
        return thing
    if thing.endswith("y"):
        return f"{thing[:-1]}ies"
    return f"{thing}es" if thing.endswith("ch") else f"{thing}s"


def counted(number: int, thing: str) -> str:
    """Return a number with its thing, as `1 row` or `2 rows`."""
    return f"{number} {things(number, thing)}"


def are(number: int, thing: str) -> str:
    """Return a number with its thing and verb, as `1 row is` or `2 rows are`."""
    return f"{counted(number, thing)} {'is' if number == 1 else 'are'}"


def named(names: Sequence[str]) -> str:
    """Return the first of these ids or names, for a message."""
    first = ", ".join(names[:ORDERS_NAMED])
    return f"{first}, ..." if len(names) > ORDERS_NAMED else first
