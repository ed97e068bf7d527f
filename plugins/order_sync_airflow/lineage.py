"""Destinations as datasets of OpenLineage, which Airflow's provider for it sends where it is installed.

Airflow takes the function from `get_provider_info` in forms, and calls it with an asset that a task has updated.
https://airflow.apache.org/docs/apache-airflow-providers-openlineage/stable/guides/developer.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset
    from airflow.sdk import Asset


def dataset_of(asset: Asset, _lineage_context: Any) -> Dataset:
    """Return the dataset of a destination's asset: the namespace `order-sync` and the destination's name."""
    from airflow.providers.common.compat.openlineage.facet import Dataset  # Airflow imports this module in each process

    return Dataset(namespace="order-sync", name=urlsplit(asset.uri).netloc)
