"""The faults of the sandbox."""

import concurrent.futures
import json
import socket
import time
from urllib.parse import urlsplit

import pytest
import requests

from tests.sandbox.conftest import rees46_envelope

ONE = [{"id": "1", "status": 1}]


def counts(sandbox, provider="rees46"):
    """Return the number of accepted orders and of refused requests."""
    stats = sandbox.admin("stats")[provider]
    return stats["accepted"], stats["refused"]


def exchange(sandbox, path, body, content_type="application/json"):
    """Send a POST by hand and return every byte that comes back until the server closes."""
    address = urlsplit(sandbox.url)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    received = b""
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(head.encode() + body)
        while chunk := connection.recv(4096):
            received += chunk
    return received


@pytest.mark.parametrize(("when", "expected"), [("before", (0, 1)), ("after", (1, 0)), (None, (0, 1))])
def test_a_status_comes_before_or_after_processing(sandbox, when, expected):
    """A status before processing takes nothing and counts as refused; a status after it hides the orders taken."""
    sandbox.fault({"provider": "rees46", "kind": "status", "status": 503, "when": when, "next": 1})

    response = sandbox.rees46(ONE)

    assert response.status_code == 503
    assert "Retry-After" not in response.headers
    assert response.json()["status"] == "error"
    assert counts(sandbox) == expected


def test_a_status_can_ask_to_wait(sandbox, order):
    """The answer carries the fault's Retry-After, in seconds, and its message."""
    sandbox.fault(
        {
            "provider": "yespo",
            "kind": "status",
            "status": 429,
            "retry_after": 7,
            "message": "Duplicated request",
        }
    )

    response = sandbox.yespo([order])

    assert (response.status_code, response.headers["Retry-After"]) == (429, "7")
    assert response.json() == {"message": "Duplicated request"}


@pytest.mark.parametrize(("when", "expected"), [("before", (0, 1)), ("after", (1, 0))])
def test_the_connection_is_closed_without_an_answer(sandbox, when, expected):
    """The client gets no byte, whether the order was taken or not."""
    sandbox.fault({"provider": "rees46", "kind": "close", "when": when, "next": 2})
    body = json.dumps({**rees46_envelope(), "orders": ONE}).encode()

    assert exchange(sandbox, "/rees46/import/sync_orders", body) == b""
    assert counts(sandbox) == expected
    with pytest.raises(requests.ConnectionError, match="Connection aborted"):
        sandbox.rees46(ONE)
    assert sandbox.rees46(ONE).status_code == 200


def test_a_kept_connection_is_closed_too(sandbox):
    """A connection that has answered before is closed in the same way, and the next one works."""
    assert sandbox.rees46(ONE).status_code == 200
    sandbox.fault({"kind": "close", "when": "after", "next": 1})

    with pytest.raises(requests.ConnectionError):
        sandbox.rees46(ONE)

    assert sandbox.rees46(ONE).status_code == 200
    assert counts(sandbox) == (3, 0)


@pytest.mark.parametrize(("when", "expected"), [("before", (0, 1)), ("after", (1, 0))])
def test_the_answer_can_be_garbage(sandbox, when, expected):
    """Garbage is a 200 whose body is neither JSON nor text."""
    sandbox.fault({"provider": "rees46", "kind": "garbage", "when": when})

    response = sandbox.rees46(ONE)

    assert response.status_code == 200
    with pytest.raises(ValueError, match=r"."):
        response.json()
    assert counts(sandbox) == expected


@pytest.mark.parametrize("body", ["", "OK"])
def test_garbage_can_be_any_body(sandbox, body):
    """The fault can give the body, such as the bare answers of older versions of the services."""
    sandbox.fault({"kind": "garbage", "when": "after", "message": body, "status": 201})

    response = sandbox.rees46(ONE)

    assert (response.status_code, response.text) == (201, body)


@pytest.mark.parametrize(("when", "taken"), [("before", 0), ("after", 1), (None, 1)])
def test_an_answer_can_be_slow(sandbox, when, taken):
    """The request waits before processing, or by default its answer waits; other requests do not wait."""
    sandbox.fault({"provider": "rees46", "kind": "slow", "seconds": 0.6, "when": when, "next": 1})
    watcher = type(sandbox)(sandbox.url)
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        slow = pool.submit(sandbox.rees46, ONE)
        while watcher.admin("stats")["rees46"]["requests"] == 0:
            time.sleep(0.02)
        time.sleep(0.1)
        assert counts(watcher) == (taken, 0)
        assert not slow.done()
        assert slow.result().status_code == 200
    assert time.monotonic() - started >= 0.6
    assert counts(sandbox) == (1, 0)


def test_every_nth_request_is_hit(sandbox):
    """`every: 2` hits the second request, the fourth and so on."""
    sandbox.fault({"kind": "status", "status": 500, "every": 2})

    assert [sandbox.rees46(ONE).status_code for _ in range(5)] == [200, 500, 200, 500, 200]


def test_chance_is_repeatable(sandbox):
    """The same seed hits the same requests, and about the given share."""
    runs = []
    for _ in range(2):
        sandbox.request("DELETE", "/__admin/faults")
        sandbox.fault({"kind": "status", "status": 500, "probability": 0.3, "seed": 7})
        runs.append([sandbox.rees46(ONE).status_code for _ in range(60)])

    assert runs[0] == runs[1]
    assert 8 <= runs[0].count(500) <= 28


def test_faults_for_the_next_request_strike_one_after_the_other(sandbox):
    """The first fault that fires wins, and the faults behind it wait for their turn."""
    sandbox.fault({"kind": "status", "status": 429, "next": 2}, {"kind": "status", "status": 503, "next": 1})

    assert [sandbox.rees46(ONE).status_code for _ in range(4)] == [429, 429, 503, 200]


def test_a_fault_hits_its_provider_only(sandbox, order):
    """Requests to other providers do not suffer from a fault, and do not use it up."""
    sandbox.fault({"provider": "personaclick", "kind": "status", "status": 503, "next": 1})

    assert sandbox.rees46(ONE).status_code == 200
    assert sandbox.yespo([order]).status_code == 200
    assert sandbox.rees46(ONE, "personaclick").status_code == 503
    assert sandbox.rees46(ONE, "personaclick").status_code == 200


def test_refused_orders_use_up_a_fault_only_when_they_come(sandbox, order):
    """A fault that refuses a listed order waits for a request with that order."""
    sandbox.fault({"provider": "yespo", "kind": "refuse_orders", "order_ids": ["B"], "next": 1})

    failed = []
    for order_id in ("A", "B", "B"):
        failed.append("failedOrders" in sandbox.yespo([order | {"externalOrderId": order_id}]).json())

    assert failed == [False, True, False]
    (fault,) = sandbox.admin("faults")["faults"]
    assert (fault["seen"], fault["fired"]) == (2, 1)


def test_an_order_can_spoil_its_whole_request(sandbox, order):
    """A status for an order answers each request with it, takes none of its orders, and is listed; others are taken."""
    sandbox.fault({"provider": "yespo", "kind": "status", "status": 500, "order_ids": ["B"]}).raise_for_status()

    answers = [[order | {"externalOrderId": id_} for id_ in ids] for ids in ("AB", "C")]

    assert [sandbox.yespo(orders).status_code for orders in answers] == [500, 200]
    assert [found["id"] for found in sandbox.admin("orders")["orders"]] == ["C"]
    assert [hit["fault"]["order_ids"] for hit in sandbox.admin("faults/hits")["hits"]] == [["B"]]
    both = {"kind": "status", "status": 500, "order_ids": ["B"], "when": "after"}
    assert sandbox.fault(both).status_code == 422


def test_all_orders_can_be_refused(sandbox):
    """Without a list every order is refused, as when an account has used up its limit."""
    sandbox.fault({"provider": "justclick", "kind": "refuse_orders", "code": 8, "next": 1})

    codes = [sandbox.justclick("bill_id=1&status=cancel").json()["error_code"] for _ in range(2)]

    assert codes == [8, 0]


def test_each_spoiled_request_is_listed(sandbox, order):
    """A hit names the service and the fault of a spoiled request; a wait spoils none, and clearing forgets the hits."""
    sandbox.fault({"kind": "slow", "seconds": 0}, {"provider": "yespo", "kind": "status", "status": 503, "next": 1})
    sandbox.fault({"provider": "yespo", "kind": "refuse_orders", "next": 1})
    for _ in range(3):
        sandbox.yespo([order])
    hits = sandbox.admin("faults/hits")["hits"]
    assert [(hit["provider"], hit["fault"]["kind"]) for hit in hits] == [
        ("yespo", "status"),
        ("yespo", "refuse_orders"),
    ]
    assert hits[0]["at"] < hits[1]["at"]
    sandbox.request("DELETE", "/__admin/faults")
    assert sandbox.admin("faults/hits") == {"hits": []}


def test_faults_are_listed_and_cleared(sandbox):
    """The list shows each posted fault and how often it struck; a single fault need not be in a list."""
    fault = {"provider": "rees46", "kind": "status", "status": 503, "next": 5}
    sandbox.request("POST", "/__admin/faults", json=fault)
    sandbox.rees46(ONE)

    assert sandbox.admin("faults") == {"faults": [{**fault, "seen": 1, "fired": 1}]}
    assert sandbox.request("DELETE", "/__admin/faults").json() == {"faults": []}
    assert sandbox.rees46(ONE).status_code == 200


@pytest.mark.parametrize(
    "fault",
    [
        {},
        {"kind": "explode"},
        {"kind": "status"},
        {"kind": "status", "status": 99},
        {"kind": "slow"},
        {"kind": "close", "typo": 1},
        {"kind": "close", "status": 500},
        {"kind": "close", "when": "during"},
        {"kind": "close", "provider": "rees47"},
        {"kind": "close", "next": 0},
        {"kind": "close", "next": 1, "every": 2},
        {"kind": "close", "probability": 1.5},
        {"kind": "close", "seed": 1},
        {"kind": "refuse_orders", "order_ids": []},
        {"kind": "refuse_orders", "order_ids": [1]},
        {"kind": "bad_signature", "provider": "yespo"},
        {"kind": "bad_signature", "when": "before"},
    ],
    ids=str,
)
def test_a_fault_that_makes_no_sense_is_refused(sandbox, fault):
    """A mistake in a fault is a 422, and no other fault of that request comes into force."""
    response = sandbox.fault({"kind": "close"}, fault)

    assert response.status_code == 422
    assert response.json()["detail"]
    assert sandbox.admin("faults") == {"faults": []}
