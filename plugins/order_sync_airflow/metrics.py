"""Figures of each run for Airflow's own metrics, which go to StatsD or OpenTelemetry as its settings say.

deploy/grafana-dashboard.json shows them. Their tag is the destination; there is no personal data in them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk.observability import stats

if TYPE_CHECKING:
    from include.order_sync.ledger.run_records import Recorded

COUNTERS = ("accepted", "rejected")
# As a time, and not as an age: the last age of a destination that has stopped would stay small.
NEWEST_ACCEPTED = "order_sync.newest_accepted"
HELD = "order_sync.held"
REQUEST_S = "order_sync.request_seconds"


def emit(destination: str, recorded: Recorded, request_s: float | None) -> None:
    """Emit what a try of a run has added, and how its destination stands now.

    Args:
        destination: its name.
        recorded: of the try.
        request_s: how long its requests took on average; None without any.
    """
    if recorded.held is None:  # of a plan
        return
    tags = {"destination": destination}
    for name in COUNTERS:
        if recorded.counts[name] > 0:
            stats.incr(f"order_sync.{name}", recorded.counts[name], tags=tags)
    stats.gauge(HELD, recorded.held, tags=tags)
    if recorded.newest_accepted:
        stats.gauge(NEWEST_ACCEPTED, recorded.newest_accepted.timestamp(), tags=tags)
    if request_s is not None:
        stats.gauge(REQUEST_S, request_s, tags=tags)
