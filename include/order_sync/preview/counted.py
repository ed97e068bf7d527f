"""Says how many things there are."""

from __future__ import annotations


def counted(number: int, thing: str) -> str:
    """Return a number with its thing, as `1 row` or `2 rows`."""
    return f"{number} {thing if number == 1 else f'{thing}s'}"
