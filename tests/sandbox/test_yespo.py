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
        {"externalOrderId": 1},
        {"externalOrderId": ""},
        {"externalOrderId": None},
        {"externalCustomerId": None},
        {"externalCustomerId": 5},
        {"totalCost": "19.90"},
        {"totalCost": None},
        {"totalCost": True},
        {"status": "delivered"},
        {"status": "SHIPPED"},
        {"status": 1},
        {"date": "2026-03-08T09:30:00"},
        {"date": "2026-03-08 09:30:00+02:00"},
        {"date": "2026-02-30T09:30:00+02:00"},
        {"date": "2026-03-08"},
        {"date": 1772955000},
        {"currency": None},
        {"currency": "uah"},
        {"currency": "UAHS"},
        {"email": "", "phone": ""},
        {"email": None},
        {"phone": 380501112233},
        {"phone": "+38 (050) 111-22-33"},
        {"firstName": "x" * 41},
        {"lastName": "я" * 41},
        {"shipping": "1"},
        {"discount": None},
        {"taxes": False},
        {"additionalInfo": "x"},
        {"items": {}},
        {"items": ["i-1"]},
    ],
    ids=str,
)
def test_one_bad_order_refuses_the_whole_batch(sandbox, order, change):
    """A wrong field is a 400 with a message, and the good order of the same request is not taken."""
    good = order | {"externalOrderId": "A-2"}

    response = sandbox.yespo([good, order | change])

    assert response.status_code == 400
    assert response.json()["message"].startswith("order 1: ")
    stats = sandbox.admin("stats")["yespo"]
    assert (stats["refused"], stats["orders"], stats["mails"]) == (1, 0, 0)


@pytest.mark.parametrize("field", ["externalOrderId", "externalCustomerId", "totalCost", "status", "date", "currency"])
def test_required_fields_are_missed(sandbox, order, field):
    """An order without a required field is a 400 that names the field."""
    del order[field]

    response = sandbox.yespo([order])

    assert response.status_code == 400
    assert field in response.json()["message"]


def test_an_order_needs_an_email_or_a_phone(sandbox, order):
    """An order needs an email or a phone; one of them is enough."""
    without_phone = {name: value for name, value in order.items() if name != "phone"}
    without_email = {name: value for name, value in order.items() if name != "email"}
    without_both = {name: value for name, value in without_phone.items() if name != "email"}

    assert [sandbox.yespo([each]).status_code for each in (without_phone, without_email, without_both)] == [
        200,
        200,
        400,
    ]


@pytest.mark.parametrize("field", ["externalItemId", "name", "quantity", "cost", "url", "imageUrl"])
def test_items_need_all_of_six_fields(sandbox, order, field):
    """An item without a required field is a 400 that names the field."""
    del order["items"][0][field]

    response = sandbox.yespo([order])

    assert response.status_code == 400
    assert field in response.json()["message"]


@pytest.mark.parametrize(("field", "value"), [("quantity", 1.5), ("quantity", "1"), ("cost", "990"), ("category", 1)])
def test_items_need_right_types(sandbox, order, field, value):
    """An item whose field has another type is a 400."""
    order["items"][0][field] = value

    assert sandbox.yespo([order]).status_code == 400


@pytest.mark.parametrize(
    "date", ["2026-03-08T09:30:00Z", "2017-05-14T10:11:10.7022176+03:00", "2026-03-08T09:30:00-11:30"]
)
def test_dates_with_an_offset_are_right(sandbox, order, date):
    """A date may have any offset and any fraction of a second; an order may have no items."""
    del order["items"]

    assert sandbox.yespo([order | {"date": date}]).status_code == 200


def test_the_number_of_orders_is_limited(sandbox, order):
    """1000 orders are taken; no order, 1001 orders, one bare object, or an order twice are refused."""
    many = [order | {"externalOrderId": str(number)} for number in range(1001)]

    assert sandbox.yespo(many[:1000]).status_code == 200
    for orders in ([], many, order, None, [order, order]):
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
    """Another content type is a 415, and a body that is not JSON is a 400."""
    for content_type, body, status in [("text/plain", "{}", 415), ("application/json", "{", 400)]:
        headers = HEADERS | {"Content-Type": content_type}
        assert sandbox.yespo([], json=None, data=body, headers=headers).status_code == status


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
