"""Yespo in the sandbox."""

import base64
import json
from decimal import Decimal

import pytest

from sandbox.registry import SERVICES

KEY = SERVICES["yespo"].account.secret
HEADERS = {
    "Authorization": "Basic " + base64.b64encode(f":{KEY}".encode()).decode(),
    "Content-Type": "application/json",
}


def test_an_order_is_taken_and_raises_an_event(sandbox, order):
    """A right order gets a 200 with ids, is remembered unchanged, and raises the event of its status."""
    response = sandbox.yespo([order])

    assert response.status_code == 200
    assert set(response.json()) == {"id", "asyncSessionId"}
    (remembered,) = sandbox.admin("orders", provider="yespo", id="A-1")["orders"]
    assert remembered["payload"] == order
    assert remembered["history"][0]["status"] == "DELIVERED"
    (event,) = sandbox.admin("events")["events"]
    assert (event["kind"], event["name"], event["order_id"]) == ("event", "orderDELIVERED", "A-1")


def test_a_repeated_order_raises_a_second_event(sandbox, order):
    """An order that is sent twice is one order with two changes and two mails."""
    sandbox.yespo([order])
    sandbox.yespo([order])

    stats = sandbox.admin("stats")["yespo"]
    assert (stats["orders"], stats["accepted"], stats["mails"]) == (1, 2, 2)


@pytest.mark.parametrize("number", ["19.90", "19.899999999999999", "1000", "1E+2", "123456789012345678.01", "0"])
def test_numbers_are_shown_as_they_came(sandbox, order, number):
    """The admin shows money with exactly the digits of the request."""
    body = json.dumps({"orders": [order | {"totalCost": "MONEY"}]}).replace('"MONEY"', number)

    assert sandbox.yespo([], json=None, data=body, headers=HEADERS).status_code == 200
    text = sandbox.request("GET", "/__admin/orders").text
    shown = json.loads(text, parse_float=Decimal)["orders"][0]["payload"]["totalCost"]
    assert str(shown) == number


@pytest.mark.parametrize(
    "change",
    [
        {"externalOrderId": ""},
        {"externalOrderId": None},
        {"externalOrderId": True},
        {"totalCost": None},
        {"totalCost": "a lot"},
        {"totalCost": True},
        {"status": "delivered"},
        {"status": "SHIPPED"},
        {"status": 1},
        {"date": "yesterday"},
        {"date": "2026-02-30T09:30:00+02:00"},
        {"date": 1772955000},
        {"externalCustomerId": None, "email": None, "phone": "call me"},
        {"items": ["i-1"]},
        {"items": [{"externalItemId": "i-1", "quantity": "two"}]},
        {"items": [{"externalItemId": None, "quantity": 1}]},
    ],
    ids=str,
)
def test_an_order_without_a_required_value_is_listed_as_failed(sandbox, order, change):
    """The guide lists an order that lacks a required value, or has one that can't be read; it takes the others."""
    response = sandbox.yespo([order, order | {"externalOrderId": "A-2"} | change])

    assert response.status_code == 200
    assert len(response.json()["failedOrders"]) == 1
    stats = sandbox.admin("stats")["yespo"]
    assert (stats["refused"], stats["rejected"], stats["orders"], stats["mails"]) == (0, 1, 1, 1)


@pytest.mark.parametrize("field", ["externalOrderId", "totalCost", "status", "date"])
def test_required_fields_are_missed(sandbox, order, field):
    """An order without a field that every document requires is failed, with the field's name."""
    del order[field]

    assert field in sandbox.yespo([order]).json()["failedOrders"][0]["message"]


@pytest.mark.parametrize("field", ["externalItemId", "quantity"])
def test_items_need_an_id_and_a_quantity(sandbox, order, field):
    """An order with an item without one of the two is failed, with the field's name."""
    del order["items"][0][field]

    assert field in sandbox.yespo([order]).json()["failedOrders"][0]["message"]


def test_an_order_needs_an_identifier(sandbox, order):
    """One of customer id, email and phone is enough, and an order with none of them is failed."""
    names = ("externalCustomerId", "email", "phone")
    bare = {name: value for name, value in order.items() if name not in names}
    one_each = [bare | {name: order[name], "externalOrderId": name} for name in names]

    failed = sandbox.yespo([*one_each, bare]).json()["failedOrders"]

    assert [each["externalOrderId"] for each in failed] == ["A-1"]


@pytest.mark.parametrize(
    "date", ["2026-03-08T09:30:00Z", "2017-05-14T10:11:10.7022176+03:00", "2026-03-08T09:30:00-11:30"]
)
def test_dates_with_an_offset_are_right(sandbox, order, date):
    """A date may have any offset and any fraction of a second; an order may have no items."""
    del order["items"]

    assert sandbox.yespo([order | {"date": date}]).status_code == 200


def test_the_number_of_orders_is_limited(sandbox, order):
    """1000 orders are taken; no order, 1001 orders, or one bare object are refused."""
    many = [order | {"externalOrderId": str(number)} for number in range(1001)]

    assert sandbox.yespo(many[:1000]).status_code == 200
    for orders in ([], many, order, None):
        assert sandbox.yespo(orders).status_code == 400
    assert sandbox.admin("stats")["yespo"]["accepted"] == 1000


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        f"Bearer {KEY}",
        "Basic !!!",
        "Basic " + base64.b64encode(KEY.encode()).decode(),
        "Basic " + base64.b64encode(f"{KEY}:".encode()).decode(),
        "Basic " + base64.b64encode(b"user:other").decode(),
    ],
)
def test_the_key_is_asked_for(sandbox, order, authorization):
    """Without the right key as password of HTTP Basic the answer is a 401."""
    response = sandbox.yespo([order], auth=None, headers={"Authorization": authorization})

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Basic")


def test_the_body_must_be_json(sandbox):
    """A body that is not JSON is a 400."""
    assert sandbox.yespo([], json=None, data="{", headers=HEADERS).status_code == 400


@pytest.mark.parametrize("shape", ["list", "object", "unknown"])
def test_failed_orders_are_listed_in_a_200(sandbox, order, shape):
    """The answer lists refused orders in the fault's shape; the others of the batch are taken."""
    sandbox.fault({"provider": "yespo", "kind": "refuse_orders", "order_ids": ["A-1"], "shape": shape})

    response = sandbox.yespo([order, order | {"externalOrderId": "A-2"}])

    assert response.status_code == 200
    expected = {"externalOrderId": "A-1", "message": "refused by a fault"}
    assert (
        response.json()["failedOrders"]
        == {
            "list": [expected],
            "object": expected,
            "unknown": [{"reason": "refused by a fault"}],
        }[shape]
    )
    stats = sandbox.admin("stats")["yespo"]
    assert (stats["accepted"], stats["rejected"], stats["mails"], stats["refused"]) == (1, 1, 1, 0)
    assert [remembered["id"] for remembered in sandbox.admin("orders")["orders"]] == ["A-2"]
