"""Prefetch: the next item is made in a background thread while the current one is in use."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def prefetch(items: Iterable[Item]) -> Generator[Item]:
    """Iterate with one item of prefetch in a background thread; exceptions surface at the item that raised them.

    Args:
        items: none of them is None. Their iterator runs in the background thread alone.
    """
    iterator = iter(items)
    with ThreadPoolExecutor(1, "prefetch") as thread:
        coming = thread.submit(next, iterator, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, iterator, None)
            yield item
            del item  # its reader has left it: memory must not hold it until the next one is made
