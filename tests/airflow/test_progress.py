"""The progress of a long load."""

import threading
from contextlib import suppress
from unittest.mock import Mock

import pytest
from order_sync_airflow import progress


@pytest.mark.parametrize(
    ("done", "seconds", "shown"),
    [
        (250, 10, "250 of 1000 orders (25%), 25.0 a second, 0:00:30 left"),
        (1000, 8, "1000 of 1000 orders (100%), 125.0 a second, 0:00:00 left"),
        (0, 10, "0 of 1000 orders (0%), 0.0 a second"),
    ],
)
def test_line(done, seconds, shown):
    """Orders, rate and the time that is left at this rate; no time if none is done."""
    assert progress.line(done, 1000, seconds) == shown


def test_lines_come_until_the_load_ends():
    """Another thread writes them; it ends with the block, also by an error."""
    logged, written = [], threading.Event()

    def write(_, text):
        logged.append(text)
        written.set()

    before = threading.active_count()
    with suppress(ValueError), progress.shown(Mock(info=write), 10, lambda: 5, 0.01):
        assert written.wait(10)
        raise ValueError
    assert "5 of 10 orders" in logged[0]
    assert threading.active_count() == before
