"""A load that is asked to stop ends well: nothing is in doubt, and the next try sends the rest."""

from dataclasses import replace
from functools import partial
from itertools import chain, repeat

import pytest
import sqlalchemy as sa

from include.order_sync.errors import TryAgainError
from tests.contract.conftest import held_status, orders, ready
from tests.contract.test_providers import taken

STOPS = 25


def in_doubt(ledger: sa.Engine) -> int:
    """Return how many batches of the newest destination have no answer."""
    query = """
        select count(*) from batches
        where destination_id = (select max(id) from destinations) and begun_at is not null
          and (outcome is null or outcome = 'in_doubt')
    """
    with ledger.connect() as connection:
        return connection.execute(sa.text(query)).scalar_one()


@pytest.mark.parametrize("connections", [1, 3])
@held_status
def test_stops_leave_nothing_in_doubt(provider, deliver, sandbox, ledger, status, connections):
    """Each try is stopped with its requests in flight: every answer is recorded, and nothing is held or sent twice."""
    ids = [str(number) for number in range(1, STOPS * connections + 2)]
    part, singles = ready(provider, orders(ids, status)), replace(provider, max_orders=1)
    for stop in range(1, STOPS + 1):
        # It is asked for the plan, for its ledger write, and before each request.
        answers = chain([False] * (2 + connections), repeat(True))
        with pytest.raises(TryAgainError, match="asked to stop") as stopped:
            deliver(part, provider=singles, connections=connections, is_stopping=partial(next, answers))
        assert (stopped.value.result.held, stopped.value.result.complete) == ([], False)
        assert (len(taken(sandbox, provider)), in_doubt(ledger)) == (stop * connections, 0)
    assert deliver(part, provider=singles).orders == {"accepted": len(ids)}
    assert {order_id: len(codes) for order_id, codes in taken(sandbox, provider).items()} == dict.fromkeys(ids, 1)


def test_a_stop_sends_nothing_more(provider, deliver, sandbox):
    """A load that is asked to stop before its first request sends none."""
    with pytest.raises(TryAgainError, match="asked to stop") as stop:
        deliver(ready(provider, orders(["1"])), is_stopping=lambda: True)
    assert (stop.value.result.requests, taken(sandbox, provider)) == (0, {})
