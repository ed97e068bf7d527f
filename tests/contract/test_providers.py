"""The contract of every registered provider; a new one is tested from its registration on."""

import json
import math
import uuid
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from include.order_sync import tuning
from include.order_sync.configuration import models
from include.order_sync.delivery.pacing import Pace
from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.ledger.session import FAILED
from include.order_sync.model import IDENTITY_COLUMNS, ORDER_COLUMNS, ORIGIN_COLUMNS, OrderStatus
from include.order_sync.providers.base import Credentials
from include.order_sync.transform.transform import transform
from sandbox.registry import SERVICES
from tests.contract import golden
from tests.contract.conftest import (
    for_each,
    held_status,
    orders,
    providers_with,
    ready,
    rules_for,
    several_codes,
)

FAILING = Path(__file__).parent / "failing"


def taken(sandbox, provider) -> dict[str, list]:
    """Return order id -> the codes that the sandbox has taken, oldest first."""
    listed = sandbox.admin("orders", provider=provider.name)["orders"]
    return {order["id"]: [change["status"] for change in order["history"]] for order in listed}


def test_its_facts_are_those_of_the_sandbox(provider):
    """Codes, limits and what is not taken, read from the service's documentation twice: for us, and for the sandbox."""
    service = SERVICES[provider.name]
    assert {str(status): code for status, code in provider.statuses.items()} == service.codes
    assert set(provider.codes) - provider.held_codes == service.repeatable_codes
    assert (provider.changes == "every") == service.takes_events
    assert provider.try_again == service.not_taken
    assert provider.max_orders <= service.max_orders


def failing_rows(provider) -> dict[str, dict[str, str | None]]:
    """Return, for each check's reason, the columns in which a failing row differs from a good one."""
    file = FAILING / f"{provider.name}.json"
    rows: dict[str, dict[str, str | None]] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return rows


def test_each_check_has_a_row_that_fails(provider):
    """failing/ has exactly one row for each of the provider's checks, and each check has its own reason."""
    reasons = [check.reason for check in provider.checks]
    assert sorted(failing_rows(provider)) == sorted(reasons), f"correct tests/contract/failing/{provider.name}.json"


@for_each("check", lambda provider: [check.reason for check in provider.checks])
def test_each_check_fires_alone(provider, check):
    """A row that fails a check is rejected with only that check's reason, and its neighbours are ready."""
    rows = orders(["1", "2", "3"], next(iter(provider.statuses)))
    for column, value in failing_rows(provider)[check].items():
        rows.loc[rows["order_id"] == "2", column] = value
    part = transform(rows, None, rules_for(provider))
    assert (part.reasons, part.rejected["order_id"].tolist(), len(part.ready)) == ({check: 1}, ["2"], 2)


def test_each_status_arrives_as_the_providers_code(provider, deliver, sandbox):
    """Each status arrives as its code in the provider's map."""
    rows = [orders([str(number)], status) for number, status in enumerate(provider.statuses, 1)]
    deliver(ready(provider, *rows))
    expected = {str(number): [code] for number, code in enumerate(provider.statuses.values(), 1)}
    assert taken(sandbox, provider) == expected


def test_absent_statuses_are_not_for_the_provider(provider):
    """A status that the provider's map lacks makes no request and is no error."""
    for status in set(OrderStatus) - provider.statuses.keys():
        assert ready(provider, orders(["1"], status)).empty


def test_requests_hold_at_most_the_limit(provider, deliver, sandbox):
    """Orders above the limit go in further requests, each order once, over several parts."""
    ids = [str(number) for number in range(1, provider.max_orders + 3)]
    half = len(ids) // 2
    delivered = deliver(ready(provider, orders(ids[:half])), ready(provider, orders(ids[half:])))
    stats = sandbox.admin("stats")[provider.name]
    assert stats["requests"] == delivered.requests == math.ceil(len(ids) / provider.max_orders)
    assert (stats["accepted"], stats["refused"], delivered.orders["accepted"]) == (len(ids), 0, len(ids))
    assert set(taken(sandbox, provider)) == set(ids)


def test_a_pace_is_a_number_of_requests_a_second(provider):
    """A provider's pace is one that the configuration would take too, or none."""
    pace = provider.requests_a_second
    assert pace is None or models.requests_a_second(pace) == pace


@several_codes
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
    """A wrong secret ends the task after a few requests, and its message shows no secret."""
    wrong = Credentials(f"{sandbox.url}/{provider.name}", SERVICES[provider.name].account.login, "wrong-secret")
    with pytest.raises(StopError) as stop:
        deliver(ready(provider, orders(["1", "2", "3"])), credentials=wrong)
    assert "wrong-secret" not in str(stop.value) + repr(wrong)
    assert stop.value.result.requests <= 1 + len(["1", "2", "3"])
    assert taken(sandbox, provider) == {}


def answer_with(sandbox, provider, status: int, **fields) -> None:
    """Let the sandbox answer the next request of a provider with an HTTP status."""
    fault = {"provider": provider.name, "kind": "status", "status": status, "next": 1, **fields}
    sandbox.fault(fault).raise_for_status()


# From any server a 408 means that the request did not arrive, and a 429 that it was not read.
@pytest.mark.parametrize("retry_after", [None, 60])
@for_each("status", lambda provider: sorted({408, 429, *provider.try_again}))
def test_not_taken_is_tried_again(provider, deliver, sandbox, status, retry_after):
    """408, 429 and a provider's own statuses ask for another try, after the time that the service names."""
    answer_with(sandbox, provider, status, **({} if retry_after is None else {"retry_after": retry_after}))
    part = ready(provider, orders(["1"]))
    with pytest.raises(TryAgainError) as again:
        deliver(part)
    assert again.value.after_s == retry_after
    assert deliver(part).orders["accepted"] == 1


@for_each(
    "status", lambda provider: sorted({404, 406, 409, 410} - provider.in_doubt - SERVICES[provider.name].taken_before)
)
def test_another_refusal_stops_no_other_order(provider, deliver, sandbox, status):
    """A 409, like each 4xx without its own meaning, may be about one order: the others are sent; nothing is lost."""
    answer_with(sandbox, provider, status)
    part = ready(provider, orders([str(number) for number in range(1, provider.max_orders + 2)]))
    if provider.max_orders == 1:
        with pytest.raises(TryAgainError, match=f"HTTP {status}.*answers other requests"):
            deliver(part)
    assert deliver(part).orders == {"accepted": len(part)}


@for_each(
    "status", lambda provider: sorted({404, 406, 409, 410} - provider.in_doubt - SERVICES[provider.name].taken_before)
)
def test_another_refusal_of_the_only_order_stops(provider, deliver, sandbox, status):
    """Where nothing else is answered, such a refusal is taken for the account's: the run ends red."""
    answer_with(sandbox, provider, status)
    with pytest.raises(StopError, match=f"HTTP {status}") as stop:
        deliver(ready(provider, orders(["1"])))
    assert (stop.value.result.requests, taken(sandbox, provider)) == (1, {})


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_login_stops(provider, deliver, sandbox, status):
    """A 401 and a 403 end the run red, and the message names the connection's login and password."""
    answer_with(sandbox, provider, status)
    with pytest.raises(StopError, match=f"HTTP {status}.*login (or|and) password"):
        deliver(ready(provider, orders(["1"])))


@pytest.mark.parametrize("status", [400, 422])
@providers_with(lambda provider: not provider.finds_refused_orders)
def test_a_refused_batch_waits_for_a_redrive(provider, deliver, sandbox, status):
    """A batch that is refused as a whole is never halved, and none of its orders is rejected; the next one is sent."""
    answer_with(sandbox, provider, status)
    with pytest.raises(StopError, match=f"{provider.max_orders} orders are not sent") as stop:
        deliver(ready(provider, orders([str(number) for number in range(1, provider.max_orders + 2)])))
    assert (stop.value.result.requests, stop.value.result.orders) == (
        2,
        {"accepted": 1, "not_sent": provider.max_orders},
    )


@pytest.mark.parametrize("status", [400, 413, 422])
@providers_with(lambda provider: provider.max_orders == 1)
def test_a_refused_order_is_rejected(provider, deliver, sandbox, status):
    """The refusal of a request with one order is about that order; the next one is sent."""
    answer_with(sandbox, provider, status)
    delivered = deliver(ready(provider, orders(["1", "2"])))
    assert (delivered.requests, delivered.orders) == (2, {"accepted": 1, "rejected": 1})


@pytest.mark.parametrize("status", [400, 413, 422])
@providers_with(lambda provider: provider.halve_refused)
def test_a_refused_batch_is_halved(provider, deliver, sandbox, status):
    """If the service allows it, a batch that is refused as a whole is sent again in two halves."""
    answer_with(sandbox, provider, status)
    delivered = deliver(ready(provider, orders([str(number) for number in range(1, 9)])))
    assert (delivered.requests, delivered.orders) == (3, {"accepted": 8})


def doubtful(provider) -> list[int]:
    """Return the statuses of a broken service that leave a provider's orders in doubt."""
    return sorted({500, 502, 503, 504} - provider.try_again)


@for_each("status", doubtful)
def test_a_doubt_that_is_repeated_waits_as_asked(provider, deliver, sandbox, status):
    """A batch in doubt is sent again after the Retry-After of its 5xx."""
    answer_with(sandbox, provider, status, when="after", retry_after=60)
    with pytest.raises(TryAgainError, match=f"HTTP {status}.*in doubt") as again:
        deliver(ready(provider, orders(["1"])), resend_in_doubt=True)
    assert again.value.after_s == 60


@held_status
def test_a_service_that_is_down_is_left_alone_as_long_as_it_asks(provider, deliver, sandbox, status):
    """After three held batches in a row the rest waits for another try, after the service's Retry-After."""
    answer_with(sandbox, provider, doubtful(provider)[0], when="after", retry_after=60, next=3)
    part = ready(provider, orders(["1", "2", "3", "4"], status))
    with pytest.raises(TryAgainError, match="no answer 3 times in a row") as again:
        deliver(part, provider=replace(provider, max_orders=1))
    assert (again.value.after_s, len(again.value.result.held)) == (60, 3)


@pytest.mark.parametrize("delivered", [0, 1])
def test_a_try_that_delivered_something_says_so(provider, deliver, sandbox, delivered):
    """The error of a load tells the retry policy whether anything was delivered before it."""
    fault = {"provider": provider.name, "kind": "status", "status": 429, "every": delivered + 1, "retry_after": 7200}
    sandbox.fault(fault).raise_for_status()
    with pytest.raises(TryAgainError) as again:
        deliver(ready(provider, orders(["1", "2"])), provider=replace(provider, max_orders=1))
    assert again.value.has_progress == bool(delivered)


@held_status
def test_an_outage_holds_few_orders(provider, deliver, sandbox, status):
    """After a doubt the service is asked with a few orders, and each later try asks with as few."""
    answer_with(sandbox, provider, doubtful(provider)[0], when="before", next=4)
    part = ready(provider, orders([str(number) for number in range(200)], status))
    size = min(provider.max_orders, 50)
    few = min(size, 10)
    for held in (size + 2 * few, size + 3 * few):
        with pytest.raises(TryAgainError, match="no answer 3 times in a row") as again:
            deliver(part, provider=replace(provider, max_orders=size))
        assert len(again.value.result.held) == held
    with pytest.raises(StopError, match="are held") as stop:
        deliver(part, provider=replace(provider, max_orders=size))
    assert stop.value.result.orders == {"held": held, "accepted": 200 - held}


@held_status
def test_an_outage_with_several_connections_holds_what_is_in_flight(provider, deliver, sandbox, status):
    """After a doubt nothing leaves before the others in flight have their answers; a probe leaves alone."""
    answer_with(sandbox, provider, doubtful(provider)[0], when="before", next=100)
    part = ready(provider, orders([str(number) for number in range(200)], status))
    size = min(provider.max_orders, 20)
    for held in (4 * size, 4 * size + min(size, 10)):
        with pytest.raises(TryAgainError, match="no answer 3 times in a row") as again:
            deliver(part, provider=replace(provider, max_orders=size), connections=4)
        assert len(again.value.result.held) == held


@held_status
def test_a_doubt_that_a_wait_for_the_pace_brings_is_followed_by_a_probe(provider, deliver, sandbox, status):
    """A batch that waits for its slot while another one gets no answer does not leave whole."""
    fault = {"provider": provider.name, "kind": "status", "status": doubtful(provider)[0], "when": "before"}
    sandbox.fault({"provider": provider.name, "kind": "slow", "seconds": 0.2, "when": "before", "next": 1})
    sandbox.fault({**fault, "next": 100}).raise_for_status()
    part = ready(provider, orders([str(number) for number in range(200)], status))
    size = min(provider.max_orders, 20)
    with pytest.raises(TryAgainError, match="no answer 3 times in a row") as again:
        deliver(
            part,
            provider=replace(provider, max_orders=size),
            connections=4,
            pace=Pace(f"account {uuid.uuid4()}", 1.0),
        )
    assert len(again.value.result.held) == size + 2 * min(size, 10)


@held_status
def test_one_doubt_costs_one_probe(provider, deliver, sandbox, status):
    """Once the probe is answered, the others leave in whole batches."""
    answer_with(sandbox, provider, doubtful(provider)[0], when="before", next=1)
    part = ready(provider, orders([str(number) for number in range(200)], status))
    with pytest.raises(StopError, match=r"(is|are) held") as stop:
        deliver(part, provider=replace(provider, max_orders=min(provider.max_orders, 50)))
    assert stop.value.result.requests == (200 if provider.max_orders == 1 else 5)


# Bodies of a 2xx that are not the service's own.
FORMS = ("bytes", "page", "login", "cut_json", "broken_chunks")


@pytest.mark.parametrize("form", FORMS)
def test_a_success_that_is_no_answer_of_the_service_is_in_doubt(provider, deliver, sandbox, form):
    """A 2xx with another server's page, or with a body that is cut off, leaves the orders in doubt."""
    sandbox.fault({"provider": provider.name, "kind": "garbage", "form": form, "next": 1}).raise_for_status()
    with pytest.raises(TryAgainError, match="doubt"):
        deliver(ready(provider, orders(["1"])), resend_in_doubt=True)


def test_no_connection_is_tried_again(provider, deliver):
    """An unreachable service has taken nothing; the message names its address."""
    nowhere = Credentials("http://127.0.0.1:9", "login", "secret")
    with pytest.raises(TryAgainError, match=r"127\.0\.0\.1:9.*no connection.*host"):
        deliver(ready(provider, orders(["1"])), credentials=nowhere)


NO_ANSWER = {
    "closed before processing": {"kind": "close", "when": "before"},
    "closed after processing": {"kind": "close", "when": "after"},
    "502 after processing": {"kind": "status", "status": 502, "when": "after"},
    "no answer in time": {"kind": "slow", "seconds": 1},
}


@pytest.mark.parametrize("fault", NO_ANSWER.values(), ids=NO_ANSWER)
@for_each("status", lambda provider: provider.statuses)
def test_in_doubt_follows_the_providers_rule(provider, deliver, sandbox, ledger, fault, status, monkeypatch):
    """A send without a complete answer is repeated; with a held code its order is held and listed instead.

    The ledger keeps the reason, which an order's page shows.
    """
    part = ready(provider, orders(["17"], status))
    monkeypatch.setattr(tuning, "ANSWER_S", 0.3)
    sandbox.fault({"provider": provider.name, "next": 1, **fault}).raise_for_status()
    held = provider.statuses[status] in provider.held_codes
    with pytest.raises(StopError if held else TryAgainError, match="held.*17" if held else "doubt") as error:
        deliver(part)
    assert error.value.result.held == (["17"] if held else [])
    with ledger.connect() as connection:
        reason = connection.execute(sa.text("select reason from batches order by id desc limit 1")).scalar_one()
    assert reason.startswith(FAILED) is not held
    assert held or reason.removeprefix(FAILED) in str(error.value)


@held_status
def test_held_orders_do_not_stop_the_others(provider, deliver, sandbox, status):
    """After a batch whose fate is unknown the other batches are sent all the same."""
    ids = [str(number) for number in range(1, provider.max_orders + 2)]
    sandbox.fault({"provider": provider.name, "kind": "close", "when": "before", "next": 1}).raise_for_status()
    part = ready(provider, orders(ids, status))
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
    """All requests of a delivery use one connection."""
    ids = [str(number) for number in range(1, provider.max_orders + 2)]
    deliver(ready(provider, orders(ids)))
    pools = session.get_adapter(sandbox.url).poolmanager.pools
    (pool,) = [pools[key] for key in pools.keys()]  # noqa: SIM118  (it can't be iterated otherwise)
    assert (pool.num_connections, pool.num_requests) == (1, 2)


def test_what_a_provider_reads_is_all_it_needs(provider):
    """Payloads and faults stay the same if only the columns in the provider's `reads` are read."""
    rows = pd.concat([orders([str(number)], status) for number, status in enumerate(provider.statuses)])
    empty = orders([f"empty {number}" for number in range(2)], next(iter(provider.statuses)))
    empty.loc[:, [column for column in ORDER_COLUMNS if column not in IDENTITY_COLUMNS]] = None
    odd = orders(["odd"], next(iter(provider.statuses))).assign(
        items="[", additional_info="[", total_cost="x", email="x", phone="x", bill_id="x"
    )
    raw = pd.concat([rows, empty, odd], ignore_index=True)
    raw["position"] = range(len(raw))
    rules = rules_for(provider)
    read = [column for column in raw if column in {*IDENTITY_COLUMNS, *ORIGIN_COLUMNS, "updated_at", *provider.reads}]
    whole, part = (transform(given, None, rules) for given in (raw, raw[read]))
    pd.testing.assert_frame_equal(part.ready, whole.ready)
    assert (part.counts, part.reasons, part.first_rows) == (whole.counts, whole.reasons, whole.first_rows)


@for_each("status", lambda provider: provider.statuses)
def test_payloads_hold_no_credentials(provider, status, credentials):
    """Staged payloads hold neither the login nor the secret."""
    (payloads,) = ready(provider, orders(["1"], status))["payload"]
    assert credentials.secret not in payloads
    assert credentials.login not in payloads


def test_golden_requests(provider):
    """The requests of known orders, one of each status, equal the committed golden file byte for byte."""
    for path, chosen in golden.choices(provider).items():
        assert golden.requests(*chosen) == json.loads(path.read_text("utf-8")), path.name


def test_make_golden_writes_what_is_compared(provider, tmp_path, monkeypatch, capsys):
    """`make golden NAME=...` writes exactly the committed files, and shows the requests to read."""
    committed = {path.name: path.read_bytes() for path in golden.choices(provider)}
    monkeypatch.setattr(golden, "FOLDER", tmp_path)
    assert golden.main([provider.name]) == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == committed
    shown = capsys.readouterr().out
    assert provider.documentation in shown
    for chosen in golden.choices(provider).values():
        assert all(request["body"] in shown for request in golden.requests(*chosen))


@several_codes
def test_an_override_changes_the_code(provider, sandbox, deliver):
    """A destination's own map overrides the provider's."""
    status = next(iter(provider.statuses))
    deliver(ready(provider, orders(["1"], status), codes={**provider.statuses, status: provider.codes[-1]}))
    assert taken(sandbox, provider) == {"1": [provider.codes[-1]]}
