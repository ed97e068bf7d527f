"""The ledger session of a load: holds the destination's lock, and records which batches begin and how they end.

No session, no intent; no intent, no request. The database session that holds the lock also records that a batch begins:
a sender that has lost its lock can begin no batch, and stops.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

import pandas as pd
import psycopg

from include.order_sync.ledger import attempts, pace, quarantine, schema
from include.order_sync.ledger.encrypted_rows import QuarantineEntry
from include.order_sync.ledger.look_ahead import LookAheadSession
from include.order_sync.ledger.reasons import FAILING_REASON, HELD_REASON, NOT_JUDGED_REASON, STALE_REASONS

# How the reason of a batch begins whose request failed (a 5xx, no answer, a refusal) and may be repeated.
FAILED = "failed: "


class Failures(NamedTuple):
    """The failed requests of a run that held an order.

    Args:
        tries: in how many tries of the run.
        alone: whether the order was alone in one of them.
        others_answered: whether the service has answered other requests of the run since the first of them.
    """

    tries: int
    alone: bool
    others_answered: bool


class Kept(NamedTuple):
    """An order in the quarantine that the service did not take, and did not judge either.

    Args:
        is_failing: whether the service fails at each request with it; otherwise it has refused a whole batch.
        until: the time of the newest change that was kept.
        by_this_run: whether this run has kept it.
        is_new: whether no run has kept it before that.
    """

    is_failing: bool
    until: datetime
    by_this_run: bool
    is_new: bool


@dataclass(frozen=True)
class LedgerSession:
    """A database session that holds a destination's lock, and a look-ahead session beside it.

    Args:
        connection: of psycopg, in no transaction; for one thread only.
        sender: the holder of the lock.
        look_ahead: reads states and writes batches ahead.
    """

    connection: psycopg.Connection[Any]
    sender: attempts.Sender
    look_ahead: LookAheadSession
    _answered: list[int] = field(default_factory=list)

    def count_batches(self) -> int:
        """Return how many batches this run has begun so far, in all its tries."""
        return self._number(
            "select count(*) from batches where destination_id = %s and run = %s and begun_at is not null",
            self.sender.destination_id,
            self.sender.run,
        )

    def ends_in_doubt(self) -> bool:
        """Return whether the destination's last batch got no answer: the service may still be down."""
        query = """
            select coalesce((
                select (outcome = 'in_doubt')::int from batches
                where destination_id = %s and begun_at is not null order by id desc limit 1
            ), 0)
        """
        return bool(self._number(query, self.sender.destination_id))

    def failures(self) -> dict[str, Failures]:
        """Return the orders of this run's batches that failed in earlier tries, each with its failures."""
        query = """
            with own as (
                select id, try, orders, outcome, concluded_at, starts_with(reason, %(failed)s) as failed from batches
                where destination_id = %(destination)s and run = %(run)s
            )
            select a.order_id, count(distinct own.try), bool_or(own.orders = 1),
                   coalesce(
                       min(own.concluded_at) < (select max(concluded_at) from own where outcome = 'answered'), false)
            from attempts a join own on own.id = a.batch_id and own.failed
            where a.destination_id = %(destination)s
            group by 1
        """
        values = {"destination": self.sender.destination_id, "run": self.sender.run, "failed": FAILED}
        with self.transaction() as cursor:
            return {order_id: Failures(*found) for order_id, *found in cursor.execute(query, values)}

    def kept(self) -> dict[str, Kept]:
        """Return the orders in the quarantine that were not sent because of their service."""
        query = """
            select order_id, bool_or(%(failing)s = any(reasons)), max(status_changed_at), bool_or(run = %(run)s),
                   bool_and(times_seen = 1)
            from quarantine
            where destination = %(destination)s and resolved_at is null and reasons && %(reasons)s
              and order_id is not null and status_changed_at is not null
            group by 1
        """
        values = {
            "destination": self.sender.destination,
            "run": self.sender.run,
            "failing": FAILING_REASON,
            "reasons": [FAILING_REASON, NOT_JUDGED_REASON],
        }
        with self.transaction() as cursor:
            return {order_id: Kept(*found) for order_id, *found in cursor.execute(query, values)}

    def newly_rejected(self) -> int:
        """Return how many rejected rows this run is the first to list. A dismissed one is not listed again."""
        query = """
            select count(*) from quarantine
            where destination = %s and run = %s and times_seen = 1 and not reasons && %s
        """
        others = [HELD_REASON, NOT_JUDGED_REASON, FAILING_REASON, *STALE_REASONS]
        with self.transaction() as cursor:
            values = (self.sender.destination, self.sender.run, others)
            return int(cursor.execute(query, values).fetchone()[0])

    def has_read_later(self, end: datetime) -> bool:
        """Return whether a finished window of the destination ends after this time, and is over."""
        query = """
            select exists(
                select from windows where destination = %s and window_end > %s and window_end <= now()
            )::int
        """
        return bool(self._number(query, self.sender.destination, end))

    def own_accepted(self) -> int:
        """Return how many versions of orders this run has sent that were accepted."""
        return self._number(
            """
            with own as (
                select id, orders from batches where destination_id = %s and run = %s and outcome = 'answered'
            )
            select coalesce(sum(orders), 0) - (select count(*) from rejections where batch_id in (select id from own))
            from own
            """,
            self.sender.destination_id,
            self.sender.run,
        )

    def _number(self, query: str, *values: int | str | datetime) -> int:
        with self.transaction() as cursor:
            return int(cursor.execute(query, values).fetchone()[0])

    def record(self, orders: pd.DataFrame, outcome: Literal["unchanged", "adopted"]) -> None:
        """Record versions that need not be sent, so that neither they nor older ones are ever sent.

        Args:
            orders: attempts.COLUMNS, with the code and the payload that the service has; no order twice.
            outcome: unchanged: it has them by an earlier version; adopted: it counts as having them.
        """
        if not orders.empty:
            lines = attempts.lines(orders, self.sender.destination_id)
            with self.transaction() as cursor:
                (number,) = attempts.write(cursor, self.sender, lines, [len(orders)])
                cursor.execute("update batches set outcome = %s, concluded_at = now() where id = %s", (outcome, number))

    def reserve_slot(self, account: str, requests_a_second: float) -> pace.Slot:
        """Reserve the next slot in which a request may leave to an account (pace.py)."""
        with self._guarded():
            return pace.reserve(self.connection, account, requests_a_second)

    def begin(self, batch: int) -> None:
        """Record that a batch is sent now: from here on it is in doubt until it is concluded."""
        with self._guarded():
            begin = f"update batches set begun_at = now() where id = {batch:d}"  # noqa: S608
            # One message, and so one transaction.
            self.connection.execute(f"{self._answers()} set local synchronous_commit = on; {begin}")
        self._answered.clear()

    def answered(self, batch: int) -> None:
        """Remember that all orders of a batch were accepted; the next write to the ledger records it."""
        self._answered.append(batch)

    def write_answers(self) -> None:
        """Record the batches that `answered` has remembered."""
        if self._answered:
            answers = self._answers()
            self._answered.clear()
            with self._guarded():
                self.connection.execute(answers)

    def _answers(self) -> str:
        """Return the statement that records the remembered batches; empty without any."""
        numbers = ", ".join(map(str, self._answered))
        done = "update batches set outcome = 'answered', concluded_at = now() where id in"
        return f"{done} ({numbers});" if numbers else ""

    def conclude(
        self,
        batch: int,
        outcome: Literal["answered", "not_taken", "in_doubt"],
        *,
        rejected: Mapping[str, str] | None = None,
        entries: Sequence[QuarantineEntry] = (),
        reason: str | None = None,
    ) -> None:
        """Record the outcome of a batch, and so of its orders, in one transaction.

        Args:
            batch: its number.
            outcome: answered: each order was accepted or rejected; not_taken: no order was; in_doubt: nobody knows.
            rejected: order id -> reason.
            entries: the rows of rejected orders, for the quarantine.
            reason: of an outcome that is no answer.
        """
        with self.transaction() as cursor:
            cursor.execute(
                "update batches set outcome = %s, reason = %s, concluded_at = now() where id = %s",
                (outcome, reason, batch),
            )
            if rejected:
                cursor.execute(
                    "insert into rejections (batch_id, order_id, reason) "
                    "select %s, * from unnest(%s::text[], %s::text[])",
                    (batch, list(rejected), list(rejected.values())),
                )
            quarantine.add(cursor, self.sender.destination, self.sender.run, entries)

    def quarantine(self, entries: Sequence[QuarantineEntry]) -> None:
        """Add rows that could not be delivered to the quarantine."""
        if entries:
            with self.transaction() as cursor:
                quarantine.add(cursor, self.sender.destination, self.sender.run, entries)

    def resolve_delivered(self) -> None:
        """Close the quarantine entries of orders whose version, or a newer one, the service has by now."""
        with self.transaction() as cursor:
            quarantine.resolve_delivered(cursor, self.sender.destination)

    def still_held(self, order_ids: Sequence[str]) -> dict[str, bool]:
        """Return which of these orders wait for a person's decision, and whether this run is the first to hold them.

        It is the first where its own request is in doubt, or where no earlier run has put the order into the quarantine
        as held: then a load that was killed has left it in doubt.
        """
        query = """
            select o.order_id, b.run = %(run)s or not exists (
                select from quarantine q
                where q.destination = %(destination)s and q.order_id = o.order_id and q.resolved_at is null
                  and %(reason)s = any(q.reasons) and (q.run <> %(run)s or q.times_seen > 1))
            from orders_in_doubt o join batches b on b.id = o.batch_id
            where o.destination_id = %(destination_id)s and o.held and o.order_id = any(%(order_ids)s)
        """
        asked = {
            "run": self.sender.run,
            "destination": self.sender.destination,
            "destination_id": self.sender.destination_id,
            "reason": HELD_REASON,
            "order_ids": list(order_ids),
        }
        with self.transaction() as cursor:
            held = dict(cursor.execute(query, asked))
        return {order_id: held[order_id] for order_id in order_ids if order_id in held}

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """Yield a cursor in a transaction; raise TryAgainError if the session, and so the lock, is lost."""
        self.write_answers()
        with self._guarded(), self.connection.transaction(), self.connection.cursor() as cursor:
            yield cursor

    def _guarded(self) -> AbstractContextManager[None]:
        destination = self.sender.destination
        return schema.guarded(
            f"The ledger's session is lost, and with it the lock of {destination!r}",
            "The batches in flight are in doubt; nothing more was sent.",
        )
