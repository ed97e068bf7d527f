"""JustClick: the call UpdateOrderStatus, with one signed order a request and a signed answer.

Facts: https://help.justclick.io/archives/592, the page of this call (parameters, signature), and
https://help.justclick.io/archives/511, the list of answers and their codes.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from hmac import compare_digest
from urllib.parse import quote_plus, unquote_to_bytes

from sandbox.jsontext import write_json
from sandbox.service import Account, Answer, Incoming, RefusalError, Rejection, Service, Update
from sandbox.values import Doubt, as_whole_number

CREDENTIALS = {"justclick_login": "demo", "justclick_key": "demo-signing-key"}

STATUSES_WITH_DATE = {"sent", "paid"}
STATUSES_WITH_TRACKING_NUMBER = {"sent"}

DONE = 0
HASH_MISSING = 1
NO_DATA = 2
WRONG_DATA = 3
WRONG_HASH = 4
UNKNOWN_BILL = 200
WRONG_STATUS = 201
EMPTY_BILL = 203

POSITIVE_NUMBER = re.compile(r"0*[1-9][0-9]*")
# Ten digits of seconds last until the year 2286. Thirteen digits would be milliseconds.
UNIX_SECONDS = re.compile(r"[0-9]{1,10}")


def services(credentials: Mapping[str, str]) -> list[Service]:
    """Return the service."""
    return [JustClick(Account(credentials["justclick_login"], credentials["justclick_key"]))]


class JustClick(Service):
    """One account, in which every positive bill number exists. An error is an HTTP 200 with a code."""

    name = "justclick"
    path = "/api/UpdateOrderStatus"
    max_orders = 1
    codes: Mapping[str, str] = {"paid": "paid", "shipped": "sent", "cancelled": "cancel", "returned": "return"}
    # No page documents the effect of a second `paid`, so it may send a mail.
    repeatable_codes = frozenset({"sent", "cancel", "return"})
    takes_events = True  # each status may start a letter
    signs = True

    def __init__(self, account: Account) -> None:
        self.account = account

    def read(self, incoming: Incoming, doubt: Doubt) -> list[Update]:
        """Return the one order, or refuse: no form data, no signature, or a wrong signature."""
        is_form = incoming.media_type == "application/x-www-form-urlencoded"
        parameters = parse_form(incoming.body) if is_form else {}
        signature = parameters.pop(b"hash", b"")
        # The list of codes: 1, 2 and 4. The call's page: how a request is signed, in small letters.
        if not parameters:
            raise RefusalError(200, "no data", code=NO_DATA)
        if not signature:
            raise RefusalError(200, "the hash is missing", code=HASH_MISSING)
        expected = _md5(f"{php_query(parameters)}::{self.account.login}::{self.account.secret}")
        if not compare_digest(signature, expected.encode()):
            raise RefusalError(200, "the hash is wrong", code=WRONG_HASH)
        payload = {name.decode(errors="replace"): value.decode(errors="replace") for name, value in parameters.items()}
        if payload.get("date") and not UNIX_SECONDS.fullmatch(payload["date"]):
            doubt("date is not UNIX seconds")
            seconds = as_whole_number(payload.pop("date"))
            if seconds is not None and seconds >= 0:
                payload["date"] = str(seconds)
        return [Update(payload.get("bill_id", ""), payload.get("status", ""), payload)]

    def doubted(self, reason: str) -> RefusalError:
        """Return the refusal of wrong data."""
        return RefusalError(200, reason, code=WRONG_DATA)

    def examine(self, update: Update) -> Rejection | None:
        """Return the first fault of the order: in its bill number, its status, or a field that the status needs."""
        bill_id, status, payload = update
        # The list of codes: 203, 200 and 201.
        if not bill_id:
            return Rejection(bill_id, "the bill number is empty", EMPTY_BILL)
        if not POSITIVE_NUMBER.fullmatch(bill_id):
            return Rejection(bill_id, "no such bill", UNKNOWN_BILL)
        if status not in self.codes.values():
            return Rejection(bill_id, "no such status", WRONG_STATUS)
        # The call's page: what each status requires. The list of codes: 3.
        if status in STATUSES_WITH_DATE and not payload.get("date"):
            return Rejection(bill_id, "date is missing or no number", WRONG_DATA)
        if status in STATUSES_WITH_TRACKING_NUMBER and not payload.get("rpo"):
            return Rejection(bill_id, "rpo is missing", WRONG_DATA)
        return None

    def answer(self, request_number: int, taken: Sequence[Update], rejections: Sequence[Rejection]) -> Answer:
        """Return the code of the one order."""
        if rejections:
            return self._signed(rejections[0].code, rejections[0].reason)
        return self._signed(DONE, "ok")

    def refusal(self, error: RefusalError) -> Answer:
        """Return the signed code; a refusal without a code comes from the web server, which signs nothing."""
        return super().refusal(error) if error.code is None else self._signed(error.code, error.reason)

    def with_bad_signature(self, answer: Answer) -> Answer:
        """Return the answer with a signature made without the key."""
        content = json.loads(answer.body)
        content["hash"] = _md5(f"{content.get('error_code')}::{content.get('error_text')}::forged")
        return Answer(answer.status, write_json(content))

    def _signed(self, code: int, text: str) -> Answer:
        signature = _md5(f"{code}::{text}::{self.account.secret}")
        return Answer(200, write_json({"error_code": code, "error_text": text, "hash": signature}))


def parse_form(body: bytes) -> dict[bytes, bytes]:
    """Return a form's parameters in the order sent; for a repeated name the last value counts, as in PHP."""
    parameters = {}
    for pair in body.split(b"&"):
        name, _, value = pair.partition(b"=")
        if name:
            parameters[_unquote(name)] = _unquote(value)
    return parameters


def php_query(parameters: Mapping[bytes, bytes]) -> str:
    """Return the parameters as PHP's http_build_query writes them, in their order.

    The service rebuilds and signs this query from the data received, so it refuses a client that encodes otherwise.
    """
    query = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in parameters.items())
    # Python and PHP differ in this one character.
    return query.replace("~", "%7E")


def _unquote(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
