"""The pace of an account: every request of every load counts, and a wait leaves nothing in doubt."""

import multiprocessing
import os
import signal
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
import sqlalchemy as sa

from include.order_sync.delivery import http
from include.order_sync.delivery.client import Client
from include.order_sync.delivery.in_flight import InFlight
from include.order_sync.delivery.loop import Delivery
from include.order_sync.delivery.pacing import Pace
from include.order_sync.errors import TryAgainError
from include.order_sync.ledger.opening import open_session
from include.order_sync.ledger.session import LedgerSession
from include.order_sync.providers import PROVIDERS
from include.order_sync.providers.base import Credentials
from tests.contract.conftest import encrypted, orders, providers_with, ready, several_codes
from tests.contract.test_ledger import two_codes
from tests.contract.test_providers import taken

QUICK = 50.0
# Who waits at this pace waits for ten minutes: a test ends such a wait.
ENDLESS = 1 / 600
DEADLINE_S = 60

one_provider = providers_with(lambda provider: provider is next(iter(PROVIDERS.values())))


@pytest.fixture
def account() -> str:
    """An account that no other test uses."""
    return f"account {uuid.uuid4()}"


@pytest.fixture
def slots(monkeypatch) -> list[datetime]:
    """The times of all slots that loads reserve."""
    reserved: list[datetime] = []
    reserve = LedgerSession.reserve_slot

    def reserve_and_note(*arguments):
        slot = reserve(*arguments)
        reserved.append(slot.at)
        return slot

    monkeypatch.setattr(LedgerSession, "reserve_slot", reserve_and_note)
    return reserved


def begun(ledger: sa.Engine, destinations: list[str]) -> list[datetime]:
    """Return when each request of the destinations was written down to leave, by PostgreSQL's clock."""
    query = """
        select b.begun_at from batches b join destinations d on d.id = b.destination_id
        where d.name = any(:destinations) order by 1
    """
    with ledger.connect() as connection:
        connection.exec_driver_sql("set datestyle = 'ISO'")
        return list(connection.execute(sa.text(query), {"destinations": destinations}).scalars())


@pytest.mark.parametrize("connections", [1, 4])
def test_no_request_leaves_before_its_slot(provider, deliver, sandbox, ledger, account, slots, connections):
    """Each request has a slot of its own, slots lie a gap apart, and no batch is begun before its slot."""
    few = replace(provider, max_orders=1)
    part = ready(provider, orders([str(number) for number in range(1, 11)]))
    result = deliver(part, provider=few, connections=connections, pace=Pace(account, QUICK))
    left = begun(ledger, [deliver.destination])

    assert result.orders == {"accepted": 10}
    assert len(slots) == len(left) == 10
    gaps = [later - earlier for earlier, later in pairwise(slots)]
    assert min(gaps) >= timedelta(seconds=1 / QUICK)
    assert all(at >= slot for at, slot in zip(left, slots, strict=True))


def test_two_loads_share_a_pace(provider, sandbox, ledger, credentials, account, slots):
    """Two destinations of one account that send at once wait for each other's slots too."""
    few = replace(provider, max_orders=1)
    destinations = [f"{account} {number}" for number in range(2)]

    def load(destination: str) -> None:
        part = ready(provider, orders([f"{number}" for number in range(1, 11)]))
        with (
            http.open_session(credentials.url) as session,
            open_session(ledger, "ledger", destination=destination, run="run", try_number=1) as written,
        ):
            client = Client(few, credentials, session)
            Delivery(client, written, encrypted, pace=Pace(account, QUICK)).run([part])

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(load, destinations))
    reserved = sorted(slots)
    left = begun(ledger, destinations)

    assert len(reserved) == len(left) == 20
    assert reserved[-1] - reserved[0] >= timedelta(seconds=19 / QUICK)
    assert all(at >= slot for at, slot in zip(left, reserved, strict=True))


@providers_with(lambda provider: provider.halve_refused)
@pytest.mark.parametrize("connections", [1, 3])
def test_halves_of_a_refused_batch_are_requests_too(provider, deliver, sandbox, account, slots, connections):
    """The halves of a batch that is refused as a whole have their slots like all other requests."""
    sandbox.fault({"provider": provider.name, "kind": "status", "status": 400, "next": 1}).raise_for_status()
    few = replace(provider, max_orders=4)
    part = ready(provider, orders([str(number) for number in range(1, 9)]))
    result = deliver(part, provider=few, connections=connections, pace=Pace(account, QUICK))

    assert result.orders == {"accepted": 8}
    assert len(slots) == result.requests == sandbox.admin("stats")[provider.name]["requests"] == 4


@several_codes
def test_an_orders_changes_keep_their_order(provider, deliver, sandbox, account):
    """With several connections, a pace, and refusals heard in the waits, each order's changes still arrive in order."""
    first, second = two_codes(provider)
    few = replace(provider, max_orders=min(3, provider.max_orders))
    ids = [str(number) for number in range(1, 13)]
    part = ready(provider, orders(ids, first, "2026-11-21T10:00:00Z"), orders(ids, second, "2026-11-21T12:00:00Z"))
    sandbox.fault({"provider": provider.name, "kind": "slow", "seconds": 0.05, "when": "before", "every": 2})
    if provider.halve_refused:
        sandbox.fault({"provider": provider.name, "kind": "status", "status": 400, "when": "before", "every": 3})
    deliver(part, provider=few, connections=4, pace=Pace(account, 2 * QUICK))
    changes = [provider.statuses[first], provider.statuses[second]]
    assert all(codes in (changes, changes[:1], changes[1:]) for codes in taken(sandbox, provider).values())


@one_provider
def test_without_a_pace_nothing_is_asked_for(provider, deliver, sandbox, ledger, slots):
    """A load of an account without a pace makes no statement for it."""
    few = replace(provider, max_orders=1)
    assert deliver(ready(provider, orders(["1", "2"])), provider=few).orders == {"accepted": 2}
    assert slots == []


@one_provider
def test_a_failure_in_a_wait_ends_the_load_before_the_next_request(provider, deliver, sandbox, ledger, account):
    """An answer that ends the load is heard while the next request waits; that one is never begun."""
    few = replace(provider, max_orders=1)
    part = ready(provider, orders(["1", "2"]))
    slow = {"provider": provider.name, "kind": "slow", "seconds": 0.3, "when": "before", "next": 1}
    sandbox.fault(slow, {"provider": provider.name, "kind": "status", "status": 429, "next": 1}).raise_for_status()
    with pytest.raises(TryAgainError):
        deliver(part, provider=few, connections=2, pace=Pace(account, 0.2))
    assert sandbox.admin("stats")[provider.name]["requests"] == 1
    assert deliver(part, provider=few).orders == {"accepted": 2}


@one_provider
def test_what_interrupts_a_wait_leaves_nothing_in_doubt(provider, deliver, sandbox, ledger, account, monkeypatch):
    """Airflow's request to end, raised in a wait, ends the load; the request that waited is not begun."""

    def interrupted(_in_flight, seconds):
        assert seconds > 0
        raise KeyboardInterrupt

    monkeypatch.setattr(InFlight, "wait", interrupted)
    few = replace(provider, max_orders=1)
    with pytest.raises(KeyboardInterrupt):
        deliver(ready(provider, orders(["1", "2"])), provider=few, pace=Pace(account, ENDLESS))
    assert outcomes(ledger, deliver.destination) == ["answered"]


def outcomes(ledger: sa.Engine, destination: str) -> list[str]:
    """Return the outcomes of the destination's batches that were begun; `open` where one has none."""
    query = """
        select coalesce(b.outcome, 'open') from batches b join destinations d on d.id = b.destination_id
        where d.name = :destination and b.begun_at is not null order by b.id
    """
    with ledger.connect() as connection:
        return list(connection.execute(sa.text(query), {"destination": destination}).scalars())


def load_as_a_worker(ledger: str, credentials: Credentials, provider: str, destination: str, connections: int) -> None:
    """Send three orders, one a request, at a pace that lets the first one leave; SIGTERM raises, as under Airflow."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(os.EX_TEMPFAIL))
    few = replace(PROVIDERS[provider], max_orders=1)
    with (
        http.open_session(credentials.url) as session,
        open_session(sa.create_engine(ledger), "ledger", destination=destination, run="run", try_number=1) as written,
    ):
        Delivery(
            Client(few, credentials, session),
            written,
            encrypted,
            connections=connections,
            pace=Pace(destination, ENDLESS),
        ).run([ready(few, orders(["1", "2", "3"]))])


@one_provider
@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_ends_in_a_wait_leaves_nothing_in_doubt(
    provider, deliver, sandbox, ledger, credentials, connections, end
):
    """What was answered is written before and during the wait, what waits is not begun, and the next try goes on."""
    # With several connections the answer comes while the next request waits.
    sandbox.fault({"provider": provider.name, "kind": "slow", "seconds": 0.5, "when": "after", "next": 1})
    worker = multiprocessing.get_context("spawn").Process(
        target=load_as_a_worker,
        args=(
            ledger.url.render_as_string(hide_password=False),
            credentials,
            provider.name,
            deliver.destination,
            connections,
        ),
    )
    worker.start()
    try:
        deadline = time.monotonic() + DEADLINE_S
        while not _waits(ledger, deliver.destination) or outcomes(ledger, deliver.destination) != ["answered"]:
            assert worker.is_alive()
            assert time.monotonic() < deadline, outcomes(ledger, deliver.destination)
            time.sleep(0.02)
        os.kill(worker.pid, end)
        worker.join(DEADLINE_S)
        assert worker.exitcode == (-signal.SIGKILL if end == signal.SIGKILL else os.EX_TEMPFAIL)
    finally:
        worker.kill()
    assert outcomes(ledger, deliver.destination) == ["answered"]
    assert deliver(ready(provider, orders(["1", "2", "3"]))).orders == {"accepted": 3}
    assert {order: len(codes) for order, codes in taken(sandbox, provider).items()} == {"1": 1, "2": 1, "3": 1}


def _waits(ledger: sa.Engine, account: str) -> bool:
    """Tell whether a request of the account waits for its slot."""
    query = "select from request_slots where connection = :account and last_at > clock_timestamp()"
    with ledger.connect() as connection:
        return connection.execute(sa.text(query), {"account": account}).first() is not None
