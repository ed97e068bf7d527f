"""The slots of an account: what PostgreSQL gives out, in whatever order loads ask, and whatever clocks do."""

import multiprocessing
import uuid
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import pairwise

import psycopg
import pytest
import sqlalchemy as sa

from include.order_sync.ledger import pace
from include.order_sync.ledger.opening import open_session

REQUESTS = 20
# Slots so far apart that no pause of this machine lets one go by.
SLOW = 0.05
GAP = timedelta(seconds=20)


@pytest.fixture
def account() -> str:
    """An account that no other test uses."""
    return f"account {uuid.uuid4()}"


@pytest.fixture
def connection(ledger: sa.Engine) -> Iterator[psycopg.Connection]:
    """A database session with the ledger, in autocommit."""
    with ledger.connect() as pooled:
        connection = pooled.connection.driver_connection
        connection.autocommit = True
        connection.execute("set datestyle = 'ISO'")
        yield connection
        pooled.invalidate()
        connection.close()


def reserve_in_a_session_of_its_own(address: str, account: str, requests: int) -> list[datetime]:
    """Open a load's session, reserve slots one after the other, and return their times."""
    engine = sa.create_engine(address)
    name = str(uuid.uuid4())
    with open_session(engine, "ledger", destination=name, run="run", try_number=1) as session:
        return [session.reserve_slot(account, SLOW).at for _ in range(requests)]


def shift(connection: psycopg.Connection, account: str, by: timedelta) -> None:
    """Move the account's last slot, as if PostgreSQL's clock had been moved the other way."""
    connection.execute("update request_slots set last_at = last_at + %s where connection = %s", (by, account))


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_two_loads_share_the_slots_of_an_account(ledger: sa.Engine, account: str, kind: str) -> None:
    """Two sessions that reserve at once get each slot once, one gap after another, as one alone would."""
    address = ledger.url.render_as_string(hide_password=False)
    workers = (
        ThreadPoolExecutor(2)
        if kind == "threads"
        else ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))
    )
    with workers:
        asked = [workers.submit(reserve_in_a_session_of_its_own, address, account, REQUESTS // 2) for _ in range(2)]
        slots = sorted(at for answer in asked for at in answer.result())

    assert [later - earlier for earlier, later in pairwise(slots)] == [GAP] * (REQUESTS - 1)


def test_other_accounts_have_slots_of_their_own(connection: psycopg.Connection, account: str) -> None:
    """An account waits for no other."""
    assert pace.reserve(connection, account, SLOW).wait_s <= 0
    assert pace.reserve(connection, f"another {account}", SLOW).wait_s <= 0
    assert pace.reserve(connection, account, SLOW).wait_s > 0


def test_the_wait_lasts_until_the_slot(connection: psycopg.Connection, account: str) -> None:
    """The wait that PostgreSQL tells is what is left until the slot by its own clock."""
    first, second = (pace.reserve(connection, account, SLOW) for _ in range(2))
    now = connection.execute("select clock_timestamp()").fetchone()[0]

    assert first.wait_s <= 0
    left = (second.at - now).total_seconds()
    assert left <= second.wait_s <= GAP.total_seconds()


def test_a_long_idle_time_gives_no_burst(connection: psycopg.Connection, account: str) -> None:
    """After a day without a request one may leave at once, and the next one a gap later."""
    pace.reserve(connection, account, SLOW)
    shift(connection, account, timedelta(days=-1))
    slots = [pace.reserve(connection, account, SLOW) for _ in range(3)]

    assert slots[0].wait_s <= 0 < slots[1].wait_s < slots[2].wait_s
    assert [slots[1].at - slots[0].at, slots[2].at - slots[1].at] == [GAP, GAP]


def test_a_clock_that_was_set_back_holds_nobody_up(connection: psycopg.Connection, account: str) -> None:
    """A last slot that no queue explains counts no more; the slots after it lie a gap apart again."""
    pace.reserve(connection, account, SLOW)
    shift(connection, account, timedelta(days=1))
    slots = [pace.reserve(connection, account, SLOW) for _ in range(2)]

    assert slots[0].wait_s <= 0 < slots[1].wait_s
    assert slots[1].at - slots[0].at == GAP


def test_a_queue_is_kept_as_long_as_it_can_be(connection: psycopg.Connection, account: str) -> None:
    """A last slot that waiting loads explain counts: nobody overtakes them."""
    last = pace.reserve(connection, account, SLOW).at
    ahead = (pace.QUEUE_MAX_SLOTS - 1) * GAP
    shift(connection, account, ahead)

    assert pace.reserve(connection, account, SLOW).at == last + ahead + GAP


def test_a_changed_pace_counts_from_the_next_slot(connection: psycopg.Connection, account: str) -> None:
    """A faster or slower pace decides the very next gap; a queue of a slower pace does not hold up a faster one."""
    first = pace.reserve(connection, account, SLOW).at
    assert pace.reserve(connection, account, SLOW / 2).at - first == 2 * GAP
    assert pace.reserve(connection, account, SLOW).at - first == 3 * GAP
    assert pace.reserve(connection, account, 100).wait_s <= 0


def test_an_account_is_one_row_however_often_it_sends(connection: psycopg.Connection, account: str) -> None:
    """Neither rows nor pages grow with the number of requests."""
    for _ in range(2000):
        pace.reserve(connection, account, 1000)
    rows = connection.execute("select count(*) from request_slots where connection = %s", (account,)).fetchone()
    pages = connection.execute("select pg_relation_size('request_slots') / 8192").fetchone()

    assert rows == (1,)
    assert pages[0] <= 3


def test_the_lock_of_a_slot_ends_with_its_statement(ledger: sa.Engine, account: str) -> None:
    """A load that has reserved a slot, and stands still, holds up no other."""
    with (
        open_session(ledger, "ledger", destination=account, run="run", try_number=1) as stalled,
        open_session(ledger, "ledger", destination=f"{account} 2", run="run", try_number=1) as other,
    ):
        stalled.reserve_slot(account, SLOW)
        other.connection.execute("set lock_timeout = '5s'")
        assert other.reserve_slot(account, SLOW).wait_s > 0
