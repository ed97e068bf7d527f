"""Faults that the sandbox commits on request: a client must neither lose nor repeat an order through them."""

import random
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sandbox.service import Service

Kind = Literal["status", "slow", "close", "garbage", "bad_signature", "refuse_orders"]

# The fields that each kind requires, and those that it allows. A field that a kind does not use is refused.
REQUIRED_FIELDS: dict[str, set[str]] = {"status": {"status"}, "slow": {"seconds"}}
OPTIONAL_FIELDS: dict[str, set[str]] = {
    "status": {"retry_after", "message", "when", "order_ids"},
    "slow": {"when"},
    "close": {"when"},
    "garbage": {"status", "message", "media_type", "form", "when"},
    "bad_signature": {"when"},
    "refuse_orders": {"order_ids", "code", "message", "shape"},
}
FREQUENCY_FIELDS = {"next", "every", "probability"}
COMMON_FIELDS = {"provider", "kind", "seed"} | FREQUENCY_FIELDS

# These two spoil the answer to a processed request. The others strike before processing by default.
AFTER_BY_DEFAULT = {"slow", "bad_signature"}


class Fault(BaseModel):
    """One fault, as posted. Without ``next``, ``every`` or ``probability`` it hits every request.

    ``refuse_orders`` counts only requests that hold a listed order; without ``order_ids`` it refuses every order.
    ``status`` with ``order_ids`` counts only such requests too, and answers each of them as a whole.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: str | None = Field(None, description="the service's name; null means all of them")
    kind: Kind
    when: Literal["before", "after"] | None = Field(None, description="before or after processing")
    status: Annotated[int, Field(ge=200, le=599)] | None = Field(None, description="HTTP status")
    retry_after: Annotated[int, Field(ge=0)] | None = Field(None, description="Retry-After, in seconds")
    seconds: Annotated[float, Field(ge=0, le=3600)] | None = Field(None, description="length of the wait")
    message: str | None = Field(None, description="text of the refusal; for garbage, the whole body")
    media_type: str = Field("text/html", description="content type of a garbage's message")
    order_ids: Annotated[frozenset[str], Field(min_length=1)] | None = None
    code: Annotated[int, Field(ge=1)] = Field(302, description="JustClick's error code; 302: no such order")
    form: Literal["bytes", "page", "login", "cut_json", "broken_chunks"] = Field(
        "bytes",
        description="of garbage: unreadable bytes, another server's page or login form, JSON cut in the middle, "
        "or a body whose chunks end too early",
    )
    shape: Literal["list", "object", "unknown"] = Field("list", description="how Yespo lists refused orders")
    next: Annotated[int, Field(ge=1)] | None = Field(None, description="the next n requests")
    every: Annotated[int, Field(ge=1)] | None = Field(None, description="every nth request")
    probability: Annotated[float, Field(gt=0, le=1)] | None = Field(None, description="share of requests")
    seed: int | None = Field(None, description="makes the random choice repeatable")

    @model_validator(mode="after")
    def _check_fields(self) -> "Fault":
        given = self.model_fields_set
        required = REQUIRED_FIELDS.get(self.kind, set())
        if missing := [name for name in sorted(required) if getattr(self, name) is None]:
            raise ValueError(f"a fault of kind {self.kind} needs {', '.join(missing)}")
        if unused := sorted(given - required - OPTIONAL_FIELDS[self.kind] - COMMON_FIELDS):
            raise ValueError(f"a fault of kind {self.kind} does not use {', '.join(unused)}")
        if len(given & FREQUENCY_FIELDS) > 1:
            raise ValueError("give one of next, every, probability")
        if self.seed is not None and self.probability is None:
            raise ValueError("a seed goes with probability")
        if self.kind == "status" and self.order_ids and self.when:
            raise ValueError("a status for orders comes before processing: leave `when` out")
        if self.kind == "bad_signature" and self.when == "before":
            raise ValueError("a bad signature comes after processing")
        return self

    @property
    def after_processing(self) -> bool:
        """Whether the request is processed before the fault strikes."""
        return self.when == "after" or (self.when is None and self.kind in AFTER_BY_DEFAULT)

    def concerns(self, service: Service) -> bool:
        """Whether the fault is meant for this service."""
        if self.kind == "bad_signature" and not service.signs:
            return False
        return self.provider in (None, service.name)


@dataclass
class Armed:
    """A fault in force, with the number of requests it has seen and hit."""

    fault: Fault
    seen: int = 0
    fired: int = 0
    dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        """Seed the dice."""
        self.dice = random.Random(self.fault.seed)

    def fires(self) -> bool:
        """Count one more request and decide whether the fault hits it."""
        fault = self.fault
        self.seen += 1
        if fault.next is not None:
            hit = self.fired < fault.next
        elif fault.every is not None:
            hit = self.seen % fault.every == 0
        elif fault.probability is not None:
            hit = self.dice.random() < fault.probability
        else:
            hit = True
        self.fired += hit
        return hit


@dataclass
class Plan:
    """The plan for one request: waits in seconds, and at most one fault that spoils its answer."""

    wait_before_s: float = 0.0
    wait_after_s: float = 0.0
    fault: Fault | None = None


class Faults:
    """The faults in force, in the order in which they were posted."""

    def __init__(self) -> None:
        self._armed: list[Armed] = []
        self.hits: list[dict[str, Any]] = []

    def add(self, faults: Iterable[Fault]) -> None:
        """Put faults in force, behind the present ones."""
        self._armed.extend(Armed(fault) for fault in faults)

    def clear(self) -> None:
        """Remove all faults, and forget their hits."""
        self._armed.clear()
        self.hits.clear()

    def listing(self) -> list[dict[str, Any]]:
        """Return each fault as posted, with the number of requests it has seen and hit."""
        return [
            {
                **armed.fault.model_dump(mode="json", exclude_unset=True),
                "seen": armed.seen,
                "fired": armed.fired,
            }
            for armed in self._armed
        ]

    def plan(self, service: Service) -> Plan:
        """Decide about one request. Waits add up; among the other faults the first that fires wins.

        Faults behind it do not see the request, so two faults posted for the next request strike one after the other.
        """
        plan = Plan()
        for armed in self._armed:
            fault = armed.fault
            if fault.order_ids or fault.kind == "refuse_orders" or not fault.concerns(service):
                continue
            if fault.kind == "slow":
                if armed.fires():
                    plan.wait_before_s += 0 if fault.after_processing else fault.seconds or 0
                    plan.wait_after_s += fault.seconds or 0 if fault.after_processing else 0
            elif plan.fault is None and armed.fires():
                plan.fault = fault
                self._note(service, fault)
        return plan

    def of_orders(self, service: Service, order_ids: Collection[str]) -> Fault | None:
        """Return the fault that spoils the whole answer to a request because of one of its orders."""
        for armed in self._armed:
            fault = armed.fault
            if fault.kind != "status" or not fault.order_ids or not fault.concerns(service):
                continue
            if not fault.order_ids.isdisjoint(order_ids) and armed.fires():
                self._note(service, fault)
                return fault
        return None

    def refused_orders(self, service: Service, order_ids: Iterable[str]) -> dict[str, Fault]:
        """Return the orders of one request that a fault refuses, each with its fault."""
        refused: dict[str, Fault] = {}
        for armed in self._armed:
            fault = armed.fault
            if fault.kind != "refuse_orders" or not fault.concerns(service):
                continue
            listed = fault.order_ids
            hit = [order_id for order_id in order_ids if listed is None or order_id in listed]
            if hit and armed.fires():
                refused = dict.fromkeys(hit, fault) | refused
                self._note(service, fault)
        return refused

    def _note(self, service: Service, fault: Fault) -> None:
        at = datetime.now(UTC).isoformat()
        self.hits.append(
            {"at": at, "provider": service.name, "fault": fault.model_dump(mode="json", exclude_unset=True)}
        )
