"""The routes of the page. All are GET; each depends on the user; queries run in FastAPI's thread pool."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from airflow.api_fastapi.app import get_auth_manager
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.encoders import jsonable_encoder
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from include.order_sync import codes
from include.order_sync.errors import OrderSyncError
from include.order_sync.ledger.run_records import COUNTS
from include.order_sync.stops import STOPS
from order_sync_airflow.health import health
from order_sync_airflow.page import PREFIX, charts, reads, service_words, shown
from order_sync_airflow.page.access import REDRIVE, Access, access_of

log = logging.getLogger(__name__)

FOLDER = Path(__file__).parent
DAYS_SHOWN = 14
IDS_FOUND = 200

# Airflow shows the page in a frame of its own. Nothing comes from anywhere else.
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

templates = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
templates.filters |= {
    "moment": shown.moment,
    "second": shown.second,
    "span": shown.span,
    "ago": shown.ago,
    "number": shown.number,
    "code": shown.code,
}
templates.globals |= {
    "OUTCOMES": shown.OUTCOMES,
    "TONES": shown.TONES,
    "REDRIVE": REDRIVE,
    "shares_bar": charts.shares_bar,
}

User = Annotated[Access, Depends(access_of)]
app = FastAPI(title="Order Sync", dependencies=[Depends(access_of)], docs_url=None, redoc_url=None, openapi_url=None)


@app.middleware("http")
async def add_headers(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
    """Add the security headers to each answer, and keep from PostgreSQL what its texts can't hold."""
    if "\0" in request.scope["path"] or b"%00" in request.scope["query_string"]:
        answer = _not_found(request, "Nothing here has the character NUL in its name.")
    else:
        answer = await go_on(request)
    for name, value in SECURITY_HEADERS.items():
        answer.headers.setdefault(name, value)
    return answer


@app.exception_handler(HTTPException)
async def refuse(request: Request, error: HTTPException) -> Response:
    """Send a person without a login to Airflow's, and answer a program with the status alone."""
    if error.status_code == 401 and "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(get_auth_manager().get_url_login(next_url=str(request.url)), 303)
    return JSONResponse({"detail": error.detail}, error.status_code)


@app.exception_handler(OrderSyncError)
async def tell(request: Request, error: OrderSyncError) -> Response:
    """Say what is wrong with the ledger or the configuration, as a task would."""
    log.warning("The page Order Sync: %s", error)
    model = {"title": "Not available", "message": str(error)}
    return _answer(request, "message.html", model, 503)


def _answer(request: Request, template: str, model: dict[str, Any], status: int = 200) -> Response:
    """Return a page, or its model as JSON with `?format=json`."""
    if request.query_params.get("format") == "json":
        return JSONResponse(jsonable_encoder(model), status)
    root = request.scope.get("root_path", "")
    context = {
        **model,
        "root": root,
        "airflow": root.removesuffix(PREFIX),
        "now": datetime.now(UTC),
        "query": request.query_params.get("q", ""),
    }
    return HTMLResponse(templates.get_template(template).render(context), status)


def _not_found(request: Request, message: str) -> Response:
    return _answer(request, "message.html", {"title": "Not found", "message": message}, 404)


@app.get("/")
def overview(request: Request, access: User) -> Response:
    """How each destination does: freshness, counts, what waits for a person, and the last days."""
    now = datetime.now(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    with reads.reading() as ledger:
        fresh = reads.freshness(ledger, access.names)
        hours = reads.counts_by_hour(ledger, access.names, min(now - timedelta(hours=charts.HOURS), today))
        days = reads.counts_by_day(ledger, access.names, today - timedelta(days=DAYS_SHOWN - 1))
        reasons = reads.reasons(ledger, access.names)
        held = reads.held_batches(ledger, access.names)
        unusable = reads.unusable_files(ledger, access.names, now - timedelta(days=7))
    cards = []
    for name, destination in access.destinations.items():
        own = [row for row in hours if row["destination"] == name]
        promise = destination.fresh_within
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
                "today": _day(days, name, today),
                "yesterday": _day(days, name, today - timedelta(days=1)),
                "by_hour": {row["hour"]: (row["accepted"], row["rejected"]) for row in own},
                "reasons": [row for row in reasons if row["destination"] == name],
                "held": sum(batch["orders"] for batch in held if batch["destination"] == name),
                "unusable": unusable.get(name, 0),
            }
        )
    model = {"title": "Overview", "cards": cards, "mistaken": access.mistaken, "days": days}
    if request.query_params.get("format") == "json":
        for card in cards:
            card["by_hour"] = {hour.isoformat(): counts for hour, counts in card["by_hour"].items()}
        return _answer(request, "", model)
    for card in cards:
        card["chart"] = charts.hours_chart(card["name"], now, card.pop("by_hour"))
    return _answer(request, "overview.html", model)


def _day(days: reads.Rows, name: str, day: datetime) -> dict[str, int]:
    found = [row for row in days if row["destination"] == name and row["day"] == day]
    return found[0] if found else dict.fromkeys(COUNTS, 0)


@app.get("/order")
def search(request: Request, access: User, q: str = "") -> Response:
    """Find an order by its id, else by the beginning of it."""
    text = q.strip()
    if not text:
        return RedirectResponse(f"{request.scope.get('root_path', '')}/", 303)
    return _order(request, access, text)


@app.get("/order/{order_id:path}")
def order(request: Request, access: User, order_id: str) -> Response:
    """Show all that happened to an order at each destination."""
    return _order(request, access, order_id.strip())


def _order(request: Request, access: Access, order_id: str) -> Response:
    with reads.reading() as ledger:
        events = [dict(row) for row in reads.history(ledger, order_id) if row["destination"] in access.names]
        fresh = reads.freshness(ledger, access.names)
        others = [] if events else reads.ids_beginning_with(ledger, order_id, access.names, IDS_FOUND)
    for event in events:
        encrypted = event.pop("encrypted_row")
        event["said"], event["row"] = service_words.opened(encrypted) if access.may_redrive and encrypted else ("", {})
    parts = []
    for name in access.names:
        own = [event for event in events if event["destination"] == name]
        destination = access.destinations.get(name)
        for event, change in zip(own, shown.changes(own, destination), strict=True):
            event["change"] = change
        parts.append(
            {
                "name": name,
                "service": destination.service.title if destination else "",
                "dag_id": destination.dag_id if destination else f"order_sync_{name}",
                "events": own,
                "fresh": fresh.get(name),
            }
        )
    model = {
        "title": f"Order {order_id}",
        "order_id": order_id,
        "found": bool(events),
        "others": others,
        "ids_found": IDS_FOUND,
        "parts_of_order": sorted(parts, key=lambda part: not part["events"]),
        "may_redrive": access.may_redrive,
    }
    return _answer(request, "order.html", model)


@app.get("/quarantine")
def quarantine(
    request: Request,
    access: User,
    destination: str = "",
    reason: str = "",
    order: str = "",
) -> Response:
    """Show what was not delivered and why, and the held orders, with buttons for those who may redrive."""
    names = [name for name in access.names if destination in ("", name)]
    if not names:
        return _not_found(request, f"There is no destination {destination!r} that you may see.")
    with reads.reading() as ledger:
        reasons = reads.reasons(ledger, access.names)
        held = reads.held_batches(ledger, names)
        entries = reads.entries(ledger, names, reason=reason or None, order_id=order.strip() or None)
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
        "totals": totals.most_common(),
        "entries": entries[: reads.ENTRIES_SHOWN],
        "has_more": len(entries) > reads.ENTRIES_SHOWN,
        "held": held,
        "may_redrive": access.may_redrive,
    }
    return _answer(request, "quarantine.html", model)


@app.get("/run")
def find_run(request: Request, access: User, destination: str, run: str) -> Response:
    """Go to the page of a run of a destination: its own DAG's, or a redrive."""
    if destination not in access.names:
        return _not_found(request, f"There is no destination {destination!r} that you may see.")
    with reads.reading() as ledger:
        dag_id = reads.dag_of(ledger, destination, run) or f"order_sync_{destination}"
    return RedirectResponse(f"{request.scope.get('root_path', '')}/run/{dag_id}/{quote(run)}", 303)


@app.get("/run/{dag_id}/{run_id:path}")
def run(request: Request, access: User, dag_id: str, run_id: str) -> Response:
    """Show what one run did, with all its tries."""
    with reads.reading() as ledger:
        tries = reads.run(ledger, access.names, dag_id, run_id)
        names = sorted({row["destination"] for row in tries})
        entries = reads.entries(ledger, names, run=run_id, is_open=False, with_held=True) if names else []
        held = [batch for batch in reads.held_batches(ledger, names) if batch["run"] == run_id] if names else []
    sums = {name: sum(row[name] for row in tries) for name in COUNTS}
    reasons = Counter(reason for entry in entries for reason in entry["reasons"])
    model = {
        "title": f"Run {run_id}",
        "dag_id": dag_id,
        "run_id": run_id,
        "names": names,
        "tries": tries,
        "sums": sums,
        "entries": entries[: reads.ENTRIES_SHOWN],
        "has_more": len(entries) > reads.ENTRIES_SHOWN,
        "reasons": reasons.most_common(),
        "held": held,
    }
    return _answer(request, "run.html", model)


@app.get("/files")
def files(request: Request, access: User, destination: str = "", unusable: bool = False) -> Response:
    """List the files that were taken last, or those that could not be used."""
    names = [name for name in access.names if destination in ("", name)]
    with reads.reading() as ledger:
        found = reads.files(ledger, names, unusable=unusable)
    model = {"title": "Files", "files": found, "unusable": unusable, "destination": destination}
    return _answer(request, "files.html", model)


@app.get("/file")
def file(request: Request, access: User, path: str) -> Response:
    """Show what came of one file at each destination."""
    with reads.reading() as ledger:
        versions = reads.files(ledger, access.names, path=path)
        reasons = reads.reasons_of_file(ledger, access.names, path)
    return _answer(request, "file.html", {"title": "File", "path": path, "versions": versions, "reasons": reasons})


@app.get("/reasons")
def reasons(request: Request) -> Response:
    """Explain each code."""
    return _answer(request, "reasons.html", {"title": "Reasons", "reasons": [*codes.rejections(), *STOPS]})


# Not a route of FastAPI, whose routes all depend on the user.
app.add_route("/health", health)


@app.get("/static/{name}")
def static(name: str) -> Response:
    """Return the page's style or script."""
    kinds = {"page.css": "text/css", "page.js": "text/javascript"}
    if name not in kinds:
        raise HTTPException(404, "There is no such file.")
    return FileResponse(FOLDER / "static" / name, media_type=kinds[name], headers={"Cache-Control": "no-cache"})
