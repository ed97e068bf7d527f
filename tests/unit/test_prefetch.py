"""What prefetch keeps in memory."""

import threading
import weakref
from collections.abc import Iterator

from include.order_sync.prefetch import prefetch


class Group:
    """Anything large."""


def test_an_item_that_its_reader_has_left_is_freed_at_once() -> None:
    """It does not wait in memory until the next one is made."""
    is_free = threading.Event()
    freed_in_time = []

    def groups() -> Iterator[Group]:
        first = Group()
        weakref.finalize(first, is_free.set)
        yield first
        del first
        freed_in_time.append(is_free.wait(5))
        yield Group()

    for group in prefetch(groups()):
        del group

    assert freed_in_time == [True]
