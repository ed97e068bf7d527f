"""The models of the configuration, include/config/order_sync.yaml: its keys and their values, but for those of sources.

loading.py reads the file. Both are imported while Airflow parses DAG files, so neither may import pandas.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from include.order_sync.configuration.dag_entry import DagEntry
from include.order_sync.configuration.values import Duration, Section, known_value
from include.order_sync.model import Code, OrderStatus
from include.order_sync.providers import PROVIDERS
from include.order_sync.providers.base import Provider


class Retention(Section):
    """Days after which old rows and files are removed; the states of orders stay."""

    staged_parts: int = Field(7, ge=1, description="days that the parts of red runs, and rejected rows, are kept")
    attempts: int = Field(90, ge=1, description="days that attempts are kept")
    quarantine: int = Field(90, ge=1, description="days that resolved entries of the quarantine are kept")


class Alarms(Section):
    """Who hears of what is wrong."""

    email: list[str] = Field([], description="a list of addresses, as [ops@shop.example]")
    email_connection: str = Field("smtp_default", description="the id of an Airflow connection of type smtp")
    webhook: str | None = Field(None, description="the id of an Airflow connection with host and password")
    digest_hour: int | None = Field(None, ge=0, le=23, description="the hour in UTC after which a digest is sent")


# Slower than one request in 100 s is no pace but a mistake, such as a number of seconds put for a number of requests.
SLOWEST_REQUESTS_A_SECOND = 0.01


def requests_a_second(written: Any) -> float:
    """Return the pace that `written` gives, a number or its text; ValueError if it gives none."""
    try:
        rate = math.nan if isinstance(written, bool) else float(written)
    except (TypeError, ValueError):
        rate = math.nan
    if not SLOWEST_REQUESTS_A_SECOND <= rate < math.inf:
        raise ValueError(
            f"give a number of requests a second, from {SLOWEST_REQUESTS_A_SECOND} on: 0.5 is one request in two "
            "seconds; without the key the provider's documented pace is kept"
        )
    return rate


class Destination(DagEntry):
    """One account at a provider: one DAG."""

    provider: str = Field(description=f"one of {', '.join(PROVIDERS)}")
    connection: str = Field(description="the id of an Airflow connection with host, login and password", min_length=1)
    source: str = Field(description="the name of a source")
    renamed_from: str | None = Field(None, description="the destination's old name, whose history it takes over")
    first_run: Literal["adopt", "send", "window"] = Field(
        None,
        description="adopt, send or window: what the first scheduled run does with earlier changes",
        validate_default=True,
    )
    not_older_than: Duration | None = Field(
        None, description="changes older than this, as 30d, are adopted and not sent"
    )
    statuses: dict[OrderStatus, Code | None] = Field(
        {}, description="status: the provider's code, or null for not for this provider"
    )
    items: Literal["full", "lenient", "none"] = Field(
        "full", description="full, lenient or none: what items need, for a service that gets items"
    )
    retries: int = Field(30, ge=0, description="how often a failed task is tried again")
    changes: Literal["newest", "every"] | None = Field(
        None, description="newest or every; the provider's own default if left out"
    )
    lookback: Duration = Field(
        timedelta(hours=1), description="how long before its data interval a scheduled run reads, as 30m, 1h or 2d"
    )
    reconcile: int = Field(
        2, ge=0, le=366, description="rows that are committed up to so many days late are found, by one run of each day"
    )
    heal_at_most: Duration = Field(
        timedelta(days=3),
        description="how far back a scheduled run takes up what earlier runs left, as 12h or 3d",
        validate_default=True,
    )
    send_when: Literal["status", "content"] = Field(
        "status", description="status or content: what must differ from what the service has"
    )
    fresh_within: Duration = Field(
        timedelta(hours=3),
        description="how far behind the present the reading of its source may be, as 90m, 3h or 1d",
        validate_default=True,
    )
    approve_above: int = Field(
        10_000, ge=0, description="a run with more notifications, with those of the last 24 hours, waits for approval"
    )
    max_rejected: int = Field(1000, ge=0, description="a run with more rejected orders ends red")
    max_rejected_share: float = Field(0.5, ge=0, le=1, description="a run with a larger share rejected ends red")
    none_good_of: int = Field(
        3, ge=1, description="a run ends red if so many orders were rejected and none was accepted"
    )
    connections: int = Field(1, ge=1, le=64, description="how many requests may be under way at once, from 1 to 64")
    in_doubt: Literal["resend"] | None = Field(
        None, description="resend, to repeat what is in doubt also where the provider's rule holds it"
    )

    @field_validator("provider")
    @classmethod
    def _known_provider(cls, provider: str) -> str:
        return known_value("provider", provider, list(PROVIDERS))

    @field_validator("source")
    @classmethod
    def _known_source(cls, source: str, info: ValidationInfo) -> str:
        known: Mapping[str, bool] = info.context or {}
        known_value("source", source, list(known))
        if not known[source]:
            raise ValueError("that source has mistakes of its own: mend them first")
        return source

    @field_validator("heal_at_most")
    @classmethod
    def _covers_reconcile(cls, heal_at_most: timedelta, info: ValidationInfo) -> timedelta:
        days = info.data.get("reconcile", 0)
        if heal_at_most < timedelta(days=days):
            raise ValueError(
                f"`reconcile` reads at least {days} days again, which is further back: give {days}d or more, or a "
                "lower `reconcile`"
            )
        return heal_at_most

    @field_validator("fresh_within")
    @classmethod
    def _as_fresh_as_the_provider_asks(cls, fresh_within: timedelta, info: ValidationInfo) -> timedelta:
        provider = PROVIDERS.get(info.data.get("provider", ""))
        if provider and provider.fresh_within_at_most and fresh_within > provider.fresh_within_at_most:
            hours = provider.fresh_within_at_most // timedelta(hours=1)
            raise ValueError(f"{provider.title} asks for its orders within {hours} hours: give at most {hours}h")
        if fresh_within < timedelta(minutes=10):
            raise ValueError("the watch looks every ten minutes: give at least 10m")
        return fresh_within

    @field_validator("not_older_than")
    @classmethod
    def _leaves_some_changes(cls, not_older_than: timedelta | None) -> timedelta | None:
        if not_older_than == timedelta(0):
            raise ValueError("every change is older than that, so that none would be sent: give a longer time, as 30d")
        return not_older_than

    @field_validator("first_run", mode="before")
    @classmethod
    def _told(cls, first_run: Any, info: ValidationInfo) -> Any:
        provider = PROVIDERS.get(info.data.get("provider", ""))
        if first_run is None and provider and provider.held_codes:
            raise ValueError(
                f"{provider.title} can mail customers, so say how this destination starts: adopt (it has all changes "
                "from `start_date` up to the first scheduled run: none is sent), window (those before that run's data "
                "interval are not read), or send (all from `start_date` on are sent)"
            )
        return first_run or "window"

    @field_validator("statuses", mode="before")
    @classmethod
    def _no_booleans(cls, statuses: Any) -> Any:
        # pydantic takes false for 0 and true for 1, which are codes of some services.
        for status, code in statuses.items() if isinstance(statuses, Mapping) else ():
            if isinstance(code, bool):
                raise ValueError(f"{status} has no code: write null if the status is not for this provider")
        return statuses

    @field_validator("statuses")
    @classmethod
    def _known_codes(
        cls, statuses: dict[OrderStatus, Code | None], info: ValidationInfo
    ) -> dict[OrderStatus, Code | None]:
        provider = PROVIDERS.get(info.data.get("provider", ""))
        for status, code in statuses.items():
            if provider and code is not None and code not in provider.codes:
                known = ", ".join(map(str, provider.codes))
                raise ValueError(f"{provider.title} has no such code (for {status}); it has {known}, or null")
        return statuses

    @field_validator("items")
    @classmethod
    def _gets_items(cls, items: str, info: ValidationInfo) -> str:
        provider = PROVIDERS.get(info.data.get("provider", ""))
        if provider and not provider.by_items:
            raise ValueError(f"{provider.title} gets no items: leave `items` out")
        return items

    @property
    def service(self) -> Provider:
        """The provider, as it is with this destination's `items`."""
        provider = PROVIDERS[self.provider]
        return provider.by_items.get(self.items, provider)

    @property
    def sends(self) -> Literal["newest", "every"]:
        """Send the newest version of an order in a window, or every change."""
        return self.changes or self.service.changes

    @property
    def codes(self) -> dict[OrderStatus, Code | None]:
        """The provider's code for each status, with the destination's own changes."""
        return {**self.service.statuses, **self.statuses}
