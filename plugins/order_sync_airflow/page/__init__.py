"""The page Order Sync in Airflow: how fresh each destination is, what came of an order, a run or a file.

It reads the views of the read model (docs/read-model.md), and the words of services for those who may redrive.
It writes nothing: its buttons post to Airflow's own REST API. Only the api-server imports more than this file.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PREFIX = "/order-sync"
NAME = "Order Sync"


async def lazy_app(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    """Serve the page. Each process of Airflow loads the plugin, and only this call imports FastAPI and the database."""
    app = await asyncio.to_thread(_load)  # the first time takes seconds
    await app(scope, receive, send)


def _load() -> Any:
    from order_sync_airflow.page.app import app

    return app


def address_in_airflow(path: str) -> str:
    """Return the address of a page inside Airflow's own frame, relative to the base of Airflow's UI.

    Args:
        path: below the page's address, as `run/dag/run_id`, not quoted yet.
    """
    from airflow.sdk.configuration import conf

    base = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
    # Airflow's frame takes what follows the name of the view for the address that it shows.
    return f"plugin{PREFIX}{base}{PREFIX}/{quote(path)}"
