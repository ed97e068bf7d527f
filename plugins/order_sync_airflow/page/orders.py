"""The view of one order: all that happened to it at each destination."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from include.order_sync import codes
from order_sync_airflow.page import reads, service_words, shown, words
from order_sync_airflow.page.access import Access
from order_sync_airflow.page.answers import User, answer, root_of, say

router = APIRouter()

IDS_FOUND = 200
_CODE = re.compile("OS-[0-9]{3}")


@router.get("/order")
def search(request: Request, access: User, q: str = "") -> Response:
    """Find an order by its id, else by the beginning of it."""
    text = q.strip()
    if not text:
        return say(request, "Find an order", "Write the id of an order, or how it begins, into the search.", 200)
    if code := _CODE.fullmatch(text.upper()):
        return RedirectResponse(f"{root_of(request)}/reasons#{code[0]}", 303)
    return _order(request, access, text, is_search=True)


@router.get("/order/{order_id:path}")
def order(request: Request, access: User, order_id: str) -> Response:
    """Show all that happened to an order at each destination."""
    return _order(request, access, order_id.strip())


def _order(request: Request, access: Access, order_id: str, *, is_search: bool = False) -> Response:
    with reads.reading() as ledger:
        events = [dict(row) for row in reads.history(ledger, order_id) if row["destination"] in access.names]
        fresh = reads.freshness(ledger, access.names)
        others = [] if events else reads.ids_beginning_with(ledger, order_id, access.names, IDS_FOUND)
    meant = [other for other in others if len(other) == len(order_id)]
    if is_search and len(meant) == 1:
        return RedirectResponse(f"{root_of(request)}/order/{quote(meant[0])}", 303)
    for event in events:
        encrypted = event.pop("encrypted_row")
        event["said"], event["row"] = service_words.opened(encrypted) if access.may_redrive and encrypted else ("", {})
    parts = [_part(access, name, events, fresh.get(name)) for name in access.names]
    model = {
        "title": f"Order {order_id}",
        "order_id": order_id,
        "found": bool(events),
        "others": others,
        "meant": meant,
        "ids_found": IDS_FOUND,
        "parts_of_order": sorted(parts, key=lambda part: not part["events"]),
        "may_redrive": access.may_redrive,
    }
    return answer(request, "order.html", model)


def _part(access: Access, name: str, events: list[dict[str, Any]], fresh: dict[str, Any] | None) -> dict[str, Any]:
    """Return what an order's page says about one destination.

    Args:
        access: of the user.
        name: of the destination.
        events: of the order, at all destinations that the user may see.
        fresh: how far the destination is; None if it has never read its source.
    """
    destination = access.destinations.get(name)
    own = [event for event in events if event["destination"] == name]
    for event, change in zip(own, shown.changes(own, destination), strict=True):
        event["change"] = change
    shown_events = words.told(own)
    dag_id = destination.dag_id if destination else f"order_sync_{name}"
    open_entry = words.open_entry(own)
    of_entry = [event["reasons"] for event in shown_events if open_entry and event["entry"] == open_entry]
    reasons = of_entry[-1] if of_entry else []
    part: dict[str, Any] = {
        "name": name,
        "service": destination.service.title if destination else "",
        "dag_id": dag_id,
        "events": shown_events,
        "open_entry": open_entry,
        "next": shown.next_step(reasons, dag_id) if reasons else "",
        "has": words.service_has(shown_events),
        "redrive_helps": bool(reasons) and codes.mend_of(reasons) in ("either", "settings"),
        "fresh": fresh,
    }
    if own:
        return part | {"badge": words.badge(shown_events)}
    source = destination and destination.source
    seen = [
        (event, other)
        for event in events
        if (other := access.destinations.get(event["destination"])) and other.source == source
    ]
    known = all(event["destination"] in access.destinations for event in events)
    if destination and events and known and not seen:
        return part | {"badge": ("quiet", "reads another source"), "why": f"It reads {source}."}
    if fresh is None:
        return part | {"badge": ("quiet", "never seen"), "why": ""}
    badge, why = words.unseen(destination, seen)
    return part | {"badge": badge, "why": why}
