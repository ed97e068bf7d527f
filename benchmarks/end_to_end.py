"""One run of one destination, from the warehouse to the service: its three tasks in one process, without Airflow.

`python -m benchmarks.end_to_end` reads the table `bench_orders` (and `bench_order_items`), keeps its ledger in the same
database, and prints one line of JSON. A new table is a new shop for the ledger, so the run sends all its orders. From a
known table it sends only the orders that have changed. Its environment variables:

    DSN       postgresql://user[:password]@host:port/database
    URL       the service's address, with or without its path
    PROVIDER  rees46, yespo or justclick
    SOURCE    a name of SOURCES, where it is not the provider's
    ORDERS    the number of orders in the table
    WORKER    a name for one of several workers: each has a destination of its own, and all have one account
    PACE      the requests a second of that account; any pace if it is not set
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from upath import UPath

from include.order_sync import pipeline
from include.order_sync.configuration.models import Destination
from include.order_sync.configuration.sql_source import SqlSource
from include.order_sync.delivery import http
from include.order_sync.delivery.accounting import OUTCOMES, check_balance
from include.order_sync.delivery.client import Client
from include.order_sync.delivery.loop import never
from include.order_sync.delivery.result import DeliveryResult
from include.order_sync.ledger.encrypted_rows import RowEncryptor
from include.order_sync.ledger.opening import open_session
from include.order_sync.model import Window
from include.order_sync.providers.base import Credentials
from include.order_sync.sources.warehouse import WarehouseReader
from include.order_sync.staging.run_folder import Staging

HOUR = Window(datetime(2026, 11, 20, 0, tzinfo=UTC), datetime(2026, 11, 20, 1, tzinfo=UTC))
QUERIES = Path(__file__).with_name("sql")
STATUSES = {
    "new": "created",
    "paid": "paid",
    "processing": "in_progress",
    "shipped": "shipped",
    "delivered": "delivered",
    "completed": "delivered",
    "cancelled": "cancelled",
    "returned": "returned",
}
# A shop's configuration for each provider. JustClick has four codes; here each order's status has one of them.
SOURCES: dict[str, dict[str, Any]] = {
    "rees46": {"query": QUERIES / "orders.sql", "statuses": STATUSES},
    "yespo": {
        "query": QUERIES / "orders_with_customers.sql",
        "items_query": QUERIES / "items.sql",
        "statuses": STATUSES,
    },
    "yespo_json": {"query": QUERIES / "orders_with_json.sql", "statuses": STATUSES},
    "justclick": {
        "query": QUERIES / "bills.sql",
        "statuses": {**STATUSES, "new": "paid", "processing": "paid", "delivered": "shipped", "completed": "shipped"},
    },
}
DESTINATIONS: dict[str, dict[str, Any]] = {"rees46": {}, "yespo": {}, "justclick": {"connections": 16}}
SECRET = "bench-key"  # noqa: S105


class NoCipher:
    """Encrypts nothing: no order of the benchmark is rejected."""

    def encrypt(self, msg: bytes) -> bytes:
        """Return the text itself."""
        return msg

    def decrypt(self, msg: bytes) -> bytes:
        """Return the text itself."""
        return msg


def configured(provider: str, shop: str) -> tuple[SqlSource, Destination]:
    """Return a source and a destination, as read from a configuration file.

    Args:
        provider: of the destination.
        shop: unique to this shop and worker.
    """
    named = os.environ.get("SOURCE", provider)
    source = SqlSource.model_validate(
        {"name": "bench", "type": "sql", "connection": "bench", "timezone": "UTC", **SOURCES[named]}
    )
    destination = Destination.model_validate(
        {
            "name": f"bench_{provider}_{shop}",
            "provider": provider,
            "connection": "bench",
            "source": "bench",
            "start_date": "2026-01-01",
            "first_run": "window",
            **DESTINATIONS[provider],
        },
        context={"bench": True},
    )
    return source, destination


def run(dsn: str, url: str, provider: str, worker: str, pace: float | None) -> dict[str, Any]:
    """Extract, transform and load the hour; return its counts, and the elapsed and CPU seconds of each step."""
    seconds: dict[str, float] = {}
    engine = sa.create_engine(sa.make_url(dsn).set(drivername="postgresql+psycopg"))
    with _timed(seconds, "prepare"):
        source, destination = configured(provider, f"{_prepare(engine)}{worker}")
    with tempfile.TemporaryDirectory(prefix="order-sync-benchmark-") as folder:
        staging = Staging(UPath(folder))
        with _timed(seconds, "extract"):
            extracted = pipeline.extract(WarehouseReader(engine, source, HOUR, destination.service.required), staging)
        with _timed(seconds, "transform"):
            transformed = pipeline.transform(staging, source, destination)
        counts = {"rows": extracted.rows, "skipped": extracted.skipped, **transformed.counts}
        with _timed(seconds, "load"):
            counts |= _load(engine, url, source, destination, staging, counts, pace)
    return {**counts, **{f"{step}_s": round(took, 2) for step, took in seconds.items()}}


def _prepare(engine: sa.Engine) -> int:
    """Create the ledger's tables if they are missing; return the unique number of the table of orders."""
    with engine.connect() as connection:
        existing = connection.execute(sa.text("select to_regclass('attempts')")).scalar()
        shop = connection.execute(sa.text("select 'bench_orders'::regclass::oid")).scalar_one()
    if existing is None:
        from include.order_sync.ledger import schema

        schema.upgrade(engine)
    return int(shop)


def _load(
    engine: sa.Engine,
    url: str,
    source: SqlSource,
    destination: Destination,
    staging: Staging,
    before: dict[str, int],
    pace: float | None,
) -> dict[str, int]:
    address = urlsplit(url)
    credentials = Credentials(f"{address.scheme}://{address.netloc}", "bench", SECRET)
    this_run = f"{datetime.now(UTC).isoformat()} {os.getpid()}"
    with (
        http.open_session(credentials.url) as session,
        open_session(engine, "the ledger", destination=destination.name, run=this_run, try_number=1) as ledger,
    ):
        encryptor = RowEncryptor(staging, source.timezone, NoCipher())
        options, result = pipeline.send_options(destination), DeliveryResult()
        client = Client(destination.service, credentials, session)
        pipeline.load(staging, destination, client, ledger, encryptor, options, pace, result, never)
        counts = {name: result.orders[name] for name in OUTCOMES}
        counts["rejected"] += before["rejected"]
        check_balance(before | counts, ledger.own_accepted())
    return counts | {"requests": result.requests}


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    started = time.monotonic(), time.process_time()
    yield
    seconds[step] = time.monotonic() - started[0]
    seconds[step + "_cpu"] = time.process_time() - started[1]


def main() -> int:
    """Measure one run; return 0 if it has read all orders, else 1."""
    started = time.monotonic()
    worker, pace = os.environ.get("WORKER", ""), os.environ.get("PACE")
    figures = run(os.environ["DSN"], os.environ["URL"], os.environ["PROVIDER"], worker, float(pace) if pace else None)
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({**figures, "seconds": round(time.monotonic() - started, 2), "peak_mb": peak_kb // 1024}))
    expected = int(os.environ["ORDERS"])
    if figures["orders"] != expected:
        print(f"The run has read {figures['orders']} orders; the table should hold {expected}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
