"""Nothing lost, nothing twice: the ledger's promise for every registered provider."""

import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa

from include.order_sync import tuning
from include.order_sync.delivery import http
from include.order_sync.delivery.brake import Brake, notifications
from include.order_sync.delivery.decision_table import SendOptions
from include.order_sync.delivery.plan_mode import plan_outcomes
from include.order_sync.delivery.planning import Planner
from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.ledger import schema
from include.order_sync.ledger.opening import open_session
from include.order_sync.model import OrderStatus
from tests.contract.conftest import (
    held_and_another,
    held_status,
    orders,
    ready,
    rejects_orders,
    repeated_and_another,
    repeated_status,
    several_codes,
    status_of_each_rule,
    statuses_by_rule,
)
from tests.contract.test_providers import taken

TEN, ELEVEN, NOON = (f"2026-11-21T{hour}:00:00Z" for hour in (10, 11, 12))


def two_codes(provider) -> list[OrderStatus]:
    """Return two statuses of different codes; repeatable codes come first."""
    return [*statuses_by_rule(provider, held=False), *statuses_by_rule(provider, held=True)][:2]


def test_what_was_delivered_is_unchanged(provider, deliver, sandbox):
    """Another run over the same orders sends nothing, and counts them as unchanged."""
    part = ready(provider, orders(["1", "2"]))
    deliver(part)
    delivered = deliver(part, run="another")
    assert (delivered.requests, delivered.orders) == (0, {"unchanged": 2})


@several_codes
def test_an_older_version_is_never_sent(provider, deliver, sandbox):
    """A late backfill does not replace a new state by an old one."""
    new, old = two_codes(provider)
    deliver(ready(provider, orders(["1"], new, NOON)))
    delivered = deliver(ready(provider, orders(["1"], old, TEN)), run="late", resend=True)
    assert (delivered.requests, delivered.orders) == (0, {"stale": 1})
    assert taken(sandbox, provider) == {"1": [provider.statuses[new]]}


@several_codes
def test_what_lies_before_an_unchanged_version_is_stale(provider, deliver, sandbox):
    """A newer version that needed no send still makes earlier versions stale."""
    first, other = two_codes(provider)
    deliver(ready(provider, orders(["1"], first, TEN)))
    deliver(ready(provider, orders(["1"], first, NOON)), run="2")
    assert deliver(ready(provider, orders(["1"], other, ELEVEN)), run="3").orders == {"stale": 1}


@several_codes
def test_a_row_written_again_loses_no_change(provider, deliver, sandbox):
    """A change that failed is still sent by the next try, though a later row repeats its code."""
    first, second = two_codes(provider)
    deliver(ready(provider, orders(["1"], first, TEN)))
    part = ready(provider, orders(["1"], second, ELEVEN), orders(["1"], second, NOON))
    sandbox.fault({"provider": provider.name, "kind": "status", "status": 429, "next": 1}).raise_for_status()
    with pytest.raises(TryAgainError):
        deliver(part, run="2")
    assert deliver(part, run="2").orders == {"accepted": 1, "unchanged": 1}
    late = ready(provider, orders(["1"], first, "2026-11-21T11:30:00Z"))
    assert deliver(late, run="late").orders == {"stale": 1}
    back = ready(provider, orders(["1"], first, "2026-11-21T13:00:00Z"))
    assert deliver(back, run="back").orders == {"accepted": 1}


@several_codes
def test_a_changed_status_is_sent(provider, deliver, sandbox):
    """A newer version with another code is sent, once."""
    first, second = two_codes(provider)
    for run, (status, at) in enumerate([(first, TEN), (second, ELEVEN), (second, NOON)]):
        deliver(ready(provider, orders(["1"], status, at)), run=str(run))
    assert taken(sandbox, provider) == {"1": [provider.statuses[first], provider.statuses[second]]}


@several_codes
def test_a_changed_map_resends_nothing_by_itself(provider, deliver, sandbox):
    """The same version with another code, as after a changed map, is not sent without `resend`."""
    first, second = two_codes(provider)
    deliver(ready(provider, orders(["1"], first, TEN)))
    same_row = ready(provider, orders(["1"], first, TEN))["source_hash"]
    mapped = ready(provider, orders(["1"], second, TEN)).assign(source_hash=same_row)
    for run, reads_present in (("2", False), ("2b", True)):
        assert deliver(mapped, run=run, reads_present=reads_present).orders == {"unchanged": 1}
    assert deliver(mapped, run="3", resend=True).orders == {"accepted": 1}


def test_resend_sends_once_a_run(provider, deliver, sandbox):
    """`resend` sends what is unchanged, but a further try of that run sends nothing again."""
    part = ready(provider, orders(["1", "2"]))
    deliver(part)
    assert deliver(part, run="again", resend=True).orders == {"accepted": 2}
    again = deliver(part, run="again", resend=True)
    assert (again.requests, again.orders) == (0, {"accepted": 2})


def test_a_changed_payload_is_sent_if_so_chosen(provider, deliver, sandbox):
    """With `send_when: content` a newer version of the same code is sent if, and only if, its payload differs."""
    first, later = (ready(provider, orders(["1"], at=at)) for at in (TEN, ELEVEN))
    deliver(first, send_when="content")
    differs = first["payload"].tolist() != later["payload"].tolist()
    assert deliver(later, run="later", send_when="content").requests == int(differs)
    changed = ready(provider, orders(["1"], at=NOON))
    changed["payload"] = changed["payload"].str.replace('"1"', '"1" ', n=1)
    assert deliver(changed, run="changed", send_when="content").orders == {"accepted": 1}


@pytest.mark.parametrize("fewer", [0, 7])
def test_the_next_try_goes_on_at_the_first_unsent_batch(provider, deliver, sandbox, fewer):
    """The next try goes on at the first unsent batch, also in smaller batches; the run counts each order once.

    A limit is no failure of the orders that met it: these are sent in full batches again.
    """
    ids = [str(number) for number in range(1, 2 * provider.max_orders + 2)]
    part = ready(provider, orders(ids))
    sandbox.fault(
        {"provider": provider.name, "kind": "status", "status": 429, "every": 2, "retry_after": 7200}
    ).raise_for_status()
    with pytest.raises(TryAgainError) as again:
        deliver(part)
    assert again.value.result.orders == {"accepted": provider.max_orders}
    sandbox.request("DELETE", "/__admin/faults")
    smaller = replace(provider, max_orders=max(1, provider.max_orders - fewer))
    delivered = deliver(part, provider=smaller)
    left = len(ids) - provider.max_orders
    assert (delivered.requests, delivered.orders) == (-(-left // smaller.max_orders), {"accepted": len(ids)})
    assert {id_: len(codes) for id_, codes in taken(sandbox, provider).items()} == dict.fromkeys(ids, 1)


@several_codes
def test_several_connections_keep_an_orders_changes_in_order(provider, deliver, sandbox):
    """Requests in flight at once hold different orders; each order's changes arrive in order, once."""
    first, second = two_codes(provider)
    few = replace(provider, max_orders=min(3, provider.max_orders))
    ids = [str(number) for number in range(1, 31)]
    part = ready(provider, orders(ids, first, TEN), orders(ids, second, NOON))
    sandbox.fault({"provider": provider.name, "kind": "slow", "seconds": 0.02, "when": "before", "every": 2})
    assert deliver(part, provider=few, connections=8).orders == {"accepted": 60}
    assert taken(sandbox, provider) == {id_: [provider.statuses[first], provider.statuses[second]] for id_ in ids}


def test_answers_in_flight_are_recorded_when_a_request_fails(provider, deliver, sandbox):
    """A request that fails ends the try, but the answers of others in flight are still recorded."""
    few = replace(provider, max_orders=1)
    part = ready(provider, orders([str(number) for number in range(1, 21)]))
    sandbox.fault({"provider": provider.name, "kind": "slow", "seconds": 0.1, "when": "after", "every": 2})
    sandbox.fault(
        {"provider": provider.name, "kind": "status", "status": 429, "every": 5, "retry_after": 7200}
    ).raise_for_status()
    with pytest.raises(TryAgainError) as again:
        deliver(part, provider=few, connections=6)
    assert again.value.result.orders["accepted"] == len(taken(sandbox, provider))
    sandbox.request("DELETE", "/__admin/faults")
    assert deliver(part, provider=few, connections=6).orders == {"accepted": 20}
    assert {id_: len(codes) for id_, codes in taken(sandbox, provider).items()} == {str(n): 1 for n in range(1, 21)}


@several_codes
def test_all_changes_count_as_accepted_in_the_next_try(provider, deliver, sandbox):
    """Several changes of an order that an earlier try has sent count as accepted, not stale."""
    first, second = two_codes(provider)
    part = ready(provider, orders(["1"], first, TEN), orders(["1"], second, NOON))
    deliver(part)
    delivered = deliver(part)
    assert (delivered.requests, delivered.orders) == (0, {"accepted": 2})


@several_codes
def test_equal_times_keep_the_source_order(provider, deliver, sandbox):
    """Among rows with the same two times the later row is the newer, in any window."""
    first, second = two_codes(provider)
    part = ready(provider, orders(["1"], first, TEN), orders(["1"], second, TEN))
    deliver(part)
    shifted = ready(provider, orders(["9"], first, TEN), orders(["1"], first, TEN), orders(["1"], second, TEN))
    delivered = deliver(shifted, run="shifted")
    assert delivered.orders == {"accepted": 1, "stale": 1, "unchanged": 1}
    assert taken(sandbox, provider)["1"] == [provider.statuses[first], provider.statuses[second]]


def close(sandbox, provider, when: str) -> None:
    """Let the next request end without an answer."""
    sandbox.fault({"provider": provider.name, "kind": "close", "when": when, "next": 1}).raise_for_status()


@pytest.mark.parametrize(
    ("fault", "outcome", "is_failure"),
    [
        ({"kind": "close", "when": "after"}, "in_doubt", True),
        ({"kind": "status", "status": 503}, "not_taken", True),
        ({"kind": "status", "status": 403}, "not_taken", True),
        ({"kind": "status", "status": 429, "retry_after": 7200}, "not_taken", False),
        ({"kind": "status", "status": 401}, "not_taken", False),
    ],
    ids=["no answer", "503", "403", "429", "401"],
)
def test_the_end_of_a_request_is_written_down_at_once(provider, deliver, sandbox, ledger, fault, outcome, is_failure):
    """A batch without an outcome would look like a killed sender's: the next try would wait for its request's end.

    The reason begins with a mark if the order may be the cause, and is tried again.
    """
    status = next(iter(provider.statuses))
    is_held = outcome == "in_doubt" and provider.statuses[status] in provider.held_codes
    sandbox.fault({"provider": provider.name, **fault}).raise_for_status()
    with pytest.raises((TryAgainError, StopError)):
        deliver(ready(provider, orders(["1"], status)))
    query = """
        select outcome, starts_with(reason, 'failed: ') from batches
        where destination_id = (select id from destinations where name = :name) order by id desc limit 1
    """
    expected = (outcome, is_failure and not is_held)
    with ledger.connect() as connection:
        assert connection.execute(sa.text(query), {"name": deliver.destination}).one() == expected


@pytest.mark.parametrize("when", ["before", "after"])
@repeated_status
def test_in_doubt_is_sent_again_where_that_does_no_harm(provider, deliver, sandbox, status, when):
    """The next try, or the next run, repeats a send in doubt of a code that sets a state."""
    part = ready(provider, orders(["1"], status))
    for run in ("first", "second"):
        close(sandbox, provider, when)
        with pytest.raises(TryAgainError, match="doubt"):
            deliver(part, run=run)
    assert deliver(part, run="third").orders == {"accepted": 1}
    assert set(taken(sandbox, provider)["1"]) == {provider.statuses[status]}


@repeated_status
def test_the_brake_counts_a_repeated_send_in_doubt_once(provider, deliver, sandbox, status, ledger):
    """Its first send has used the limit up; its repetition needs no more of it, for transform and for load."""
    part = ready(provider, orders(["1"], status))
    close(sandbox, provider, "before")
    with pytest.raises(TryAgainError, match="doubt"):
        deliver(part, brake=Brake(1, "the limit"))
    with open_session(ledger, "ledger", destination=deliver.destination, run="another", try_number=1) as session:
        assert notifications(Planner.of(provider, session, SendOptions()), [part]).total == 0
    assert deliver(part, brake=Brake(0, "the limit")).orders == {"accepted": 1}


@held_status
def test_the_brake_counts_each_send_of_a_code_that_can_mail_twice(provider, deliver, sandbox, status):
    """A destination that repeats it by choice (`in_doubt: resend`) can mail its customer each time."""
    part = ready(provider, orders(["1"], status))
    close(sandbox, provider, "before")
    with pytest.raises(TryAgainError, match="doubt"):
        deliver(part, resend_in_doubt=True, brake=Brake(1, "the limit"))
    with pytest.raises(StopError, match="1 more notification is to be sent, and 0 are left: the limit"):
        deliver(part, resend_in_doubt=True, brake=Brake(0, "the limit"))


@repeated_and_another
def test_in_doubt_is_sent_again_only_in_its_highest_version(provider, deliver, sandbox, statuses):
    """A newer version that has been sent resolves a send in doubt."""
    status, other = statuses
    old = ready(provider, orders(["1"], status, TEN))
    close(sandbox, provider, "before")
    with pytest.raises(TryAgainError):
        deliver(old)
    deliver(ready(provider, orders(["1"], other, NOON)), run="newer")
    assert deliver(old).orders == {"stale": 1}


@repeated_status
def test_what_is_sent_again_is_not_sent_once_more_for_a_later_row(provider, deliver, sandbox, status):
    """A later row with the same code is unchanged once the send in doubt is repeated."""
    close(sandbox, provider, "before")
    with pytest.raises(TryAgainError):
        deliver(ready(provider, orders(["1"], status, TEN)))
    part = ready(provider, orders(["1"], status, TEN), orders(["1"], status, NOON))
    assert deliver(part, run="both").orders == {"accepted": 1, "unchanged": 1}
    assert taken(sandbox, provider) == {"1": [provider.statuses[status]]}


@pytest.mark.parametrize("when", ["before", "after"])
@held_status
def test_held_orders_wait_for_a_person(provider, deliver, sandbox, status, when):
    """A held order is not sent again by any run, nor with `resend`; only the run that has held it is red."""
    part = ready(provider, orders(["1"], status, TEN))
    close(sandbox, provider, when)
    for _ in range(2):
        with pytest.raises(StopError, match=r"held.*1"):
            deliver(part, run="first", resend=True)
    assert deliver(part, run="second", resend=True).orders == {"held": 1}
    newer_same_code = ready(provider, orders(["1"], status, NOON))
    assert deliver(newer_same_code, run="third").orders == {"held": 1}
    assert sandbox.admin("stats")[provider.name]["requests"] == 1


@held_and_another
def test_a_newer_status_resolves_a_held_order(provider, deliver, sandbox, statuses):
    """A newer version with another code is sent, and the order is no longer held."""
    status, other = statuses
    close(sandbox, provider, "before")
    old = ready(provider, orders(["1"], status, TEN))
    with pytest.raises(StopError):
        deliver(old)
    assert deliver(ready(provider, orders(["1"], other, NOON)), run="newer").orders == {"accepted": 1}
    assert deliver(old, run="third").orders == {"stale": 1}


@held_and_another
def test_a_held_order_that_its_run_resolves_stops_nothing(provider, deliver, sandbox, statuses):
    """A run is red for orders that are held at its end, and not for those that a newer change has resolved."""
    status, other = statuses
    close(sandbox, provider, "after")
    overtaken = ready(provider, orders(["1"], status, TEN), orders(["1"], other, NOON))
    assert deliver(overtaken, run="green").orders == {"held": 1, "accepted": 1}
    unanswered = -(-2 // provider.max_orders)
    sandbox.fault({"provider": provider.name, "kind": "close", "when": "after", "next": unanswered}).raise_for_status()
    with pytest.raises(StopError, match=r"1 order is held \(3\)") as stop:
        deliver(ready(provider, orders(["2", "3"], status, TEN), orders(["2"], other, NOON)), run="red")
    assert stop.value.result.orders == {"held": 2, "accepted": 1}


def test_a_destination_may_choose_to_resend_what_is_in_doubt(provider, deliver, sandbox):
    """With `in_doubt: resend` nothing is held."""
    part = ready(provider, orders(["1"]))
    close(sandbox, provider, "before")
    with pytest.raises(TryAgainError, match="doubt"):
        deliver(part, resend_in_doubt=True)
    assert deliver(part, resend_in_doubt=True).orders == {"accepted": 1}


@status_of_each_rule
def test_a_killed_sender_leaves_its_batch_in_doubt(provider, deliver, sandbox, status, monkeypatch):
    """A killed sender's batch in flight is in doubt, and follows the provider's rule."""
    part = ready(provider, orders(["1"], status))
    # The next sender waits until this request is over.
    monkeypatch.setattr(tuning, "CONNECT_S", 0.5)
    monkeypatch.setattr(tuning, "ANSWER_S", 3)
    send = http.send

    def killed(*arguments):
        send(*arguments)
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(http, "send", killed)
        with pytest.raises(SystemExit):
            deliver(part)
    if provider.statuses[status] in provider.held_codes:
        with pytest.raises(StopError, match="held"):  # nobody has listed it before
            deliver(part, run="next")
        assert deliver(part, run="third").orders == {"held": 1}
    else:
        assert deliver(part, run="next").orders == {"accepted": 1}


def test_a_lost_session_stops_the_sender(provider, deliver, sandbox, monkeypatch, ledger):
    """A sender that loses its ledger session in mid-request sends nothing more; the batch is in doubt."""
    part = ready(provider, orders([str(number) for number in range(1, 2 * provider.max_orders + 1)]))
    send = http.send

    def lose_the_session(session, url, request, leave):
        def leave_first() -> None:
            leave()
            with ledger.connect() as connection:
                connection.execute(
                    sa.text("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted")
                )

        return send(session, url, request, leave_first)

    with monkeypatch.context() as patch:
        patch.setattr(http, "send", lose_the_session)
        with pytest.raises(TryAgainError, match="session is lost"):
            deliver(part)
    assert sandbox.admin("stats")[provider.name]["requests"] == 1


@rejects_orders
def test_a_rejected_order_is_not_sent_again_until_it_changes(provider, deliver, sandbox):
    """A rejected order is sent again only with another payload."""
    refuse = {"provider": provider.name, "kind": "status", "status": 400, "next": 1}
    part = ready(provider, orders(["1"]))
    sandbox.fault(refuse).raise_for_status()
    assert deliver(part).orders == {"rejected": 1}
    for run in ("run", "another"):
        again = deliver(part, run=run)
        assert (again.requests, again.orders) == (0, {"rejected": 1})
    altered = part.assign(payload=part["payload"].str.replace('"1"', '"1" ', n=1))
    assert deliver(altered, run="altered").orders == {"accepted": 1}


@rejects_orders
def test_the_status_from_before_a_rejected_one_is_unchanged(provider, deliver, sandbox):
    """An order that returns from a rejected status to the accepted one is unchanged, in every run."""
    first, second = two_codes(provider)
    deliver(ready(provider, orders(["1"], first, TEN)))
    refuse = {"provider": provider.name, "kind": "status", "status": 400, "next": 1}
    sandbox.fault(refuse).raise_for_status()
    assert deliver(ready(provider, orders(["1"], second, ELEVEN)), run="refused").orders == {"rejected": 1}
    for run in ("back", "again"):
        back = deliver(ready(provider, orders(["1"], first, NOON)), run=run)
        assert (back.requests, back.orders) == (0, {"unchanged": 1})


@rejects_orders
def test_each_change_that_was_delivered_is_counted(provider, deliver, sandbox):
    """By the code before and the new one: of new orders, of several changes in one run, of repeats; of no rejection."""
    first, second = two_codes(provider)
    old, new = (str(provider.statuses[status]) for status in (first, second))
    several = ready(provider, orders(["1", "2"], first, TEN), orders(["2"], second, ELEVEN))
    assert deliver(several).code_changes == {(None, old): 2, (old, new): 1}
    later = ready(provider, orders(["1"], second, NOON))
    assert deliver(later, run="later").code_changes == {(old, new): 1}
    assert deliver(later, run="resend", resend=True).code_changes == {(new, new): 1}
    sandbox.fault({"provider": provider.name, "kind": "refuse_orders", "order_ids": ["3"], "next": 1})
    both = deliver(ready(provider, orders(["3"], first, TEN)), ready(provider, orders(["4"], first, TEN)), run="both")
    assert both.code_changes == dict.fromkeys([(None, old)], both.orders["accepted"])
    assert both.orders["accepted"] < 2


def test_one_load_of_a_destination_at_a_time(ledger):
    """A second load of a destination waits a limited time for the first; other destinations do not wait."""
    arguments = {"run": "run", "try_number": 1, "lock_wait_s": 1}
    with open_session(ledger, "order_sync_ledger", destination="locked", **arguments):
        with (
            pytest.raises(TryAgainError, match="'locked' has been sending for 1 s"),
            open_session(ledger, "order_sync_ledger", destination="locked", **arguments),
        ):
            pass
        with open_session(ledger, "order_sync_ledger", destination="another", **arguments):
            pass
    with open_session(ledger, "order_sync_ledger", destination="locked", **arguments):
        pass


def test_a_waiting_load_goes_on_when_the_lock_is_free(ledger):
    """A waiting load gets the lock as soon as the other ends."""
    arguments = {"destination": "handed on", "run": "run", "try_number": 1, "lock_wait_s": 20}
    got = threading.Event()

    def second() -> None:
        with open_session(ledger, "order_sync_ledger", **arguments):
            got.set()

    with open_session(ledger, "order_sync_ledger", **arguments):
        thread = threading.Thread(target=second)
        thread.start()
        assert not got.wait(0.3)
    assert got.wait(10)
    thread.join()


def test_a_ledger_that_is_down_is_said(postgres_server):
    """If the ledger is down the task is tried again; the message names the connection and says nothing was sent."""
    engine = sa.create_engine(postgres_server.set(port=1))
    with (
        pytest.raises(TryAgainError, match=r"'order_sync_ledger' can't be reached.*Nothing was sent"),
        open_session(engine, "order_sync_ledger", destination="x", run="run", try_number=1),
    ):
        pass


def test_another_schema_is_said(postgres):
    """A ledger with another schema is not used; the message names the command to run."""
    with (
        pytest.raises(TryAgainError, match=r"has schema none, and this release needs .*Nothing was sent.*upgrade"),
        open_session(postgres, "order_sync_ledger", destination="x", run="run", try_number=1),
    ):
        pass
    schema.upgrade(postgres)
    schema.upgrade(postgres)
    with open_session(postgres, "order_sync_ledger", destination="x", run="run", try_number=1):
        pass


@several_codes
def test_a_preview_shows_old_and_new_codes(provider, deliver, sandbox, ledger):
    """A preview sends nothing, counts each order once, and shows old and new codes of the first orders to send."""
    first, second = two_codes(provider)
    deliver(ready(provider, orders(["1", "2"], first, TEN)))
    part = ready(provider, orders(["1"], second, NOON), orders(["2"], first, TEN), orders(["3"], second, NOON))
    with open_session(
        ledger, "order_sync_ledger", destination=deliver.destination, run="look", try_number=1, read_only=True
    ) as session:
        outcomes, shown = plan_outcomes(Planner.of(provider, session, SendOptions()), [part])
    assert outcomes == {"not_sent": 2, "unchanged": 1}
    codes = provider.statuses
    assert sorted(shown.fillna("").to_numpy().tolist()) == [
        ["1", str(codes[first]), str(codes[second])],
        ["3", "", str(codes[second])],
    ]
    assert deliver(part, run="then").orders == {"accepted": 2, "unchanged": 1}
