"""Whatever a service of the sandbox says of an order or an account has a code of docs/reasons.md."""

import re

import pytest

import sandbox.justclick
from include.order_sync.codes import reason_of
from include.order_sync.errors import StopError
from include.order_sync.providers import justclick
from include.order_sync.stops import STOPS
from tests.contract.conftest import orders, ready, rejects_orders

UNLISTED = justclick.UNLISTED


@rejects_orders
@pytest.mark.parametrize("status", [None, 400, 413])
def test_a_service_s_rejection_has_a_code(provider, deliver, sandbox, status):
    """An order that is rejected by name, or by the HTTP status of a request with it alone, has a reason with a code."""
    kind = {"kind": "status", "status": status} if status else {"kind": "refuse_orders"}
    sandbox.fault({"provider": provider.name, "order_ids": ["2"], **kind}).raise_for_status()
    result = deliver(ready(provider, orders(["1", "2"])))
    (text,) = result.reasons
    assert reason_of(text) not in (None, UNLISTED)


def test_a_service_s_refusal_has_a_code(provider, deliver, sandbox):
    """A service that refuses the account ends the load with a code."""
    sandbox.fault({"provider": provider.name, "kind": "status", "status": 401}).raise_for_status()
    with pytest.raises(StopError) as stop:
        deliver(ready(provider, orders(["1"])))
    assert stop.value.reason in STOPS
    assert re.match(f"{stop.value.reason.code}: ", str(stop.value))


def test_each_code_of_the_sandbox_is_known():
    """Each error code that the sandbox's JustClick can answer means a wrong connection or has a reason of its own."""
    names = {name: value for name, value in vars(sandbox.justclick).items() if name.isupper() and type(value) is int}
    answered = {str(value) for value in names.values()} - {justclick.DONE}
    assert len(answered) >= 7, "the sandbox has other names for its codes: this test would prove nothing"
    assert answered <= justclick.CONNECTION_CODES.keys() | justclick.ORDER_CODES.keys()
