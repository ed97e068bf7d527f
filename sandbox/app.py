"""The sandbox as one FastAPI application."""

from collections.abc import Sequence

from fastapi import FastAPI, Request, Response
from starlette.types import Receive, Scope, Send

from sandbox.admin import PREFIX as ADMIN_PREFIX
from sandbox.admin import admin_router
from sandbox.faults import Faults
from sandbox.memory import Memory
from sandbox.reception import TRANSPORT_KEY, Reception
from sandbox.service import Service

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Sandbox(FastAPI):
    """FastAPI that passes on the connection's transport, so that a fault can close it without an answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the transport to the scope, then proceed as usual."""
        # ASGI does not offer the transport. In uvicorn (0.54) `send` is a method of an object that holds it.
        scope[TRANSPORT_KEY] = getattr(getattr(send, "__self__", None), "transport", None)
        await super().__call__(scope, receive, send)


def create_app(services: Sequence[Service], *, strict: bool = False) -> FastAPI:
    """Return a sandbox of these services with an empty memory; a strict one refuses requests with doubts."""
    memory = Memory(service.name for service in services)
    faults = Faults()
    reception = Reception(memory, faults, strict=strict)

    # The documentation pages of FastAPI load scripts from elsewhere; the sandbox must work without a network.
    app = Sandbox(
        title="Order Sync sandbox",
        openapi_url=f"{ADMIN_PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(admin_router(services, memory, faults))
    for service in services:
        _mount(app, service, reception)
    return app


def _mount(app: FastAPI, service: Service, reception: Reception) -> None:
    """Route every request under a service's prefix to the reception; wrong paths and methods count too."""

    async def receive(path: str, request: Request) -> Response:
        return await reception.receive(service, f"/{path}", request)

    app.add_api_route(f"/{service.name}/{{path:path}}", receive, methods=METHODS, include_in_schema=False)
