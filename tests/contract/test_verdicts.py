"""Answers that only one service gives."""

import pytest

from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.providers import PROVIDERS
from tests.contract.conftest import orders, ready
from tests.contract.test_providers import taken

rees46 = pytest.mark.parametrize("provider", [PROVIDERS["rees46"], PROVIDERS["personaclick"]], ids=lambda p: p.name)
yespo = pytest.mark.parametrize("provider", [PROVIDERS["yespo"]], ids=lambda p: p.name)
justclick = pytest.mark.parametrize("provider", [PROVIDERS["justclick"]], ids=lambda p: p.name)


@rees46
def test_rees46_status_error_in_a_200_refuses_the_batch(provider, deliver, sandbox):
    """A 200 with the body `status: error` accepts nothing, and its batch is never halved."""
    body = '{"status": "error", "payload": {"message": "off"}}'
    sandbox.fault({"provider": provider.name, "kind": "garbage", "message": body, "status": 200}).raise_for_status()
    delivered = deliver(ready(provider, orders(["1", "2", "3"])))
    assert (delivered.requests, delivered.orders) == (1, {"rejected": 3})


@rees46
@pytest.mark.parametrize("body", ["OK", " "])
def test_rees46_any_other_200_accepts(provider, deliver, sandbox, body):
    """Older versions answer with the text OK or nothing, and both accept the orders."""
    sandbox.fault({"provider": provider.name, "kind": "garbage", "message": body, "status": 200, "when": "after"})
    assert deliver(ready(provider, orders(["1", "2"]))).orders["accepted"] == 2


@yespo
@pytest.mark.parametrize("shape", ["list", "object"])
def test_yespo_failed_orders_are_rejected_alone(provider, deliver, sandbox, shape):
    """Orders that a 200 lists as failed are rejected, and the others are accepted."""
    sandbox.fault({"provider": "yespo", "kind": "refuse_orders", "order_ids": ["2"], "shape": shape})
    delivered = deliver(ready(provider, orders(["1", "2", "3"])))
    assert delivered.orders == {"accepted": 2, "rejected": 1}
    assert delivered.reasons == {"Yespo lists the order as failed": 1}
    assert set(taken(sandbox, provider)) == {"1", "3"}


@yespo
def test_yespo_failed_orders_of_unknown_shape_are_in_doubt(provider, deliver, sandbox):
    """A list of failed orders in an unknown shape accepts nothing."""
    sandbox.fault({"provider": "yespo", "kind": "refuse_orders", "order_ids": ["2"], "shape": "unknown"})
    with pytest.raises(StopError, match="3 orders are held") as stop:
        deliver(ready(provider, orders(["1", "2", "3"])))
    assert stop.value.result.orders["accepted"] == 0


@yespo
def test_yespo_duplicated_request_was_taken_before(provider, deliver, sandbox):
    """A 400 about a duplicated request rejects nothing: the same request was taken before."""
    message = "Duplicated request"
    sandbox.fault({"provider": "yespo", "kind": "status", "status": 400, "message": message, "next": 1})
    assert deliver(ready(provider, orders(["1", "2"]))).orders["accepted"] == 2


@yespo
def test_yespo_a_refused_batch_is_halved_until_the_bad_order_is_alone(provider, deliver, sandbox):
    """One bad order does not delay the others: its batch is halved until it is alone."""
    part = ready(provider, orders([str(number) for number in range(1, 9)]))
    part.loc[part["order_id"] == "5", "payload"] = '{"externalOrderId":"5"}'
    delivered = deliver(part)
    assert delivered.orders == {"accepted": 7, "rejected": 1}
    assert set(taken(sandbox, provider)) == set("1234678")


@justclick
@pytest.mark.parametrize("code", [3, 200, 302, 201, 303, 202, 203, 999])
def test_justclick_order_codes_reject_one_order(provider, deliver, sandbox, code):
    """A code about the order rejects it, and the reason holds the code; the next order is sent."""
    sandbox.fault({"provider": "justclick", "kind": "refuse_orders", "order_ids": ["2"], "code": code})
    delivered = deliver(ready(provider, orders(["1", "2", "3"])))
    assert delivered.orders["accepted"] == 2
    ((reason, orders_rejected),) = delivered.reasons.items()
    assert (f"error_code {code}" in reason, orders_rejected) == (True, 1)


@justclick
@pytest.mark.parametrize("code", [1, 2, 4, 5, 6, 7])
def test_justclick_connection_codes_stop(provider, deliver, sandbox, code):
    """A code about the connection ends the task: every order would fail alike."""
    sandbox.fault({"provider": "justclick", "kind": "refuse_orders", "code": code})
    with pytest.raises(StopError, match=f"error_code {code}"):
        deliver(ready(provider, orders(["1", "2"])))


@justclick
def test_justclick_limit_is_waited_for(provider, deliver, sandbox):
    """Code 8 leads to a long wait, then another try."""
    sandbox.fault({"provider": "justclick", "kind": "refuse_orders", "code": 8})
    with pytest.raises(TryAgainError) as again:
        deliver(ready(provider, orders(["1"])))
    assert again.value.after_s >= 600


@justclick
@pytest.mark.parametrize(("status", "error"), [("paid", StopError), ("cancelled", TryAgainError)])
def test_justclick_a_wrong_signature_is_no_success(provider, deliver, sandbox, status, error):
    """An answer without our key's signature is never a success, even with code 0."""
    sandbox.fault({"provider": "justclick", "kind": "bad_signature", "next": 1}).raise_for_status()
    with pytest.raises(error, match=r"doubt|held") as raised:
        deliver(ready(provider, orders(["1"], status)))
    assert raised.value.result.orders["accepted"] == 0


@justclick
def test_justclick_an_account_that_accepts_nothing_stops(provider, deliver, sandbox):
    """The run stops at a service that accepts none of twenty requests: the orders are not the cause."""
    sandbox.fault({"provider": "justclick", "kind": "refuse_orders", "code": 3})
    with pytest.raises(StopError, match="accepted nothing in 20 requests") as stop:
        deliver(ready(provider, orders([str(number) for number in range(1, 31)])))
    assert stop.value.result.orders == {"rejected": 20}


@pytest.mark.parametrize(
    ("provider", "body"),
    [
        (PROVIDERS["justclick"], '{"error_code": 0, "error_text": "ok", "hash": "не хеш"}'),
        (PROVIDERS["justclick"], '{"error_code": 0, "error_text": "\\ud800", "hash": ""}'),
        (PROVIDERS["justclick"], "[" * 100_000),
        (PROVIDERS["yespo"], "[" * 100_000),
        (PROVIDERS["yespo"], "[]"),
        (PROVIDERS["yespo"], '{"failedOrders": [{"externalOrderId": null}]}'),
    ],
)
def test_no_answer_brings_the_reader_down(provider, deliver, sandbox, body):
    """An unreadable answer leaves its batch in doubt and held: it could have been taken."""
    sandbox.fault({"provider": provider.name, "kind": "garbage", "message": body, "next": 1}).raise_for_status()
    with pytest.raises(StopError, match="1 orders are held"):
        deliver(ready(provider, orders(["1"], "paid")))
