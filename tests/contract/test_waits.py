"""A service that takes no more for now is waited for within the try."""

import time
from dataclasses import replace

import pytest
import sqlalchemy as sa

from include.order_sync import tuning
from include.order_sync.errors import TryAgainError
from tests.contract.conftest import orders, ready
from tests.contract.test_providers import taken


@pytest.mark.parametrize("connections", [1, 2])
def test_a_short_retry_after_is_waited_for(provider, deliver, sandbox, ledger, connections):
    """A service that takes two of three requests gets all orders once, in one try; no request leaves in a wait."""
    busy = {"provider": provider.name, "kind": "status", "status": 429, "retry_after": 1, "every": 3}
    sandbox.fault(busy).raise_for_status()
    ids = [str(number) for number in range(1, 8)]
    part = ready(provider, orders(ids))
    delivered = deliver(part, provider=replace(provider, max_orders=1), connections=connections)

    assert delivered.orders == {"accepted": 7}
    assert {order_id: len(codes) for order_id, codes in taken(sandbox, provider).items()} == dict.fromkeys(ids, 1)
    query = """
        select count(*) from batches b join batches busy using (destination_id)
            join destinations d on d.id = b.destination_id
        where d.name = :name and busy.outcome = 'not_taken'
          and b.begun_at > busy.concluded_at and b.begun_at < busy.concluded_at + interval '0.9 s'
    """
    with ledger.connect() as connection:
        assert connection.execute(sa.text(query), {"name": deliver.destination}).scalar_one() == 0


def test_a_429_without_a_time_is_waited_for(provider, deliver, sandbox, monkeypatch):
    """A limit uses up no retry, whether the service names a time or not."""
    monkeypatch.setattr(tuning, "UNNAMED_WAIT_S", 1)
    busy = {"provider": provider.name, "kind": "status", "status": 429, "every": 3}
    sandbox.fault(busy).raise_for_status()
    ids = [str(number) for number in range(1, 5)]
    delivered = deliver(ready(provider, orders(ids)), provider=replace(provider, max_orders=1))
    assert (delivered.requests, delivered.orders) == (5, {"accepted": 4})


@pytest.mark.parametrize("retry_after", [100, 3600])
def test_a_stop_ends_the_wait(provider, deliver, sandbox, retry_after):
    """A load that waits for its service ends at once when it is asked to stop; the next try sends the rest."""
    busy = {"provider": provider.name, "kind": "status", "status": 429, "retry_after": retry_after, "every": 2}
    sandbox.fault(busy).raise_for_status()
    part, singles = ready(provider, orders(["1", "2"])), replace(provider, max_orders=1)
    started = time.monotonic()
    with pytest.raises(TryAgainError, match="asked to stop"):
        deliver(part, provider=singles, is_stopping=lambda: sandbox.admin("stats")[provider.name]["requests"] == 2)
    assert time.monotonic() - started < 60
    assert deliver(part, provider=singles).orders == {"accepted": 2}
