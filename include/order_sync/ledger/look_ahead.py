"""The look-ahead session: states are read and batches written ahead of the loop, over a database session of its own.

It holds no lock and needs none: a batch counts only once the session that holds the lock says that it has begun
(session.py).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import psycopg

from include.order_sync import tuning
from include.order_sync.ledger import attempts, schema
from include.order_sync.model import RESEND_MARK

# A batch has the ledger's time, and a reading the worker's.
_CLOCKS_DIFFER_BY = timedelta(minutes=5)


@dataclass
class LookAheadSession:
    """A database session beside the one that holds a destination's lock.

    Args:
        connection: of psycopg, in no transaction.
        sender: of the attempts.
        lock: lets one thread at a time use the connection: states are read in one, batches written in another.
        ranges_pay: whether a range scan was found to pay for one part. Hashes spread evenly, so it does for the others.
    """

    connection: psycopg.Connection[Any]
    sender: attempts.Sender
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    ranges_pay: bool = field(default=False, init=False)

    def find(self, orders: pd.DataFrame) -> attempts.Found:
        """Return the settled attempts of these orders, and maybe of others, for attempts.settled().

        Args:
            orders: order_id, partition_hash.
        """
        values: dict[str, Any] = {
            "destination": self.sender.destination_id,
            "first": int(orders["partition_hash"].min()),
            "last": int(orders["partition_hash"].max()),
        }
        which = "partition_hash between %(first)s and %(last)s"
        with self._cursor() as cursor:
            explain = f"explain (format json) select from attempts where destination_id = %(destination)s and {which}"
            ((plan,),) = cursor.execute(explain, values).fetchall()
            rows, at_most = plan[0]["Plan"]["Plan Rows"], tuning.RANGE_SCAN_ROWS_PER_ORDER * len(orders)
            if rows <= at_most and not self.ranges_pay:
                if not _has_statistics(cursor):
                    rows = _count(cursor, which, {**values, "limit": at_most + 1})
                self.ranges_pay = rows <= at_most
            if rows > at_most:
                which = "partition_hash = any(%(hashes)s::int[])"
                # As text: psycopg would look at each number.
                values["hashes"] = f"{{{','.join(map(str, orders['partition_hash'].tolist()))}}}"
            return attempts.find(cursor, which, values)

    def own_batches(self, *, resend: bool) -> attempts.OwnBatches:
        """Return the batches that earlier tries of this run have concluded: eight bytes each, of any number of orders.

        Args:
            resend: also those of its resends from before a person cleared the run, and those in doubt.
        """
        query = """
            select string_agg(int8send(id), '') filter (where run = any(%(own)s) and outcome = 'answered'),
                   string_agg(int8send(id), '') filter (where run = any(%(own)s) and outcome = 'adopted'),
                   string_agg(int8send(id), '') filter (where run <> all(%(own)s) or outcome = 'in_doubt')
            from batches
            where destination_id = %(destination)s
              and (outcome in ('answered', 'adopted') or (%(resend)s and outcome = 'in_doubt'))
              and (run = any(%(own)s) or (%(resend)s and starts_with(run, %(resends)s)))
        """
        values = {
            "destination": self.sender.destination_id,
            # An earlier release has begun a resend without its mark.
            "own": [self.sender.run, self.sender.run.replace(f" {RESEND_MARK}", " ", 1)],
            "resends": f"{self.sender.run.rsplit(' ', 2)[0]} {RESEND_MARK}",
            "resend": resend,
        }
        with self._cursor() as cursor:
            (found,) = cursor.execute(query, values, binary=True).fetchall()
        return attempts.OwnBatches(*(np.frombuffer(numbers or b"", ">i8").astype("int64") for numbers in found))

    def batches_read_after(self, read_at: datetime) -> np.ndarray:
        """Return the batches of the destination's runs that have read the source after this time: their key says when.

        A redrive, which is a run of another DAG, reads no source.
        """
        query = """
            select string_agg(int8send(id), '') from batches
            where destination_id = %(destination)s and starts_with(run, %(dag)s) and outcome <> 'not_taken'
              and split_part(run, ' ', -1) collate "C" > %(read_at)s and split_part(run, ' ', -1) ~ '^[0-9]'
              and id > coalesce((
                  select id from batches
                  where destination_id = %(destination)s and coalesce(begun_at, concluded_at) < %(earlier)s
                  order by id desc limit 1
              ), 0)
        """
        values = {
            "destination": self.sender.destination_id,
            "dag": self.sender.run.partition(" ")[0] + " ",
            "read_at": read_at.isoformat(),
            "earlier": read_at - _CLOCKS_DIFFER_BY,
        }
        with self._cursor() as cursor:
            ((numbers,),) = cursor.execute(query, values, binary=True).fetchall()
        return np.frombuffer(numbers or b"", ">i8").astype("int64")

    def listed(self) -> list[str]:
        """Return the orders that have an open entry in the quarantine."""
        query = """
            select distinct order_id from quarantine
            where destination = %s and resolved_at is null and order_id is not null
        """
        with self._cursor() as cursor:
            return [order_id for (order_id,) in cursor.execute(query, (self.sender.destination,))]

    def write(self, orders: pd.DataFrame, sizes: Sequence[int]) -> list[int]:
        """Record batches that have not begun; return their numbers.

        Args:
            orders: `attempt`, as attempts.lines() gives it, batch after batch. No batch has an order twice.
            sizes: the number of orders of each batch.
        """
        with self._cursor() as cursor:
            return attempts.write(cursor, self.sender, orders["attempt"], sizes)

    @contextmanager
    def _cursor(self) -> Iterator[psycopg.Cursor[Any]]:
        with (
            schema.guarded(
                f"The ledger's look-ahead session of {self.sender.destination!r} is lost",
                "The answers of requests in flight are recorded; nothing more was sent.",
            ),
            self.lock,
            self.connection.transaction(),
            self.connection.cursor() as cursor,
        ):
            yield cursor


def _has_statistics(cursor: psycopg.Cursor[Any]) -> bool:
    """Return whether PostgreSQL can tell how many attempts lie in a range: after a restore it takes any for a few."""
    query = """
        select from pg_stats
        where schemaname = any(current_schemas(false)) and tablename = 'attempts' and attname = 'partition_hash'
    """
    return cursor.execute(query).fetchone() is not None


def _count(cursor: psycopg.Cursor[Any], which: str, values: dict[str, Any]) -> int:
    """Return the number of attempts that meet a condition, counted up to the `limit` and no further."""
    # A bitmap would hold the whole range before the first row comes.
    cursor.execute("set local enable_bitmapscan = off; set local enable_seqscan = off")
    query = f"select from attempts where destination_id = %(destination)s and {which} limit %(limit)s"
    ((rows,),) = cursor.execute(f"select count(*) from ({query}) counted", values).fetchall()  # noqa: S608
    return int(rows)
