"""The faults that the sandbox commits, and their frequency."""

from __future__ import annotations

from typing import Any

from chaos import shop
from sandbox.registry import SERVICES
from sandbox.service import Service

# Of answers that are not the service's own.
FORMS = ("bytes", "page", "login", "cut_json", "broken_chunks")

BEFORE: tuple[dict[str, Any], ...] = (
    {"kind": "status", "status": 429, "retry_after": 1, "when": "before"},
    {"kind": "status", "status": 429, "when": "before"},
    {"kind": "status", "status": 429, "retry_after": 10**12, "when": "before"},
    {"kind": "status", "status": 503, "when": "before"},
    {"kind": "status", "status": 500, "when": "before"},
)
IN_DOUBT: tuple[dict[str, Any], ...] = (
    {"kind": "status", "status": 500, "when": "after"},
    {"kind": "status", "status": 502, "when": "after"},
    {"kind": "close", "when": "before"},
    {"kind": "close", "when": "after"},
    *({"kind": "garbage", "form": form, "when": when} for form in FORMS for when in ("before", "after")),
)
SLOW: tuple[dict[str, Any], ...] = (
    {"kind": "slow", "seconds": 0.3, "when": "before"},
    {"kind": "slow", "seconds": 0.3, "when": "after"},
)
TOO_LARGE: dict[str, Any] = {"kind": "status", "status": 413, "when": "before"}
# Of each hundred orders, these numbers are refused.
REFUSED = (7, 77)
# At these orders the service fails, so often that the sender has to find one among a thousand. Of the few orders that
# services of single orders get, it must be more, so that some are still to come.
POISONED_EVERY, POISONED_SINGLES_EVERY, POISONED_FROM = 997, 97, 33
POISON: dict[str, Any] = {"kind": "status", "status": 500, "next": 12}


def faults(seed: int) -> list[dict[str, Any]]:
    """Return the faults that strike by chance, in the form of the sandbox's admin; equal seeds give equal faults."""
    made = []
    for name, service in SERVICES.items():
        for group, share in zip((BEFORE, IN_DOUBT, SLOW), _shares(service), strict=True):
            made += [
                # All forms of garbage together strike as often as one other fault.
                {**fault, "provider": name, "probability": share / (len(FORMS) if "form" in fault else 1)}
                for fault in group
                if _fits(service, fault)
            ]
    return [{**fault, "seed": seed + number} for number, fault in enumerate(made)]


def each_once(orders: int) -> list[dict[str, Any]]:
    """Return one fault of each kind for each service that knows it.

    Args:
        orders: the number of the shop's orders, of which some are refused, and the service fails at others.
    """
    made = []
    refused = [str(shop.FIRST_ORDER + number) for number in range(orders) if number % 100 in REFUSED]
    for name, service in SERVICES.items():
        made += [{**fault, "provider": name} for fault in (*BEFORE, *IN_DOUBT) if _fits(service, fault)]
        every = POISONED_EVERY if service.max_orders > 1 else POISONED_SINGLES_EVERY
        poisoned = [str(shop.FIRST_ORDER + number) for number in range(POISONED_FROM, orders, every)]
        made.append({**POISON, "order_ids": poisoned, "provider": name})
        if service.max_orders > 1:
            made.append({**TOO_LARGE, "provider": name})
        if not service.mails_rejections:
            # More than once: the sender of a request may be killed before it has the answer.
            made.append({"kind": "refuse_orders", "order_ids": refused, "provider": name, "next": 3})
    return made


def _shares(service: Service) -> tuple[float, float, float]:
    """Return the probabilities of each fault of BEFORE, IN_DOUBT and SLOW."""
    if service.max_orders == 1:  # each order is a request, so there are many
        return 0.002, 0.001, 0.01
    # Where no code may be repeated, each send in doubt holds a whole batch.
    return 0.03, 0.03 if service.repeatable_codes else 0.02, 0.3


def _fits(service: Service, fault: dict[str, Any]) -> bool:
    """Whether the sender can recognise the fault's outcome by the service's contract."""
    return fault["when"] == "before" or fault.get("status") not in service.not_taken
