"""The admin pages under /__admin: what was remembered, and which faults to commit."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Response
from pydantic import BeforeValidator

from sandbox.faults import Fault, Faults
from sandbox.jsontext import write_json
from sandbox.memory import Book, Memory
from sandbox.service import Service

PREFIX = "/__admin"

OneOrMoreFaults = Annotated[
    list[Fault], BeforeValidator(lambda sent: sent if isinstance(sent, list) else [sent]), Body()
]


def admin_router(services: Sequence[Service], memory: Memory, faults: Faults) -> APIRouter:
    """Return the admin routes over this memory and these faults."""
    router = APIRouter(prefix=PREFIX)
    signing = {service.name for service in services if service.signs}

    def check_provider(provider: str) -> None:
        if provider not in memory.books:
            raise HTTPException(422, f"no provider {provider!r}; there are {', '.join(memory.books)}")

    def books(provider: str) -> list[Book]:
        if not provider:
            return list(memory.books.values())
        check_provider(provider)
        return [memory.books[provider]]

    @router.get("/stats")
    async def stats() -> dict[str, dict[str, int]]:
        """Return the counts of each provider."""
        return {name: book.stats() for name, book in memory.books.items()}

    @router.get("/services")
    async def facts() -> dict[str, dict[str, Any]]:
        """Return the facts of each service by which a judge tells whether it holds the right orders."""
        return {
            service.name: {
                "max_orders": service.max_orders,
                "codes": service.codes,
                "repeatable_codes": list(service.repeatable_codes),
            }
            for service in services
        }

    @router.get("/orders")
    async def orders(provider: str = "", id: str = "") -> Response:
        """Return the orders taken, with their last payload and each change in the order of taking."""
        return _json({"orders": [order for book in books(provider) for order in book.orders(id or None)]})

    @router.get("/events")
    async def events(provider: str = "") -> Response:
        """Return the mails, the requests refused whole, and the orders rejected one by one."""
        asked = books(provider)
        return _json(
            {
                "events": [mail for book in asked for mail in book.mails],
                "refused": [refusal for book in asked for refusal in book.refused],
                "rejected": [rejection for book in asked for rejection in book.rejected],
            }
        )

    @router.post("/reset")
    async def reset() -> dict[str, bool]:
        """Forget all orders, mails, refusals, counts and faults, and all that requests have left in a service."""
        memory.reset()
        for service in services:
            service.reset()
        faults.clear()
        return {"reset": True}

    @router.get("/faults")
    async def list_faults() -> dict[str, list[dict[str, Any]]]:
        """Return the faults in force, with how many requests each has seen and hit."""
        return {"faults": faults.listing()}

    @router.post("/faults")
    async def add_faults(posted: OneOrMoreFaults) -> dict[str, list[dict[str, Any]]]:
        """Put one fault or a list of them in force, all or none."""
        for fault in posted:
            if fault.provider is not None:
                check_provider(fault.provider)
                if fault.kind == "bad_signature" and fault.provider not in signing:
                    raise HTTPException(422, f"{fault.provider} signs no answers")
        faults.add(posted)
        return {"faults": faults.listing()}

    @router.delete("/faults")
    async def clear_faults() -> dict[str, list[dict[str, Any]]]:
        """Call off all faults."""
        faults.clear()
        return {"faults": faults.listing()}

    return router


def _json(document: Any) -> Response:
    return Response(write_json(document), media_type="application/json")
