"""When a load waits within its try, when the task retries, and when a person must act."""

import time
from collections import Counter

import pytest

from include.order_sync.counted import ORDERS_NAMED
from include.order_sync.delivery import result as rules
from include.order_sync.delivery.decision_table import Action
from include.order_sync.delivery.result import (
    FRUITLESS_REQUESTS,
    LONGEST_WAIT_FOR_A_LIMIT_S,
    LONGEST_WAIT_S,
    REFUSED_BATCHES_IN_A_ROW,
    UNANSWERED_BATCHES_IN_A_ROW,
    WAITS_IN_A_ROW,
    DeliveryResult,
    may_wait,
    named,
    stop_at_the_end,
    stop_if_all_refused,
    stop_if_fruitless,
    stop_if_unanswered,
)
from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.ledger.reasons import OLDER


def failure(after_s: float) -> TryAgainError:
    """Return the error of a 5xx."""
    error = TryAgainError("down", after_s)
    error.is_failure = True
    return error


def limit(after_s: float | None = None) -> TryAgainError:
    """Return the error of a 429."""
    error = TryAgainError("busy", after_s)
    error.is_limit = True
    return error


@pytest.mark.parametrize(
    ("error", "delivered", "waits"),
    [
        (TryAgainError("busy", 60), 1, True),
        (TryAgainError("busy", LONGEST_WAIT_S), 1, True),
        (TryAgainError("busy", LONGEST_WAIT_S + 1), 1, False),
        (TryAgainError("no connection"), 1, False),
        (limit(), 1, True),
        (limit(), 0, False),
        (limit(LONGEST_WAIT_FOR_A_LIMIT_S), 1, True),
        (limit(LONGEST_WAIT_FOR_A_LIMIT_S + 1), 1, False),
        (TryAgainError("busy", 60), 0, False),
        (failure(60), 1, False),
    ],
    ids=[
        "a minute",
        "the longest",
        "too long",
        "no time named",
        "a limit",
        "a limit, no progress",
        "a limit of an hour",
        "a longer limit",
        "no progress",
        "a 5xx",
    ],
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


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the rules read; a test sets its only item."""
    now = [1000.0]
    monkeypatch.setattr(rules, "time", type("time", (), {"monotonic": staticmethod(lambda: now[0])}))
    assert time.monotonic is not rules.time.monotonic
    return now


@pytest.mark.parametrize(("after_s", "seconds"), [(60, 60), (0, 1), (0.5, 1), (1.5, 1.5)])
def test_a_wait_lasts_as_long_as_the_service_names_and_at_least_a_second(clock, after_s, seconds):
    """A service that names no time at all gets a second."""
    result = DeliveryResult(delivered=1)
    assert may_wait(result, TryAgainError("busy", after_s))
    assert result.not_before == 1000 + seconds


def test_a_limit_without_a_time_is_waited_for_a_minute(clock):
    """Many limits are of a minute."""
    result = DeliveryResult(delivered=1)
    assert may_wait(result, limit())
    assert result.not_before == 1060


def test_requests_in_flight_at_once_share_the_longest_wait(clock):
    """A second answer within a wait makes it longer, never shorter, and counts no wait of its own."""
    result = DeliveryResult(delivered=1)
    for after_s, ends_at in ((60, 1060), (30, 1060), (90, 1090)):
        assert may_wait(result, TryAgainError("busy", after_s))
        assert (result.not_before, result.waits_in_a_row) == (ends_at, 1)
    clock[0] = 1090  # the wait is just over
    assert may_wait(result, TryAgainError("busy", 5))
    assert (result.not_before, result.waits_in_a_row) == (1095, 2)


def test_a_service_that_gives_no_answer_three_times_in_a_row_is_down():
    """The try ends, and the next one waits as long as the service has named."""
    stop_if_unanswered(DeliveryResult(unanswered=UNANSWERED_BATCHES_IN_A_ROW - 1), "Mail", 7)
    with pytest.raises(TryAgainError, match="Mail gave no answer 3 times in a row") as stop:
        stop_if_unanswered(DeliveryResult(unanswered=UNANSWERED_BATCHES_IN_A_ROW), "Mail", 7)
    assert stop.value.after_s == 7


def test_a_service_that_accepts_nothing_needs_a_person():
    """Twenty requests without one accepted order stop the load; the message has the most frequent reason."""
    fruitless = {
        "fruitless": FRUITLESS_REQUESTS,
        "requests": 22,
        "orders": Counter({Action.REJECTED: 20}),
        "reasons": Counter({"rare": 1, "frequent": 19}),
    }
    stop_if_fruitless(DeliveryResult(**fruitless | {"fruitless": FRUITLESS_REQUESTS - 1}), "Mail")
    stop_if_fruitless(DeliveryResult(**fruitless | {"orders": Counter({Action.ACCEPTED: 1})}), "Mail")
    with pytest.raises(StopError, match=r"Mail accepted nothing, and rejected 20 orders .*\(22 requests.*: frequent\."):
        stop_if_fruitless(DeliveryResult(**fruitless), "Mail")


def test_a_service_that_refuses_batch_after_batch_refuses_the_account():
    """Three refused batches in a row stop the load."""
    stop_if_all_refused(DeliveryResult(refused_in_a_row=REFUSED_BATCHES_IN_A_ROW - 1, refusal="HTTP 400"), "Mail")
    with pytest.raises(StopError, match=r"HTTP 400, 3 times in a row.*account at Mail"):
        stop_if_all_refused(DeliveryResult(refused_in_a_row=REFUSED_BATCHES_IN_A_ROW, refusal="HTTP 400"), "Mail")


def test_a_message_names_twenty_orders_at_most():
    """More orders are shown as dots."""
    ids = [str(number) for number in range(ORDERS_NAMED + 1)]
    assert named(ids[:-1]) == ", ".join(ids[:-1])
    assert named(ids) == ", ".join(ids[:-1]) + ", ..."


def test_the_end_of_a_load_names_all_that_a_person_must_do():
    """Held, refused and failing orders each have their sentence, with figures; nothing to do is no error."""
    stop_at_the_end(DeliveryResult(), [], "Mail")
    result = DeliveryResult(
        not_judged=["N", "O"], refusal="HTTP 400", failing=["F"], orders=Counter({rules.NOT_SENT: 3, Action.HELD: 9})
    )
    with pytest.raises(StopError) as stop:
        stop_at_the_end(result, ["H1", "H2"], "Mail")
    sentences = [sentence for sentence in str(stop.value).split(". ") if " not sent" in sentence or " held" in sentence]
    assert [": ".join(sentence.split(": ")[:2]) for sentence in sentences] == [
        "OS-907: 2 orders are held (H1, H2)",
        "OS-908: 2 orders are not sent",
        "OS-909: 1 order is not sent (F)",
    ]
    ids = [str(number) for number in range(ORDERS_NAMED + 1)]
    for count, end in ((ORDERS_NAMED, "19)"), (ORDERS_NAMED + 1, "19, ...)")):
        with pytest.raises(StopError) as stop:
            stop_at_the_end(DeliveryResult(failing=ids[:count]), [], "Mail")
        assert f"not sent (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, {end}" in str(stop.value)


def test_stale_orders_that_are_only_older_need_no_one():
    """Only the stale orders whose row has changed in the source are counted for a person."""
    assert DeliveryResult(stale=Counter({OLDER: 5, "another": 2})).stale_changed == 2
