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
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

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
SUCCESSES = frozenset({"success", "ok"})
REFUSALS = frozenset({"error", "fail", "failed"})
MAX_TEXT_BYTES = 200  # of an answer that is neither JSON nor OK
# The codes only set a state: a batch that is in doubt is sent again, and one that is taken for accepted never is.
SPEAKS_OF_FAILURE = re.compile(
    r"error|\berr\b|exception|fail|false|null|invalid|wrong|denied|refuse|reject|disabled|blocked|expired|missing"
    r"|unknown|not |n't|cannot|unavailable|unauthori|forbidden|prohibit|suspend|abort|maintenance|construction|captcha"
    r"|limit|too many|busy|overload|time-?d? ?-?out|gateway|\bbad\b|\bdown\b|temporar|later|back (?:soon|in)|moment"
    r"|sorry|(?:log|sign) ?in\b|welcome|it works|\b[45]\d\d\b|inactive|restrict|unable|quota|exceed|throttl|payment"
    r"|subscription|stopped|closed|redirect|\bko\b|\bnok\b"
    r'|"(?:success|ok|accepted)": "?(?:0|no)?"?(?=[,}])'
    # The platform's staff speak Russian; customers' servers and proxies, Ukrainian too.
    r"|ошибк|помилк|недоступ|невер|невірн|неправ|отказ|відмов|отклон|запрещ|заборон|заблок|отключ|вимкн|просроч|истек"
    r"|технич|технічн|обслуж|обслугов|временн|тимчасов|позже|пізніше|скоро|повтор|лимит|ліміт|нет |(?:^| )не |войдите"
    r"|неактив|закрыт|закрит|огранич|обмеж|превыш|перевищ|останов|зупин|оплат|сплат",
    re.IGNORECASE,
)
# What must not stand in a success: such a key with a value, and one of these keys without.
NAMES_A_FAILURE = re.compile(
    r"error|fail|reject|invalid|wrong|denied|refuse|skip|missing|unknown|unprocessed|not_?(?:accepted|found|processed|taken)"
)
NAMES_A_SUCCESS = frozenset({"success", "ok", "accepted", "queued", "received"})
NOTHING = frozenset({"0", "no", "false", "none", "null", "", "[]", "{}"})

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

    - accepted: nothing, OK, or JSON with `status` success or ok;
    - refused: JSON with `status` error, fail or failed, or with a key `error` or `errors`; both also within a success;
    - in doubt: HTML, a long text, bytes that are no text, JSON that ends too early or has another status, a success
      with `failed` or `"success": false` beside it, and whatever speaks of a failure, in the languages of its users;
    - accepted, with a warning: any other short text or JSON.
    """
    refuse_unless_success(title, answer, TRY_AGAIN)
    body = answer.content
    if body.upper() in (b"", b"OK"):
        return [ACCEPTED] * len(ids)
    try:
        said, is_json = answer.json(), True
    except ValueError:
        said, is_json = None, False
    if isinstance(said, dict):
        status = str(said.get("status", "")).lower()
        succeeded = status in SUCCESSES
        if status in REFUSALS or said.get("error") or said.get("errors") or (succeeded and _tells_errors(said)):
            raise BatchRefusedError(
                f"{title} answered HTTP {answer.status} and refused the batch", answer.service_message
            )
        if succeeded and _contradicts(said):
            raise InDoubtError(f"{title} answered HTTP {answer.status} with a success that also tells of a failure")
        if succeeded:
            return [ACCEPTED] * len(ids)
        if status:
            raise InDoubtError(f"{title} answered HTTP {answer.status} with a status that no document shows")
    text = json.dumps(said, ensure_ascii=False) if is_json else _short_text(body)
    if text is None or "html" in answer.headers.get("Content-Type", "").lower():
        raise InDoubtError(
            f"{title} answered HTTP {answer.status} with a body that is not its own: another server's page"
        )
    if SPEAKS_OF_FAILURE.search(text):
        raise InDoubtError(f"{title} answered HTTP {answer.status} with a body that seems to tell of a failure")
    _warn_of_unknown_form(title)
    return [ACCEPTED] * len(ids)


def _short_text(body: bytes) -> str | None:
    """Return a body that is no JSON as text; None if it is long, cut JSON, a page with tags, or no text."""
    if len(body) > MAX_TEXT_BYTES or body[:1] in (b"{", b"[") or b"<" in body:
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def _tells_errors(said: Any) -> bool:
    """Return whether an `error` or `errors` that is not empty, or a `status` of a refusal, stands anywhere."""
    if isinstance(said, dict):
        is_refused = str(said.get("status", "")).lower() in REFUSALS
        return bool(is_refused or said.get("error") or said.get("errors")) or any(map(_tells_errors, said.values()))
    return isinstance(said, list) and any(map(_tells_errors, said))


def _contradicts(said: Any) -> bool:
    """Return whether a success tells of a failure anywhere, in a way that no document shows."""
    if isinstance(said, list):
        return any(map(_contradicts, said))
    if not isinstance(said, dict):
        return False
    for key, value in said.items():
        name, is_nothing = key.lower(), str(value).lower() in NOTHING
        if (name in NAMES_A_SUCCESS and is_nothing) or (NAMES_A_FAILURE.search(name) and not is_nothing):
            return True
        if name in ("status", "result") and isinstance(value, str) and SPEAKS_OF_FAILURE.search(value):
            return True
        if _contradicts(value):
            return True
    return False


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
    # A new status starts the account's trigger chain; code 0 is what every new order has.
    notifies=frozenset({PAID_AND_DELIVERED, CANCELLED}),
    # "At least every 24 hours", the same page says.
    fresh_within_at_most=timedelta(hours=24),
    held_codes=frozenset(),  # each code sets a state
)
