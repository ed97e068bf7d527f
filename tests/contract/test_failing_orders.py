"""An order at which the service fails, by a 5xx, must not keep the others from being sent."""

from dataclasses import replace

import pytest

from include.order_sync.delivery.result import FAILED_IN_A_ROW, FIRST_PIECES
from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.ledger.quarantine import FAILING_REASON
from tests.contract.conftest import orders, ready, repeated_and_another, statuses_by_rule
from tests.contract.test_ledger import NOON, TEN
from tests.contract.test_providers import taken
from tests.contract.test_verdicts import waiting

BATCH = 32
NUMBERS = [str(number) for number in range(1, 4 * BATCH + 1)]


def repeatable(provider):
    """Return the provider with batches of BATCH, and a status whose send after a 500 may be repeated."""
    statuses = [*statuses_by_rule(provider, held=False), *statuses_by_rule(provider, held=True)]
    return replace(provider, max_orders=min(BATCH, provider.max_orders)), statuses[0]


@pytest.mark.parametrize("bad", [["7"], ["3", "64", "65", "128"]], ids=["one bad", "four bad"])
def test_a_failing_order_blocks_no_other(provider, deliver, sandbox, ledger, bad):
    """All others are accepted, once; the bad ones end in the quarantine, and the run says how to redrive them."""
    few, status = repeatable(provider)
    part = ready(provider, orders(NUMBERS, status))
    poison = {"provider": provider.name, "kind": "status", "status": 500, "order_ids": bad}
    sandbox.fault(poison).raise_for_status()
    ends = []
    # Each bad batch ends one try, and where a request holds one order, one more proves it.
    while len(ends) < len(bad) + 2 and not any(isinstance(end, StopError) for end in ends):
        with pytest.raises((TryAgainError, StopError)) as raised:
            deliver(part, provider=few)
        ends.append(raised.value)
    assert f"{len(bad)} orders are not sent" in str(ends[-1])
    assert "redrive" in str(ends[-1])
    assert ends[-1].result.complete
    assert ends[-1].result.orders == {"accepted": len(NUMBERS) - len(bad), "not_sent": len(bad)}
    assert waiting(ledger, provider) == [(order_id, FAILING_REASON) for order_id in sorted(bad)]
    good = set(NUMBERS) - set(bad)
    assert {order_id: len(codes) for order_id, codes in taken(sandbox, provider).items()} == dict.fromkeys(good, 1)
    sandbox.request("DELETE", "/__admin/faults")
    assert deliver(part, provider=few, run="next").orders["accepted"] == len(bad)
    assert waiting(ledger, provider) == []


def test_an_outage_gives_no_order_up_and_stays_bounded(provider, deliver, sandbox, ledger):
    """While every request fails, a try makes few requests and gives nothing up; afterwards all is sent, in batches."""
    few, status = repeatable(provider)
    part = ready(provider, orders(NUMBERS[: 4 * few.max_orders], status))
    sandbox.fault({"provider": provider.name, "kind": "status", "status": 500}).raise_for_status()
    tries = 10
    for _ in range(tries):
        with pytest.raises(TryAgainError):
            deliver(part, provider=few)
    requests = sandbox.admin("stats")[provider.name]["requests"]
    assert requests <= tries * FAILED_IN_A_ROW
    assert waiting(ledger, provider) == []
    sandbox.request("DELETE", "/__admin/faults")
    assert deliver(part, provider=few).orders == {"accepted": len(part)}
    assert sandbox.admin("stats")[provider.name]["requests"] - requests <= 4 * FIRST_PIECES


@repeated_and_another
def test_a_failing_order_keeps_the_sequence_of_its_changes(provider, deliver, sandbox, statuses):
    """An order that fails twice and is taken then gets its changes in order."""
    first, second = statuses
    part = ready(provider, orders(["1", "2"], first, TEN), orders(["1", "2"], second, NOON))
    fault = {"provider": provider.name, "kind": "status", "status": 500, "order_ids": ["1"], "next": 2}
    sandbox.fault(fault).raise_for_status()
    few = replace(provider, max_orders=1, held_codes=frozenset())
    for _ in range(2):
        with pytest.raises(TryAgainError):
            deliver(part, provider=few)
    assert deliver(part, provider=few).orders == {"accepted": 4}
    codes = [provider.statuses[first], provider.statuses[second]]
    assert taken(sandbox, provider) == {"1": codes, "2": codes}
