"""The pace of an account: slots in which its requests may leave, shared by all loads on all workers.

PostgreSQL keeps one row for each account and counts by its own clock, so the clocks of the workers do not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

# A load waits for one slot at a time, so no account has this many loads in its queue. A slot that lies further ahead
# comes from a clock that was set back, or from a slower pace of before, and counts no more.
QUEUE_MAX_SLOTS = 100

# One statement, and so one short row lock: no two loads get the same slot, and a stalled worker holds nobody up.
_RESERVE = """
    insert into request_slots as slots (connection, last_at) values (%(connection)s, clock_timestamp())
    on conflict (connection) do update set last_at = case
        when slots.last_at > clock_timestamp() + make_interval(secs => %(queue_s)s) then clock_timestamp()
        else greatest(clock_timestamp(), slots.last_at + make_interval(secs => %(gap_s)s))
    end
    returning last_at, extract(epoch from last_at - clock_timestamp())::float8
"""


@dataclass(frozen=True)
class Slot:
    """When one request may leave.

    Args:
        at: the time, by PostgreSQL's clock.
        wait_s: the seconds until then; 0 or less if the request may leave at once.
    """

    at: datetime
    wait_s: float


def reserve(connection: psycopg.Connection[Any], account: str, requests_a_second: float) -> Slot:
    """Reserve the account's next free slot for one request.

    Slots lie at least one gap (1 / requests_a_second) apart, also after a long idle time: there is no burst.

    Args:
        connection: of psycopg, in autocommit and in no transaction: the row lock must end with the statement.
        account: the id of its Airflow connection.
        requests_a_second: the account's pace, as it is now.
    """
    gap_s = 1 / requests_a_second
    values = {"connection": account, "gap_s": gap_s, "queue_s": QUEUE_MAX_SLOTS * gap_s}
    ((at, wait_s),) = connection.execute(_RESERVE, values).fetchall()
    return Slot(at, wait_s)
