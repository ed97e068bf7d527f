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
import logging
import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from include.order_sync.errors import BatchRefusedError, InDoubtError
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
REFUSALS = frozenset({"error", "fail", "failed"})
MAX_TEXT_BYTES = 200  # of an answer that is neither JSON nor OK
# The codes only set a state: a batch that is in doubt is sent again, and one that is taken for accepted never is.
SPEAKS_OF_FAILURE = re.compile(
    rb"error|exception|fail|false|null|invalid|wrong|denied|refuse|reject|disabled|blocked|expired|missing"
    rb"|unknown|not |unavailable|unauthori|forbidden|maintenance|limit|too many|log ?in|\b[45]\d\d\b",
    re.IGNORECASE,
)

log = logging.getLogger(__name__)


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
    """Return a verdict each: the service judges a batch as a whole, and never names an order.

    No document fixes the body of a 2xx, so its form decides whether it is an answer or another server's page:

    - accepted: nothing, OK, or JSON with `status` success;
    - refused: JSON with `status` error, fail or failed, or with a key `error` or `errors`;
    - in doubt: HTML, a long text, bytes that are no text, JSON that ends too early or has another status, and
      whatever speaks of a failure;
    - accepted, with a warning: any other short text or JSON.
    """
    refuse_unless_success(title, answer, TRY_AGAIN)
    body = answer.body.strip()
    if body.upper() in (b"", b"OK"):
        return [ACCEPTED] * len(ids)
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if isinstance(said, dict):
        status = str(said.get("status", "")).lower()
        if status in REFUSALS or said.get("error") or said.get("errors"):
            raise BatchRefusedError(
                f"{title} answered HTTP {answer.status} and refused the batch", answer.service_message
            )
        if status == "success":
            return [ACCEPTED] * len(ids)
        if status:
            raise InDoubtError(f"{title} answered HTTP {answer.status} with a status that no document shows")
    is_text = said is not None or (
        body[:1] not in (b"<", b"{", b"[") and len(body) <= MAX_TEXT_BYTES and _is_utf8(body)
    )
    if not is_text or "html" in answer.headers.get("Content-Type", "").lower():
        raise InDoubtError(
            f"{title} answered HTTP {answer.status} with a body that is not its own: another server's page"
        )
    if SPEAKS_OF_FAILURE.search(body):
        raise InDoubtError(f"{title} answered HTTP {answer.status} with a body that seems to tell of a failure")
    _warn_of_unknown_form(title)
    return [ACCEPTED] * len(ids)


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


@cache
def _warn_of_unknown_form(title: str) -> None:
    """Warn once in each task: a thousand batches would say the same."""
    log.warning("%s answers in a form that no document shows; a 2xx is taken for success", title)


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
