"""The admin pages under /__admin show the sandbox's memory and control its faults."""

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
        """Return the facts of each service that a judge needs to check its orders."""
        return {
            service.name: {
                "max_orders": service.max_orders,
                "codes": service.codes,
                "repeatable_codes": list(service.repeatable_codes),
                "takes_events": service.takes_events,
            }
            for service in services
        }

    @router.get("/orders")
    async def orders(provider: str = "", id: str = "") -> Response:
        """Return the orders taken, each with its last payload and its changes, oldest first."""
        return _json({"orders": [order for book in books(provider) for order in book.orders(id or None)]})

    @router.get("/events")
    async def events(provider: str = "") -> Response:
        """Return the mails, the requests refused as a whole, the rejected orders, and the doubts of each request."""
        selected = books(provider)
        return _json(
            {
                "events": [mail for book in selected for mail in book.mails],
                "refused": [refusal for book in selected for refusal in book.refused],
                "rejected": [rejection for book in selected for rejection in book.rejected],
                "doubts": [doubts for book in selected for doubts in book.doubts],
            }
        )

    @router.post("/reset")
    async def reset() -> dict[str, bool]:
        """Forget all orders, mails, refusals, doubts, counts and faults, and clear the state of every service."""
        memory.reset()
        for service in services:
            service.reset()
        faults.clear()
        return {"reset": True}

    @router.get("/faults")
    async def list_faults() -> dict[str, list[dict[str, Any]]]:
        """Return the faults in force, each with the number of requests it has seen and hit."""
        return {"faults": faults.listing()}

    @router.get("/faults/hits")
    async def list_hits() -> dict[str, list[dict[str, Any]]]:
        """Return each spoiled request: when, at which service, and the fault; waits alone are left out."""
        return {"hits": faults.hits}

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
        """Remove all faults."""
        faults.clear()
        return {"faults": faults.listing()}

    return router


def _json(document: Any) -> Response:
    return Response(write_json(document), media_type="application/json")
