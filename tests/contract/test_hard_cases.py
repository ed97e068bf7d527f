"""Several changes of an order, halves, refusals and failures together, with a service in memory."""

import json
import threading
import uuid
from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest

from include.order_sync.delivery import http
from include.order_sync.delivery.client import Client
from include.order_sync.delivery.decision_table import SendOptions
from include.order_sync.delivery.loop import Delivery
from include.order_sync.delivery.result import DeliveryResult
from include.order_sync.errors import BatchRefusedError, InDoubtError, StopError, TryAgainError
from include.order_sync.ledger import attempts, quarantine
from include.order_sync.ledger.encrypted_rows import QuarantineEntry
from include.order_sync.ledger.opening import open_session
from include.order_sync.ledger.session import LedgerSession
from include.order_sync.model import OrderStatus
from include.order_sync.providers.base import ACCEPTED, Answer, Credentials, Outcome, Provider, Request, Verdict
from include.order_sync.staging.partition_hash import partition_hash
from tests.contract.conftest import encrypted

NO = Verdict(Outcome.REJECTED, "no")
FIRST, SECOND = "1", "2"  # the codes are numbers, and text in every frame
PROVIDER = Provider(
    name="made_up",
    title="Made-up",
    documentation="",
    max_orders=1000,
    requests_a_second=None,
    statuses={OrderStatus.CREATED: 1, OrderStatus.DELIVERED: 2},
    changes="newest",
    required=(),
    reads=frozenset(),
    checks=(),
    build=lambda *_: pytest.fail("these orders are built"),
    request=lambda *_: pytest.fail("the service's own is used"),
    read=lambda *_: pytest.fail("the service's own is used"),
    try_again=frozenset(),
    notifies=frozenset({1, 2}),
    held_codes=frozenset({1, 2}),
    halve_refused=True,
)


def ready(*rows: tuple[str, int, str]) -> pd.DataFrame:
    """Return ready orders from rows of (order, hour, code)."""
    made = pd.DataFrame(rows, columns=["order_id", "hour", "code"]).astype({"order_id": "str", "code": "str"})
    hours = pd.to_timedelta(made["hour"], unit="h")
    made["status_changed_at"] = (pd.Timestamp("2026-11-21", tz="UTC") + hours).dt.as_unit("us")
    made["source_hash"] = made["code"].astype("int64")
    made["updated_at"], made["rank"], made["position"] = made["status_changed_at"], 0, range(len(made))
    made["payload"] = pd.Series([json.dumps(row) for row in rows], dtype="str")
    made["partition_hash"] = [partition_hash(order) for order in made["order_id"]]
    return made.sort_values(["partition_hash", "order_id", "hour"])


class Service:
    """The made-up service in memory. Each of its sends in doubt is held.

    Args:
        answer: returns the verdicts of orders, each as (order, hour, code), or raises.
        taken: the orders that the service took.
    """

    def __init__(self) -> None:
        self.answer: Callable[[list[list]], list[Verdict]] = lambda orders: [ACCEPTED] * len(orders)
        self.taken: list[list] = []
        self.provider = replace(PROVIDER, request=self._request, read=self._read)

    def _request(self, _credentials, payloads) -> Request:
        return Request("/", f"[{','.join(payloads)}]".encode(), {})

    def _read(self, answer, _ids, _credentials) -> list[Verdict]:
        orders = json.loads(answer.body)
        verdicts = self.answer(orders)
        self.taken += [order for order, verdict in zip(orders, verdicts, strict=False) if verdict is ACCEPTED]
        return verdicts


@pytest.fixture
def service(monkeypatch) -> Service:
    """A service that takes everything by default."""

    def echo(_session, _url, request, leave) -> Answer:
        leave()
        return Answer(200, {}, request.body)

    monkeypatch.setattr(http, "send", echo)
    return Service()


@pytest.fixture
def deliver(service, ledger) -> Callable[..., DeliveryResult]:
    """Deliver parts as one try of a run; `session()` opens its ledger session."""
    destination = f"hard {uuid.uuid4()}"

    def session(run: str = "run"):
        return open_session(ledger, "ledger", destination=destination, run=run, try_number=1)

    def deliver(*parts, run="run", connections=1, max_orders=1000, encrypt=encrypted, **send_options) -> DeliveryResult:
        provider = replace(service.provider, max_orders=max_orders)
        with session(run) as written:
            delivery = Delivery(
                Client(provider, Credentials("", "", ""), None),
                written,
                encrypt,
                SendOptions(**send_options),
                connections=connections,
            )
            delivery.run(parts)
        return delivery.result

    deliver.session = session  # type: ignore[attr-defined]
    return deliver


def verdict_of(written: LedgerSession, order: str) -> str:
    """Return the ledger's verdict on an order."""
    states = attempts.states(attempts.settled(written.look_ahead.find(ready((order, 0, FIRST))))).set_index("order_id")
    return states.loc[order, "verdict"]


def refuse_whole_batches_with_bad(orders: list[list]) -> list[Verdict]:
    """Refuse a batch that holds the order `bad`, and reject that order where it is alone."""
    if "bad" in [order for order, _, _ in orders]:
        if len(orders) > 1:
            raise BatchRefusedError("HTTP 400", "")
        return [NO]
    return [ACCEPTED] * len(orders)


@pytest.mark.parametrize("connections", [1, 4])
def test_halves_do_not_overtake_later_changes(service, deliver, connections):
    """An order whose first change came with a bad one gets both changes in order, and is unchanged afterwards."""
    both = [(order, hour, code) for order in ("a", "b") for hour, code in ((1, FIRST), (2, SECOND))]
    service.answer = refuse_whole_batches_with_bad
    deliver(ready(*both, ("bad", 1, FIRST)), connections=connections)
    assert sorted(service.taken) == sorted(map(list, both))
    again = deliver(ready(*both, ("bad", 1, FIRST)), run="next", connections=connections)
    assert (again.requests, len(service.taken)) == (0, 4)


def test_many_halves_at_once(service, deliver):
    """Each order is judged alone in the end, however many batches in flight are refused."""

    def refuse(orders):
        raise BatchRefusedError("HTTP 400", "")

    service.answer = refuse
    part = ready(*[(f"o{number}", 1, FIRST) for number in range(64 * 4)])
    with pytest.raises(StopError, match="accepted nothing"):
        deliver(part, connections=64, max_orders=4)


def test_a_service_that_refuses_everything_is_noticed_soon(service, deliver):
    """Halves go down to single orders first, so that few requests show that nothing is accepted."""
    asked = []

    def refuse(orders):
        asked.append(len(orders))
        raise BatchRefusedError("HTTP 400", "")

    service.answer = refuse
    part = ready(*[(f"o{number}", 1, FIRST) for number in range(1024)])
    with pytest.raises(StopError, match="accepted nothing, and rejected 20 orders"):
        deliver(part, max_orders=1024)
    assert len(asked) < 60


def test_a_held_order_stays_held_for_all_rows_of_its_code(service, deliver):
    """Newer rows with the same code do not turn a send in doubt into an accepted one."""

    def doubt(orders):
        raise InDoubtError("lost")

    service.answer = doubt
    with pytest.raises(StopError, match="1 order is held"):
        deliver(ready(("a", 1, FIRST)))
    service.answer = lambda _orders: pytest.fail("a held order was sent")
    assert deliver(ready(("a", 2, FIRST), ("a", 3, FIRST)), run="next").orders["held"] == 2
    with deliver.session() as written:
        assert verdict_of(written, "a") == "held"


@pytest.mark.parametrize("results", [0, 1, 3])
def test_a_missing_result_is_in_doubt(service, deliver, results):
    """An answer whose number of results differs from the number of orders accepts none of them."""
    service.answer = lambda _orders: [ACCEPTED] * results
    with pytest.raises(StopError, match="2 orders are held"):
        deliver(ready(("a", 1, FIRST), ("b", 1, FIRST)))


@pytest.mark.parametrize("error", [ValueError, KeyError, TypeError, IndexError, AttributeError])
def test_an_answer_that_breaks_the_reader_is_in_doubt(service, deliver, error):
    """An answer of a shape that the reader does not expect is in doubt: its orders could have been taken."""

    def fail(_orders):
        raise error("an answer of another shape")

    service.answer = fail
    with pytest.raises(StopError, match="1 order is held"):
        deliver(ready(("a", 1, FIRST)))


def refuse_the_first_hour(orders: list[list]) -> list[Verdict]:
    """Reject changes of one o'clock."""
    return [NO if hour == 1 else ACCEPTED for _, hour, _ in orders]


def test_a_change_is_sent_where_its_like_was_refused(service, deliver):
    """A change with the same code as an earlier change of its window is sent if the service rejects the earlier one."""
    service.answer = refuse_the_first_hour
    delivered = deliver(ready(("a", 1, FIRST), ("a", 2, FIRST)))
    assert service.taken == [["a", 2, FIRST]]
    assert delivered.orders == {"accepted": 1, "rejected": 1}


@pytest.mark.parametrize("before", [None, SECOND])
def test_a_second_try_knows_what_its_first_one_could_not_deliver(service, deliver, before):
    """A try that ends after a rejection leaves the order's later change to the next try, also after earlier runs."""
    if before:
        deliver(ready(("a", 0, before)), run="before")

    def answer(orders):
        if orders[0][0] == "z":
            raise TryAgainError("HTTP 429")
        return refuse_the_first_hour(orders)

    service.answer = answer
    parts = [ready(("a", 1, FIRST), ("a", 2, FIRST)), ready(("z", 3, FIRST))]
    with pytest.raises(TryAgainError):
        deliver(*parts, max_orders=1, retry_rejected=True)
    service.answer = refuse_the_first_hour
    deliver(*parts, max_orders=1, retry_rejected=True)
    with deliver.session() as written:
        accepted = verdict_of(written, "a") == "accepted"
    assert accepted == (["a", 2, FIRST] in service.taken)


def test_a_failure_loses_no_answer_of_the_others(service, deliver):
    """If a row can't be encrypted, its batch and the others in flight still get their outcomes."""
    together = threading.Barrier(3)

    def answer(orders):
        together.wait(10)
        return [NO if order == "a" else ACCEPTED for order, _, _ in orders]

    def fail(*_):
        raise OSError("storage")

    service.answer = answer
    with pytest.raises(OSError, match="storage"):
        deliver(ready(*[(order, 1, FIRST) for order in "abc"]), connections=3, max_orders=1, encrypt=fail)
    with deliver.session() as written:
        assert [verdict_of(written, order) for order in "abc"] == ["rejected", "accepted", "accepted"]


def test_a_refused_batch_whose_rows_cannot_be_kept_is_not_in_doubt(service, deliver):
    """If the rows of a refused batch can't be encrypted, the ledger still knows that it was not taken."""

    def answer(_orders):
        raise BatchRefusedError("HTTP 400", "")

    def fail(*_):
        raise OSError("storage")

    service.provider = replace(service.provider, halve_refused=False, max_orders=2)
    service.answer = answer
    with pytest.raises(OSError, match="storage"):
        deliver(ready(("a", 1, FIRST), ("b", 1, FIRST)), encrypt=fail)
    service.answer = lambda orders: [ACCEPTED] * len(orders)
    assert deliver(ready(("a", 1, FIRST)), run="next").orders == {"accepted": 1}


def tie(order: str, code: str, source_hash: int, rank: int = 0) -> pd.DataFrame:
    """Return an order of hour 1, with the hash of what its source says."""
    return ready((order, 1, code)).assign(source_hash=source_hash, rank=rank)


def test_a_row_of_the_very_same_times_overrules_once(service, deliver):
    """Another row of the same times is sent by a run that reads the present, and by no run after it."""
    deliver(tie("a", FIRST, 1))
    assert deliver(tie("a", SECOND, 2), run="2").orders == {"stale": 1}
    for run, outcome in (("3", "accepted"), ("3", "accepted"), ("4", "unchanged")):
        assert deliver(tie("a", SECOND, 2), run=run, reads_present=True).orders == {outcome: 1}
    assert deliver(tie("a", FIRST, 1), run="5").orders == {"stale": 1}
    assert service.taken == [["a", 1, FIRST], ["a", 1, SECOND]]


def test_a_changed_map_alone_resends_nothing(service, deliver):
    """The same row with another code is unchanged, also in a run that reads the present."""
    deliver(tie("a", FIRST, 1))
    assert deliver(tie("a", SECOND, 1), run="2", reads_present=True).orders == {"unchanged": 1}


def test_another_row_with_the_same_code_is_remembered(service, deliver):
    """A row of the same times whose code the service has sends nothing, and the ledger knows it from then on."""
    deliver(tie("a", FIRST, 1))
    assert deliver(tie("a", FIRST, 2), run="2", reads_present=True).orders == {"unchanged": 1}
    assert deliver(tie("a", SECOND, 2), run="3", reads_present=True).orders == {"unchanged": 1}


def test_a_window_with_fewer_rows_of_the_same_times_is_no_older_one(service, deliver):
    """After two rows of one time, the next window shows a third one alone: it is sent, and stays the newest."""
    deliver(tie("a", FIRST, 1, rank=1))
    for run, outcome in (("2", "accepted"), ("2", "accepted"), ("3", "unchanged")):
        assert deliver(tie("a", SECOND, 2), run=run, reads_present=True).orders == {outcome: 1}
    two = pd.concat([tie("a", FIRST, 0), tie("a", SECOND, 2, rank=1)], ignore_index=True)
    assert deliver(two, run="4", reads_present=True).orders == {"stale": 1, "unchanged": 1}


def test_a_run_counts_what_it_has_sent_though_another_run_sent_a_later_row_of_the_same_times(service, deliver):
    """Its next try compares the row with the later one's rank, and still finds that its first try has sent it."""
    one = tie("a", FIRST, 1)
    deliver(one, run="first")
    two = pd.concat([tie("a", FIRST, 0), tie("a", SECOND, 2, rank=1)], ignore_index=True)
    assert deliver(two, run="second").orders["accepted"] == 1
    assert deliver(one, run="first").orders == {"accepted": 1}
    assert service.taken == [["a", 1, FIRST], ["a", 1, SECOND]]


@pytest.mark.parametrize("reads_present", [False, True])
def test_what_an_earlier_release_attempted_is_unchanged(service, deliver, ledger, reads_present):
    """Attempts that have no hash of their row are not overruled."""
    deliver(tie("a", FIRST, 0))
    assert deliver(tie("a", SECOND, 2), run="2", reads_present=reads_present).orders == {"unchanged": 1}


def test_a_row_of_the_very_same_times_as_a_held_send_waits_or_is_sent(service, deliver):
    """A run of the past holds it; one that reads the present sends another code, as for any newer version."""

    def answer(_orders):
        raise InDoubtError("no answer")

    service.answer = answer
    with pytest.raises(StopError, match="held"):
        deliver(tie("a", FIRST, 1))
    service.answer = lambda orders: [ACCEPTED] * len(orders)
    assert deliver(tie("a", SECOND, 2), run="2").orders == {"held": 1}
    assert deliver(tie("a", FIRST, 2), run="3", reads_present=True).orders == {"held": 1}
    assert deliver(tie("a", SECOND, 3), run="4", reads_present=True).orders == {"accepted": 1}


@pytest.mark.parametrize(
    ("updated", "shows_newest", "listed"),
    [(9, False, 1), (1, False, 0), (1, True, 1)],
    ids=["written later", "written before", "written before, and the newest of the source"],
)
def test_an_older_row_that_the_source_has_changed_to_is_listed(deliver, updated, shows_newest, listed):
    """A row that was written later, or is the source's newest, is no old row."""
    deliver(ready(("a", 5, FIRST)))
    row = ready(("a", 1, SECOND))
    row["updated_at"] += pd.to_timedelta(updated - 1, unit="h")
    assert deliver(row, run="2", shows_newest=shows_newest).stale_changed == listed
    # Of several changes only the last one says what the source has now; and the service's own code is no change.
    both = ready(("a", 1, SECOND), ("a", 5, FIRST))
    assert deliver(both, run="3", shows_newest=True).stale_changed == 0
    assert deliver(ready(("a", 1, FIRST)), run="4", shows_newest=True).stale_changed == 0
    # Nor is a corrected time zone a change of the row, also if the status map has changed since.
    same = ready(("a", 1, SECOND)).assign(source_hash=int(FIRST))
    assert deliver(same, run="5", shows_newest=True).stale_changed == 0


def test_a_redrive_closes_no_entry_of_a_stale_order(deliver):
    """It sends none of them, so they stay listed."""
    deliver(ready(("a", 5, FIRST)))
    deliver(ready(("a", 1, SECOND)), run="2", shows_newest=True)
    with deliver.session("redrive") as written, written.transaction() as cursor:
        (entry,) = quarantine.find(cursor, written.sender.destination, quarantine.Filter())
        quarantine.resolve_redriven(cursor, "redrive", [entry["id"]])
        assert len(quarantine.find(cursor, written.sender.destination, quarantine.Filter())) == 1


def test_a_run_that_trusts_the_source_goes_on_where_it_stopped(service, deliver):
    """An older row that was sent by trust counts as delivered in the next try; the row that it overruled is stale."""
    deliver(ready(("a", 5, FIRST), ("b", 5, FIRST)))

    def answer(orders):
        if orders[0][0] == "b":
            raise TryAgainError("HTTP 429")
        return [ACCEPTED] * len(orders)

    service.answer = answer
    parts = [ready(("a", 1, SECOND)), ready(("b", 1, SECOND))]
    with pytest.raises(TryAgainError):
        deliver(*parts, run="2", trust_source=True, max_orders=1)
    service.answer = lambda orders: [ACCEPTED] * len(orders)
    assert deliver(*parts, run="2", trust_source=True).orders == {"accepted": 2}
    assert deliver(ready(("a", 5, FIRST)), run="3").orders == {"stale": 1}
    assert deliver(ready(("a", 5, FIRST)), run="4", reads_present=True).orders == {"accepted": 1}


def test_a_bad_row_of_a_delivered_order_stays_listed(deliver, ledger):
    """A bad row that each hour brings again is one open entry, though its order was delivered long ago."""
    deliver(ready(("a", 5, FIRST)), run="1")
    bad = QuarantineEntry("a", b"row", ["status_changed_at: missing"], b"encrypted", "drop", 1, None)
    for run in ("2", "3"):
        with deliver.session(run) as written:
            written.quarantine([bad])
        deliver(ready((f"other {run}", 5, FIRST)), run=run)
    with deliver.session() as written, written.transaction() as cursor:
        query = "select times_seen, resolution from quarantine where destination = %s"
        assert cursor.execute(query, (written.sender.destination,)).fetchall() == [(2, None)]


def test_answers_outlive_a_begin_that_fails(service, deliver, monkeypatch):
    """Orders that were answered before a batch failed to begin are accepted, not in doubt."""
    part = ready(*[(f"o{number}", 1, FIRST) for number in range(3)])
    begin = LedgerSession.begin
    begun = []

    def refused_once(ledger: LedgerSession, batch: int) -> None:
        begun.append(batch)
        third = len(begun) == 3
        ledger.connection.execute(f"set default_transaction_read_only = {'on' if third else 'off'}")
        try:
            begin(ledger, batch)
        finally:
            ledger.connection.execute("set default_transaction_read_only = off")

    monkeypatch.setattr(LedgerSession, "begin", refused_once)
    with pytest.raises(TryAgainError, match="read-only"):
        deliver(part, max_orders=1)
    assert deliver(part).orders == {"accepted": 3}
    assert len(service.taken) == 3


def hours(order: int) -> pd.DataFrame:
    """Return a part: two orders, each with three changes of one code."""
    rows = [(f"{order}{letter}", hour, FIRST) for letter in "ab" for hour in (1, 2, 3)]
    return ready(*rows).reset_index(drop=True)


def test_a_retry_reads_the_verdicts_of_its_run_by_part(service, deliver, monkeypatch):
    """A second try knows what the first one has delivered, and has the verdicts of one part at a time in memory."""
    parts = [ready(*((f"{part}-{order}", 1, FIRST) for order in range(5))) for part in range(6)]
    deliver(*parts, max_orders=2)
    read: list[int] = []
    own_verdicts = attempts.own_verdicts

    def counted(*arguments) -> pd.DataFrame:
        found = own_verdicts(*arguments)
        read.append(len(found))
        return found

    monkeypatch.setattr(attempts, "own_verdicts", counted)
    assert deliver(*parts, max_orders=2).orders == {"accepted": 30}
    # A range of hashes may hold a few orders of other parts.
    assert len(read) == 6
    assert max(read) < 15
    assert len(service.taken) == 30


def test_orders_that_wait_are_read_again(service, deliver):
    """Orders that are planned again at the end are not kept in memory until then: their parts are read twice."""

    class Parts:
        reads = 0

        def __iter__(self):
            for part in range(3):
                self.reads += 1
                yield hours(part)

    given = Parts()
    with deliver.session() as written:
        delivery = Delivery(Client(service.provider, Credentials("", "", ""), None), written, encrypted)
        delivery.run(given)
    assert delivery.result.orders == {"accepted": 6, "unchanged": 12}
    assert given.reads == 6
    once = Parts()
    with deliver.session("later") as written:
        Delivery(Client(service.provider, Credentials("", "", ""), None), written, encrypted).run(once)
    assert once.reads == 3
