"""Answers that only one service gives."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from include.order_sync.delivery.decision_table import Action, SendOptions
from include.order_sync.delivery.plan_mode import plan_outcomes
from include.order_sync.delivery.planning import Planner
from include.order_sync.errors import InDoubtError, StopError, TryAgainError
from include.order_sync.ledger.opening import open_session
from include.order_sync.ledger.reasons import NOT_JUDGED_REASON
from include.order_sync.providers import PROVIDERS
from include.order_sync.providers.base import Answer, Credentials
from tests.contract.conftest import orders, ready, statuses_by_rule
from tests.contract.test_ledger import NOON, TEN
from tests.contract.test_providers import taken

rees46 = pytest.mark.parametrize("provider", [PROVIDERS["rees46"], PROVIDERS["personaclick"]], ids=lambda p: p.name)
yespo = pytest.mark.parametrize("provider", [PROVIDERS["yespo"]], ids=lambda p: p.name)
justclick = pytest.mark.parametrize("provider", [PROVIDERS["justclick"]], ids=lambda p: p.name)


def waiting(ledger, provider) -> list[tuple[str, str]]:
    """Return the open entries of the test's destination: its is the newest with the provider's name."""
    return [(order_id, reason) for order_id, reason, _ in open_entries(ledger, provider)]


def open_entries(ledger, provider) -> list[tuple[str, str, bytes]]:
    """Return the same with what the service said of each."""
    query = """
        select order_id, reasons[1], encrypted_row from quarantine
        where resolved_at is null and destination = (
            select name from destinations where name like :like order by id desc limit 1)
        order by order_id
    """
    with ledger.connect() as connection:
        found = connection.execute(sa.text(query), {"like": f"{provider.name} %"})
        return [(order_id, reason, bytes(said)) for order_id, reason, said in found]


@rees46
@pytest.mark.parametrize(
    "body",
    [
        '{"status": "error", "payload": {"message": "off"}}',
        '{"status": "fail"}',
        '{"status": "FAILED"}',
        '{"error": "feature is off"}',
        '{"status": "success", "errors": ["1"]}',
        '{"status": "success", "payload": {"errors": ["1"]}}',
        '{"status": "ok", "results": [{"error": "x"}]}',
        '{"status": "success", "payload": {"status": "error"}}',
        '{"status": "success", "orders": [{"id": "1", "status": "fail"}]}',
    ],
)
def test_rees46_an_error_in_a_200_refuses_the_batch(provider, deliver, sandbox, ledger, body):
    """A 200 whose body says error accepts nothing, is never probed with halves, and its orders wait for a redrive."""
    sandbox.fault({"provider": provider.name, "kind": "garbage", "message": body, "next": 1}).raise_for_status()
    with pytest.raises(StopError, match=r"3 orders are not sent.*redrive") as stop:
        deliver(ready(provider, orders(["1", "2", "3"])))
    assert (stop.value.result.requests, stop.value.result.orders) == (1, {"not_sent": 3})
    assert all(said for *_, said in open_entries(ledger, provider))


@rees46
def test_rees46_a_refused_batch_does_not_take_the_others_with_it(provider, deliver, sandbox, ledger):
    """The batches after a refused one are sent; the refused orders wait for a redrive, and a plan shows them so."""
    sandbox.fault({"provider": provider.name, "kind": "status", "status": 400, "next": 1}).raise_for_status()
    part, pairs = ready(provider, orders([str(number) for number in range(1, 6)])), replace(provider, max_orders=2)
    for requests in (3, 3):
        with pytest.raises(StopError, match="2 orders are not sent") as stop:
            deliver(part, provider=pairs)
        assert stop.value.result.orders == {"accepted": 3, "not_sent": 2}
        assert stop.value.result.complete
        assert sandbox.admin("stats")[provider.name]["requests"] == requests
    refused = [(order_id, NOT_JUDGED_REASON) for order_id in sorted(part["order_id"][:2])]
    with open_session(
        ledger, "order_sync_ledger", destination=deliver.destination, run="look", try_number=1, read_only=True
    ) as session:
        outcomes, shown = plan_outcomes(Planner.of(pairs, session, SendOptions()), [part])
    assert (outcomes, len(shown)) == ({Action.KEPT: 2, "unchanged": 3}, 0)
    later = deliver(part, provider=pairs, run="next")
    assert (later.requests, later.orders) == (0, {"not_sent": 2, "unchanged": 3})
    assert waiting(ledger, provider) == refused
    redriven = deliver(part[:2], provider=pairs, run="redrive", retry_rejected=True)
    assert redriven.orders == {"accepted": 2}
    assert waiting(ledger, provider) == []


@rees46
def test_rees46_a_refused_batch_takes_no_new_orders_with_it(provider, deliver, sandbox, ledger):
    """Later changes of orders that were refused go last, in a batch of their own: the bad one is among them."""
    created, delivered = statuses_by_rule(provider, held=False)[:2]
    poison = {"provider": provider.name, "kind": "status", "status": 400, "order_ids": ["2"]}
    sandbox.fault(poison).raise_for_status()
    with pytest.raises(StopError, match="3 orders are not sent"):
        deliver(ready(provider, orders(["1", "2", "3"], created, TEN)))
    both = ready(provider, orders(["4", "1", "2", "3", "5"], delivered, NOON))
    with pytest.raises(StopError, match="3 orders are not sent") as stop:
        deliver(both, run="next")
    assert (stop.value.result.requests, stop.value.result.orders) == (2, {"accepted": 2, "not_sent": 3})
    assert set(taken(sandbox, provider)) == {"4", "5"}
    sandbox.request("DELETE", "/__admin/faults")
    asked = deliver(both, run="asked", resend=True).orders
    assert asked == {"accepted": 5}
    assert waiting(ledger, provider) == []


@rees46
@pytest.mark.parametrize("status", [400, 422])
def test_rees46_an_account_that_is_refused_is_not_taken_for_bad_orders(provider, deliver, sandbox, status):
    """After three refused batches in a row the others are not sent: the message names the account and the redrive."""
    sandbox.fault({"provider": provider.name, "kind": "status", "status": status}).raise_for_status()
    with pytest.raises(StopError, match=rf"3 times in a row.*account at {provider.title}.*redrive") as stop:
        deliver(ready(provider, orders(list("abcdefgh"))), provider=replace(provider, max_orders=2))
    assert (stop.value.result.requests, stop.value.result.complete) == (3, False)


@pytest.mark.parametrize("provider", [p for p in PROVIDERS.values() if p.max_orders > 1], ids=lambda p: p.name)
def test_a_batch_that_is_too_large_is_halved(provider, deliver, sandbox):
    """A 413 is about the size of a request, so that its halves are sent at once, also where nothing else is halved."""
    sandbox.fault({"provider": provider.name, "kind": "status", "status": 413, "next": 1}).raise_for_status()
    delivered = deliver(ready(provider, orders(["1", "2", "3"])))
    assert (delivered.requests, delivered.orders) == (3, {"accepted": 3})


@rees46
@pytest.mark.parametrize(
    "body",
    [
        "OK",
        " ",
        "ok\n",
        "\ufeffOK",
        "\ufeff ",
        "queued",
        '\ufeff{"status": "success"}',
        '{"status": "success", "error": null}',
        '{"status": "OK"}',
        '{"queued": 2}',
    ],
)
def test_rees46_a_short_answer_without_an_error_accepts(provider, deliver, sandbox, body):
    """Old answers are the text OK or nothing, and no document fixes the body."""
    fault = {"provider": provider.name, "kind": "garbage", "message": body, "media_type": "text/plain", "when": "after"}
    sandbox.fault(fault).raise_for_status()
    assert deliver(ready(provider, orders(["1", "2"]))).orders["accepted"] == 2


@rees46
@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        ("queued", "text/html"),
        ('{"queued": 2}', "text/html"),
        ("x" * 201, "text/plain"),
        ("[1", "text/plain"),
        ("\ufeff<html><body>Bonjour</body></html>", "text/plain"),
        ("Bonjour <form>", "text/plain"),
    ],
)
def test_rees46_a_text_of_another_server_is_in_doubt(provider, deliver, sandbox, body, media_type):
    """A text that is HTML by its content type or its tags, too long, or cut off is no answer of the platform."""
    fault = {"provider": provider.name, "kind": "garbage", "message": body, "media_type": media_type, "next": 1}
    sandbox.fault(fault).raise_for_status()
    with pytest.raises(TryAgainError, match="doubt"):
        deliver(ready(provider, orders(["1", "2"])))


@rees46
@pytest.mark.parametrize(
    "body",
    [
        "error",
        "Invalid secret",
        "Shop not found",
        "Too many requests",
        "false",
        "null",
        '{"success": false}',
        '{"code": 401, "message": "x"}',
        '{"status": "denied"}',
        '{"status": 1}',
        '["error"]',
        '[{"status": "error"}]',
        '{"data": {"status": "failed"}}',
        '{"success": 0}',
        '{"ok": "no"}',
        "ERR",
        "We'll be back soon",
        "Service is down",
        "Bad gateway",
        "Please sign in",
        "It works!",
        '{"result": "KO"}',
        '{"message": "Shop is inactive"}',
        "Access restricted",
        "Quota exceeded",
        "Unable to process",
        "Payment required",
        "Subscription ended",
        "Магазин неактивен",
        "Доступ ограничен",
        "Сервіс зупинено",
        "Ошибка",
        "Ведутся технические работы",
        "Сервіс тимчасово недоступний",
        '{"message": "Неверный ключ"}',
        r'{"message": "\u041e\u0448\u0438\u0431\u043a\u0430"}',
    ],
)
def test_rees46_a_short_answer_that_tells_of_a_failure_is_in_doubt(provider, body):
    """No document fixes the body: sending a state twice does no harm; a failure taken for success loses it."""
    with pytest.raises(InDoubtError, match="answered HTTP 200"):
        provider.read(Answer(200, {}, body.encode()), ["1", "2"], Credentials("https://x", "login", "key"))


@yespo
@pytest.mark.parametrize("shape", ["list", "object"])
def test_yespo_failed_orders_are_rejected_alone(provider, deliver, sandbox, ledger, shape):
    """Orders that a 200 lists as failed are rejected, and the others are accepted."""
    sandbox.fault({"provider": "yespo", "kind": "refuse_orders", "order_ids": ["2"], "shape": shape})
    delivered = deliver(ready(provider, orders(["1", "2", "3", "4"])))
    assert delivered.orders == {"accepted": 3, "rejected": 1}
    assert delivered.reasons == {"Yespo lists the order as failed": 1}
    assert set(taken(sandbox, provider)) == {"1", "3", "4"}
    assert waiting(ledger, provider) == [("2", "Yespo lists the order as failed")]
    assert all(said for *_, said in open_entries(ledger, provider))


@yespo
def test_yespo_failed_orders_of_unknown_shape_are_in_doubt(provider, deliver, sandbox):
    """A list of failed orders in an unknown shape accepts nothing."""
    sandbox.fault({"provider": "yespo", "kind": "refuse_orders", "order_ids": ["2"], "shape": "unknown"})
    with pytest.raises(StopError, match="3 orders are held") as stop:
        deliver(ready(provider, orders(["1", "2", "3"])))
    assert stop.value.result.orders["accepted"] == 0


@yespo
@pytest.mark.parametrize(
    "body", ['{"error": "x"}', '{"status": "fail"}', '{"id": 1, "message": "maintenance"}', '"OK"', "OK"]
)
def test_yespo_believes_only_its_documented_answer(provider, deliver, sandbox, body):
    """A 200 is an answer of Yespo only if it is empty or an object of the documented keys."""
    sandbox.fault({"provider": "yespo", "kind": "garbage", "message": body, "next": 1}).raise_for_status()
    with pytest.raises(StopError, match="2 orders are held"):
        deliver(ready(provider, orders(["1", "2"])))


@yespo
@pytest.mark.parametrize("body", ["", "\ufeff", "{}", '{"asyncSessionId": "1"}', '{"id": 7, "failedOrders": []}'])
def test_yespo_its_documented_answers_accept(provider, deliver, sandbox, body):
    """An empty body, and an object of the documented keys, accept the orders."""
    sandbox.fault({"provider": "yespo", "kind": "garbage", "message": body, "when": "after", "next": 1})
    assert deliver(ready(provider, orders(["1", "2"]))).orders["accepted"] == 2


@yespo
@pytest.mark.parametrize(
    "body",
    [
        "Invalid statusDescription: Duplicated request",
        "400 Bad Request: Duplicated request",
        '["Duplicated request"]',
        '{"error": {"message": "Duplicated request"}}',
        "<html><body>Duplicated request</body></html>",
        '{"message": "Invalid order", "statusDescription": "Duplicated request"}',
    ],
)
@pytest.mark.parametrize("status", [400, 409, 422])
def test_yespo_what_may_be_a_duplicate_is_not_halved(provider, body, status):
    """What speaks of a duplicate in another form, or quotes an order, is in doubt: halves would mail twice."""
    with pytest.raises(InDoubtError, match="may have taken"):
        provider.read(Answer(status, {}, body.encode()), ["1", "2"], Credentials("https://x", "login", "key"))


@yespo
@pytest.mark.parametrize("status", [400, 409, 422, 500])
def test_yespo_duplicated_request_was_taken_before(provider, deliver, sandbox, status):
    """An error about a duplicated request rejects nothing, whatever its status: the same request was taken before."""
    message = "Duplicated request"
    sandbox.fault({"provider": "yespo", "kind": "status", "status": status, "message": message, "next": 1})
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
    with pytest.raises(StopError, match=r"accepted nothing, and rejected.*redrive") as stop:
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
    with pytest.raises(StopError, match="1 order is held"):
        deliver(ready(provider, orders(["1"], "paid")))
