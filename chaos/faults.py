"""The faults that the sandbox commits, and their frequency."""

from __future__ import annotations

from typing import Any

from sandbox.registry import SERVICES
from sandbox.service import Service

# Of answers that are not the service's own.
FORMS = ("bytes", "page", "login", "cut_json", "broken_chunks")

BEFORE: tuple[dict[str, Any], ...] = (
    {"kind": "status", "status": 429, "retry_after": 1, "when": "before"},
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


def faults(seed: int) -> list[dict[str, Any]]:
    """Return the faults in the form of the sandbox's admin; equal seeds give equal faults."""
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


def _shares(service: Service) -> tuple[float, float, float]:
    """Return the probabilities of each fault of BEFORE, IN_DOUBT and SLOW."""
    if service.max_orders == 1:  # each order is a request, so there are many
        return 0.002, 0.001, 0.01
    # Where no code may be repeated, each send in doubt holds a whole batch.
    return 0.05, 0.03 if service.repeatable_codes else 0.02, 0.3


def _fits(service: Service, fault: dict[str, Any]) -> bool:
    """Whether the sender can recognise the fault's outcome by the service's contract."""
    return fault["when"] == "before" or fault.get("status") not in service.not_taken
