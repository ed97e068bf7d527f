"""The asset of a destination, which its DAG's load and a redrive of it update.

https://airflow.apache.org/docs/apache-airflow/stable/authoring-and-scheduling/asset-scheduling.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias

from order_sync_airflow import run_figures

if TYPE_CHECKING:
    from airflow.sdk import Context


def asset_of(destination: str) -> Asset:
    """Return the asset of a destination, by its name."""
    return Asset(f"order-sync://{destination}")


def describe_event(context: Context, outlets: Sequence[Any], destination: str, counts: Mapping[str, int]) -> None:
    """Give the event of the asset, which Airflow makes if the task succeeds, the counts and the kind of the run.

    Args:
        context: of load.
        outlets: of load. A redrive's destination is known only when it runs, so its outlet is an alias.
        destination: its name.
        counts: the orders by outcome, and requests.
    """
    extra: dict[str, Any] = {**counts, "kind": run_figures.pull_kind(context)}
    for outlet in outlets:
        event = context["outlet_events"][outlet]
        if isinstance(outlet, AssetAlias):
            event.add(asset_of(destination), extra=extra)
        else:
            event.extra = extra
