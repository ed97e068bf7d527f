"""Which orders go last, and when a try ends, after failures that one of the orders may have caused."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pandas as pd
import pytest

from include.order_sync import stops
from include.order_sync.delivery.failing import (
    FAILED_IN_A_ROW,
    FAILED_IN_A_TRY,
    TRIES_OF_AN_ORDER,
    TRIES_UNTIL_UNSURE,
    FailingOrders,
    Turn,
)
from include.order_sync.delivery.result import LONGEST_WAIT_S, DeliveryResult
from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.ledger.session import Failures, Kept

AT = datetime(2026, 11, 21, tzinfo=UTC)


class Sent(SimpleNamespace):
    """A batch: its ids."""

    def __len__(self) -> int:
        return len(self.order_ids)


def sent(*ids: str) -> Sent:
    """Return a batch of these orders."""
    return Sent(order_ids=list(ids))


def failure(kind=TryAgainError, **more) -> TryAgainError:
    """Return an error that an order may have caused."""
    error = StopError(stops.REFUSED_CALL, "HTTP 403.") if kind is StopError else kind("HTTP 500", **more)
    error.is_failure = True
    return error


def test_turns_begin_with_orders_that_never_failed():
    """Then come refused ones, those of failed batches, and those that failed alone; fewest tries first."""
    failing = FailingOrders(
        DeliveryResult(),
        {
            "often alone": Failures(2, True, True),
            "alone": Failures(1, True, True),
            "in an outage": Failures(1, True, False),
            "with others": Failures(1, False, True),
        },
        given_up_before=frozenset({"given up"}),
        not_judged=frozenset({"refused"}),
    )
    assert list(failing.turns(1000)) == [
        Turn(None, 1000),
        Turn(frozenset({"refused"}), 1000),
        Turn(frozenset({"in an outage", "with others"}), 1),
        Turn(frozenset({"alone"}), 1),
        Turn(frozenset({"often alone"}), 1),
        Turn(frozenset({"given up"}), 1),
    ]
    many = FailingOrders(DeliveryResult(), {str(number): Failures(1, False, True) for number in range(5000)})
    assert [turn.max_orders for turn in many.turns(1000)] == [1000, 250]


def test_each_order_has_one_turn():
    """The orders of a part are divided among the turns."""
    failing = FailingOrders(DeliveryResult(), {"b": Failures(1, False, True)}, given_up_before=frozenset({"c"}))
    part = pd.DataFrame({"order_id": ["a", "b", "c", "d"]})
    chosen = [next(failing.chosen([part], turn))["order_id"].tolist() for turn in failing.turns(10)]
    assert chosen == [["a", "d"], ["b"], ["c"]]


def test_a_person_who_redrives_has_looked():
    """In a redrive, what earlier runs have kept has no turn of its own."""
    kept = {"a": Kept(True, AT, False, True), "b": Kept(False, AT, False, True), "c": Kept(True, AT, True, True)}
    usual = FailingOrders.of(DeliveryResult(), {}, kept, redrive=False)
    assert (usual.given_up_before, usual.not_judged) == ({"a"}, {"b"})
    redrive = FailingOrders.of(DeliveryResult(), {}, kept, redrive=True)
    assert (redrive.given_up_before, redrive.not_judged) == (set(), set())


def test_failures_in_a_row_end_the_try():
    """An answer in between starts the row anew; orders that failed before others were answered are not counted."""
    failing = FailingOrders(DeliveryResult(), {"known": Failures(1, True, True)})
    for _ in range(FAILED_IN_A_ROW - 1):
        failing.note(sent("a", "b"), failure())
        failing.note(sent("known"), failure())
    with pytest.raises(TryAgainError, match="HTTP 500"):
        failing.note(sent("c"), failure())
    failing.result.failed_in_a_row = 0
    failing.note(sent("c"), failure())


def test_many_failures_end_the_try():
    """So many failures in a try end it, whatever was answered in between."""
    failing = FailingOrders(DeliveryResult(answered=1), {"known": Failures(1, True, True)})
    for _ in range(FAILED_IN_A_TRY - 1):
        failing.note(sent("known"), failure())
    with pytest.raises(TryAgainError, match="answers other requests"):
        failing.note(sent("known"), failure())


def test_a_refusal_ends_the_run_only_if_nothing_is_answered():
    """A 403 of every request is the account's; one among answers is a retry, which looks for the order."""
    for answered, kind in ((0, StopError), (1, TryAgainError)):
        failing = FailingOrders(DeliveryResult(answered=answered))
        failing.note(sent("a"), failure(StopError))
        assert failing.piece_size(sent("a"), failure(StopError)) == 0
        with pytest.raises(kind) as raised:
            failing.raise_if_waiting()
        assert ".." not in str(raised.value)


@pytest.mark.parametrize(
    ("seconds", "delivered", "waits"), [(5, 1, True), (LONGEST_WAIT_S + 1, 1, False), (5, 0, False)]
)
def test_a_failure_that_names_a_time(seconds, delivered, waits):
    """A short time is waited for in a try that has delivered something; else the task retries."""
    failing = FailingOrders(DeliveryResult(delivered=delivered))
    if waits:
        failing.note(sent("a"), failure(after_s=seconds))
    else:
        with pytest.raises(TryAgainError):
            failing.note(sent("a"), failure(after_s=seconds))
    assert (failing.result.not_before > 0) is waits


def test_pieces():
    """A batch is split once its orders have failed before, once the service looks down, or after a refusal."""
    known = {"known": Failures(1, False, False)}
    batch = sent("known", *"abcdefghi")
    assert FailingOrders(DeliveryResult(), known).piece_size(batch, failure()) == 3
    assert FailingOrders(DeliveryResult()).piece_size(batch, failure()) == 0
    assert FailingOrders(DeliveryResult()).piece_size(batch, failure(StopError)) == 3
    assert FailingOrders(DeliveryResult(failed_in_a_row=3)).piece_size(batch, failure()) == 3
    assert FailingOrders(DeliveryResult(), known).piece_size(sent("known"), failure()) == 0


@pytest.mark.parametrize(
    ("known", "answered", "given_up"),
    [
        (Failures(TRIES_OF_AN_ORDER - 1, False, True), 0, True),
        (Failures(TRIES_OF_AN_ORDER - 1, False, False), 1, True),
        (Failures(TRIES_OF_AN_ORDER - 1, True, False), 0, False),
        (Failures(TRIES_OF_AN_ORDER - 2, True, True), 1, False),
    ],
    ids=["answered before", "answered in this try", "an outage", "too few tries"],
)
def test_giving_up(known, answered, given_up):
    """An order alone is given up in its third try with a failure, if others were answered since the first."""
    failing = FailingOrders(DeliveryResult(answered=answered), {"a": known})
    assert failing.gives_up(sent("a")) is given_up
    assert not failing.gives_up(sent("a", "b"))
    before = FailingOrders(DeliveryResult(answered=answered), given_up_before=frozenset({"a"}))
    assert before.gives_up(sent("a")) is bool(answered)


@pytest.mark.parametrize(
    ("tries", "has_answered", "together", "unsure"),
    [
        (TRIES_UNTIL_UNSURE - 1, True, (), True),
        (TRIES_UNTIL_UNSURE - 2, True, (), False),
        (TRIES_UNTIL_UNSURE - 1, False, (), False),
        (TRIES_UNTIL_UNSURE - 1, True, ("b", "c"), False),
    ],
    ids=["five tries", "four tries", "an outage from the start", "others wait too"],
)
def test_what_nobody_can_tell(tries, has_answered, together, unsure):
    """Only orders that each failed alone are left, in a run whose service answered before."""
    failing = FailingOrders(DeliveryResult(), {"a": Failures(tries, True, False)})
    for batch in [sent("a"), *([sent(*together)] if together else [])]:
        failing.note(batch, failure())
        assert failing.piece_size(batch, failure()) == 0
    assert bool(failing.unsure(has_answered=has_answered)) is unsure
    with pytest.raises(TryAgainError) as again:
        failing.raise_if_waiting()
    assert again.value.only_failing is not bool(together)


def test_an_order_has_one_turn():
    """One whose batch was refused before, and that has failed in this run, is not planned twice."""
    known = {"A": Failures(1, alone=False, others_answered=False)}
    failing = FailingOrders(DeliveryResult(), known, frozenset(), frozenset({"A", "B"}))
    turns = [turn.order_ids for turn in failing.turns(1000)]
    assert turns == [None, {"B"}, {"A"}]
