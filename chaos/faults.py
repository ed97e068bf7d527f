"""Which faults the sandbox commits, and how often."""

from __future__ import annotations

from typing import Any

BATCH_SERVICES = ("rees46", "personaclick", "yespo")
SERVICES = (*BATCH_SERVICES, "justclick")

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
    {"kind": "garbage", "when": "before"},
    {"kind": "garbage", "when": "after"},
)
SLOW: tuple[dict[str, Any], ...] = (
    {"kind": "slow", "seconds": 0.3, "when": "before"},
    {"kind": "slow", "seconds": 0.3, "when": "after"},
)

# How often each fault of a kind strikes. At Yespo each send in doubt holds a whole batch; JustClick makes one
# request an order, and so many more of them.
SHARES = {
    "rees46": (0.05, 0.03, 0.3),
    "personaclick": (0.05, 0.03, 0.3),
    "yespo": (0.05, 0.02, 0.3),
    "justclick": (0.002, 0.001, 0.01),
}


def faults(seed: int) -> list[dict[str, Any]]:
    """Return the faults as the sandbox's admin takes them; equal seeds throw equal dice."""
    made = []
    for service in SERVICES:
        for group, share in zip((BEFORE, IN_DOUBT, SLOW), SHARES[service], strict=True):
            made += [{**fault, "provider": service, "probability": share} for fault in group if _fits(service, fault)]
    return [{**fault, "seed": seed + number} for number, fault in enumerate(made)]


def _fits(service: str, fault: dict[str, Any]) -> bool:
    """Whether the service's contract leaves the sender a way to tell what has happened."""
    if service == "yespo":
        return not (fault.get("status") == 500 and fault["when"] == "after")  # its 500 means not taken
    if service in ("rees46", "personaclick"):
        return not (fault["kind"] == "garbage" and fault["when"] == "before")  # any 2xx means taken
    return True
