"""An order at which the service fails, by a 5xx or a refusal, must not keep the others from being sent."""

from dataclasses import replace

import pytest

from include.order_sync.delivery.failing import FAILED_IN_A_ROW, PIECES, TRIES_OF_AN_ORDER, TRIES_UNTIL_UNSURE
from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.ledger.reasons import FAILING_REASON
from include.order_sync.providers import PROVIDERS
from include.order_sync.providers.base import Provider
from tests.contract.conftest import (
    orders,
    ready,
    repeated_and_another,
    repeated_status,
    statuses_by_rule,
)
from tests.contract.test_ledger import NOON, TEN
from tests.contract.test_providers import taken
from tests.contract.test_verdicts import waiting

BATCH = 16
NUMBERS = [str(number) for number in range(1, 4 * BATCH + 1)]


def rules_of(provider: Provider) -> tuple[object, ...]:
    """Return what the tests of this file depend on."""
    return (provider.build, provider.request, provider.max_orders, provider.held_codes, provider.try_again)


@pytest.fixture(params={rules_of(each): name for name, each in reversed(PROVIDERS.items())}.values())
def provider(request: pytest.FixtureRequest) -> Provider:
    """Each provider in turn, but one of several with the same batches and rules."""
    return PROVIDERS[request.param]


def repeatable(provider):
    """Return the provider with batches of BATCH, and a status whose send after a 500 may be repeated."""
    statuses = [*statuses_by_rule(provider, held=False), *statuses_by_rule(provider, held=True)]
    return replace(provider, max_orders=min(BATCH, provider.max_orders)), statuses[0]


def poison(sandbox, provider, bad, status=500, **more) -> None:
    """Let the service fail at each request with one of these orders."""
    fault = {"provider": provider.name, "kind": "status", "status": status, "order_ids": bad, **more}
    sandbox.fault(fault).raise_for_status()


def requests_of(sandbox, provider) -> int:
    """Return how many requests the service has had."""
    return sandbox.admin("stats")[provider.name]["requests"]


def tries_until_the_end(deliver, part, at_most, **options) -> list[Exception]:
    """Deliver until a try ends with a StopError; return the errors of all tries."""
    ends: list[Exception] = []
    while len(ends) < at_most and not any(isinstance(end, StopError) for end in ends):
        with pytest.raises((TryAgainError, StopError)) as raised:
            deliver(part, **options)
        ends.append(raised.value)
    return ends


def times_taken(sandbox, provider) -> dict[str, int]:
    """Return how often the service took each order."""
    return {order_id: len(codes) for order_id, codes in taken(sandbox, provider).items()}


@pytest.mark.parametrize(
    ("bad", "status"),
    [
        (["3", "32", "33", "62"], 500),
        (NUMBERS[1::5], 503),
        (NUMBERS[1::2], 500),
        (["3", "32", "33", "62"], 403),
    ],
    ids=["four", "each fifth", "each second", "four that are refused"],
)
def test_a_failing_order_blocks_no_other(provider, deliver, sandbox, ledger, bad, status):
    """All others are accepted, once, in few tries; the bad ones wait in the quarantine, and the run says so."""
    few, code = repeatable(provider)
    part = ready(provider, orders(NUMBERS, code))
    # No first or last request of a try is a bad one: then nobody could tell it from an outage that begins or ends.
    bad = [order_id for order_id in bad if order_id not in part["order_id"].iloc[[0, -1]].tolist()]
    poison(sandbox, provider, bad, status)
    ends = tries_until_the_end(deliver, part, 5, provider=few)
    assert f"{len(bad)} orders are not sent" in str(ends[-1])
    assert "redrive" in str(ends[-1])
    assert ends[-1].result.complete
    assert ends[-1].result.orders == {"accepted": len(NUMBERS) - len(bad), "not_sent": len(bad)}
    assert waiting(ledger, provider) == [(order_id, FAILING_REASON) for order_id in sorted(bad)]
    good = set(NUMBERS) - set(bad)
    assert times_taken(sandbox, provider) == dict.fromkeys(good, 1)

    # The same run sends them no more, and later runs once each, after all others.
    before = requests_of(sandbox, provider)
    with pytest.raises(StopError, match=f"{len(bad)} orders are not sent"):
        deliver(part, provider=few)
    assert requests_of(sandbox, provider) == before
    more = ready(provider, orders([*NUMBERS, "1000"], code))
    later = deliver(more, provider=few, run="later")
    assert later.orders == {"accepted": 1, "unchanged": len(good), "not_sent": len(bad)}
    assert (later.failing, later.requests) == ([], 1 + len(bad))

    sandbox.request("DELETE", "/__admin/faults")
    assert deliver(part, provider=few, run="next").orders["accepted"] == len(bad)
    assert waiting(ledger, provider) == []


@pytest.mark.parametrize("place", [0, -1], ids=["first", "last"])
def test_a_failing_order_at_the_end_blocks_no_later_run(provider, deliver, sandbox, ledger, place):
    """Where nothing else is left that could tell a bad order from an outage, it is listed, and the next run goes on."""
    few, code = repeatable(provider)
    part = ready(provider, orders(NUMBERS, code))
    bad = part["order_id"].iloc[place]
    poison(sandbox, provider, [bad])
    ends = tries_until_the_end(deliver, part, TRIES_UNTIL_UNSURE, provider=few)
    assert f"1 order is not sent ({bad})" in str(ends[-1])
    assert waiting(ledger, provider) == [(bad, FAILING_REASON)]
    assert times_taken(sandbox, provider) == {number: 1 for number in NUMBERS if number != bad}
    # If it is not sure, its window is not finished: so the next run reads it again.
    with_a_new_one = ready(provider, orders([*NUMBERS, "1000"], code))
    later = deliver(with_a_new_one, provider=few, run="later")
    assert later.orders == {"accepted": 1, "unchanged": len(NUMBERS) - 1, "not_sent": 1}
    assert later.complete


def test_an_order_that_was_given_up_finishes_no_run_alone(provider, deliver, sandbox, ledger):
    """A later run that has nothing else to send can't tell it from an outage: it is red, and reads it again."""
    few, code = repeatable(provider)
    poison(sandbox, provider, ["7"])
    tries_until_the_end(deliver, ready(provider, orders(NUMBERS, code)), 5, provider=few)
    with pytest.raises(StopError, match=r"1 order is not sent \(7\).*no other order was left") as stop:
        deliver(ready(provider, orders(["7"], code)), provider=few, run="night")
    assert (stop.value.result.complete, stop.value.result.requests) == (False, 1)


def test_a_redrive_tries_what_was_given_up_as_any_other_order(provider, deliver, sandbox, ledger):
    """A redrive that fails again is red, and names the orders."""
    few, code = repeatable(provider)
    poison(sandbox, provider, ["7"])
    part = ready(provider, orders(NUMBERS, code))
    tries_until_the_end(deliver, part, 5, provider=few)
    listed = ready(provider, orders(["7", "1000"], code))
    ends = tries_until_the_end(deliver, listed, 5, provider=few, run="redrive", retry_rejected=True)
    assert "1 order is not sent (7)" in str(ends[-1])
    sandbox.request("DELETE", "/__admin/faults")
    assert deliver(listed, provider=few, run="redrive 2", retry_rejected=True).orders["accepted"] == 1


def test_an_outage_gives_no_order_up_and_stays_bounded(provider, deliver, sandbox, ledger):
    """While every request fails, a try makes few requests and gives nothing up; afterwards all is sent, in batches."""
    few, status = repeatable(provider)
    part = ready(provider, orders(NUMBERS[: 4 * few.max_orders], status))
    sandbox.fault({"provider": provider.name, "kind": "status", "status": 500}).raise_for_status()
    tries = 10
    for _ in range(tries):
        with pytest.raises(TryAgainError):
            deliver(part, provider=few)
    requests = requests_of(sandbox, provider)
    assert requests <= tries * FAILED_IN_A_ROW
    assert waiting(ledger, provider) == []
    sandbox.request("DELETE", "/__admin/faults")
    assert deliver(part, provider=few).orders == {"accepted": len(part)}
    assert requests_of(sandbox, provider) - requests <= 4 * 2 * PIECES


@pytest.mark.parametrize("is_poisoned", [False, True], ids=["all good", "one bad"])
def test_an_outage_in_the_middle_gives_no_order_up(provider, deliver, sandbox, ledger, is_poisoned):
    """A service that goes down after some orders, maybe with a bad one before it, is not mistaken for bad orders."""
    few, status = repeatable(provider)
    part = ready(provider, orders(NUMBERS, status))
    bad = part["order_id"].iloc[[few.max_orders // 2]].tolist()
    if is_poisoned:
        poison(sandbox, provider, bad)

    def is_down() -> bool:
        if len(taken(sandbox, provider)) >= len(NUMBERS) // 2:
            sandbox.fault({"provider": provider.name, "kind": "status", "status": 500}).raise_for_status()
        return False

    with pytest.raises(TryAgainError):
        deliver(part, provider=few, is_stopping=is_down)
    for _ in range(8):
        with pytest.raises(TryAgainError):
            deliver(part, provider=few)
    innocent = [entry for entry in waiting(ledger, provider) if entry[0] not in bad]
    assert innocent == []
    sandbox.request("DELETE", "/__admin/faults")
    accepted = deliver(part, provider=few).orders["accepted"]
    assert accepted >= len(part) - is_poisoned
    good = [number for number in NUMBERS if not (is_poisoned and number in bad)]
    assert {number: times_taken(sandbox, provider)[number] for number in good} == dict.fromkeys(good, 1)


@repeated_and_another
def test_a_failing_order_keeps_the_sequence_of_its_changes(provider, deliver, sandbox, statuses):
    """An order that fails twice and is taken then gets its changes in order."""
    first, second = statuses
    part = ready(provider, orders(["1", "2"], first, TEN), orders(["1", "2"], second, NOON))
    poison(sandbox, provider, ["1"], next=2)
    few = replace(provider, max_orders=1, held_codes=frozenset())
    for _ in range(2):
        with pytest.raises(TryAgainError):
            deliver(part, provider=few)
    assert deliver(part, provider=few).orders == {"accepted": 4}
    codes = [provider.statuses[first], provider.statuses[second]]
    assert taken(sandbox, provider) == {"1": codes, "2": codes}


@repeated_and_another
def test_a_later_change_waits_in_the_same_try(provider, deliver, sandbox, statuses):
    """After a failure that strikes once, the order's next change is not sent before it; the others in its batch are."""
    first, second = statuses
    part = ready(provider, orders(["1", "2"], first, TEN), orders(["1", "2"], second, NOON))
    poison(sandbox, provider, ["1"], next=1)
    few = replace(provider, max_orders=min(2, provider.max_orders), held_codes=frozenset())
    with pytest.raises(TryAgainError):
        deliver(part, provider=few)
    assert taken(sandbox, provider).get("1") is None
    assert deliver(part, provider=few).orders == {"accepted": 4}
    codes = [provider.statuses[first], provider.statuses[second]]
    assert taken(sandbox, provider) == {"1": codes, "2": codes}


@repeated_status
def test_an_order_without_an_answer_is_a_failing_one(provider, deliver, sandbox, ledger, status):
    """Where a send in doubt may be repeated, an order whose connection closes each time is given up alike."""
    few = replace(provider, max_orders=min(4, provider.max_orders))
    part = ready(provider, orders([str(number) for number in range(1, 13)], status))
    bad = part["order_id"].iloc[5]
    poison(sandbox, provider, [bad], 504)
    ends = tries_until_the_end(deliver, part, 5, provider=few)
    assert ends[-1].result.orders == {"accepted": 11, "not_sent": 1}
    assert waiting(ledger, provider) == [(bad, FAILING_REASON)]


@pytest.mark.parametrize("status", [403, 404])
def test_an_account_that_is_refused_stops_the_load_and_sets_no_order_apart(provider, deliver, sandbox, ledger, status):
    """After eight refusals in a row, and no answer, a person must look at the account; nothing is rejected."""
    few = replace(provider, max_orders=min(4, provider.max_orders))
    part = ready(provider, orders(NUMBERS))
    sandbox.fault({"provider": provider.name, "kind": "status", "status": status}).raise_for_status()
    with pytest.raises(StopError, match=f"HTTP {status}.*login"):
        deliver(part, provider=few)
    assert requests_of(sandbox, provider) == FAILED_IN_A_ROW
    assert waiting(ledger, provider) == []
    sandbox.request("DELETE", "/__admin/faults")
    assert deliver(part, provider=few).orders == {"accepted": len(NUMBERS)}


def test_a_failure_that_names_a_time_is_waited_for(provider, deliver, sandbox):
    """A 503 with a short Retry-After does not end a try that has delivered something; no request leaves meanwhile."""
    few, status = repeatable(provider)
    few = replace(few, max_orders=1)
    part = ready(provider, orders(NUMBERS[:6], status))
    bad = part["order_id"].iloc[2]
    poison(sandbox, provider, [bad], 503, retry_after=1)
    ends = tries_until_the_end(deliver, part, TRIES_OF_AN_ORDER, provider=few)
    assert ends[0].result.orders["accepted"] == 5
    assert ends[-1].result.orders == {"accepted": 5, "not_sent": 1}
