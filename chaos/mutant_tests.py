"""A pytest plugin for mutmut's runs (chaos/mutants.py): which tests a mutant gets, and in which order."""

from __future__ import annotations

from collections import Counter

import pytest
from mutmut.state import state

from include.order_sync import tuning

_while_imported: set[str] = set()


def pytest_sessionstart() -> None:
    """Shorten the wait for a lost sender's request: a mutant leaves many, and the sandbox answers at once."""
    tuning.CONNECT_S, tuning.ANSWER_S = 1, 5


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run first what is quick and unlike the tests before it: most mutants fail one of these, and the rest is not run.

    Each further example of a parametrised test comes as late as if it took that much longer.
    """
    seconds = state().duration_by_test
    items.sort(key=lambda item: seconds.get(item.nodeid, 0))
    examples: Counter[str] = Counter()
    rank = {}
    for item in items:
        test = item.nodeid.partition("[")[0]
        examples[test] += 1
        rank[item.nodeid] = examples[test] * seconds.get(item.nodeid, 0)
    items.sort(key=lambda item: rank[item.nodeid])


def pytest_collection_finish() -> None:
    """Remember which functions the modules called while they were imported."""
    _while_imported.update(state()._stats)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    """Count these as reached by each test: mutmut would give them to the first one alone, which need not use them."""
    state()._stats.update(_while_imported)
