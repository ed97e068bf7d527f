"""How each view answers: as a page, or as JSON of the same; and what it says of a thing that is not there."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.encoders import jsonable_encoder
from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from include.order_sync.counted import things
from order_sync_airflow.page import PREFIX, charts, shown, words
from order_sync_airflow.page.access import Access, access_of
from order_sync_airflow.run_figures import REDRIVE

FOLDER = Path(__file__).parent

User = Annotated[Access, Depends(access_of)]

_templates = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= {
    "moment": shown.moment,
    "second": shown.second,
    "span": shown.span,
    "ago": shown.ago,
    "number": shown.number,
    "counted": shown.many,
    "things": things,
    "pace": shown.pace,
    "code": shown.code,
    "cure": shown.cure,
    "reasons_in": shown.reasons_in,
    "next_step": shown.next_step,
    "ticked": shown.ticked,
}
_templates.globals |= {
    "OUTCOMES": words.OUTCOMES,
    "LEGEND": words.LEGEND,
    "REDRIVE": REDRIVE,
    "shares_bar": charts.shares_bar,
}


def root_of(request: Request) -> str:
    """Return the address of the page, under which its views are."""
    root: str = request.scope.get("root_path", "")
    return root


def answer(request: Request, template: str, model: dict[str, Any], status: int = 200) -> Response:
    """Return a view, or its model as JSON with `?format=json`."""
    if request.query_params.get("format") == "json":
        return JSONResponse(jsonable_encoder(model), status)
    root = root_of(request)
    context = {
        **model,
        "root": root,
        "airflow": root.removesuffix(PREFIX),
        "now": datetime.now(UTC),
        "query": request.query_params.get("q", ""),
    }
    return HTMLResponse(_templates.get_template(template).render(context), status)


def say(request: Request, title: str, message: str, status: int) -> Response:
    """Return a page of one message."""
    return answer(request, "message.html", {"title": title, "message": message}, status)


def not_found(request: Request, message: str) -> Response:
    """Return a page that says what is not there, or is not shown to this user."""
    return say(request, "Not found", message, 404)


def chosen(access: Access, destination: str) -> list[str]:
    """Return the names of the destinations that a filter leaves; all with an empty one."""
    return [name for name in access.names if destination in ("", name)]
