"""Batches in flight: never more than allowed, no order in two of them, and each with its own answer."""

import threading
import time
from collections.abc import Callable

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.order_sync.delivery.batching import Batch
from include.order_sync.delivery.in_flight import InFlight


def batch(number: int, *order_ids: str) -> Batch:
    """Return a batch of these orders."""
    return Batch(number, order_ids, order_ids, pd.DataFrame(), 0)


def nothing() -> None:
    """Record nothing."""


@given(st.lists(st.sets(st.sampled_from("abcdef"), min_size=1, max_size=3), min_size=1, max_size=20), st.integers(1, 4))
@settings(max_examples=30)
def test_an_order_is_in_flight_once(sets, connections):
    """Batches in flight never outnumber the connections or share an order; an order's batches keep their sequence."""
    lock, present, most, sent = threading.Lock(), [], [0], []

    def ask(orders: Batch, leave: Callable[[], None]) -> list[str]:
        leave()
        ids = list(orders.order_ids)
        with lock:
            assert not {order for other in present for order in other} & set(ids)
            present.append(ids)
            sent.append(ids)
            most[0] = max(most[0], len(present))
        time.sleep(0.001)
        with lock:
            present.remove(ids)
        return ids

    taken = []
    with InFlight(ask, connections) as in_flight:
        for number, ids in enumerate(sets):
            orders = batch(number, *sorted(ids))
            while not in_flight.has_room_for(orders):
                taken.append(in_flight.take())
            in_flight.send(orders, nothing, nothing)
        while in_flight:
            taken.append(in_flight.take())
    assert most[0] <= connections
    assert sorted(orders.number for orders, _ in taken) == list(range(len(sets)))
    assert all(answer.result() == list(orders.order_ids) for orders, answer in taken)
    for order in "abcdef":
        assert [ids for ids in sent if order in ids] == [sorted(ids) for ids in sets if order in ids]


def test_a_failure_belongs_to_its_batch():
    """The error of a request is raised with its own batch, and with no other."""

    def ask(orders: Batch, leave: Callable[[], None]) -> str:
        leave()
        if orders.order_ids == ("bad",):
            raise ValueError("refused")
        return "taken"

    with InFlight(ask, 2) as in_flight:
        in_flight.send(batch(1, "good"), nothing, nothing)
        in_flight.send(batch(2, "bad"), nothing, nothing)
        answers = {orders.number: answer for orders, answer in (in_flight.take(), in_flight.take())}
    assert answers[1].result() == "taken"
    with pytest.raises(ValueError, match="refused"):
        answers[2].result()


@pytest.mark.parametrize("answers", [True, False])
def test_a_wait_ends_with_an_answer_or_its_time(answers):
    """Waiting tells whether there is an answer to take, takes none, and ends without one when its time is over."""
    may_answer = threading.Event()

    def ask(orders: Batch, leave: Callable[[], None]) -> str:
        leave()
        assert may_answer.wait(60)
        return "taken"

    with InFlight(ask, 2) as in_flight:
        in_flight.send(batch(1, "a"), nothing, nothing)
        if answers:
            may_answer.set()
        assert in_flight.wait(60 if answers else 0.01) is answers
        assert len(in_flight) == 1
        may_answer.set()
        assert in_flight.take()[1].result() == "taken"


@pytest.mark.parametrize("seconds", [0.01, -1])
def test_a_wait_with_nothing_under_way_is_a_pause(seconds):
    """With nothing under way a wait lasts its time, which may be over already, and there is no answer."""
    with InFlight(len, 1) as in_flight:
        started = time.monotonic()
        assert in_flight.wait(seconds) is False
        assert time.monotonic() - started >= seconds
