"""What a load does with the ledger: takes its destination's lock, reads states, and writes intents and outcomes.

No session, no intent; no intent, no request: the lock is held by the database session that writes the intents, so
a sender that has lost the one has lost the other, and stops.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import psycopg
import sqlalchemy as sa

from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.ledger import quarantine, schema
from include.order_sync.ledger.sealing import Entry
from include.order_sync.redact import redact

STATE_COLUMNS = [
    "order_id",
    "status_changed_at",
    "updated_at",
    "rank",
    "verdict",
    "code",
    "payload_hash",
    "attempted_hash",
]
OWN_COLUMNS = ["order_id", "status_changed_at", "updated_at", "rank", "verdict"]
ATTEMPT_COLUMNS = ["order_id", "status_changed_at", "updated_at", "rank", "code", "payload_hash", "held_if_in_doubt"]

# States follow attempts, but never back to an older version. What was rejected leaves the last code that was taken.
_APPLY = """
    insert into order_states (destination, order_id, status_changed_at, updated_at, rank,
                              verdict, code, payload_hash, attempted_hash, run, batch_id)
    select %(destination)s, a.order_id, a.status_changed_at, a.updated_at, a.rank, v.verdict,
           case when v.verdict <> 'rejected' then a.code end,
           case when v.verdict <> 'rejected' then a.payload_hash end,
           a.payload_hash, b.run, b.id
    from attempts a
    join batches b on b.id = a.batch_id
    left join rejections r on r.batch_id = a.batch_id and r.order_id = a.order_id
    cross join lateral (select case
        when b.outcome = 'answered' and r.order_id is null then 'accepted'
        when b.outcome = 'answered' then 'rejected'
        when a.held_if_in_doubt then 'held'
        else 'in_doubt' end as verdict) v
    where b.id = %(batch)s
    on conflict (destination, order_id) do update set
        status_changed_at = excluded.status_changed_at,
        updated_at = excluded.updated_at,
        rank = excluded.rank,
        verdict = excluded.verdict,
        code = coalesce(excluded.code, order_states.code),
        payload_hash = coalesce(excluded.payload_hash, order_states.payload_hash),
        attempted_hash = excluded.attempted_hash,
        run = excluded.run,
        batch_id = excluded.batch_id
    where (excluded.status_changed_at, excluded.updated_at, excluded.rank)
          >= (order_states.status_changed_at, order_states.updated_at, order_states.rank)
"""


@dataclass(frozen=True)
class LedgerSession:
    """One database session that holds a destination's lock.

    Args:
        connection: of psycopg, in no transaction.
        destination: whose lock it holds.
        run: what attempts are counted by: one run of a DAG; one that a person clears is another.
        try_number: of the task.
    """

    connection: psycopg.Connection[Any]
    destination: str
    run: str
    try_number: int

    def states(self, order_ids: Sequence[str]) -> pd.DataFrame:
        """Return STATE_COLUMNS of those of the orders that the ledger knows."""
        query = f"""
            select {", ".join(STATE_COLUMNS)} from order_states
            where destination = %s and order_id = any(%s)
        """  # noqa: S608
        return self._frame(STATE_COLUMNS, query, (self.destination, list(order_ids)))

    def own_verdicts(self) -> pd.DataFrame:
        """Return OWN_COLUMNS: what this run's earlier tries have got answers to, each version once."""
        query = """
            select a.order_id, a.status_changed_at, a.updated_at, a.rank,
                   case when bool_or(r.order_id is null) then 'accepted' else 'rejected' end
            from batches b
            join attempts a on a.batch_id = b.id
            left join rejections r on r.batch_id = a.batch_id and r.order_id = a.order_id
            where b.destination = %s and b.run = %s and b.outcome = 'answered'
            group by 1, 2, 3, 4
        """
        return self._frame(OWN_COLUMNS, query, (self.destination, self.run))

    def _frame(self, columns: list[str], query: str, values: tuple[Any, ...]) -> pd.DataFrame:
        with self.transaction() as cursor:
            frame = pd.DataFrame(cursor.execute(query, values, binary=True).fetchall(), columns=columns)
        for column in ("status_changed_at", "updated_at"):
            frame[column] = pd.to_datetime(frame[column], utc=True).dt.as_unit("us")
        texts = dict.fromkeys({"order_id", "verdict", "code"} & set(columns), "str")
        return frame.astype({**texts, "rank": "int64"})

    def advance(self, orders: pd.DataFrame) -> None:
        """Remember newer versions of orders that need not be sent, so that none in between is ever sent.

        A version whose code is not the one that the service has is left alone. One that brings back the code from
        before a rejected version is what the service has: it was accepted.

        Args:
            orders: order_id, status_changed_at, updated_at, rank, code; no order twice.
        """
        if orders.empty:
            return
        order_ids = orders["order_id"].tolist()
        with self.transaction() as cursor:
            cursor.execute(
                """
                update order_states s set status_changed_at = n.changed, updated_at = n.updated, rank = n.rank,
                    verdict = case s.verdict when 'rejected' then 'accepted' else s.verdict end
                from unnest(%s::text[], %s::timestamptz[], %s::timestamptz[], %s::int[], %s::text[])
                    n (id, changed, updated, rank, code)
                where s.destination = %s and s.order_id = n.id and s.code = n.code
                  and (n.changed, n.updated, n.rank) > (s.status_changed_at, s.updated_at, s.rank)
                """,
                (
                    order_ids,
                    _times(orders["status_changed_at"]),
                    _times(orders["updated_at"]),
                    orders["rank"].tolist(),
                    orders["code"].tolist(),
                    self.destination,
                ),
            )
            quarantine.resolve_delivered(cursor, self.destination, order_ids)

    def quarantine(self, entries: Sequence[Entry]) -> None:
        """Write rows that could not be delivered."""
        if entries:
            with self.transaction() as cursor:
                quarantine.add(cursor, self.destination, self.run, entries)

    def intend(self, batch: pd.DataFrame) -> int:
        """Write down what is about to be sent, and return the batch's number.

        Args:
            batch: ATTEMPT_COLUMNS; no order twice.
        """
        with self.transaction() as cursor:
            number = cursor.execute(
                "insert into batches (destination, run, try) values (%s, %s, %s) returning id",
                (self.destination, self.run, self.try_number),
            ).fetchone()[0]
            columns = [
                batch["order_id"].tolist(),
                _times(batch["status_changed_at"]),
                _times(batch["updated_at"]),
                batch["rank"].tolist(),
                batch["code"].tolist(),
                batch["payload_hash"].tolist(),
                batch["held_if_in_doubt"].tolist(),
            ]
            with cursor.copy(f"copy attempts (batch_id, {', '.join(ATTEMPT_COLUMNS)}) from stdin") as copy:
                for row in zip(*columns, strict=True):
                    copy.write_row((number, *row))
        return int(number)

    def conclude(
        self,
        batch: int,
        outcome: Literal["answered", "not_taken", "in_doubt"],
        *,
        rejected: Mapping[str, str] | None = None,
        entries: Sequence[Entry] = (),
        reason: str | None = None,
    ) -> None:
        """Write down what became of a batch and its orders, in one transaction.

        Args:
            batch: its number.
            outcome: answered: each order was accepted, or rejected; not taken: nothing happened to any; in doubt.
            rejected: order id -> reason.
            entries: the rows of the orders that are rejected or held.
            reason: of what is no answer.
        """
        with self.transaction() as cursor:
            self._conclude(cursor, batch, outcome, rejected or {}, reason)
            quarantine.add(cursor, self.destination, self.run, entries)

    def settle_orphans(self) -> int:
        """Mark the batches that a sender has left without an outcome as in doubt; return how many orders.

        Whoever holds the lock is the only sender, so nobody is still waiting for their answers.
        """
        with self.transaction() as cursor:
            query = "select id from batches where destination = %s and outcome is null order by id"
            orphans = [number for (number,) in cursor.execute(query, (self.destination,)).fetchall()]
            for number in orphans:
                self._conclude(cursor, number, "in_doubt", {}, "the sender ended before the answer was written down")
            count = "select count(*) from attempts where batch_id = any(%s)"
            return int(cursor.execute(count, (orphans,)).fetchone()[0])

    def _conclude(self, cursor: Any, batch: int, outcome: str, rejected: Mapping[str, str], reason: str | None) -> None:
        cursor.execute(
            "update batches set outcome = %s, reason = %s, concluded_at = now() where id = %s", (outcome, reason, batch)
        )
        if rejected:
            cursor.execute(
                "insert into rejections (batch_id, order_id, reason) select %s, * from unnest(%s::text[], %s::text[])",
                (batch, list(rejected), list(rejected.values())),
            )
        if outcome != "not_taken":
            cursor.execute(_APPLY, {"destination": self.destination, "batch": batch})
        if outcome == "answered":
            rows = cursor.execute("select order_id from attempts where batch_id = %s", (batch,)).fetchall()
            quarantine.resolve_delivered(cursor, self.destination, [order_id for (order_id,) in rows])

    def count_own(self) -> Counter[str]:
        """Return how many of this run's orders, a version each, have each verdict."""
        return Counter(self.own_verdicts()["verdict"])

    def count_batches(self) -> int:
        """Return how many batches this run's tries have written down, whatever became of them."""
        with self.transaction() as cursor:
            query = "select count(*) from batches where destination = %s and run = %s"
            return int(cursor.execute(query, (self.destination, self.run)).fetchone()[0])

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """Give a cursor in a transaction; TryAgainError if the session, and so the lock, is lost."""
        try:
            with self.connection.transaction(), self.connection.cursor() as cursor:
                yield cursor
        except psycopg.OperationalError as error:
            raise TryAgainError(
                f"The ledger's session is lost, and with it the lock of {self.destination!r}: {redact(str(error))}. "
                "What was being sent is in doubt; nothing more was sent."
            ) from None


@contextmanager
def open_session(
    engine: sa.Engine,
    name: str,
    *,
    destination: str,
    run: str,
    try_number: int,
    lock_wait_s: int = 600,
    read_only: bool = False,
) -> Iterator[LedgerSession]:
    """Give a session that holds the destination's lock, and settle what the last sender has left behind.

    Args:
        engine: of the ledger's connection, by psycopg.
        name: the id of that connection, for messages.
        destination: whose lock to take.
        run: what attempts are counted by.
        try_number: of the task.
        lock_wait_s: how long to wait for another load of the same destination.
        read_only: neither take the lock nor settle anything: for a look at what a run would do.

    Raises:
        TryAgainError: the ledger can't be reached or has another schema, or the lock was not free in time.
        StopError: between here and the database is a pooler.
    """
    with schema.connect(engine, name) as connection:
        schema.check(connection, name)
        raw = connection.connection.driver_connection
        if not isinstance(raw, psycopg.Connection):
            raise StopError(f"Connection {name!r} must be to a PostgreSQL database: the ledger needs its locks.")
        raw.autocommit = True  # each transaction is opened by name
        try:
            session = LedgerSession(raw, destination, run, try_number)
            if not read_only:
                _take_lock(raw, name, destination, lock_wait_s)
                session.settle_orphans()
            yield session
        finally:
            # The lock goes with the database session: it is never handed back to a pool.
            connection.invalidate()
            raw.close()


def _take_lock(connection: psycopg.Connection[Any], name: str, destination: str, wait_s: int) -> None:
    row = connection.execute("select pg_backend_pid()").fetchone()
    if row is None or row[0] != connection.info.backend_pid:
        raise StopError(
            f"Connection {name!r} goes through a pooler, which lends its database sessions to others: "
            "the lock would be lost. Let it point at PostgreSQL itself."
        )
    try:
        with connection.transaction():
            connection.execute("select set_config('lock_timeout', %s, true)", (f"{wait_s}s",))
            connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (f"order_sync {destination}",))
    except psycopg.errors.LockNotAvailable:
        raise TryAgainError(
            f"Another load of {destination!r} has been sending for {wait_s} s. Nothing was sent; it is tried again."
        ) from None


def _times(times: pd.Series) -> list[str]:
    """UTC times as PostgreSQL reads them, to the microsecond."""
    return [f"{text}Z" for text in np.datetime_as_string(times.dt.tz_convert(None).to_numpy(), unit="us")]
