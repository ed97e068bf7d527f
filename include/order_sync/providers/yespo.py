"""Yespo (eSputnik), Add orders: POST /api/v1/orders.

Documentation: https://yespo.io/support/orders-automation and https://esputnik.com/api/ns1_order.html. What they say:

* HTTP Basic: any user name, the API key as password; JSON `{"orders": [...]}`, 1 to 1000 orders;
* the same externalOrderId is an update, and *every* accepted order raises an event that can mail the customer,
  so a send in doubt is never repeated without a person's word;
* dates carry an offset, else they are read in the time zone of the account's user;
* 200 does not mean that every order was taken: the body may name failed ones. 400 refuses the whole batch.
  With 429 and 500 the vendor's own plugins wait and send the same again: nothing was taken;
* of an item an older edition of the guide requires six fields, the newest its id and its quantity. So a destination
  chooses what its items need, and by default they need all six.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from include.order_sync.errors import InDoubtError
from include.order_sync.model import OrderStatus
from include.order_sync.providers.base import (
    ACCEPTED,
    Answer,
    Credentials,
    Outcome,
    Provider,
    Request,
    Trial,
    Verdict,
    refuse_unless_success,
)
from include.order_sync.providers.yespo_checks import ITEM_CHECKS, LENIENT_ITEM_CHECKS, ORDER_CHECKS
from include.order_sync.reason import Reason
from include.order_sync.transform.checks import NUMBER

if TYPE_CHECKING:
    import pandas as pd

TITLE = "Yespo"
TRY_AGAIN = frozenset({429, 500, 503})
# The documented keys of a 2xx.
ANSWER_KEYS = frozenset({"failedOrders", "asyncSessionId", "id"})
DUPLICATED = "duplicated request"
# No document gives its status. It is looked for in a service's own message, not in an order's field that is quoted.
MESSAGE_KEYS = ("message", "error", "errorMessage", "detail")
MAY_BE_DUPLICATES = frozenset({400, 409, 422})
STATUSES = {
    OrderStatus.CREATED: "INITIALIZED",
    OrderStatus.PAID: "IN_PROGRESS",
    OrderStatus.IN_PROGRESS: "IN_PROGRESS",
    OrderStatus.SHIPPED: "IN_PROGRESS",
    OrderStatus.DELIVERED: "DELIVERED",
    OrderStatus.CANCELLED: "CANCELLED",
    OrderStatus.RETURNED: "CANCELLED",
    OrderStatus.ABANDONED: "ABANDONED_SHOPPING_CART",
}

# Yespo's key <- our column; those of TEXT are JSON strings, those of NUMBERS JSON numbers.
TEXT = {
    "externalOrderId": "order_id",
    "externalCustomerId": "customer_id",
    "status": "code",
    "date": "created_at",
    "currency": "currency",
    "email": "email",
    "phone": "phone",
    "firstName": "first_name",
    "lastName": "last_name",
    "deliveryMethod": "delivery_method",
    "paymentMethod": "payment_method",
    "deliveryAddress": "delivery_address",
    "statusDescription": "status_description",
    "restoreUrl": "restore_url",
    "storeId": "store_id",
    "source": "channel",
}
# Of `source`: it takes anything else for online.
CHANNELS = ("online", "offline")
NUMBERS = {"totalCost": "total_cost", "shipping": "shipping", "discount": "discount", "taxes": "taxes"}
ITEM_TEXT = {
    "externalItemId": "item_id",
    "name": "name",
    "url": "url",
    "imageUrl": "image_url",
    "category": "category",
    "description": "description",
}

FAILED = Reason(
    "OS-299",
    f"{TITLE} lists the order as failed",
    "the service's message says why: the order's page shows it to those who may redrive, as does "
    "`python -m order_sync_airflow.ledger quarantine DESTINATION`",
    mend="either",
)


def build(orders: pd.DataFrame, items: pd.DataFrame) -> pd.Series[str]:
    """Return the JSON object of each order, with its items where it has any."""
    from include.order_sync.columns import json_text  # not at the top: it brings pandas

    texts = {key: orders[column] for key, column in TEXT.items()}
    texts["date"] = json_text.utc_times(orders["created_at"])
    channel = orders["channel"].str.lower()
    texts["source"] = channel.where(channel.isin(CHANNELS))
    item_numbers = {"quantity": items["quantity"].str.replace(r"\.0+$", "", regex=True), "cost": items["cost"]}
    whole_items = json_text.objects({key: items[column] for key, column in ITEM_TEXT.items()}, item_numbers)
    values = {key: orders[column] for key, column in NUMBERS.items()}
    values["additionalInfo"] = orders["additional_info"]
    values["items"] = json_text.arrays(whole_items, items["position"], orders["position"])
    return json_text.objects(texts, values)


def build_lenient(orders: pd.DataFrame, items: pd.DataFrame) -> pd.Series[str]:
    """Return what `build` does, without the costs that are no numbers."""
    return build(orders, items.assign(cost=items["cost"].where(items["cost"].str.fullmatch(NUMBER, na=False))))


def build_without_items(orders: pd.DataFrame, items: pd.DataFrame) -> pd.Series[str]:
    """Return what `build` does, for orders without items."""
    return build(orders, items[:0])


def build_request(credentials: Credentials, payloads: Sequence[str]) -> Request:
    """Return the request for 1 to 1000 payloads of `build`."""
    headers = {"Content-Type": "application/json; charset=utf-8", **_authorization(credentials)}
    return Request("/api/v1/orders", f'{{"orders":[{",".join(payloads)}]}}'.encode(), headers)


def _authorization(credentials: Credentials) -> dict[str, str]:
    key = base64.b64encode(f"{credentials.login}:{credentials.secret}".encode()).decode()
    return {"Authorization": f"Basic {key}"}


def build_trial(credentials: Credentials) -> Request:
    """Return a request for the account's own data.

    https://docs.esputnik.com/reference/getting-started-with-your-api has it as the example of a call.
    """
    return Request("/api/v1/account/info", b"", _authorization(credentials), method="GET")


def read_trial(answer: Answer, _credentials: Credentials) -> str:
    """Return that the key is right: without it the answer is no 2xx. No document shows its body."""
    refuse_unless_success(TITLE, answer, TRY_AGAIN)
    return f"{TITLE} knows the API key. Nothing was sent."


def read_answer(answer: Answer, ids: Sequence[str], _credentials: Credentials) -> list[Verdict]:
    """Return a verdict each: rejected where the body names the order as failed, else accepted."""
    if answer.status >= 400 and _is_duplicate(answer):
        return [ACCEPTED] * len(ids)  # the same request was taken before
    if answer.status in MAY_BE_DUPLICATES and DUPLICATED.encode() in answer.body.lower():
        # Halves of a batch that was taken are other requests: Yespo would take them too, and mail twice.
        raise InDoubtError(
            f"{TITLE} answered HTTP {answer.status} and may have taken this request before, or quotes an order"
        )
    refuse_unless_success(TITLE, answer, TRY_AGAIN)
    if not answer.content:
        return [ACCEPTED] * len(ids)
    try:
        said = answer.json()
    except ValueError:
        raise InDoubtError(f"{TITLE} answered HTTP {answer.status} with no JSON") from None
    if not isinstance(said, dict):
        raise InDoubtError(f"{TITLE} answered HTTP {answer.status} with JSON that is no object")
    unknown_keys = said.keys() - ANSWER_KEYS
    if unknown_keys:
        raise InDoubtError(f"{TITLE} answered HTTP {answer.status} with JSON that is not its own answer")
    failed = _failed_orders(said)
    unknown = failed.keys() - set(ids)
    if unknown:
        raise InDoubtError(f"{TITLE} names {len(unknown)} failed orders that were not in the request")
    return [Verdict(Outcome.REJECTED, FAILED.reason, failed[id_]) if id_ in failed else ACCEPTED for id_ in ids]


def _is_duplicate(answer: Answer) -> bool:
    """Return whether the service's own message says so: an order's text that is quoted in it does not count."""
    try:
        said = answer.json()
    except ValueError:
        said = answer.content.decode("utf-8", "replace")
    messages = [said.get(key) for key in MESSAGE_KEYS] if isinstance(said, dict) else [said]
    return any(isinstance(text, str) and text.strip().lower().startswith(DUPLICATED) for text in messages)


def _failed_orders(said: dict[str, Any]) -> dict[str, str]:
    """Return order id -> entry of `failedOrders`: a list or one object; its inner shape is documented nowhere."""
    failed = said.get("failedOrders")
    entries = failed if isinstance(failed, list) else [failed] if failed else []
    by_id = {}
    for entry in entries:
        order_id = entry.get("externalOrderId") if isinstance(entry, dict) else None
        if not isinstance(order_id, str | int):
            raise InDoubtError(f"{TITLE} lists failed orders in an unknown shape")
        by_id[str(order_id)] = json.dumps(entry, ensure_ascii=False)
    return by_id


FULL = Provider(
    name="yespo",
    title=TITLE,
    documentation="https://yespo.io/support/orders-automation",
    max_orders=1000,
    requests_a_second=None,  # not documented
    statuses=STATUSES,
    changes="newest",
    required=("customer_id", "total_cost", "currency", "created_at", ("email", "phone")),
    reads=frozenset({*TEXT.values(), *NUMBERS.values(), "additional_info", "items"}),
    checks=(*ORDER_CHECKS, *ITEM_CHECKS),
    rejections=(FAILED,),
    trial=Trial(build_trial, read_trial),
    build=build,
    request=build_request,
    read=read_answer,
    try_again=TRY_AGAIN,
    notifies=frozenset(STATUSES.values()),
    held_codes=frozenset(STATUSES.values()),  # each send raises an event that can mail the customer
    halve_refused=True,
)
PROVIDER = replace(
    FULL,
    by_items={
        "full": FULL,
        "lenient": replace(FULL, checks=(*ORDER_CHECKS, *LENIENT_ITEM_CHECKS), build=build_lenient),
        # It still reads the items: they are in the hash of a row, and another choice must not make all rows look new.
        "none": replace(FULL, checks=ORDER_CHECKS, build=build_without_items),
    },
)
