"""The sample shop: a warehouse in PostgreSQL and a drop of CSV files, filled with the orders of sample.py."""

from __future__ import annotations

import csv
import io
import json
import os
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg

from demo.sample import HOUR, Row, drop_rows, warehouse_orders
from demo.settings import Settings

DROP_ZONE = ZoneInfo("Europe/Kyiv")  # as the source `drop` of include/config/order_sync.yaml says
DROP_COLUMNS = [
    "Order number",
    "Status",
    "Changed at",
    "Comment",
    "JustClick bill",
    "Tracking number",
    "Manager",
]

# Money, numbers and the shop's own times are text, as in many landing tables of warehouses, which also keep junk.
# recorded_at is the time of the warehouse's own clock; windows use this column.
TABLES = """
CREATE TABLE IF NOT EXISTS orders (
    order_id text PRIMARY KEY, customer_id text, email text, phone text, first_name text, last_name text,
    total_cost text, shipping text, discount text, taxes text, currency text, created_at text,
    delivery_method text, payment_method text, delivery_address text, store_id text, channel text,
    restore_url text, additional_info jsonb
);
CREATE TABLE IF NOT EXISTS order_items (
    order_id text NOT NULL, item_id text, name text, quantity text, cost text, url text, image_url text,
    category text, description text
);
CREATE INDEX IF NOT EXISTS order_items_order_id ON order_items (order_id);
CREATE TABLE IF NOT EXISTS order_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_id text, status text, description text,
    changed_at text, updated_at text, recorded_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS order_changes_recorded_at ON order_changes (recorded_at);
"""


def fill(settings: Settings, warehouse_uri: str, hours: list[datetime]) -> str:
    """Add the hours that the shop does not hold yet; return a message with their number.

    A shop keeps its first seed and size.
    """
    seed, size = _kept_seed_and_size(settings)
    added = 0
    with psycopg.connect(warehouse_uri) as warehouse:
        warehouse.execute(TABLES)
        for hour in hours:
            is_new = _fill_warehouse(warehouse, seed, size, hour)
            is_new |= _fill_drop(settings.drop, seed, size, hour)
            added += is_new
    message = f"Sample shop: {added} of the last {len(hours)} hours added, {size} orders in six hours, seed {seed}"
    if (seed, size) != (settings.shop_seed, settings.shop_orders):
        message += " (the first settings stay; run `make clean` before another SHOP_SEED or SHOP_ORDERS)"
    return message


def _kept_seed_and_size(settings: Settings) -> tuple[int, int]:
    path = settings.local / "shop.json"
    if not path.exists():
        path.write_text(json.dumps([settings.shop_seed, settings.shop_orders]))
    seed, size = json.loads(path.read_text())
    return seed, size


def _fill_warehouse(warehouse: psycopg.Connection, seed: int, size: int, hour: datetime) -> bool:
    """Write an hour in one transaction; return False if it exists already."""
    existing = warehouse.execute(
        "SELECT 1 FROM order_changes WHERE recorded_at >= %s AND recorded_at < %s LIMIT 1",
        (hour, hour + HOUR),
    ).fetchone()
    if existing:
        return False
    orders = warehouse_orders(seed, size, hour)
    known = {order_id for (order_id,) in warehouse.execute("SELECT order_id FROM orders")}
    new = [order for order in orders if order.order["order_id"] not in known]
    _copy(warehouse, "orders", [order.order for order in new])
    _copy(warehouse, "order_items", [item for order in new for item in order.items])
    changes = [change for order in orders for change in order.changes]
    _copy(warehouse, "order_changes", sorted(changes, key=lambda change: change["recorded_at"]))
    warehouse.commit()
    return True


def _copy(warehouse: psycopg.Connection, table: str, rows: list[Row]) -> None:
    if not rows:
        return
    columns = list(rows[0])
    with warehouse.cursor().copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row([row[column] for column in columns])


def drop_file(drop: Path, hour: datetime) -> Path:
    """Return the path of an hour's file; its name holds the hour in the shop's local time."""
    return drop / f"{hour.astimezone(DROP_ZONE):%Y-%m-%d/orders-%H.csv}"


def _fill_drop(drop: Path, seed: int, size: int, hour: datetime) -> bool:
    """Write an hour's file; return False if it exists already, also for the hour that the clocks repeat."""
    path = drop_file(drop, hour)
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, DROP_COLUMNS, delimiter=";", lineterminator="\r\n", extrasaction="ignore")
    writer.writeheader()
    for position, row in enumerate(drop_rows(seed, size, hour)):
        writer.writerow(
            {
                "Changed at": f"{row['at'].astimezone(DROP_ZONE):%Y-%m-%d %H:%M:%S}",
                "Manager": "Олена",
                "Comment": 'Позвонить;\nсказать "готово"' if position == 1 else "",
                **row,
            }
        )
        if position % 40 == 2:
            text.write("\r\n")  # a blank line, as hand-made files have them
    part = path.with_suffix(".part")
    part.write_bytes(text.getvalue().encode("utf-8-sig" if hour.hour % 2 else "utf-8"))
    last_second = (hour + HOUR).timestamp() - 1
    os.utime(part, (last_second, last_second))
    part.rename(path)
    return True
