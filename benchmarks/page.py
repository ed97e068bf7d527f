"""`python -m benchmarks.page`: ask for each view of the page Order Sync; print the median seconds of each as JSON.

The environment gives DSN, a ledger that Shop.fill_for_page() has filled.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from demo.settings import ROOT

ASKED = 5
RUN = "scheduled__7"
VIEWS = {
    "overview": "/",
    "order": "/order/ORD-000001042",
    "order_rejected": "/order/Q-77",
    "order_never": "/order/no-such-order",
    "ids": "/order?q=ORD-0000010",
    "ids_of_eight_letters": "/order?q=orderssy-0000010",
    "quarantine": "/quarantine",
    "quarantine_common": "/quarantine?reason=status: missing",
    "quarantine_rare": "/quarantine?destination=page_2&reason=items: a reason of many, number 17",
    "run": f"/run/order_sync_page_1/{RUN}",
    "quarantine_file": "/quarantine?file=/drop/orders-77.csv",
    "backfills": "/backfills",
    "backfill": "/backfills/1",
    "files": "/files",
    "files_unusable": "/files?unusable=1",
    "file": "/file?path=/drop/orders-77.csv",
}


def main() -> None:
    """Ask for each view some times, as a person who may see all and redrive."""
    dsn = sa.make_url(os.environ["DSN"])
    connection = {"conn_type": "postgres", "host": dsn.host, "port": dsn.port, "schema": dsn.database}
    with tempfile.TemporaryDirectory(prefix="order-sync-page-") as home:
        os.environ |= {
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW_CONN_ORDER_SYNC_LEDGER": json.dumps(
                {**connection, "login": dsn.username, "password": dsn.password}
            ),
        }
        sys.path.append(str(ROOT / "plugins"))
        print(json.dumps(_measure()))


def _measure() -> dict[str, float]:
    # Imported late: Airflow reads its settings when it is imported.
    from airflow import settings
    from airflow.models import import_all_models
    from airflow.models.base import Base
    from fastapi.testclient import TestClient
    from order_sync_airflow.page import backfills
    from order_sync_airflow.page.access import Access, access_of
    from order_sync_airflow.page.app import app

    from include.order_sync.configuration.loading import DEFAULT_FILE, load

    one = next(iter(load(DEFAULT_FILE).destinations.values()))
    names = [f"page_{number}" for number in range(5)]
    every = {name: one.model_copy(update={"name": name}) for name in names}
    # Airflow's tables are of another size: they are empty.
    import_all_models()
    Base.metadata.create_all(settings.engine)
    backfills.of_airflow = _backfills
    # The encrypted rows of this ledger are none: opening them is no matter of its size.
    app.dependency_overrides[access_of] = lambda: Access(every, [], may_redrive=False)
    client = TestClient(app)
    seconds = {}
    for view, address in VIEWS.items():
        times = []
        for _ in range(ASKED):
            started = time.monotonic()
            answer = client.get(address)
            times.append(time.monotonic() - started)
            answer.raise_for_status()
        seconds[view] = statistics.median(times)
    return seconds


def _backfills(_dag_ids: Sequence[str], number: int | None = None) -> list[dict[str, Any]]:
    """Return the last backfills, each with a year of runs, or the one with this number."""
    began = datetime.now(UTC) - timedelta(days=365)
    one = {
        "from_date": began,
        "to_date": began,
        "created_at": began,
        "completed_at": None,
        "triggering_user_name": None,
    }
    run = {"state": "success", "start": began, "end": began}
    return [
        {
            "id": id_,
            "dag_id": f"order_sync_page_{id_ % 4 + 1}",
            "runs": [{"run": f"scheduled__{hour}", **run} for hour in range(365 * 24)],
            **one,
        }
        for id_ in (range(10) if number is None else [number])
    ]


if __name__ == "__main__":
    main()
