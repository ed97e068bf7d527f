"""The view of all destinations: freshness, counts, what waits for a person, and the last days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request
from fastapi.responses import Response

from include.order_sync.ledger.run_records import COUNTS
from order_sync_airflow.page import airflow_runs, changes, charts, reads, shown
from order_sync_airflow.page.answers import User, answer

router = APIRouter()

DAYS_SHOWN = 14


@router.get("/")
def overview(request: Request, access: User) -> Response:
    """How each destination does: freshness, counts, what waits for a person, and the last days."""
    now = datetime.now(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    yesterday = today - timedelta(days=1)
    with reads.reading() as ledger:
        fresh = reads.freshness(ledger, access.names)
        hours = reads.counts_by_hour(ledger, access.names, min(now - timedelta(hours=charts.HOURS), today))
        days = reads.counts_by_day(ledger, access.names, today - timedelta(days=DAYS_SHOWN - 1))
        changed = reads.changes_by_day(ledger, access.names, yesterday)
        reasons = reads.reasons(ledger, access.names)
        held = reads.held_batches(ledger, access.names)
        unusable = reads.unusable_files(ledger, access.names, now - timedelta(days=7))
        not_read = reads.count_files_not_read(ledger, access.names)
    red = airflow_runs.last_red([destination.dag_id for destination in access.destinations.values()])
    cards = []
    for name, destination in access.destinations.items():
        own = [row for row in hours if row["destination"] == name]
        promise = destination.fresh_within
        counts = {"today": _day(days, name, today), "yesterday": _day(days, name, yesterday)}
        tone, word = shown.freshness_of(fresh.get(name), promise, now)
        cards.append(
            {
                "name": name,
                "service": destination.service.title,
                "dag_id": destination.dag_id,
                "live": destination.live,
                "promise": promise,
                "tone": tone,
                "word": word,
                "fresh": fresh.get(name),
                **counts,
                "changes": changes.told(
                    [
                        {**row, "column": "today" if row["day"] == today else "yesterday"}
                        for row in changed
                        if row["destination"] == name
                    ],
                    destination,
                    {day: of_day["accepted"] for day, of_day in counts.items()},
                ),
                "by_hour": {row["hour"]: (row["accepted"], row["rejected"]) for row in own},
                "pace": access.paces.get(name),
                "requests": sum(row["requests"] for row in own if row["hour"] >= now - timedelta(hours=24)),
                "reasons": [row for row in reasons if row["destination"] == name],
                "held": sum(batch["orders"] for batch in held if batch["destination"] == name),
                "unusable": unusable.get(name, 0),
                "red": red.get(destination.dag_id),
                "not_read": not_read.get(name, 0),
            }
        )
    model = {"title": "Overview", "cards": cards, "mistaken": access.mistaken, "days": days}
    if request.query_params.get("format") == "json":
        for card in cards:
            card["by_hour"] = {hour.isoformat(): counts for hour, counts in card["by_hour"].items()}
        return answer(request, "", model)
    for card in cards:
        card["chart"] = charts.hours_chart(card["name"], now, card.pop("by_hour"))
    return answer(request, "overview.html", model)


def _day(days: reads.Rows, name: str, day: datetime) -> dict[str, int]:
    found = [row for row in days if row["destination"] == name and row["day"] == day]
    return found[0] if found else dict.fromkeys(COUNTS, 0)
