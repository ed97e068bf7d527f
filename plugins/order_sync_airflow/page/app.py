"""The page's application: its views, and what it answers where something is wrong.

All routes are GET; each depends on the user; queries run in FastAPI's thread pool.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from include.order_sync import codes
from include.order_sync.errors import OrderSyncError
from include.order_sync.stops import STOPS
from order_sync_airflow.health import health
from order_sync_airflow.page import backfills, drops, orders, overview, quarantined, runs
from order_sync_airflow.page.access import access_of
from order_sync_airflow.page.answers import FOLDER, answer, not_found, say

log = logging.getLogger(__name__)

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

app = FastAPI(title="Order Sync", dependencies=[Depends(access_of)], docs_url=None, redoc_url=None, openapi_url=None)
for views in (overview, orders, quarantined, runs, backfills, drops):
    app.include_router(views.router)


@app.middleware("http")
async def add_headers(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
    """Add the security headers to each answer, and keep from PostgreSQL what its texts can't hold."""
    if "\0" in request.scope["path"] or b"%00" in request.scope["query_string"]:
        said = not_found(request, "Nothing here has the character NUL in its name.")
    else:
        said = await go_on(request)
    for name, value in SECURITY_HEADERS.items():
        said.headers.setdefault(name, value)
    return said


@app.exception_handler(HTTPException)
async def refuse(request: Request, error: HTTPException) -> Response:
    """Send a person without a login to Airflow's, say what is not there, and answer a program with the status alone."""
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse({"detail": error.detail}, error.status_code)
    if error.status_code == 401:
        return RedirectResponse(get_auth_manager().get_url_login(next_url=str(request.url)), 303)
    if error.status_code == 404:
        return not_found(request, "The page has no such view. The links above lead to those that it has.")
    return say(request, "Refused", str(error.detail), error.status_code)


@app.exception_handler(RequestValidationError)
async def explain(request: Request, error: RequestValidationError) -> Response:
    """Say which parameter of the address is missing or wrong."""
    return say(request, "This address is not complete", " ".join(map(_fault, error.errors())), 422)


def _fault(wrong: dict[str, Any]) -> str:
    name = wrong["loc"][-1]
    if wrong["type"] == "missing":
        return f"It lacks ?{name}=… Follow a link of the page instead, or add it."
    return f"Its {name} is {wrong['input']!r}: {wrong['msg']}."


@app.exception_handler(OrderSyncError)
async def tell(request: Request, error: OrderSyncError) -> Response:
    """Say what is wrong with the ledger or the configuration, as a task would."""
    log.warning("The page Order Sync: %s", error)
    return say(request, "Not available", str(error), 503)


@app.get("/reasons")
def reasons(request: Request) -> Response:
    """Explain each code."""
    return answer(request, "reasons.html", {"title": "Reasons", "reasons": [*codes.rejections(), *STOPS]})


# Not a route of FastAPI, whose routes all depend on the user.
app.add_route("/health", health)


@app.get("/static/{name}")
def static(name: str) -> Response:
    """Return the page's style or script."""
    kinds = {"page.css": "text/css", "page.js": "text/javascript"}
    if name not in kinds:
        raise HTTPException(404, "There is no such file.")
    return FileResponse(FOLDER / "static" / name, media_type=kinds[name], headers={"Cache-Control": "no-cache"})
