"""Yespo (eSputnik): the call that adds orders. Each order raises an event that can mail the customer.

Facts: https://yespo.io/support/orders-automation, the guide (call, 1000 orders, events, required fields, failed
orders), and https://esputnik.com/api/ns1_order.html, the reference (field types, statuses). Editions of the guide and
the reference differ on what is required: externalCustomerId, email or phone, currency, and most fields of an item. What
one of them leaves optional is missed with a doubt only. The call that deletes orders is not here.
"""

import base64
import binascii
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
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
    doubt_repeated_ids,
)
from sandbox.values import Doubt, about, as_number, as_text, read_field

CREDENTIALS = {"yespo_key": "demo-key"}

TEXTS = (
    "externalOrderId",
    "externalCustomerId",
    "status",
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
NUMBERS = ("totalCost", "shipping", "discount", "taxes")
# All editions of the guide, and the reference, require these, and one of these identifiers.
REQUIRED = ("externalOrderId", "totalCost", "status", "date")
IDENTIFIERS = ("externalCustomerId", "email", "phone")
NAMES = ("firstName", "lastName")
MAX_NAME_CHARACTERS = 40
ITEM_TEXTS = ("externalItemId", "name", "url", "imageUrl", "category", "description")
ITEM_NUMBERS = ("quantity", "cost")
REQUIRED_OF_ITEMS = ("externalItemId", "quantity")
# The newest guide does not require these.
ONCE_REQUIRED_OF_ITEMS = ("name", "cost", "url", "imageUrl")

# As the reference shows it.
DATE_WITH_OFFSET = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
CURRENCY = re.compile(r"[A-Z]{3}")
PHONE = re.compile(r"[0-9]+")
BETWEEN_DIGITS = re.compile(r"[ ()+.\-]")


def services(credentials: Mapping[str, str]) -> list[Service]:
    """Return the service."""
    return [Yespo(Account("order-sync", credentials["yespo_key"]))]  # any user name is right


class Yespo(Service):
    """A badly formed request is refused with 400; an accepted one may still list failed orders."""

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

    def read(self, incoming: Incoming, doubt: Doubt) -> list[Update]:
        """Return the orders as understood, or refuse: 401 (key) or 400 (badly formed)."""
        if not self._knows(incoming.headers.get("authorization", "")):  # the guide: HTTP Basic with the API key
            raise RefusalError(401, "the API key is missing or wrong")
        if incoming.media_type != "application/json":
            doubt("the content type is not application/json")
        try:
            document = read_json(incoming.body)
        except ValueError:  # the reference: the body is JSON
            raise RefusalError(400, "the body is no JSON") from None
        orders = document.get("orders") if isinstance(document, dict) else None
        if not isinstance(orders, list):  # the reference: orders is an array
            raise RefusalError(400, "orders must be an array")
        if not 1 <= len(orders) <= self.max_orders:  # the guide: up to 1000 orders a request
            raise RefusalError(400, f"1 to {self.max_orders} orders, not {len(orders)}")
        payloads = [_order(order, about(f"order {position}", doubt)) for position, order in enumerate(orders)]
        updates = [Update(each.get("externalOrderId", ""), each.get("status", ""), each) for each in payloads]
        doubt_repeated_ids(updates, doubt)
        return updates

    def other_call(self, method: str, path: str, headers: Mapping[str, str]) -> Answer | None:
        """Return the account's data, or that the key is wrong. No document shows the data, so they are left out."""
        # https://docs.esputnik.com/reference/getting-started-with-your-api shows the call.
        if (method, path) != ("GET", "/api/v1/account/info"):
            return None
        if self._knows(headers.get("authorization", "")):
            return Answer(200, write_json({}))
        return self.refusal(RefusalError(401, "the API key is missing or wrong"))

    def examine(self, update: Update) -> Rejection | None:
        """Return why the guide would list this order as failed: a required value is missing, or all identifiers are."""
        order = update.payload
        missing = [name for name in REQUIRED if order.get(name) in (None, "")]
        if not any(order.get(name) for name in IDENTIFIERS):
            missing.append(" or ".join(IDENTIFIERS))
        for position, item in enumerate(order.get("items", ())):
            missing += [f"{name} of item {position}" for name in REQUIRED_OF_ITEMS if item.get(name) in (None, "")]
        if missing:
            return Rejection(update.order_id, f"missing or unreadable: {', '.join(missing)}", 0)
        if update.status not in self.codes.values():  # the reference: one of five
            return Rejection(update.order_id, "status is none of the five", 0)
        return None

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


def _order(order: Any, doubt: Doubt) -> dict[str, Any]:
    """Return an order as understood, without what can't be read."""
    if not isinstance(order, dict):
        doubt("is no object")
        return {}
    payload = dict(order)
    _read_all(payload, TEXTS, "text", as_text, doubt)
    _read_all(payload, NUMBERS, "a number", as_number, doubt)
    _date(payload, doubt)
    read_field(payload, "currency", "three capital letters", _currency, doubt)
    read_field(payload, "phone", "digits with the country code", _phone, doubt)
    for name in ("externalCustomerId", "currency"):
        if not payload.get(name):
            doubt(f"{name} is missing, and one document requires it")
    if not payload.get("email") and not payload.get("phone"):
        doubt("email and phone are missing, and one document requires one of them")
    for name in NAMES:
        if len(payload.get(name, "")) > MAX_NAME_CHARACTERS:
            doubt(f"{name} is longer than {MAX_NAME_CHARACTERS} characters")
    if isinstance(payload.get("additionalInfo"), str):  # as a live shop's client sends it: kept
        doubt("additionalInfo is not an object")
    else:
        read_field(
            payload, "additionalInfo", "an object", lambda value: value if isinstance(value, dict) else None, doubt
        )
    read_field(payload, "items", "an array", lambda value: value if isinstance(value, list) else None, doubt)
    if "items" in payload:
        items = enumerate(payload["items"])
        payload["items"] = [_item(item, about(f"item {position}", doubt)) for position, item in items]
    return payload


def _item(item: Any, doubt: Doubt) -> dict[str, Any]:
    if not isinstance(item, dict):
        doubt("is no object")
        return {}
    payload = dict(item)
    _read_all(payload, ITEM_TEXTS, "text", as_text, doubt)
    _read_all(payload, ITEM_NUMBERS, "a number", as_number, doubt)
    if type(payload.get("quantity", 0)) is not int:
        doubt("quantity is not a whole number")
    for name in ONCE_REQUIRED_OF_ITEMS:
        if payload.get(name) in (None, ""):
            doubt(f"{name} is missing, and one document requires it")
    return payload


def _read_all(
    payload: dict[str, Any], names: Sequence[str], kind: str, read: Callable[[Any], Any], doubt: Doubt
) -> None:
    for name in names:
        read_field(payload, name, kind, read, doubt)


def _date(payload: dict[str, Any], doubt: Doubt) -> None:
    """Note a date in another form than the reference shows; keep it as it came, for the account's zone is not known."""
    if "date" not in payload:
        return
    text: Any = payload["date"]
    try:
        date = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        doubt("date is not ISO 8601")
        del payload["date"]
        return
    if date.tzinfo is None:
        doubt("date has no offset: it is read in the time zone of the account's user")
    elif not DATE_WITH_OFFSET.fullmatch(text):
        doubt("date is not written as 2017-05-14T10:11:10+03:00")


def _currency(value: Any) -> str | None:
    code = value.strip().upper() if isinstance(value, str) else ""
    return code if CURRENCY.fullmatch(code) else None


def _phone(value: str) -> str | None:
    digits = BETWEEN_DIGITS.sub("", value)
    return digits if not value or PHONE.fullmatch(digits) else None
