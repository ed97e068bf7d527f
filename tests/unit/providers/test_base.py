"""The shared part of all providers: their facts, and the reading of HTTP statuses."""

from dataclasses import replace

import pandas as pd
import pytest

from include.order_sync.errors import InDoubtError, StopError
from include.order_sync.model import OrderStatus
from include.order_sync.providers import rees46
from include.order_sync.providers.base import Answer, Provider, refuse_unless_success

NUMBERS = replace(rees46.PROVIDER, statuses={OrderStatus.CREATED: 1, OrderStatus.DELIVERED: 2})


def test_held_codes_may_be_numbers():
    """A provider names its held codes in the service's own type; columns hold codes as text."""
    codes = pd.Series(["1", "2", "2"], dtype="str")
    assert replace(NUMBERS, held_codes=frozenset({2})).holds(codes).tolist() == [False, True, True]
    assert replace(NUMBERS, held_codes=frozenset()).holds(codes).tolist() == [False, False, False]


@pytest.mark.parametrize("code", ["2", 3])
def test_held_codes_are_codes(code):
    """A held code of no status, or the text of a number, is refused: its sends in doubt would be repeated."""
    with pytest.raises(ValueError, match=rf"held_codes has .*{code!r}.*the codes are \[1, 2\]"):
        replace(NUMBERS, held_codes=frozenset({code}))


@pytest.mark.parametrize("forgotten", ["held_codes", "try_again"])
def test_the_rule_of_doubt_has_no_default(forgotten):
    """A new provider must name its held codes, and the statuses that mean nothing was taken."""
    facts = {name: getattr(NUMBERS, name) for name in Provider.__dataclass_fields__ if name != forgotten}
    with pytest.raises(TypeError, match=forgotten):
        Provider(**facts)


@pytest.mark.parametrize(("header", "seconds"), [({"Retry-After": "60"}, 60), ({}, None)])
def test_a_doubt_says_how_long_to_wait(header, seconds):
    """The error of a 5xx that leaves orders in doubt carries the service's Retry-After."""
    with pytest.raises(InDoubtError) as doubt:
        refuse_unless_success("A service", Answer(502, header, b""), frozenset({503}))
    assert doubt.value.after_s == seconds


def test_a_status_may_leave_a_request_in_doubt():
    """A status that a provider names as in doubt is no refusal: its orders may have been taken."""
    answer = Answer(409, {"Retry-After": "5"}, b"")
    with pytest.raises(InDoubtError, match="HTTP 409") as doubt:
        refuse_unless_success("Mail", answer, frozenset(), frozenset({409}))
    assert doubt.value.after_s == 5
    with pytest.raises(StopError):
        refuse_unless_success("Mail", answer, frozenset())


@pytest.mark.parametrize("status", [100, 101, 199])
def test_what_is_no_answer_yet_is_in_doubt(status):
    """The request left, and a 101 does not say that nothing was taken."""
    with pytest.raises(InDoubtError, match=f"HTTP {status}"):
        refuse_unless_success("A service", Answer(status, {}, b""), frozenset({503}))
