"""Yespo (eSputnik): the call that adds orders. Each order raises an event that can mail the customer.

Facts: https://yespo.io/support/orders-automation (call, 1000 orders, events, required fields) and
https://esputnik.com/api/ns1_order.html (field types, required currency, statuses). The descriptions differ on the
required fields, so the sandbox requires them all: externalCustomerId, email or phone, and currency.
"""

import base64
import binascii
import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from hmac import compare_digest
from typing import Any

from sandbox.jsontext import read_json, write_json
from sandbox.service import (
    Account,
    Answer,
    Incoming,
    RefusalError,
    Rejection,
    Service,
    Update,
    first_repeated_id,
)

CREDENTIALS = {"yespo_key": "demo-key"}

REQUIRED_TEXTS = ("externalOrderId", "externalCustomerId", "status", "date", "currency")
OPTIONAL_TEXTS = (
    "email",
    "phone",
    "firstName",
    "lastName",
    "deliveryMethod",
    "paymentMethod",
    "deliveryAddress",
    "statusDescription",
    "restoreUrl",
    "storeId",
    "source",
)
OPTIONAL_NUMBERS = ("shipping", "discount", "taxes")
NAMES = ("firstName", "lastName")
MAX_NAME_CHARACTERS = 40
REQUIRED_ITEM_TEXTS = ("externalItemId", "name", "url", "imageUrl")
OPTIONAL_ITEM_TEXTS = ("category", "description")

# Without an offset the service would read a date in the time zone of the account's owner.
DATE_WITH_OFFSET = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
CURRENCY = re.compile(r"[A-Z]{3}")
PHONE = re.compile(r"[0-9]+")


def services(credentials: Mapping[str, str]) -> list[Service]:
    """Return the service."""
    return [Yespo(Account("order-sync", credentials["yespo_key"]))]  # any user name is right


class Yespo(Service):
    """One bad order refuses its whole batch with 400; an accepted batch may still list failed orders."""

    name = "yespo"
    path = "/api/v1/orders"
    codes: Mapping[str, str] = {
        "created": "INITIALIZED",
        "paid": "IN_PROGRESS",
        "in_progress": "IN_PROGRESS",
        "shipped": "IN_PROGRESS",
        "delivered": "DELIVERED",
        "cancelled": "CANCELLED",
        "returned": "CANCELLED",
        "abandoned": "ABANDONED_SHOPPING_CART",
    }
    not_taken = frozenset({429, 500, 503})

    def __init__(self, account: Account) -> None:
        self.account = account

    def read(self, incoming: Incoming) -> list[Update]:
        """Return the orders, or refuse: 401 (key), 415 (not JSON) or 400 (badly formed)."""
        if not self._knows(incoming.headers.get("authorization", "")):
            raise RefusalError(401, "the API key is missing or wrong")
        if incoming.media_type != "application/json":
            raise RefusalError(415, "the content type must be application/json")
        try:
            document = read_json(incoming.body)
        except ValueError:
            raise RefusalError(400, "the body is no JSON") from None
        orders = document.get("orders") if isinstance(document, dict) else None
        if not isinstance(orders, list):
            raise RefusalError(400, "orders must be an array")
        if not 1 <= len(orders) <= self.max_orders:
            raise RefusalError(400, f"1 to {self.max_orders} orders, not {len(orders)}")
        for position, order in enumerate(orders):
            if problem := _problem_of_order(order):
                raise RefusalError(400, f"order {position}: {problem}")
        updates = [Update(order["externalOrderId"], order["status"], order) for order in orders]
        if (repeated := first_repeated_id(updates)) is not None:
            raise RefusalError(400, f"order {repeated} is there twice")
        return updates

    def event(self, update: Update) -> str:
        """Return the event's name, such as orderDELIVERED."""
        return f"order{update.status}"

    def answer(self, request_number: int, taken: Sequence[Update], rejections: Sequence[Rejection]) -> Answer:
        """Return success, which may list failed orders: 200 does not mean that every order was taken."""
        content: dict[str, Any] = {"id": request_number, "asyncSessionId": str(uuid.uuid4())}
        if rejections:
            content["failedOrders"] = _failed_orders(rejections)
        return Answer(200, write_json(content))

    def refusal(self, error: RefusalError) -> Answer:
        """Return the refusal; a 401 also names the way to log in."""
        answer = super().refusal(error)
        if error.status == 401:
            answer.headers["WWW-Authenticate"] = 'Basic realm="yespo"'
        return answer

    def _knows(self, authorization: str) -> bool:
        """Whether the header is HTTP Basic with the API key as password; any user name is right."""
        scheme, _, encoded = authorization.partition(" ")
        try:
            _, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return False
        return scheme.lower() == "basic" and bool(colon) and compare_digest(password, self.account.secret.encode())


def _failed_orders(rejections: Sequence[Rejection]) -> Any:
    """Return the failed orders in the shape that the rejection names: no page documents the true one."""
    shape = rejections[0].shape
    if shape == "unknown":
        return [{"reason": rejection.reason} for rejection in rejections]
    failed = [{"externalOrderId": order_id, "message": reason} for order_id, reason, *_ in rejections]
    # One object stands for one order; several orders need the array.
    return failed[0] if shape == "object" and len(failed) == 1 else failed


def _problem_of_order(order: Any) -> str | None:
    """Return the first fault of an order, or None."""
    if not isinstance(order, dict):
        return "is no object"
    if problem := _problem_of_texts(order, REQUIRED_TEXTS, OPTIONAL_TEXTS):
        return problem
    if not _is_number(order.get("totalCost")):
        return "totalCost must be a number"
    for field in OPTIONAL_NUMBERS:
        if field in order and not _is_number(order[field]):
            return f"{field} must be a number"
    if order["status"] not in Yespo.codes.values():
        return "status is none of the five"
    if not _is_date(order["date"]):
        return "date must be ISO 8601 with an offset"
    if not CURRENCY.fullmatch(order["currency"]):
        return "currency must be three capital letters"
    if not order.get("email") and not order.get("phone"):
        return "email or phone is needed"
    if order.get("phone") and not PHONE.fullmatch(order["phone"]):
        return "phone must be digits with the country code"
    for field in NAMES:
        if len(order.get(field, "")) > MAX_NAME_CHARACTERS:
            return f"{field} is longer than {MAX_NAME_CHARACTERS} characters"
    if not isinstance(order.get("additionalInfo", {}), dict):
        return "additionalInfo must be an object"
    items = order.get("items", [])
    if not isinstance(items, list):
        return "items must be an array"
    for position, item in enumerate(items):
        if problem := _problem_of_item(item):
            return f"item {position}: {problem}"
    return None


def _problem_of_item(item: Any) -> str | None:
    if not isinstance(item, dict):
        return "is no object"
    if problem := _problem_of_texts(item, REQUIRED_ITEM_TEXTS, OPTIONAL_ITEM_TEXTS):
        return problem
    if type(item.get("quantity")) is not int:
        return "quantity must be a whole number"
    if not _is_number(item.get("cost")):
        return "cost must be a number"
    return None


def _problem_of_texts(thing: dict[str, Any], required: Sequence[str], optional: Sequence[str]) -> str | None:
    for field in required:
        value = thing.get(field)
        if not isinstance(value, str) or not value:
            return f"{field} must be a non-empty string"
    for field in optional:
        if field in thing and not isinstance(thing[field], str):
            return f"{field} must be a string"
    return None


def _is_number(value: Any) -> bool:
    # Fractions are read as Decimal. In Python True is an int; in JSON it is no number.
    return type(value) is int or type(value) is Decimal


def _is_date(text: str) -> bool:
    if not DATE_WITH_OFFSET.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
