"""The batches that a lost sender left without an outcome; the next holder of the destination's lock settles them."""

from __future__ import annotations

import logging
import time

from include.order_sync import tuning
from include.order_sync.ledger.session import LedgerSession

log = logging.getLogger(__name__)


def settle(session: LedgerSession) -> None:
    """Record the batches that a lost sender began as in doubt; forget those that it never began.

    The holder of the lock is the only sender, so nobody waits for their answers any more.
    """
    _wait_for_requests(session)
    with session.transaction() as cursor:
        query = "delete from batches where destination_id = %s and begun_at is null and outcome is null returning id"
        unsent = [number for (number,) in cursor.execute(query, (session.sender.destination_id,)).fetchall()]
        if unsent:
            cursor.execute("delete from attempts where batch_id = any(%s)", (unsent,))
        cursor.execute(
            """
            update batches set outcome = 'in_doubt', concluded_at = now(),
                reason = 'the sender ended before the answer was written down'
            where destination_id = %s and outcome is null
            """,
            (session.sender.destination_id,),
        )


def _wait_for_requests(session: LedgerSession) -> None:
    """Wait until each request of the lost sender has reached its time limit: none may be taken after newer ones.

    A request left right after its begin, in two writes of CONNECT_S each, and the service had ANSWER_S to answer. A
    begin that lies ahead, after the ledger's clock was set back, counts as now.
    """
    limit_s = 2 * tuning.CONNECT_S + tuning.ANSWER_S
    query = """
        select coalesce(ceil(extract(epoch from max(least(begun_at, now())) - now()) * 1000 + %s), 0) from batches
        where destination_id = %s and outcome is null and begun_at is not null
    """
    with session.transaction() as cursor:
        ((left_ms,),) = cursor.execute(query, (limit_s * 1000, session.sender.destination_id)).fetchall()
    if left_ms > 0:
        left_s = int(left_ms) / 1000
        log.warning(
            "An earlier load of %r was lost with a request under way, which may be taken for %.0f s more. "
            "This load waits that long.",
            session.sender.destination,
            left_s,
        )
        time.sleep(left_s)
