"""REES46 and PersonaClick in the sandbox."""

import json

import pytest

from sandbox.registry import SERVICES
from tests.sandbox.conftest import rees46_envelope

ONE = {"id": "IDDQD", "status": 2}
PATH = "/rees46/import/sync_orders"


@pytest.mark.parametrize("provider", ["rees46", "personaclick"])
def test_orders_are_taken(sandbox, provider):
    """A right request gets a success, and only the addressed service remembers its orders."""
    response = sandbox.rees46([{"id": "1", "status": 0}, {"id": "msk2", "status": 1}, ONE], provider)

    assert (response.status_code, response.json()) == (200, {"status": "success"})
    stats = sandbox.admin("stats")
    assert {name: counts["orders"] for name, counts in stats.items() if counts["orders"]} == {provider: 3}
    orders = sandbox.admin("orders", provider=provider)["orders"]
    assert [(order["id"], order["history"][0]["status"]) for order in orders] == [
        ("1", 0),
        ("msk2", 1),
        ("IDDQD", 2),
    ]
    assert sandbox.admin("events")["events"] == []


@pytest.mark.parametrize(
    "orders",
    [
        [],
        ONE,
        None,
        "1",
        ["1"],
    ],
    ids=lambda orders: str(orders)[:40],
)
def test_malformed_orders_mail_the_shop(sandbox, orders):
    """An empty or badly formed array is refused as a whole with 400, and the shop gets one error mail."""
    response = sandbox.rees46(orders)

    assert response.status_code == 400
    assert response.json()["status"] == "error"
    assert response.json()["payload"]["message"]
    events = sandbox.admin("events")
    assert [(mail["kind"], mail["provider"]) for mail in events["events"]] == [("error_mail", "rees46")]
    assert [(refusal["status"], refusal["reason"]) for refusal in events["refused"]] == [
        (400, events["events"][0]["name"])
    ]
    assert sandbox.admin("stats")["rees46"] == {
        "requests": 1,
        "refused": 1,
        "orders": 0,
        "accepted": 0,
        "rejected": 0,
        "mails": 1,
        "doubts": 0,
    }


@pytest.mark.parametrize(
    "order",
    [
        {"id": "", "status": 1},
        {"status": 1},
        {"id": "7"},
        {"id": "7", "status": 3},
        {"id": "7", "status": -1},
        {"id": "7", "status": True},
        {"id": "7", "status": 1.5},
        {"id": "7", "status": "one"},
        {"id": "7", "status": 1e300},
        {"id": True, "status": 1},
        {"id": "7", "status": None},
        {"id": ["7"], "status": [1]},
    ],
    ids=str,
)
def test_only_a_mail_reports_one_bad_order(sandbox, order):
    """A bad id or status of one order does not refuse the others: the answer is a success, and a mail follows."""
    response = sandbox.rees46([ONE, order])

    assert (response.status_code, response.json()) == (200, {"status": "success"})
    stats = sandbox.admin("stats")["rees46"]
    assert (stats["accepted"], stats["rejected"], stats["refused"], stats["mails"]) == (1, 1, 0, 1)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"a": NaN}', b"\xff{}", b"[" * 100_000])
def test_a_body_that_is_no_json_object_mails_the_shop(sandbox, body):
    """A body that is not a JSON object is refused with 400 and an error mail."""
    response = sandbox.request("POST", PATH, data=body, headers={"Content-Type": "application/json"})

    assert response.status_code == 400
    assert sandbox.admin("stats")["rees46"]["mails"] == 1


def test_a_thousand_orders_are_taken(sandbox):
    """One request may hold 1000 orders."""
    assert sandbox.rees46([{"id": str(number), "status": 1} for number in range(1000)]).status_code == 200
    assert sandbox.admin("stats")["rees46"]["accepted"] == 1000


@pytest.mark.parametrize(
    ("envelope", "status"),
    [
        ({"shop_id": "other"}, 401),
        ({"shop_id": None}, 401),
        ({"shop_id": "\ud800"}, 401),
        ({"shop_secret": "other"}, 403),
        ({"shop_secret": [SERVICES["rees46"].account.secret]}, 403),
    ],
)
def test_wrong_credentials_are_refused_without_a_mail(sandbox, envelope, status):
    """An unknown shop is a 401 and a wrong secret a 403; no mail is sent, and no order is taken."""
    response = sandbox.rees46([ONE], **envelope)

    assert response.status_code == status
    assert response.json()["status"] == "error"
    stats = sandbox.admin("stats")["rees46"]
    assert (stats["refused"], stats["mails"], stats["orders"]) == (1, 0, 0)


def test_another_content_type_is_refused(sandbox):
    """JSON under another content type is a 406."""
    body = json.dumps({**rees46_envelope(), "orders": [ONE]})
    for content_type, status in [("text/plain", 406), (None, 406), ("Application/JSON; charset=utf-8", 200)]:
        response = sandbox.request("POST", PATH, data=body.encode(), headers={"Content-Type": content_type})
        assert (content_type, response.status_code) == (content_type, status)


def test_an_order_refused_by_a_fault_is_told_by_mail_only(sandbox):
    """The answer does not name a single bad order: the others are taken, and a mail goes to the shop."""
    sandbox.fault({"provider": "rees46", "kind": "refuse_orders", "order_ids": ["2"]})

    response = sandbox.rees46([{"id": "1", "status": 1}, {"id": "2", "status": 1}])

    assert response.json() == {"status": "success"}
    events = sandbox.admin("events")
    assert [(mail["kind"], mail["order_id"]) for mail in events["events"]] == [("error_mail", "2")]
    assert [rejection["order_id"] for rejection in events["rejected"]] == ["2"]
    stats = sandbox.admin("stats")["rees46"]
    assert (stats["accepted"], stats["rejected"], stats["refused"]) == (1, 1, 0)
