"""JustClick, UpdateOrderStatus: POST /api/UpdateOrderStatus, one order a request, signed both ways.

Documentation: https://help.justclick.io/archives/592. What it says:

* form fields bill_id (JustClick's own number of the order), status, date (UNIX seconds of the payment or
  posting, for paid and sent), rpo (tracking number, for sent), hash;
* hash = md5 of `QUERY::LOGIN::KEY`, QUERY being the other fields, in order, as PHP's http_build_query writes them;
* the answer is JSON with error_code, error_text and hash = md5 of `CODE::TEXT::KEY`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from include.order_sync import stops
from include.order_sync.errors import InDoubtError, StopError, TryAgainError
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
from include.order_sync.reason import Reason
from include.order_sync.transform.checks import Check, missing, no_match

if TYPE_CHECKING:
    import pandas as pd

TITLE = "JustClick"
TRY_AGAIN = frozenset({429, 503})
LIMIT_EXHAUSTED_WAIT_S = 3600.0

PAID, SENT, CANCEL, RETURN = "paid", "sent", "cancel", "return"

DONE = "0"
# What is wrong with the connection: every order would fail alike.
CONNECTION_CODES = {
    "1": "the hash is missing",
    "2": "no data arrived",
    "4": "the hash is wrong: look at the connection's password (the API key) and login",
    "5": "the login is unknown: look at the connection's login and host",
    "6": "this address is not allowed: allow it in the account's API settings",
    "7": "the account is disabled",
}
LIMIT_EXHAUSTED = "8"


def _rejection(code: str, answered: str, meaning: str, cure: str) -> Reason:
    return Reason(code, f"{TITLE} error_code {answered}: {meaning}", cure, mend="either")


_NUMBER = "compare the order's `bill_id` with JustClick's own number of it"
_STATUS = "look at the order in JustClick: it can't go from its status there to this one"
ORDER_CODES = {
    "3": _rejection("OS-311", "3", "wrong data", "JustClick's message in the quarantine says which"),
    "200": _rejection("OS-312", "200", "no such order", _NUMBER),
    "302": _rejection("OS-313", "302", "no such order", _NUMBER),
    "201": _rejection("OS-314", "201", "wrong status", _STATUS),
    "303": _rejection("OS-315", "303", "wrong status", _STATUS),
    "202": _rejection("OS-316", "202", "error while paying", "look at the order's payment in JustClick"),
    "203": _rejection("OS-317", "203", "the order number is empty", _NUMBER),
}
UNLISTED = _rejection(
    "OS-318", "*", "a code that the documentation does not list", "ask JustClick's support, with the code"
)

CHECKS = (
    Check("OS-301", "bill_id: missing", "give JustClick's own number of the order", missing("bill_id")),
    Check(
        "OS-302",
        "bill_id: not a number",
        "give JustClick's own number of the order, as 100000; if it has signs around it, set the source's `strip_ids`",
        no_match("bill_id", "[0-9]+"),
        mend="either",
    ),
    Check(
        "OS-303",
        "tracking_number: missing",
        "JustClick requires it of an order that was sent",
        lambda orders, _items: orders["tracking_number"].isna() & orders["code"].eq(SENT),
    ),
)


def php_query(fields: Mapping[str, str]) -> str:
    """Return the fields as PHP's http_build_query encodes them: as Python does, but for the tilde."""
    return "&".join(f"{_php_quote(key)}={_php_quote(value)}" for key, value in fields.items())


def _php_quote(text: str) -> str:
    return quote_plus(text, safe="").replace("~", "%7E")


def sign(query: str, login: str, key: str) -> str:
    """Return the hash of a request whose other fields are `query`."""
    return _md5(f"{query}::{login}::{key}")


def answer_hash(code: Any, text: Any, key: str) -> str:
    """Return the hash that an answer with this code and text must carry, as PHP writes them into a text."""
    return _md5(f"{_php_text(code)}::{_php_text(text)}::{key}")


def _php_text(value: Any) -> str:
    if value is None or value is False:
        return ""
    return "1" if value is True else str(value)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def build(orders: pd.DataFrame, _items: pd.DataFrame) -> pd.Series[str]:
    """Return the form fields of each order as a JSON object, in the order in which they are signed and sent."""
    from include.order_sync.columns import json_text  # not at the top: it brings pandas

    dated = orders["code"].isin([PAID, SENT])
    return json_text.objects(
        {
            "bill_id": orders["bill_id"],
            "status": orders["code"],
            "date": json_text.unix_seconds(orders["status_changed_at"]).where(dated),
            "rpo": orders["tracking_number"].where(orders["code"].eq(SENT)),
        },
        {},
    )


def build_request(credentials: Credentials, payloads: Sequence[str]) -> Request:
    """Return the signed request for one payload of `build`."""
    (payload,) = payloads
    query = php_query(json.loads(payload))
    body = f"{query}&hash={sign(query, credentials.login, credentials.secret)}"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return Request("/api/UpdateOrderStatus", body.encode(), headers)


def read_answer(answer: Answer, ids: Sequence[str], credentials: Credentials) -> list[Verdict]:
    """Return the verdict on the request's one order: only a rightly signed answer is believed.

    No document gives the HTTP status of an error, so a signed answer counts whatever its status is. The answer to a
    wrong key or login can't be signed with our key. So the codes about the connection stop the task without a right
    signature too.
    """
    try:
        said = answer.json()
        raw_code, text = said["error_code"], said.get("error_text")
    except (ValueError, TypeError, KeyError):
        refuse_unless_success(TITLE, answer, TRY_AGAIN)
        raise InDoubtError(f"{TITLE} answered with no error_code") from None
    code = str(raw_code)
    shown = code if re.fullmatch("-?[0-9]{1,10}", code) else "(no number)"  # it may quote anything
    is_signed = _is_signed(raw_code, text, said.get("hash"), credentials.secret)
    if not is_signed:
        refuse_unless_success(TITLE, answer, TRY_AGAIN)
    if code in CONNECTION_CODES:
        raise StopError(stops.REFUSED_LOGIN, f"{TITLE} answered error_code {code}: {CONNECTION_CODES[code]}")
    if not is_signed:
        raise InDoubtError(f"{TITLE} answered error_code {shown} with a wrong or missing hash: not believed")
    if code == LIMIT_EXHAUSTED:
        raise TryAgainError(
            f"{TITLE} answered error_code 8: the API's limit is exhausted, or it is switched off in the account",
            after_s=LIMIT_EXHAUSTED_WAIT_S,
        )
    if code == DONE:
        return [ACCEPTED] * len(ids)
    reason = ORDER_CODES.get(code, UNLISTED).reason.replace("*", shown)
    return [Verdict(Outcome.REJECTED, reason, _php_text(text))] * len(ids)


def build_trial(credentials: Credentials) -> Request:
    """Return a signed request about a bill that can't exist, so that it changes nothing."""
    return build_request(credentials, [json.dumps({"bill_id": "0", "status": CANCEL})])


def read_trial(answer: Answer, credentials: Credentials) -> str:
    """Return that login and key are right: only then is the answer about the bill signed with the key."""
    read_answer(answer, ["0"], credentials)
    return f"{TITLE} knows the login, and signs its answer with the key. Nothing was changed."


def _is_signed(code: Any, text: Any, signature: Any, key: str) -> bool:
    try:
        return hmac.compare_digest(answer_hash(code, text, key).encode(), str(signature).encode())
    except UnicodeEncodeError:  # half a character, which JSON can escape
        return False


PROVIDER = Provider(
    name="justclick",
    title=TITLE,
    documentation="https://help.justclick.io/archives/592",
    max_orders=1,
    requests_a_second=None,  # not documented
    statuses={
        OrderStatus.PAID: PAID,
        OrderStatus.SHIPPED: SENT,
        OrderStatus.CANCELLED: CANCEL,
        OrderStatus.RETURNED: RETURN,
    },
    changes="every",
    required=("bill_id",),
    reads=frozenset({"bill_id", "tracking_number"}),
    checks=CHECKS,
    trial=Trial(build_trial, read_trial),
    rejections=(*ORDER_CODES.values(), UNLISTED),
    build=build,
    request=build_request,
    read=read_answer,
    try_again=TRY_AGAIN,
    # Which of them start a letter is up to the account.
    notifies=frozenset({PAID, SENT, CANCEL, RETURN}),
    held_codes=frozenset({PAID}),  # the others set a state; what a second `paid` does is documented nowhere
)
