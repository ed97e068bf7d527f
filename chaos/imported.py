"""A pytest plugin for mutmut: what modules call while they are imported is reached by every test of the group.

mutmut would give it to the one test that runs first, and that test need not use it.
"""

from __future__ import annotations

import pytest
from mutmut.state import state

_called: set[str] = set()


def pytest_collection_finish() -> None:
    """Remember which functions were called so far, before any test."""
    _called.update(state()._stats)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    """Count these as reached by this test too, before mutmut takes note."""
    state()._stats.update(_called)
