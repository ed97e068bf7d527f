"""The progress of a long load in its log: orders, rate and the time that is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from include.order_sync.counted import counted

EVERY_S = 10.0


@contextmanager
def shown(log: Any, total: int, done: Callable[[], int], every_s: float | None = None) -> Iterator[None]:
    """Log the progress every ten seconds, from a thread of its own, as long as the block runs.

    Args:
        log: of the task.
        total: orders of the load.
        done: returns how many of them have their outcome; called in the thread.
        every_s: seconds between two lines; EVERY_S by default.
    """
    ended, began = threading.Event(), time.monotonic()

    def run() -> None:
        while not ended.wait(every_s or EVERY_S):
            log.info("%s", line(done(), total, time.monotonic() - began))

    thread = threading.Thread(target=run, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def line(done: int, total: int, seconds: float) -> str:
    """Return the line for `done` of `total` orders after some seconds."""
    rate = done / seconds
    share = f"{done} of {counted(total, 'order')} ({done / total:.0%}), {rate:.1f} a second"
    return f"{share}, {timedelta(seconds=round((total - done) / rate))} left" if done else share
