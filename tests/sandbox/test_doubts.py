"""What no document refuses: the sandbox takes it, notes it, and reads it sensibly; a strict sandbox refuses it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.registry import SERVICES
from tests.sandbox.conftest import rees46_envelope

ROOT = Path(__file__).resolve().parents[2]

WHOLE = {
    "externalOrderId": "A-1",
    "externalCustomerId": "c-1",
    "totalCost": 990,
    "status": "DELIVERED",
    "date": "2026-03-08T09:30:00+02:00",
    "currency": "UAH",
    "email": "buyer@shop.example",
}

# Orders in the shapes that public clients send, made up here. Each with what the sandbox understands and notes.
SHAPES: dict[str, tuple[dict[str, Any], dict[str, Any], set[str]]] = {
    "a shop plugin: text for numbers, and a guest": (
        {
            "externalOrderId": "W-7",
            "totalCost": "349.50",
            "shipping": "0",
            "discount": "",
            "status": "INITIALIZED",
            "date": "2026-03-08T09:30:00+02:00",
            "currency": "UAH",
            "email": "guest@shop.example",
            "items": [
                {
                    "externalItemId": "12",
                    "name": "Cup",
                    "quantity": "3",
                    "cost": "116.50",
                    "url": "https://shop.example/12",
                    "imageUrl": "https://shop.example/12.png",
                }
            ],
        },
        {
            "externalOrderId": "W-7",
            "totalCost": 349.5,
            "shipping": 0,
            "status": "INITIALIZED",
            "date": "2026-03-08T09:30:00+02:00",
            "currency": "UAH",
            "email": "guest@shop.example",
            "items": [
                {
                    "externalItemId": "12",
                    "name": "Cup",
                    "quantity": 3,
                    "cost": 116.5,
                    "url": "https://shop.example/12",
                    "imageUrl": "https://shop.example/12.png",
                }
            ],
        },
        {
            "order 0: totalCost is not a number",
            "order 0: shipping is not a number",
            "order 0: discount is not a number",
            "order 0: externalCustomerId is missing, and one document requires it",
            "order 0: item 0: quantity is not a number",
            "order 0: item 0: cost is not a number",
        },
    ),
    "a shop app: items without addresses, and a phone with a plus": (
        WHOLE | {"phone": "+38 (050) 111-22-33", "items": [{"externalItemId": "v-1", "name": "Hat", "quantity": 1}]},
        WHOLE | {"phone": "380501112233", "items": [{"externalItemId": "v-1", "name": "Hat", "quantity": 1}]},
        {
            "order 0: phone is not digits with the country code",
            "order 0: item 0: cost is missing, and one document requires it",
            "order 0: item 0: url is missing, and one document requires it",
            "order 0: item 0: imageUrl is missing, and one document requires it",
        },
    ),
    "a client with null for what is not set, and dates without an offset": (
        WHOLE
        | {"date": "2026-03-08T09:30:00", "phone": None, "taxes": None, "additionalInfo": None, "items": None}
        | {"firstName": None, "currency": None},
        {name: value for name, value in WHOLE.items() if name != "currency"} | {"date": "2026-03-08T09:30:00"},
        {
            "order 0: date has no offset: it is read in the time zone of the account's user",
            "order 0: phone is not text",
            "order 0: taxes is not a number",
            "order 0: additionalInfo is not an object",
            "order 0: items is not an array",
            "order 0: firstName is not text",
            "order 0: currency is not three capital letters",
            "order 0: currency is missing, and one document requires it",
        },
    ),
    "a client with numbers for ids, and neither customer id nor currency": (
        {"externalOrderId": 1001, "totalCost": 5, "status": "IN_PROGRESS", "date": "2026-03-08", "phone": 380501112233}
        | {"additionalInfo": "gift", "items": [{"externalItemId": 8, "quantity": 1.5}]},
        {"externalOrderId": "1001", "totalCost": 5, "status": "IN_PROGRESS", "date": "2026-03-08"}
        | {"phone": "380501112233", "additionalInfo": "gift", "items": [{"externalItemId": "8", "quantity": 1.5}]},
        {
            "order 0: externalOrderId is not text",
            "order 0: phone is not text",
            "order 0: date has no offset: it is read in the time zone of the account's user",
            "order 0: additionalInfo is not an object",
            "order 0: externalCustomerId is missing, and one document requires it",
            "order 0: currency is missing, and one document requires it",
            "order 0: item 0: externalItemId is not text",
            "order 0: item 0: quantity is not a whole number",
            "order 0: item 0: name is missing, and one document requires it",
            "order 0: item 0: cost is missing, and one document requires it",
            "order 0: item 0: url is missing, and one document requires it",
            "order 0: item 0: imageUrl is missing, and one document requires it",
        },
    ),
}
shapes = pytest.mark.parametrize(("sent", "understood", "doubts"), SHAPES.values(), ids=SHAPES)


@shapes
def test_what_public_clients_send_is_taken_with_doubts(sandbox, sent, understood, doubts):
    """No document refuses these shapes, so they are taken, as they were evidently meant; each oddity is noted."""
    response = sandbox.yespo([sent])

    assert (response.status_code, set(response.json())) == (200, {"id", "asyncSessionId"})
    (remembered,) = sandbox.admin("orders")["orders"]
    assert remembered["payload"] == understood
    assert remembered["id"] == understood["externalOrderId"]
    (noted,) = sandbox.admin("events")["doubts"]
    assert (noted["provider"], noted["request"], set(noted["doubts"])) == ("yespo", 1, doubts)
    assert len(noted["doubts"]) == len(doubts)
    stats = sandbox.admin("stats")["yespo"]
    assert (stats["accepted"], stats["refused"], stats["mails"], stats["doubts"]) == (1, 0, 1, 1)


@shapes
def test_a_strict_sandbox_refuses_them(strict_sandbox, order, sent, understood, doubts):
    """A strict sandbox refuses the whole request for the first doubt, and takes none of its orders."""
    response = strict_sandbox.yespo([sent, order])

    assert response.status_code == 400
    assert response.json()["message"] in doubts
    stats = strict_sandbox.admin("stats")["yespo"]
    assert (stats["accepted"], stats["refused"], stats["mails"], stats["doubts"]) == (0, 1, 0, 1)


@pytest.mark.parametrize(
    ("change", "understood", "doubt"),
    [
        ({"externalCustomerId": 5}, {"externalCustomerId": "5"}, "externalCustomerId is not text"),
        ({"totalCost": "19.90"}, {"totalCost": 19.9}, "totalCost is not a number"),
        ({"discount": "-3"}, {"discount": -3}, "discount is not a number"),
        ({"taxes": False}, {"taxes": None}, "taxes is not a number"),
        ({"date": "2026-03-08 09:30:00+02:00"}, {}, "date is not written as"),
        ({"date": "2026-03-08T09:30:00+0200"}, {}, "date is not written as"),
        ({"currency": "uah"}, {"currency": "UAH"}, "currency is not three capital letters"),
        ({"currency": "hryvnia"}, {"currency": None}, "currency is not three capital letters"),
        ({"phone": "call me"}, {"phone": None}, "phone is not digits"),
        ({"email": "", "phone": ""}, {}, "email and phone are missing, and one document requires one of them"),
        ({"firstName": "x" * 41}, {}, "firstName is longer than 40 characters"),
        ({"lastName": "я" * 41}, {}, "lastName is longer than 40 characters"),
        ({"items": {}}, {"items": None}, "items is not an array"),
    ],
    ids=str,
)
def test_a_doubtful_value_is_read_as_it_was_meant(sandbox, strict_sandbox, order, change, understood, doubt):
    """A value in another form is kept in the right one; what can't be read is left out; a strict sandbox takes none."""
    order |= change
    assert "failedOrders" not in sandbox.yespo([order]).json()
    (remembered,) = sandbox.admin("orders")["orders"]
    expected = {name: value for name, value in (order | understood).items() if value is not None}
    assert remembered["payload"] == expected
    assert any(noted.startswith(f"order 0: {doubt}") for noted in sandbox.doubts())
    assert strict_sandbox.yespo([order]).status_code == 400


def test_an_order_that_is_twice_in_a_request_is_taken_twice(sandbox, strict_sandbox, order):
    """No document says what becomes of it, at any service with several orders a request."""
    assert sandbox.yespo([order, order]).status_code == 200
    assert sandbox.rees46([{"id": "1", "status": 0}, {"id": "1", "status": 2}]).status_code == 200
    assert sandbox.doubts() == ["order 1: is there already"] * 2
    (order_1,) = sandbox.admin("orders", provider="rees46")["orders"]
    assert [change["status"] for change in order_1["history"]] == [0, 2]
    assert strict_sandbox.yespo([order, order]).status_code == 400
    assert strict_sandbox.rees46([{"id": "1", "status": 0}, {"id": "1", "status": 2}]).status_code == 400


def test_json_under_another_content_type_is_taken_by_yespo(sandbox, strict_sandbox, order):
    """Yespo documents no header; the platform of REES46 does, and refuses another one."""
    options = {"json": None, "data": json.dumps({"orders": [order]}), "headers": {"Content-Type": "text/plain"}}
    assert sandbox.yespo([], **options).status_code == 200
    assert sandbox.doubts() == ["the content type is not application/json"]
    assert strict_sandbox.yespo([], **options).status_code == 400


@pytest.mark.parametrize(
    ("order", "doubt"),
    [
        ({"id": 7, "status": 1}, "order 0: id is not text"),
        ({"id": "7", "status": "1"}, "order 0: status is not a whole number"),
        ({"id": "7", "status": 1.0}, "order 0: status is not a whole number"),
    ],
    ids=str,
)
def test_rees46_takes_numbers_as_text_and_text_as_numbers(sandbox, strict_sandbox, order, doubt):
    """A known id and status in another type are one order; a strict sandbox refuses the request and mails the shop."""
    assert sandbox.rees46([order]).json() == {"status": "success"}
    (remembered,) = sandbox.admin("orders")["orders"]
    assert (remembered["id"], remembered["payload"]) == ("7", {"id": "7", "status": 1})
    assert sandbox.doubts() == [doubt]
    assert sandbox.admin("events")["events"] == []
    assert strict_sandbox.rees46([order]).status_code == 400
    assert strict_sandbox.admin("stats")["rees46"]["mails"] == 1


def test_more_than_a_thousand_orders_are_slow_at_rees46(sandbox, strict_sandbox):
    """Its page advises against it and refuses none."""
    many = [{"id": str(number), "status": 1} for number in range(1001)]
    assert sandbox.rees46(many).status_code == 200
    assert (sandbox.admin("stats")["rees46"]["accepted"], sandbox.doubts()) == (1001, ["more than 1000 orders"])
    assert strict_sandbox.rees46(many).status_code == 400


def test_a_shop_id_may_be_a_number(numeric_sandbox):
    """Right credentials are right in another type too, and a wrong one is none."""
    one = [{"id": "1", "status": 1}]
    assert numeric_sandbox.rees46(one, shop_id=123).status_code == 200
    assert numeric_sandbox.rees46(one, shop_id=124).status_code == 401
    assert numeric_sandbox.doubts() == ["shop_id is not text"] * 2


@pytest.mark.parametrize(
    ("query", "date"),
    [
        ("bill_id=1&status=paid&date=1362254400.0", "1362254400"),
        ("bill_id=1&status=paid&date=1362254400000", "1362254400000"),
        ("bill_id=1&status=cancel&date=today", None),
    ],
)
def test_justclick_takes_a_date_that_it_can_read_or_does_not_need(sandbox, strict_sandbox, query, date):
    """A date in another form of number is read; one that can't be read is left out where the status needs none."""
    assert sandbox.justclick(query).json()["error_code"] == 0
    (remembered,) = sandbox.admin("orders")["orders"]
    assert remembered["payload"].get("date") == date
    assert sandbox.doubts() == ["date is not UNIX seconds"]
    assert strict_sandbox.justclick(query).json()["error_code"] == 3


def test_a_right_request_leaves_no_doubts(strict_sandbox, order):
    """A strict sandbox takes what follows the documents."""
    assert strict_sandbox.yespo([order]).status_code == 200
    assert strict_sandbox.rees46([{"id": "1", "status": 1}]).status_code == 200
    assert strict_sandbox.justclick("bill_id=1&status=cancel").json()["error_code"] == 0
    assert strict_sandbox.doubts() == []


def test_a_wrong_key_is_refused_in_both_modes(sandbox, strict_sandbox):
    """Lenience is about the form of a body, never about credentials."""
    for client in (sandbox, strict_sandbox):
        assert client.yespo([WHOLE], auth=("me", "wrong")).status_code == 401
        assert client.rees46([{"id": "1", "status": 1}], shop_secret="wrong").status_code == 403
        assert client.justclick("bill_id=1&status=cancel", signature="0" * 32).json()["error_code"] == 4


@pytest.mark.parametrize(("arguments", "status"), [([], 200), (["--strict"], 400)])
def test_the_command_chooses_the_mode(arguments, status):
    """Without an option the sandbox follows the documents; --strict makes it refuse doubts."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "--port", "0", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        url = process.stdout.readline().split()[-1]
        answer = requests.post(
            f"{url}/yespo{SERVICES['yespo'].path}",
            json={"orders": [WHOLE | {"totalCost": "1.50"}]},
            auth=("me", SERVICES["yespo"].account.secret),
            timeout=10,
        )
        assert answer.status_code == status
        body = {**rees46_envelope(), "orders": [{"id": 1, "status": 1}]}
        assert requests.post(f"{url}/rees46/import/sync_orders", json=body, timeout=10).status_code == status
    finally:
        process.terminate()
        process.communicate(timeout=20)
