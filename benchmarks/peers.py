"""The peers of Order Sync in the comparison, with the same orders, hour and sink.

`.venv-peers/bin/python -P benchmarks/peers.py dlt` runs one of them, in an environment without Order Sync. No peer
keeps a ledger, checks an order or resumes where it stopped. The environment variables are DSN, URL and TMP, an empty
folder.
"""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

DSN = os.environ["DSN"]
SQLALCHEMY_DSN = DSN.replace("postgresql://", "postgresql+psycopg2://")
URL = os.environ["URL"]
TMP = Path(os.environ["TMP"])
QUERIES = Path(__file__).with_name("sql")

HOUR = {
    "window_start": datetime(2026, 11, 20, 0, tzinfo=UTC),
    "window_end": datetime(2026, 11, 20, 1, tzinfo=UTC),
}
IN_HOUR = f"updated_at >= '{HOUR['window_start']}' and updated_at < '{HOUR['window_end']}'"
MAX_ORDERS = 1000
ACCOUNT = {"shop_id": "bench", "shop_secret": "bench-key"}
REES46_CODES = {
    "new": 0,
    "paid": 0,
    "processing": 0,
    "shipped": 0,
    "delivered": 1,
    "completed": 1,
    "cancelled": 2,
    "returned": 2,
}
YESPO_CODES = {
    "new": "INITIALIZED",
    "paid": "IN_PROGRESS",
    "processing": "IN_PROGRESS",
    "shipped": "IN_PROGRESS",
    "delivered": "DELIVERED",
    "completed": "DELIVERED",
    "cancelled": "CANCELLED",
    "returned": "CANCELLED",
}


def dlt() -> None:
    """Send the orders with dlt, in the form that its documentation calls the fastest: Arrow tables, not normalized."""
    import dlt as library
    import requests
    import sqlalchemy as sa
    from dlt.sources.sql_database import sql_table

    session = requests.Session()

    @library.destination(batch_size=MAX_ORDERS, loader_file_format="parquet", name="rees46")
    def rees46(table: Any, _schema: Any) -> None:
        rows = zip(table["order_id"].to_pylist(), table["status"].to_pylist(), strict=True)
        orders = [{"id": order_id, "status": REES46_CODES[status]} for order_id, status in rows]
        session.post(f"{URL}/import/sync_orders", json={**ACCOUNT, "orders": orders}).raise_for_status()

    def of_the_hour(query: Any, _table: Any) -> Any:
        # As text: a condition on a column object would need that column, which is not sent.
        return query.where(sa.text(IN_HOUR))

    orders = sql_table(
        SQLALCHEMY_DSN,
        table="bench_orders",
        included_columns=["order_id", "status"],
        backend="pyarrow",
        reflection_level="minimal",
        query_adapter_callback=of_the_hour,
    )
    library.pipeline("bench", destination=rees46, pipelines_dir=str(TMP)).run(orders)


def drt() -> None:
    """Replace this process by drt, which sends the orders in batches with its REST destination."""
    import sqlalchemy as sa

    address = sa.make_url(DSN)
    codes = " ".join(f"when '{label}' then {code}" for label, code in REES46_CODES.items())
    no_limit = {"requests_per_second": 1_000_000}
    account = json.dumps(ACCOUNT)[:-1]
    files = {
        "home/.drt/profiles.yml": {
            "bench": {
                "type": "postgres",
                "host": address.host,
                "port": address.port,
                "dbname": address.database,
                "user": address.username,
                "password": address.password,
            }
        },
        "drt_project.yml": {"name": "bench", "version": "1", "profile": "bench"},
        "syncs/orders.yml": {
            "name": "orders",
            "model": f"select order_id, case status {codes} end as code from bench_orders where {IN_HOUR}",  # noqa: S608
            "sync": {"mode": "full", "batch_size": 10 * MAX_ORDERS, "rate_limit": no_limit},
            "destination": {
                "type": "rest_api",
                "method": "POST",
                "url": f"{URL}/import/sync_orders",
                "headers": {"Content-Type": "application/json"},
                "rate_limit": no_limit,
                "body_mode": "batch",
                "max_records_per_request": MAX_ORDERS,
                "batch_template": account + ', "orders": [{% for row in rows %}{{ "," if not loop.first }}'
                '{"id": "{{ row.order_id }}", "status": {{ row.code }}}{% endfor %}]}',
            },
        },
    }
    for name, content in files.items():
        file = TMP / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))  # JSON is YAML
    os.chdir(TMP)
    program = Path(sys.executable).with_name("drt")
    os.execve(program, [program, "run"], {**os.environ, "HOME": str(TMP / "home")})  # noqa: S606


def pandas() -> None:
    """Send orders with their items to Yespo, with hand-written pandas code."""
    import pandas as library
    import requests
    import sqlalchemy as sa

    with sa.create_engine(SQLALCHEMY_DSN).connect() as connection:
        orders, items = (
            library.read_sql(sa.text((QUERIES / name).read_text()), connection, params=HOUR)
            for name in ("orders_with_customers.sql", "items.sql")
        )
    items["cost"] = items["cost"].astype(float)
    items = items.rename(columns={"item_id": "externalItemId", "image_url": "imageUrl"})
    items_by_order = defaultdict(list)
    for order_id, item in zip(items.pop("order_id"), items.to_dict("records"), strict=True):
        items_by_order[order_id].append(item)
    payload = library.DataFrame(
        {
            "externalOrderId": orders["order_id"],
            "externalCustomerId": orders["customer_id"],
            "status": orders["status"].map(YESPO_CODES),
            "date": orders["created_at"].dt.strftime("%Y-%m-%dT%H:%M:%S+00:00"),
            "currency": orders["currency"],
            "email": orders["email"],
            "phone": orders["phone"],
            "firstName": orders["first_name"],
            "lastName": orders["last_name"],
            "totalCost": orders["total_cost"].astype(float),
            "items": orders["order_id"].map(items_by_order),
        }
    )
    session = requests.Session()
    for first in range(0, len(payload), MAX_ORDERS):
        batch = payload.iloc[first : first + MAX_ORDERS].to_dict("records")
        session.post(f"{URL}/api/v1/orders", json={"orders": batch}, auth=("bench", "bench-key")).raise_for_status()


if __name__ == "__main__":
    {"dlt": dlt, "drt": drt, "pandas": pandas}[sys.argv[1]]()
