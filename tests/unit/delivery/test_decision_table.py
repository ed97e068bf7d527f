"""The decision table: an example for each row, and a second reading of the rules for every combination of facts."""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.order_sync.delivery.decision_table import TABLE, Action, SendOptions, decide
from include.order_sync.delivery.relations import Relation, ranked, relations, repeats

TIMES = pd.to_datetime([f"2026-11-21T{hour}:00Z" for hour in (10, 11, 12)], utc=True).as_unit("us")
EARLIER = TIMES[0] - pd.Timedelta("1h")
# Of the ledger's version: status_changed_at.
LEDGER_TIME = {
    Relation.UNKNOWN: TIMES[0],
    Relation.NEWER: TIMES[0],
    Relation.SAME: TIMES[1],
    Relation.OTHER: TIMES[1],
    Relation.OLDER: TIMES[2],
}


@dataclass(frozen=True)
class Order:
    """One order's facts in the ledger, and the run's options. The defaults are an accepted order, unchanged."""

    relation: Relation = Relation.SAME
    verdict: Literal["accepted", "rejected", "in_doubt", "held"] = "accepted"
    own: Literal["accepted", "adopted", "rejected", "sent"] | None = None
    same_code: bool = True  # equals the service's
    same_payload: bool = True  # equals the service's
    same_attempt: bool = True  # the payload equals the last attempt's
    same_row: bool = False  # of a newer version: the attempted row, in a newer file
    send_when: Literal["status", "content"] = "status"
    resend: bool = False
    retry_rejected: bool = False
    reads_present: bool = False
    adopt_before: pd.Timestamp | None = None
    adopt_but_at: pd.Timestamp | None = None

    @property
    def is_repeated(self) -> bool:
        """Whether the row is the attempted one, in a newer file."""
        return self.relation is Relation.NEWER and self.same_row

    @property
    def options(self) -> SendOptions:
        """The options of its run."""
        return SendOptions(
            self.send_when,
            resend=self.resend,
            retry_rejected=self.retry_rejected,
            reads_present=self.reads_present,
            adopt_before=self.adopt_before,
            adopt_but_at=self.adopt_but_at,
        )


def frames(orders: list[Order]) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """Return the ready orders, the ledger's state of each, and the verdicts of the run's earlier tries."""
    number = range(len(orders))
    ready = pd.DataFrame(
        {
            "partition_hash": number,
            "order_id": [str(n) for n in number],
            "status_changed_at": TIMES[1],
            "updated_at": TIMES[0],
            "changed_at": TIMES[1],
            "rank": 0,
            "source_hash": 1,
            "code": "PAID",
            "payload_hash": pd.array([1] * len(orders), dtype="Int64"),
        }
    )
    known = pd.DataFrame(
        {
            "status_changed_at": [TIMES[1] if order.is_repeated else LEDGER_TIME[order.relation] for order in orders],
            "updated_at": [EARLIER if order.is_repeated else TIMES[0] for order in orders],
            "rank": 0,
            "source_hash": [2 if order.relation is Relation.OTHER else 1 for order in orders],
            "verdict": [None if order.relation is Relation.UNKNOWN else order.verdict for order in orders],
            "code": ["PAID" if order.same_code else "NEW" for order in orders],
            "payload_hash": pd.array([1 if order.same_payload else 2 for order in orders], dtype="Int64"),
            "attempted_hash": pd.array([1 if order.same_attempt else 2 for order in orders], dtype="Int64"),
        }
    )
    # A part is what is left of a larger one.
    index = pd.Index([2 * n + 7 for n in reversed(number)])
    own = pd.Series([order.own for order in orders], index=index, dtype="str")
    return ready.set_index(index), known.astype({"verdict": "str", "code": "str"}).set_index(index), own


def actions_of(
    ready: pd.DataFrame, known: pd.DataFrame, own: pd.Series, options: SendOptions | None = None
) -> list[Action]:
    """Return the action for each order of `frames()`."""
    options = options or SendOptions()
    relation = relations(ready, known, reads_present=options.reads_present)
    return decide(ready.assign(repeated=repeats(ready, known)), known, own, relation, options).tolist()


def decided(order: Order) -> Action:
    """Return the action for one order."""
    (action,) = actions_of(*frames([order]), order.options)
    return Action(action)


UNKNOWN, NEWER, SAME, OTHER, OLDER = (Order(relation=relation) for relation in Relation)

# For each row of the table, in sequence: an order that the row decides.
EXAMPLES = [
    (Order(own="accepted", verdict="in_doubt"), "an order that an earlier try of the run delivered is not sent again"),
    (replace(OLDER, own="adopted"), "an order that an earlier try of the run adopted is counted as that again"),
    (replace(OLDER, own="rejected"), "an order that the run saw rejected stays rejected when a newer version is known"),
    (
        Order(own="rejected", verdict="rejected", retry_rejected=True),
        "what the run saw rejected stays rejected with the same payload",
    ),
    (OLDER, "an older version than the last attempt is stale"),
    (Order(verdict="held", resend=True), "a held order waits for a person, under any options of the run"),
    (replace(NEWER, verdict="held"), "a newer version with the code of a held send waits too"),
    (replace(SAME, own="sent", resend=True), "resend sends nothing that the run sent before it was cleared"),
    (replace(NEWER, own="sent", resend=True), "resend sends no newer version with the code that the run has sent"),
    (replace(OTHER, verdict="held"), "another row of the very same times as a held send waits too"),
    (replace(SAME, resend=True), "resend sends an unchanged order"),
    (replace(OTHER, same_code=False), "another row of the very same times is stale in a run of the past"),
    (OTHER, "another row of the very same times with the code that the service has is unchanged"),
    (Order(verdict="in_doubt"), "a send in doubt that may be repeated is repeated"),
    (Order(verdict="rejected", same_attempt=False), "a rejected version with another payload is tried again"),
    (Order(verdict="rejected", retry_rejected=True), "a redrive tries a rejected version again"),
    (Order(verdict="rejected"), "a rejected version with the same payload is not tried again"),
    (SAME, "an accepted version is unchanged"),
    (replace(NEWER, same_row=True, same_code=False), "a row that a newer file repeats is not sent for a changed map"),
    (replace(NEWER, same_code=False), "a newer version with another code is sent"),
    (NEWER, "a newer version with the code that the service has is unchanged"),
]


@pytest.mark.parametrize(("row", "order"), [pytest.param(n, o, id=why) for n, (o, why) in enumerate(EXAMPLES)])
def test_each_row_decides_its_example(row: int, order: Order, monkeypatch: pytest.MonkeyPatch):
    """An example gets its row's action; without the row it gets another action or none."""
    assert decided(order) == TABLE[row].action
    monkeypatch.setattr("include.order_sync.delivery.decision_table.TABLE", TABLE[:row] + TABLE[row + 1 :])
    with suppress(IndexError):  # no other row fits
        assert decided(order) != TABLE[row].action


def test_every_row_has_an_example():
    """Table and examples have the same rows."""
    assert len(EXAMPLES) == len(TABLE)


def expected(order: Order) -> Action:
    """Apply the rules a second time, as a person would explain them."""
    action = _expected(order)
    is_old = order.adopt_before is not None and TIMES[1] < order.adopt_before and TIMES[1] != order.adopt_but_at
    return Action.ADOPTED if is_old and action is Action.SEND else action


def _expected(order: Order) -> Action:
    if order.own in ("accepted", "adopted"):
        return Action(order.own)
    is_known = order.relation is not Relation.UNKNOWN
    if order.relation is Relation.OTHER and order.verdict == "rejected":
        order = replace(order, relation=Relation.SAME)
    elif order.relation is Relation.OTHER and order.reads_present:
        order = replace(order, relation=Relation.NEWER, same_row=False)  # another row
    refused_otherwise = order.relation is Relation.SAME and not order.same_attempt
    if order.own == "rejected" and not refused_otherwise:
        return Action.REJECTED
    if order.relation is Relation.OLDER:
        return Action.STALE
    has_been_taken = is_known and order.verdict != "in_doubt"
    same_as_taken = has_been_taken and (order.same_code if order.send_when == "status" else order.same_payload)
    same_times = order.relation in (Relation.SAME, Relation.OTHER)
    if order.verdict == "held" and (same_times or (is_known and order.same_code)):
        return Action.HELD
    known_by_run = order.own == "sent" and order.verdict == "accepted"
    if known_by_run and (order.relation is Relation.SAME or same_as_taken):
        return Action.UNCHANGED
    if order.resend:
        return Action.SEND
    if order.relation is Relation.SAME:
        if order.verdict == "rejected":
            again = order.retry_rejected or not order.same_attempt
            return Action.SEND if again else Action.REJECTED
        return Action.SEND if order.verdict == "in_doubt" else Action.UNCHANGED
    if same_as_taken or (order.is_repeated and order.verdict == "accepted"):
        return Action.UNCHANGED
    return Action.STALE if order.relation is Relation.OTHER else Action.SEND


any_orders = st.builds(
    Order,
    relation=st.sampled_from(Relation),
    verdict=st.sampled_from(["accepted", "rejected", "in_doubt", "held"]),
    own=st.sampled_from([None, "accepted", "adopted", "rejected", "sent"]),
    same_code=st.booleans(),
    same_payload=st.booleans(),
    same_attempt=st.booleans(),
    same_row=st.booleans(),
)


@given(
    st.lists(any_orders, min_size=1, max_size=30),
    st.builds(
        SendOptions,
        st.sampled_from(["status", "content"]),
        resend=st.booleans(),
        retry_rejected=st.booleans(),
        reads_present=st.booleans(),
        adopt_before=st.sampled_from([None, TIMES[1], TIMES[2]]),
        adopt_but_at=st.sampled_from([None, TIMES[0], TIMES[1]]),
    ),
)
def test_every_combination_has_one_action(orders, options):
    """An order with any facts has exactly one action, which the rules give."""
    actions = actions_of(*frames(orders), options)
    asked = [
        replace(
            order,
            send_when=options.send_when,
            resend=options.resend,
            retry_rejected=options.retry_rejected,
            reads_present=options.reads_present,
            adopt_before=options.adopt_before,
            adopt_but_at=options.adopt_but_at,
        )
        for order in orders
    ]
    assert actions == [expected(order) for order in asked]


@pytest.mark.parametrize(
    ("order", "action"),
    [
        (replace(OTHER, same_code=False, reads_present=True), Action.SEND),
        (replace(OTHER, verdict="rejected"), Action.REJECTED),
        (replace(NEWER, same_code=False, adopt_before=TIMES[2]), Action.ADOPTED),
        (replace(NEWER, same_code=False, adopt_before=TIMES[2], adopt_but_at=TIMES[0]), Action.ADOPTED),
        (replace(NEWER, same_code=False, adopt_before=TIMES[2], adopt_but_at=TIMES[1]), Action.SEND),
    ],
)
def test_options_that_chance_may_miss(order, action):
    """The combinations of the test above are drawn by chance: these are always tried."""
    assert decided(order) == expected(order) == action


def test_a_load_of_the_past_keeps_its_other_options():
    """It overrules nothing: no option that sends another row than a newer one counts. The others stay."""
    stays = {"send_when": "content", "retry_rejected": True, "adopt_before": TIMES[0], "read_at": TIMES[1]}
    overrules = {"resend": True, "reads_present": True, "shows_newest": True, "trust_source": True}

    assert SendOptions(**stays, **overrules).of_the_past() == SendOptions(**stays)


def test_changes_of_one_order_are_compared_with_each_other():
    """After an accepted paid, the changes paid, sent, paid give one unchanged order and two sends."""
    ready, known, own = frames([NEWER] * 3)
    ready = ready.assign(
        partition_hash=7, order_id="A", code=["PAID", "SENT", "PAID"], status_changed_at=TIMES[1], rank=[0, 1, 2]
    )
    known["code"] = "PAID"
    assert actions_of(ready, known, own) == [Action.UNCHANGED, Action.SEND, Action.SEND]


@pytest.mark.parametrize(
    ("first", "actions"),
    [
        (Order(), [Action.UNCHANGED, Action.SEND]),
        (Order(same_attempt=False), [Action.UNCHANGED, Action.SEND]),
        (Order(verdict="in_doubt"), [Action.SEND, Action.UNCHANGED]),
        (Order(verdict="rejected"), [Action.REJECTED, Action.SEND]),
        (Order(verdict="rejected", same_attempt=False), [Action.SEND, Action.UNCHANGED]),
        (Order(verdict="rejected", retry_rejected=True), [Action.SEND, Action.UNCHANGED]),
        (NEWER, [Action.SEND, Action.UNCHANGED]),
        (UNKNOWN, [Action.SEND, Action.UNCHANGED]),
    ],
    ids=lambda value: f"{value.relation}-{value.verdict}-{value.same_attempt}" if isinstance(value, Order) else None,
)
def test_only_a_change_that_is_sent_stands_before_the_next(first, actions):
    """A second change with the first one's code is unchanged if the first is sent; else the ledger's code counts."""
    ready, known, own = frames([replace(first, same_code=False)] * 2)
    ready = ready.assign(partition_hash=7, order_id="A", code="PAID", status_changed_at=[TIMES[1], TIMES[2]])
    options = SendOptions(retry_rejected=first.retry_rejected)
    assert actions_of(ready, known, own, options) == actions


def test_orders_with_equal_hashes_are_not_one_order():
    """A change stands before the next one of its own order alone."""
    ready, known, own = frames([replace(NEWER, same_code=False)] * 3)
    ready = ready.assign(partition_hash=7, order_id=["A", "B", "A"], rank=[0, 0, 1])
    assert actions_of(ready, known, own) == [Action.SEND, Action.SEND, Action.UNCHANGED]


def test_each_order_is_as_old_as_its_own_times():
    """And not as its neighbour's. A file's time counts for an order that the ledger knows: it has changed since."""
    ready, known, own = frames([UNKNOWN, UNKNOWN, replace(NEWER, same_payload=False)])
    ready["updated_at"] = TIMES[2]
    ready["changed_at"] = [TIMES[0], TIMES[2], TIMES[0]]
    actions = actions_of(ready, known, own, SendOptions("content", adopt_before=TIMES[2]))
    assert actions == [Action.ADOPTED, Action.SEND, Action.SEND]


@pytest.mark.parametrize(
    ("ready_differs", "known_differs", "rank"),
    [
        ({}, {}, 2),
        ({"rank": 2}, {}, 2),
        ({"rank": 3}, {}, 3),
        ({"status_changed_at": TIMES[2]}, {}, 1),
        ({"updated_at": TIMES[1]}, {}, 1),
        ({"source_hash": 0}, {}, 1),
        ({}, {"source_hash": 0}, 1),
        ({}, {"verdict": None}, 1),
        ({}, {"rank": None, "verdict": None}, 1),
    ],
    ids=str,
)
def test_a_rank_of_fewer_rows_is_lifted(ready_differs, known_differs, rank):
    """The last row of the very same times is no older because its window shows fewer of them; others keep theirs."""
    ready, known, _ = frames([SAME, NEWER])
    known["rank"] = pd.array([2, 0], dtype="Int64")
    ready["rank"] = [1, 0]
    for frame, differences in ((ready, ready_differs), (known, known_differs)):
        for column, value in differences.items():
            frame.loc[frame.index[0], column] = value
    found = ranked(ready, known)
    assert found.tolist() == [rank, 0]
    assert found.index.equals(ready.index)
    assert found.dtype == "int64"


@pytest.mark.parametrize("ranks", [(1, 1), (0, 1), (2, 1)])
def test_a_file_that_shows_equal_times_in_another_sequence_is_no_repetition(ranks):
    """Rows of the very same times share one hash: a newer file with another one of them as the last is a change."""
    ready, known, own = frames([replace(NEWER, same_row=True, same_code=False)])
    ready["rank"], known["rank"] = ranks
    assert actions_of(ready, known, own) == [Action.SEND]


def test_a_change_after_a_repeated_row_is_compared_with_what_the_service_has():
    """A row that is not sent, whatever today's map says, hides no later change with the same code as it has today."""
    ready, known, own = frames([replace(NEWER, same_row=True, same_code=False)] * 2)
    ready = ready.assign(partition_hash=7, order_id="A", code="PAID", status_changed_at=TIMES[1:], source_hash=[1, 3])
    known = known.assign(status_changed_at=TIMES[1], code="NEW")
    assert actions_of(ready, known, own) == [Action.UNCHANGED, Action.SEND]
