"""Work that is done ahead: the next item is made while this one is worked off."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def prefetch(items: Iterable[Item]) -> Generator[Item]:
    """Yield the items, each of which a thread has made while the one before it was in use; errors come in their place.

    Args:
        items: made by what reads, and changes nothing; none is None.
    """
    made = iter(items)
    with ThreadPoolExecutor(1, "ahead") as thread:
        coming = thread.submit(next, made, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, made, None)
            yield item
