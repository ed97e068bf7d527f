"""The admin pages of the sandbox, and the behaviour that all services share."""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime

import pytest
import requests

from sandbox.registry import SERVICES
from sandbox.service import Account, Answer, Incoming, RefusalError, Rejection, Service, Update
from sandbox.values import Doubt
from tests.sandbox.conftest import Client, serve


def test_history_shows_each_change_in_the_order_of_taking(sandbox):
    """An order's history has the time, status, payload and request of each change; its payload is the last one."""
    for status in (0, 1, 2):
        sandbox.rees46([{"id": "1", "status": status}, {"id": f"other-{status}", "status": 0}])

    (order,) = sandbox.admin("orders", provider="rees46", id="1")["orders"]

    assert (order["provider"], order["id"], order["payload"]) == ("rees46", "1", {"id": "1", "status": 2})
    assert [(change["request"], change["status"], change["payload"]["status"]) for change in order["history"]] == [
        (1, 0, 0),
        (2, 1, 1),
        (3, 2, 2),
    ]
    times = [datetime.fromisoformat(change["at"]) for change in order["history"]]
    assert times == sorted(times)
    assert times[0].tzinfo is not None


def test_filters_may_be_left_out_or_empty(sandbox):
    """A request for orders and events may name a provider and an id, or neither."""
    sandbox.rees46([{"id": "1", "status": 0}])
    sandbox.rees46([{"id": "1", "status": 0}, {"id": "2", "status": 0}], "personaclick")
    sandbox.rees46([], "personaclick")

    def found(**parameters):
        return [(order["provider"], order["id"]) for order in sandbox.admin("orders", **parameters)["orders"]]

    assert found() == found(provider="", id="") == [("rees46", "1"), ("personaclick", "1"), ("personaclick", "2")]
    assert found(id="1") == [("rees46", "1"), ("personaclick", "1")]
    assert found(provider="rees46", id="2") == []
    assert len(sandbox.admin("events", provider="personaclick")["refused"]) == 1
    assert sandbox.admin("events", provider="rees46") == {"events": [], "refused": [], "rejected": [], "doubts": []}
    assert sandbox.request("GET", "/__admin/orders?provider=rees47").status_code == 422


def test_reset_forgets_everything(sandbox, order):
    """After a reset there are no orders, no mails, no refusals, no doubts, no counts and no faults."""
    empty = sandbox.admin("stats")
    sandbox.yespo([order | {"currency": None}])
    sandbox.rees46([])
    sandbox.justclick("bill_id=0&status=cancel")
    sandbox.fault({"kind": "close"})
    assert sandbox.admin("stats") != empty

    sandbox.request("POST", "/__admin/reset")

    assert list(empty) == list(SERVICES)
    assert sandbox.admin("stats") == empty
    assert sandbox.admin("orders") == {"orders": []}
    assert sandbox.admin("events") == {"events": [], "refused": [], "rejected": [], "doubts": []}
    assert sandbox.admin("faults") == {"faults": []}


class OnceADay(Service):
    """A made-up service with state: it takes an order once, and two requests a day."""

    name = "once"
    path = "/orders"
    account = Account("", "")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.known: set[str] = set()
        self.requests = 0

    def taken(self, updates: Sequence[Update]) -> None:
        self.known |= {update.order_id for update in updates}

    def read(self, incoming: Incoming, _doubt: Doubt) -> list[Update]:
        self.requests += 1
        if self.requests > 2:
            raise RefusalError(429, "two requests a day")
        order_id = incoming.body.decode()
        if order_id in self.known:
            raise RefusalError(409, "that order is here already")
        return [Update(order_id, "new", {})]

    def answer(self, _number: int, taken: Sequence[Update], rejections: Sequence[Rejection]) -> Answer:
        return Answer(200, f"{len(taken)} taken, {len(rejections)} rejected".encode())


@pytest.fixture
def once_a_day() -> Iterator[Client]:
    """A client of a sandbox that serves this one alone."""
    served = serve([OnceADay()])
    client = Client(next(served))
    yield client
    client.session.close()
    next(served, None)


def test_a_service_may_keep_state(once_a_day):
    """A service is told which orders were taken, and a reset clears what it keeps: here, orders seen and a limit."""

    def send() -> requests.Response:
        return once_a_day.request("POST", "/once/orders", data="A")

    once_a_day.fault({"kind": "refuse_orders", "order_ids": ["A"], "next": 1})
    assert [send().text for _ in range(2)] == ["0 taken, 1 rejected", "1 taken, 0 rejected"]
    assert send().status_code == 429
    once_a_day.request("POST", "/__admin/reset")
    assert [send().status_code for _ in range(3)] == [200, 409, 429]


def test_a_judge_reads_the_facts_of_each_service(sandbox):
    """The admin shows the most orders a request, each status's code, the codes that may be sent twice, and events."""
    facts = sandbox.admin("services")

    assert list(facts) == list(SERVICES)
    assert facts["justclick"]["max_orders"] == 1
    assert facts["justclick"]["codes"]["shipped"] == "sent"
    assert sorted(facts["rees46"]["repeatable_codes"]) == [0, 1, 2]
    assert [name for name, shown in facts.items() if shown["takes_events"]] == ["justclick"]


def test_no_credential_is_remembered(sandbox, order):
    """No admin page shows a right or wrong credential."""
    sandbox.rees46([{"id": "1", "status": 0}])
    sandbox.rees46([{"id": "1", "status": 0}], shop_secret="wrong-secret")
    sandbox.yespo([order])
    sandbox.yespo([order], auth=("me", "wrong-secret"))
    sandbox.justclick("bill_id=1&status=cancel")
    sandbox.justclick("bill_id=1&status=cancel", signature="wrong-secret")

    pages = "".join(sandbox.request("GET", f"/__admin/{page}").text for page in ("stats", "orders", "events"))

    assert sandbox.admin("stats")["yespo"]["refused"] == 1
    secrets = [account.secret for account in (service.account for service in SERVICES.values())]
    for secret in (*secrets, SERVICES["rees46"].account.login, "wrong-secret", 'hash"'):
        assert secret not in pages


@pytest.mark.parametrize(("provider", "path"), [(name, service.path) for name, service in SERVICES.items()])
def test_other_methods_and_paths_are_refused(sandbox, provider, path):
    """Any method but POST is a 405 and any other path a 404; both are counted, and neither uses up a fault."""
    sandbox.fault({"kind": "close", "next": 1})

    assert sandbox.request("GET", f"/{provider}{path}").status_code == 405
    assert sandbox.request("PUT", f"/{provider}{path}", data="x").headers["Allow"] == "POST"
    assert sandbox.request("HEAD", f"/{provider}{path}").status_code == 405
    assert sandbox.request("POST", f"/{provider}{path}/", data="x").status_code == 404
    stats = sandbox.admin("stats")[provider]
    assert (stats["requests"], stats["refused"]) == (4, 4)


def test_text_of_any_kind_is_shown(sandbox):
    """The admin shows ids unchanged: in any script, with half characters, or like numbers."""
    ids = ["Заказ №7", "😀", "\ud800", '"1.50"', "\\u0000", " "]
    sandbox.rees46([{"id": each, "status": 0} for each in ids])

    assert [order["id"] for order in sandbox.admin("orders")["orders"]] == ids
    assert len(sandbox.admin("orders", id="Заказ №7")["orders"]) == 1


def test_many_orders_are_remembered(sandbox):
    """Twenty thousand orders are taken and shown in a few seconds."""
    started = time.monotonic()
    for batch in range(20):
        sandbox.rees46([{"id": f"{batch}-{number}", "status": 1} for number in range(1000)])
    orders = sandbox.admin("orders")["orders"]

    assert len(orders) == 20_000
    assert time.monotonic() - started < 10
