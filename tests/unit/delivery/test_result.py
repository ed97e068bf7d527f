"""When a load waits within its try, and when the task retries."""

import pytest

from include.order_sync.delivery.result import LONGEST_WAIT_S, WAITS_IN_A_ROW, DeliveryResult, may_wait
from include.order_sync.errors import TryAgainError


def failure(after_s: float) -> TryAgainError:
    """Return the error of a 5xx."""
    error = TryAgainError("down", after_s)
    error.is_failure = True
    return error


@pytest.mark.parametrize(
    ("error", "delivered", "waits"),
    [
        (TryAgainError("busy", 60), 1, True),
        (TryAgainError("busy", LONGEST_WAIT_S), 1, True),
        (TryAgainError("busy", LONGEST_WAIT_S + 1), 1, False),
        (TryAgainError("busy"), 1, False),
        (TryAgainError("busy", 60), 0, False),
        (failure(60), 1, False),
    ],
    ids=["a minute", "the longest", "too long", "no time named", "no progress", "a 5xx"],
)
def test_a_load_waits_for_a_short_time_that_the_service_names(error, delivered, waits):
    """A load that has delivered something waits within its try; everything else is a task retry."""
    result = DeliveryResult(delivered=delivered)
    assert may_wait(result, error) is waits
    assert (result.not_before > 0) is waits


def test_waits_without_an_accepted_order_end():
    """A service that only asks to wait gets a task retry; requests that were in flight at once share one wait."""
    result = DeliveryResult(delivered=1)
    for _ in range(WAITS_IN_A_ROW):
        result.not_before = 0  # the last wait is over
        assert may_wait(result, TryAgainError("busy", 60))
        assert may_wait(result, TryAgainError("busy", 60))
    result.not_before = 0
    assert not may_wait(result, TryAgainError("busy", 60))
