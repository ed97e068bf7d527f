"""REES46 and PersonaClick: one platform under two names, and its legacy call that carries order statuses.

Facts: https://docs.rees46.com/display/en/Synchronize+Your+Order+Statuses and
https://docs.personaclick.com/display/en/Synchronize+Order+Statuses, the pages of this call (address, header, body,
three statuses, at most 1000 orders, a mail about an empty or badly formed array). The JSON answers and the codes 400,
401, 403 and 406 come from the platform's current documentation, its table of codes.
"""

from collections.abc import Mapping, Sequence
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
from sandbox.values import Doubt, about, as_text, as_whole_number, read_field

CREDENTIALS = {"shop_id": "demo-shop", "shop_secret": "demo-secret"}

CREATED, PAID_AND_DELIVERED, CANCELLED = 0, 1, 2


def services(credentials: Mapping[str, str]) -> list[Service]:
    """Return the platform under each of its names."""
    account = Account(credentials["shop_id"], credentials["shop_secret"])
    return [Rees46(name, account) for name in ("rees46", "personaclick")]


class Rees46(Service):
    """The platform under one name. Its answer never names a bad order of a well-formed request; a mail does."""

    path = "/import/sync_orders"
    codes: Mapping[str, int] = {
        "created": CREATED,
        "paid": CREATED,
        "in_progress": CREATED,
        "shipped": CREATED,
        "delivered": PAID_AND_DELIVERED,
        "cancelled": CANCELLED,
        "returned": CANCELLED,
    }
    repeatable_codes = frozenset(codes.values())
    mails_rejections = True

    def __init__(self, name: str, account: Account) -> None:
        self.name = name
        self.account = account

    def read(self, incoming: Incoming, doubt: Doubt) -> list[Update]:
        """Return the orders, or refuse: 406 (not JSON), 401 or 403 (credentials), 400 and a mail (badly formed)."""
        if incoming.media_type != "application/json":  # the call's page asks for this header; the table: 406 not JSON
            raise RefusalError(406, "the content type must be application/json")
        try:
            document = read_json(incoming.body)
        except ValueError:  # the table: 400 invalid
            raise _malformed("the body is no JSON") from None
        if not isinstance(document, dict):  # the call's page: an object of three
            raise _malformed("the body is no JSON object")
        for name in ("shop_id", "shop_secret"):
            read_field(document, name, "text", as_text, doubt)
        if not _same(document.get("shop_id"), self.account.login):  # the table: 401 bad key
            raise RefusalError(401, "shop_id is missing or unknown")
        if not _same(document.get("shop_secret"), self.account.secret):  # the table: 403 the secret is missing
            raise RefusalError(403, "shop_secret is missing or wrong")
        return _orders(document.get("orders"), doubt)

    def doubted(self, reason: str) -> RefusalError:
        """Return the refusal of a badly formed request, which mails the shop."""
        return _malformed(reason)

    def examine(self, update: Update) -> Rejection | None:
        """Return the fault of one order: the platform takes the others, and only a mail reports this one.

        The call's page requires id and status, and knows three statuses.
        """
        if not update.order_id:
            return Rejection("", "id is missing or no text", 0)
        if update.status not in self.codes.values():
            return Rejection(update.order_id, "status must be 0, 1 or 2", 0)
        return None

    def answer(self, request_number: int, taken: Sequence[Update], rejections: Sequence[Rejection]) -> Answer:
        """Return success: the platform validates later and reports bad orders by mail only."""
        return Answer(200, write_json({"status": "success"}))

    def refusal(self, error: RefusalError) -> Answer:
        """Return the platform's error document."""
        return Answer(error.status, write_json({"status": "error", "payload": {"message": error.reason}}))


def _orders(orders: Any, doubt: Doubt) -> list[Update]:
    # The call's page: an array of objects, not empty; a mail about one that is badly formed.
    if not isinstance(orders, list):
        raise _malformed("orders must be an array")
    if not orders:
        raise _malformed("orders is empty")
    if len(orders) > Rees46.max_orders:  # the call's page advises against it, for the sake of speed
        doubt(f"more than {Rees46.max_orders} orders")
    updates = []
    for position, order in enumerate(orders):
        if not isinstance(order, dict):
            raise _malformed(f"order {position} is no object")
        updates.append(_update(order, about(f"order {position}", doubt)))
    doubt_repeated_ids(updates, doubt)
    return updates


def _update(order: dict[str, Any], doubt: Doubt) -> Update:
    """Return an order as understood, without an id or a status that can't be read."""
    payload = dict(order)
    read_field(payload, "id", "text", as_text, doubt)
    read_field(payload, "status", "a whole number", as_whole_number, doubt)
    return Update(payload.get("id", ""), payload.get("status", ""), payload)


def _malformed(reason: str) -> RefusalError:
    return RefusalError(400, reason, mail=True)


def _same(sent: Any, known: str) -> bool:
    # surrogatepass: JSON can escape half a character. That is a wrong credential, not a crash.
    return isinstance(sent, str) and compare_digest(sent.encode("utf-8", "surrogatepass"), known.encode())
