"""The balance of a run, and the thresholds beyond which it is red."""

from types import SimpleNamespace

import pytest

from include.order_sync.delivery.accounting import check_balance, check_thresholds
from include.order_sync.errors import StopError

# 13 rows: 11 orders, one older row of an order, one blank line. Each outcome has at least one order.
BALANCED = {
    "rows": 13,
    "superseded": 1,
    "skipped": 1,
    "orders": 11,
    "accepted": 2,
    "adopted": 1,
    "rejected": 2,
    "not_for_provider": 1,
    "unchanged": 2,
    "stale": 1,
    "held": 1,
    "not_sent": 1,
}


def test_a_balanced_run_passes():
    """Every row and every order is counted once, and the ledger knows the accepted ones."""
    check_balance(BALANCED, accepted_in_ledger=2)


@pytest.mark.parametrize("name", BALANCED)
def test_one_too_many_of_anything_is_noticed(name):
    """A row or an order that is lost or counted twice fails the run, whichever figure it is missing from."""
    with pytest.raises(StopError, match="The sums are off"):
        check_balance(BALANCED | {name: BALANCED[name] + 1}, accepted_in_ledger=2)


def test_the_ledger_must_know_what_was_accepted():
    """A run that counts more accepted orders than the ledger has fails."""
    with pytest.raises(StopError, match="2 accepted against 1 in the ledger"):
        check_balance(BALANCED, accepted_in_ledger=1)


def counts(orders: int, rejected: int, **others: int) -> dict[str, int]:
    """Return the counts of a run whose other orders were accepted, unless `others` says more."""
    figures = dict.fromkeys(("accepted", "adopted", "unchanged", "stale"), 0) | others
    figures["accepted"] = orders - rejected - sum(number for name, number in others.items() if name != "accepted")
    return {"orders": orders, "rejected": rejected, "newly_rejected": rejected, **figures}


LIMITS = SimpleNamespace(max_rejected=100, max_rejected_share=0.5, none_good_of=3)


@pytest.mark.parametrize(
    ("figures", "limit"),
    [
        pytest.param(counts(1000, 100), None, id="as many as may be"),
        pytest.param(counts(1000, 101), "max_rejected is 100", id="one too many"),
        pytest.param(counts(20, 10), None, id="half"),
        pytest.param(counts(20, 11), "max_rejected_share is 0.5", id="more than half"),
        pytest.param(counts(19, 11), None, id="more than half of few"),
        pytest.param(counts(100, 48, unchanged=52), "48 of 48 .*max_rejected_share is 0.5", id="all that were tried"),
        pytest.param(counts(100, 10, unchanged=70, stale=10), None, id="half of those that were tried"),
        pytest.param(counts(2, 2), None, id="two, none good"),
        pytest.param(counts(3, 3), "none_good_of is 3", id="three, none good"),
        *(pytest.param(counts(4, 3, **{good: 1}), None, id=f"three, one {good}") for good in ("accepted", "adopted")),
        # The good orders are added up, whatever their kind.
        pytest.param(counts(5, 3, accepted=1, adopted=1), None, id="three, one accepted and one adopted"),
        # The service has seen none of these in this run.
        *(
            pytest.param(counts(9, 3, **{known: 6}), "none_good_of is 3", id=f"three, the others {known}")
            for known in ("unchanged", "stale")
        ),
        pytest.param(counts(30, 0, unchanged=30), None, id="none was tried"),
        pytest.param(counts(9, 3, unchanged=6) | {"newly_rejected": 2}, None, id="three, one listed before"),
    ],
)
def test_thresholds(figures, limit):
    """A run is red beyond each of the three limits, and the message names the setting."""
    if limit is None:
        check_thresholds(figures, LIMITS)
    else:
        with pytest.raises(StopError, match=limit):
            check_thresholds(figures, LIMITS)


def test_each_limit_that_is_broken_is_named():
    """The message names every setting that a run is beyond."""
    with pytest.raises(StopError, match=r"max_rejected is 100; max_rejected_share is 0\.5; .*none_good_of is 3"):
        check_thresholds(counts(101, 101), LIMITS)
