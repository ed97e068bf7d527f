"""What every registered provider keeps, a further one too from the day it is registered."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from include.order_sync import tuning
from include.order_sync.delivery import http
from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.model import IDENTITY_COLUMNS, ORDER_COLUMNS, ORIGIN_COLUMNS, OrderStatus
from include.order_sync.providers.base import Credentials
from include.order_sync.transform.transform import transform
from tests.contract.conftest import ACCOUNTS, orders, ready, rules_for

GOLDEN = Path(__file__).parent / "golden"


def taken(sandbox, provider) -> dict[str, list]:
    """Return order id -> the codes that the sandbox has taken, in their order."""
    listed = sandbox.admin("orders", provider=provider.name)["orders"]
    return {order["id"]: [change["status"] for change in order["history"]] for order in listed}


def test_each_status_arrives_as_the_providers_code(provider, deliver, sandbox):
    """A status of the provider's map arrives as the code that stands there."""
    rows = [orders([str(number)], status) for number, status in enumerate(provider.statuses, 1)]
    deliver(ready(provider, *rows))
    expected = {str(number): [code] for number, code in enumerate(provider.statuses.values(), 1)}
    assert taken(sandbox, provider) == expected


def test_absent_statuses_are_not_for_the_provider(provider):
    """A status that the provider's map lacks makes no request and is no error."""
    for status in set(OrderStatus) - provider.statuses.keys():
        assert ready(provider, orders(["1"], status)).empty


def test_requests_hold_at_most_the_limit(provider, deliver, sandbox):
    """Orders over the limit go in further requests, each order once, over several parts."""
    ids = [str(number) for number in range(1, provider.max_orders + 3)]
    half = len(ids) // 2
    delivered = deliver(ready(provider, orders(ids[:half])), ready(provider, orders(ids[half:])))
    stats = sandbox.admin("stats")[provider.name]
    assert stats["requests"] == delivered.requests == math.ceil(len(ids) / provider.max_orders)
    assert (stats["accepted"], stats["refused"], delivered.orders["accepted"]) == (len(ids), 0, len(ids))
    assert set(taken(sandbox, provider)) == set(ids)


def test_changes_of_an_order_go_one_after_the_other(provider, deliver, sandbox):
    """No request holds an order twice, and its changes arrive in the order of their versions."""
    first, second = list(dict.fromkeys(provider.statuses.values()))[:2]
    by_code = {code: status for status, code in provider.statuses.items()}
    later = orders(["1", "2"], by_code[second], at="2026-11-21T11:00:00Z")
    earlier = orders(["2", "1"], by_code[first], at="2026-11-21T10:00:00Z")
    deliver(ready(provider, later, earlier))
    assert taken(sandbox, provider) == {"1": [first, second], "2": [first, second]}
    assert sandbox.admin("stats")[provider.name]["refused"] == 0


def test_nothing_to_send_makes_no_request(provider, deliver, sandbox):
    """An empty batch is never sent."""
    nothing = ready(provider, orders([]))
    delivered = deliver(nothing, nothing)
    assert (delivered.requests, sandbox.admin("stats")[provider.name]["requests"]) == (0, 0)


def test_a_wrong_secret_stops(provider, deliver, sandbox):
    """A wrong secret ends the task at its first request, and its message shows no secret."""
    wrong = Credentials(f"{sandbox.url}/{provider.name}", ACCOUNTS[provider.name][0], "wrong-secret")
    with pytest.raises(StopError) as stop:
        deliver(ready(provider, orders(["1", "2", "3"])), credentials=wrong)
    assert "wrong-secret" not in str(stop.value) + repr(wrong)
    assert stop.value.result.requests == 1
    assert taken(sandbox, provider) == {}


@pytest.mark.parametrize(("status", "retry_after"), [(429, 7), (429, None), (503, None), (503, 60)])
def test_not_taken_is_tried_again(provider, deliver, sandbox, status, retry_after):
    """429 and 503 ask for another try, after the time that the service names."""
    fault = {"provider": provider.name, "kind": "status", "status": status, "next": 1}
    sandbox.fault(fault if retry_after is None else {**fault, "retry_after": retry_after}).raise_for_status()
    part = ready(provider, orders(["1"]))
    with pytest.raises(TryAgainError) as again:
        deliver(part)
    assert again.value.after_s == retry_after
    assert deliver(part).orders["accepted"] == 1


def test_no_connection_is_tried_again(provider, deliver):
    """A service that nobody can reach has taken nothing; the message names the address."""
    nowhere = Credentials("http://127.0.0.1:9", "login", "secret")
    with pytest.raises(TryAgainError, match=r"127\.0\.0\.1:9.*no connection.*host"):
        deliver(ready(provider, orders(["1"])), credentials=nowhere)


IN_DOUBT = {
    "closed before processing": {"kind": "close", "when": "before"},
    "closed after processing": {"kind": "close", "when": "after"},
    "502 after processing": {"kind": "status", "status": 502, "when": "after"},
    "no answer in time": {"kind": "slow", "seconds": 1},
}


@pytest.mark.parametrize("fault", IN_DOUBT.values(), ids=IN_DOUBT)
@pytest.mark.parametrize("status", OrderStatus)
def test_in_doubt_follows_the_providers_rule(provider, deliver, sandbox, fault, status, monkeypatch):
    """A send without a complete answer is repeated, unless its code is one that must be held: then it is listed."""
    part = ready(provider, orders(["17"], status))
    if part.empty:
        return
    monkeypatch.setattr(http, "READ_TIMEOUT_S", 0.3)
    sandbox.fault({"provider": provider.name, "next": 1, **fault}).raise_for_status()
    held = part["code"].iloc[0] in provider.held_codes
    with pytest.raises(StopError if held else TryAgainError, match="held.*17" if held else "doubt") as error:
        deliver(part)
    assert error.value.result.held == (["17"] if held else [])


def test_held_orders_do_not_stop_the_others(provider, deliver, sandbox):
    """After a batch whose fate is unknown the other batches are sent all the same."""
    held = [status for status, code in provider.statuses.items() if code in provider.held_codes]
    if not held:
        return
    ids = [str(number) for number in range(1, provider.max_orders + 2)]
    sandbox.fault({"provider": provider.name, "kind": "close", "when": "before", "next": 1}).raise_for_status()
    part = ready(provider, orders(ids, held[0]))
    with pytest.raises(StopError) as stop:
        deliver(part)
    assert (len(stop.value.result.held), stop.value.result.orders["accepted"]) == (provider.max_orders, 1)
    assert list(taken(sandbox, provider)) == part["order_id"].tolist()[-1:]


def test_a_redirect_is_refused(provider, deliver, sandbox):
    """A redirect is not followed: a POST would lose its body."""
    sandbox.fault({"provider": provider.name, "kind": "status", "status": 302, "next": 1}).raise_for_status()
    with pytest.raises(StopError, match=r"redirect.*host"):
        deliver(ready(provider, orders(["1"])))


def test_an_endless_answer_is_cut(provider, deliver, sandbox, monkeypatch):
    """An answer over the limit is not read to its end, and leaves the batch in doubt."""
    monkeypatch.setattr(tuning, "ANSWER_MAX_BYTES", 1000)
    garbage = {"provider": provider.name, "kind": "garbage", "message": "x" * 5000, "next": 1}
    sandbox.fault(garbage).raise_for_status()
    with pytest.raises((StopError, TryAgainError), match=r"doubt|held"):
        deliver(ready(provider, orders(["1"])))


def test_connections_are_kept_alive(provider, deliver, sandbox, session):
    """All requests of a delivery go over one connection."""
    ids = [str(number) for number in range(1, provider.max_orders + 2)]
    deliver(ready(provider, orders(ids)))
    pools = session.get_adapter(sandbox.url).poolmanager.pools
    (pool,) = [pools[key] for key in pools.keys()]  # noqa: SIM118  (it can't be iterated otherwise)
    assert (pool.num_connections, pool.num_requests) == (1, 2)


def test_what_a_provider_reads_is_all_it_needs(provider):
    """Payloads and faults are the same where nothing is read but what the provider names."""
    rows = pd.concat([orders([str(number)], status) for number, status in enumerate(provider.statuses)])
    empty = orders([f"empty {number}" for number in range(2)])
    empty.loc[:, [column for column in ORDER_COLUMNS if column not in IDENTITY_COLUMNS]] = None
    odd = orders(["odd"]).assign(items="[", additional_info="[", total_cost="x", email="x", phone="x", bill_id="x")
    raw = pd.concat([rows, empty, odd], ignore_index=True)
    raw["position"] = range(len(raw))
    rules = rules_for(provider)
    read = [column for column in raw if column in {*IDENTITY_COLUMNS, *ORIGIN_COLUMNS, "updated_at", *provider.reads}]
    whole, part = (transform(given, None, rules) for given in (raw, raw[read]))
    pd.testing.assert_frame_equal(part.ready, whole.ready)
    assert (part.counts, part.reasons, part.first_rows) == (whole.counts, whole.reasons, whole.first_rows)


@pytest.mark.parametrize("given", [{}, {"status": "delivered"}], ids=["as given", "delivered"])
def test_payloads_hold_no_credentials(provider, credentials, given):
    """Staged payloads hold nothing of the account."""
    payloads = "".join(ready(provider, orders(["1"], **given))["payload"])
    assert credentials.secret not in payloads
    assert credentials.login not in payloads


def test_golden_requests(provider):
    """The requests of known orders, one of each status, are byte for byte those that were read and found right."""
    rows = [orders([str(100 + number)], status) for number, status in enumerate(provider.statuses)]
    login, secret = ACCOUNTS[provider.name]
    payloads = ready(provider, *rows).sort_values("order_id")["payload"].tolist()
    requests = [
        provider.request(Credentials("", login, secret), payloads[start : start + provider.max_orders])
        for start in range(0, len(payloads), provider.max_orders)
    ]
    expected = json.loads((GOLDEN / f"{provider.name}.json").read_text("utf-8"))
    assert [{"path": r.path, "headers": dict(r.headers), "body": r.body.decode()} for r in requests] == expected


def test_an_override_changes_the_code(provider, sandbox, deliver):
    """A destination's own map wins over the provider's."""
    first, *_, last = provider.codes
    status = next(iter(provider.statuses))
    changed = replace(provider, statuses={**provider.statuses, status: last if last != first else first})
    deliver(ready(changed, orders(["1"], status)))
    assert taken(sandbox, provider) == {"1": [changed.statuses[status]]}
