"""A shop for one comparison: its own database holds its orders and the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import sqlalchemy as sa

from include.order_sync.ledger import schema

SQL = Path(__file__).with_name("sql")


class Shop:
    """Orders that changed in one hour.

    Args:
        dsn: address of the database.
    """

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.engine = sa.create_engine(
            sa.make_url(dsn).set(drivername="postgresql+psycopg"),
            isolation_level="AUTOCOMMIT",
            poolclass=sa.NullPool,
        )

    @classmethod
    @contextmanager
    def create(cls, uri: Callable[[str], str]) -> Iterator[Shop]:
        """Yield a shop with an empty ledger; drop its database afterwards.

        Args:
            uri: returns the address of a database of the server, by name.
        """
        name = f"bench_{uuid4().hex}"
        with psycopg.connect(uri("postgres"), autocommit=True) as server:
            server.execute(f"create database {name}")
            try:
                shop = cls(uri(name))
                schema.upgrade(shop.engine)
                yield shop
            finally:
                server.execute(f"drop database {name} with (force)")

    def fill(self, orders: int, *, items: bool = False) -> None:
        """Create the tables again, so that all orders are new."""
        self._execute("orders_table")
        self.add(1, orders)
        if items:
            self._execute("items_fill")
        self._sql("create index on bench_orders (updated_at)")
        self._sql("create index on bench_order_items (order_id)")
        self.calm()

    def add_json_items(self) -> None:
        """Give each order some 6 KB of items, in a JSON column of its own."""
        self._execute("json_items_fill")
        self.calm()

    def add(self, first: int, orders: int) -> None:
        """Add this number of orders, with ids that start at `first`."""
        self._execute("orders_fill", first=first, count=orders)

    def replace(self, first: int, orders: int) -> None:
        """Replace the orders by others; the table stays, and so does the destination."""
        self._sql("truncate bench_orders")
        self.add(first, orders)
        self.calm()

    def change(self) -> int:
        """Change one order in a hundred; return the number of changes."""
        changed = self._execute("change")
        self.calm()
        return changed

    def add_second_changes(self) -> int:
        """Give some orders a second change within the hour; return their number."""
        added = self._execute("second_changes")
        self.calm()
        return added

    def fill_ledger(self, first: int, orders: int) -> None:
        """Fill the ledger with orders that were sent long ago to the present table's destination.

        The primary key is created afterwards, which takes a fraction of the time.
        """
        with self.engine.connect() as connection:
            number = connection.scalar(sa.text("select 'bench_orders'::regclass::oid"))
        self._fill_attempts("ledger_fill", destination=f"bench_rees46_{number}", first=first, count=orders)
        self.calm()

    def fill_for_page(self, orders: int, entries: int) -> None:
        """Fill the ledger with orders of one destination, entries of the quarantine, and a year of runs of others."""
        self._fill_attempts("page_attempts_fill", orders=orders)
        self._execute("page_fill", entries=entries)
        self.calm()

    def _fill_attempts(self, script: str, **values: Any) -> None:
        with self.engine.connect() as connection:
            key = connection.scalar(
                sa.text("select pg_get_constraintdef(oid) from pg_constraint where conname = 'attempts_pkey'")
            )
        self._sql("alter table attempts drop constraint attempts_pkey")
        self._execute(script, **values)
        self._sql(f"alter table attempts add constraint attempts_pkey {key}")

    def empty_ledger(self) -> None:
        """Delete all attempts."""
        self._sql("truncate attempts, batches")

    def write_csv(self, file: Path) -> None:
        """Write the orders as a CSV file with a header."""
        with psycopg.connect(self.dsn) as connection, file.open("wb") as output:
            connection.execute("set timezone = 'UTC'")
            connection.execute("set datestyle = 'ISO'")
            with connection.cursor().copy("copy bench_orders to stdout (format csv, header)") as copy:
                for block in copy:
                    output.write(block)

    def calm(self) -> None:
        """Let the server do its housekeeping now, and not while a contender is timed."""
        self._sql("vacuum analyze")
        self._sql("checkpoint")

    def _execute(self, name: str, **values: Any) -> int:
        return self._sql((SQL / f"{name}.sql").read_text(), **values)

    def _sql(self, script: str, **values: Any) -> int:
        """Run statements; return the number of rows that the last one has changed."""
        with self.engine.connect() as connection:
            for statement in script.split(";\n"):
                changed = connection.execute(sa.text(statement), values).rowcount
        return changed
