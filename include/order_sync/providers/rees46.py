"""REES46, status synchronisation (legacy import): POST /import/sync_orders.

Documentation: https://docs.rees46.com/display/en/Synchronize+Your+Order+Statuses. What it says:

* body: JSON `shop_id`, `shop_secret`, `orders` = array of `{"id": text, "status": 0|1|2}`, at most 1000;
* 0 created, 1 paid and delivered, 2 cancelled;
* an empty or malformed request mails the shop's staff: neither may ever be sent, so everything is checked
  before and a refused batch is never probed;
* 200 means queued. Old answers are the text OK; newer ones JSON with `status` success or error.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from include.order_sync.errors import BatchRefusedError
from include.order_sync.model import OrderStatus
from include.order_sync.providers.base import (
    ACCEPTED,
    Answer,
    Credentials,
    Provider,
    Request,
    Verdict,
    refuse_unless_success,
)

if TYPE_CHECKING:
    import pandas as pd

TITLE = "REES46"
CREATED, PAID_AND_DELIVERED, CANCELLED = 0, 1, 2
TRY_AGAIN = frozenset({429, 503})


def build(orders: pd.DataFrame, _items: pd.DataFrame) -> pd.Series[str]:
    """Return `{"id": text, "status": code}` of each order."""
    from include.order_sync.columns import json_text  # not at the top: it brings pandas

    return json_text.objects({"id": orders["order_id"]}, {"status": orders["code"]})


def build_request(credentials: Credentials, payloads: Sequence[str]) -> Request:
    """Return the request for 1 to 1000 payloads of `build`."""
    shop = json.dumps({"shop_id": credentials.login, "shop_secret": credentials.secret}, ensure_ascii=False)
    body = f'{shop[:-1]}, "orders": [{",".join(payloads)}]}}'
    return Request("/import/sync_orders", body.encode(), {"Content-Type": "application/json"})


def read_answer(answer: Answer, ids: Sequence[str], _credentials: Credentials, title: str = TITLE) -> list[Verdict]:
    """Return a verdict each: the service judges a batch as a whole, and never names an order."""
    refuse_unless_success(title, answer, TRY_AGAIN)
    try:
        said = json.loads(answer.body)
    except ValueError:  # "OK", or nothing at all
        said = None
    if isinstance(said, dict) and said.get("status") == "error":
        raise BatchRefusedError(f"{title} answered HTTP {answer.status} with status error", answer.service_message)
    return [ACCEPTED] * len(ids)


# PersonaClick copies this provider: a change here is a change there, unless personaclick.py replaces it.
PROVIDER = Provider(
    name="rees46",
    title=TITLE,
    documentation="https://docs.rees46.com/display/en/Synchronize+Your+Order+Statuses",
    max_orders=1000,
    # Not documented for this call; its sister calls take 40 a minute.
    requests_a_second=None,
    statuses={
        OrderStatus.CREATED: CREATED,
        OrderStatus.PAID: CREATED,
        OrderStatus.IN_PROGRESS: CREATED,
        OrderStatus.SHIPPED: CREATED,
        OrderStatus.DELIVERED: PAID_AND_DELIVERED,
        OrderStatus.CANCELLED: CANCELLED,
        OrderStatus.RETURNED: CANCELLED,
    },
    changes="newest",
    required=(),
    reads=frozenset(),
    checks=(),
    build=build,
    request=build_request,
    read=read_answer,
    try_again=TRY_AGAIN,
    held_codes=frozenset(),  # each code sets a state
)
