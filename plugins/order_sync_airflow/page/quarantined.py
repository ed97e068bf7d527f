"""The view of the quarantine: rejected rows and held orders, with buttons for those who may redrive."""

from __future__ import annotations

from collections import Counter

from fastapi import APIRouter, Request
from fastapi.responses import Response

from order_sync_airflow.page import reads, service_words
from order_sync_airflow.page.answers import User, answer, chosen, not_found

router = APIRouter()


@router.get("/quarantine")
def quarantine(
    request: Request,
    access: User,
    destination: str = "",
    reason: str = "",
    order: str = "",
    file: str = "",
) -> Response:
    """Show what was rejected and why, and the held orders."""
    names = chosen(access, destination)
    if not names:
        return not_found(request, f"There is no destination {destination!r} that you may see.")
    with reads.reading() as ledger:
        reasons = reads.reasons(ledger, access.names)
        held = reads.held_batches(ledger, names)
        entries = reads.entries(
            ledger, names, reason=reason or None, order_id=order.strip() or None, file=file.strip() or None
        )
        rows = reads.encrypted_rows(ledger, [entry["entry"] for entry in entries]) if access.may_redrive else {}
    for entry in entries:
        token = rows.get(entry["entry"])
        entry["said"], entry["row"] = service_words.opened(token) if token else ("", {})
    totals: Counter[str] = Counter()
    for row in reasons:
        if row["destination"] in names:
            totals[row["reason"]] += row["entries"]
    model = {
        "title": "Quarantine",
        "names": access.names,
        "destination": destination,
        "reason": reason,
        "order": order,
        "file": file,
        "totals": totals.most_common(),
        "entries": entries[: reads.ENTRIES_SHOWN],
        "has_more": len(entries) > reads.ENTRIES_SHOWN,
        "held": held,
        "may_redrive": access.may_redrive,
    }
    return answer(request, "quarantine.html", model)
