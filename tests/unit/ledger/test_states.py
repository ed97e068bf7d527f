"""The state of an order: Python and the database's view read it alike from attempts."""

import uuid
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from include.order_sync.ledger import attempts
from include.order_sync.ledger.opening import open_session
from include.order_sync.ledger.retention import remove_old
from tests.unit.ledger.test_order_history import sent, version

RUN = "dag scheduled__1 {}2026-11-21T12:00:00+00:00 2026-11-21T12:00:01+00:00"
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
FATES = ("answered", "rejected", "not_taken", "in_doubt", "held", "unchanged", "adopted", "accept", "resend", "open")
OUTCOME_OF = {"rejected": "answered", "held": "in_doubt", "accept": "in_doubt", "resend": "in_doubt"}

# An attempt: its order, version, code and payload, and the fate of its batch.
any_attempts = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 1)),
        st.sampled_from(["PAID", "SENT"]),
        st.integers(1, 2),
        st.sampled_from(FATES),
    ),
    max_size=12,
)


def write(connection: sa.Connection, destination: str, made: list) -> int:
    """Write attempts, each in its own batch; return the destination's number."""
    number = connection.execute(
        sa.text("insert into destinations (name) values (:name) returning id"), {"name": destination}
    ).scalar_one()
    for order_id, (changed, updated, rank), code, payload, fate in made:
        outcome = {"rejected": "answered", "held": "in_doubt", "accept": "in_doubt", "resend": "in_doubt"}.get(
            fate, fate
        )
        batch = connection.execute(
            sa.text(
                "insert into batches (destination_id, run, try, orders, begun_at, concluded_at, outcome) "
                "values (:number, 'run', 1, 1, now(), now(), :outcome) returning id"
            ),
            {"number": number, "outcome": None if outcome == "open" else outcome},
        ).scalar_one()
        connection.execute(
            sa.text(
                "insert into attempts "
                "values (:batch, :number, 1, :order_id, :changed, :updated, :rank, :code, :payload, :held, 0)"
            ),
            {
                "batch": batch,
                "number": number,
                "order_id": order_id,
                "changed": NOON + timedelta(hours=changed),
                "updated": NOON + timedelta(hours=updated),
                "rank": rank,
                "code": code,
                "payload": payload,
                "held": fate in ("held", "accept", "resend"),
            },
        )
        if fate == "rejected":
            connection.execute(
                sa.text("insert into rejections values (:batch, :order_id, 'a reason')"),
                {"batch": batch, "order_id": order_id},
            )
        if fate in ("accept", "resend"):
            connection.execute(
                sa.text(
                    "insert into decisions (destination, order_id, batch_id, decision, decided_by) "
                    "values (:destination, :order_id, :batch, :fate, 'olena')"
                ),
                {"destination": destination, "order_id": order_id, "batch": batch, "fate": fate},
            )
    return int(number)


@settings(max_examples=60)
@given(any_attempts)
def test_states_are_those_of_the_view(ledger: sa.Engine, made: list):
    """Version and verdict of each order equal those of the view `order_states`, for any outcomes of its attempts."""
    with ledger.connect() as connection:
        connection.exec_driver_sql("set local datestyle = 'ISO'; set local timezone = 'UTC'")
        number = write(connection, uuid.uuid4().hex, made)
        raw = connection.connection.driver_connection
        assert raw is not None
        with raw.cursor() as cursor:
            found = attempts.find(cursor, "true", {"destination": number})
        states = attempts.states(attempts.settled(found)).sort_values("order_id", ignore_index=True)
        view = connection.execute(
            sa.text(
                "select order_id, status_changed_at, updated_at, rank, verdict, payload_hash as attempted_hash "
                "from order_states where destination_id = :number order by order_id"
            ),
            {"number": number},
        ).all()
        connection.rollback()
    shown = [(r.order_id, r.status_changed_at, r.updated_at, r.rank, r.verdict, r.attempted_hash) for r in view]
    ours = states[["order_id", "status_changed_at", "updated_at", "rank", "verdict", "attempted_hash"]]
    assert [tuple(row) for row in ours.itertuples(index=False)] == [
        (id_, pd.Timestamp(changed), pd.Timestamp(updated), rank, verdict, hash_)
        for id_, changed, updated, rank, verdict, hash_ in shown
    ]


ISO = "set local datestyle = 'ISO'; set local timezone = 'UTC'"
STATES = """
    select order_id, status_changed_at, updated_at, rank, verdict, code, payload_hash from order_states
    where destination_id = :number order by order_id
"""
TAKEN = """
    select distinct on (order_id) order_id, code, payload_hash, verdict from settled_attempts
    where destination_id = :number and verdict <> 'rejected'
    order by order_id, status_changed_at desc, updated_at desc, rank desc, batch_id desc
"""


REDRIVEN = [("a", (0, 0, 0), "PAID", 1, fate) for fate in ("answered", "rejected", "rejected", "rejected")]


@settings(max_examples=60)
@given(any_attempts)
@example(REDRIVEN)
def test_retention_changes_no_state(ledger: sa.Engine, made: list):
    """Without its old attempts each order has the state that it had, and at most one rejected attempt is left of it."""
    with ledger.begin() as connection:
        number = {"number": write(connection, uuid.uuid4().hex, made)}
        aged = "update batches set concluded_at = now() - interval '91 days' where destination_id = :number"
        connection.execute(sa.text(aged), number)
        connection.exec_driver_sql(ISO)
        before = [connection.execute(sa.text(query), number).all() for query in (STATES, TAKEN)]
    remove_old(ledger, attempts_days=90, quarantine_days=90)
    with ledger.begin() as connection:
        connection.exec_driver_sql(ISO)
        assert [connection.execute(sa.text(query), number).all() for query in (STATES, TAKEN)] == before
        rejected = "select count(*) from settled_attempts where destination_id = :number and verdict = 'rejected'"
        left = connection.execute(sa.text(f"{rejected} group by order_id"), number).scalars().all()
        assert set(left) <= {1}


def test_an_attempt_without_a_code_is_refused():
    """COPY would leave out a line with a missing value, and its order would be sent unknown to the ledger."""
    orders = pd.DataFrame(
        {
            "partition_hash": [1, 2],
            "order_id": ["a", "b"],
            "status_changed_at": [NOON] * 2,
            "updated_at": [NOON] * 2,
            "rank": 0,
            "code": pd.Series(["PAID", None], dtype="str"),
            "payload_hash": 1,
            "held_if_in_doubt": False,
            "source_hash": 1,
        }
    )
    with pytest.raises(ValueError, match="lacks code"):
        attempts.lines(orders, 1)


@pytest.mark.parametrize("mark", ["", "resend,"])
def test_a_resend_knows_what_its_earlier_tries_have_sent(ledger: sa.Engine, mark):
    """Also if an earlier release has begun it, whose keys have no mark."""
    name = uuid.uuid4().hex
    with open_session(ledger, "ledger", destination=name, run=RUN.format(mark), try_number=1) as session:
        batch = sent(session, version(session, "PAID"))
        session.conclude(batch, "answered")
    with open_session(ledger, "ledger", destination=name, run=RUN.format("resend,"), try_number=2) as session:
        own = session.look_ahead.own_batches(resend=True)
    assert (batch in own.answered, batch in own.of_resends) == (True, False)


@pytest.mark.parametrize(("mark", "is_before"), [("", False), ("resend,", True)])
def test_of_what_was_sent_before_a_clear_only_resends_count(ledger: sa.Engine, mark, is_before):
    """A backfill with `resend` may take over a run that has sent without it."""
    name = uuid.uuid4().hex
    cleared = RUN.format(mark)
    with open_session(ledger, "ledger", destination=name, run=cleared, try_number=1) as session:
        batch = sent(session, version(session, "PAID"))
        session.conclude(batch, "answered")
    again = RUN.format("resend,").replace("T12:", "T13:")
    with open_session(ledger, "ledger", destination=name, run=again, try_number=1) as session:
        own = session.look_ahead.own_batches(resend=True)
    assert (batch in own.answered, batch in own.of_resends) == (False, is_before)


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        (["accepted", "rejected"], "PAID"),
        (["in_doubt", "rejected"], None),
        (["accepted", "in_doubt", "rejected"], None),
        (["held", "rejected"], "PAID"),
        (["in_doubt"], "PAID"),
    ],
)
def test_after_a_rejection_a_send_in_doubt_says_nothing_of_the_code(verdicts, code):
    """The service may not have taken it: a newer row with that code would count as unchanged, and be lost."""
    rows = pd.DataFrame(
        {
            "order_id": "a",
            "status_changed_at": pd.Timestamp(NOON),
            "updated_at": pd.Timestamp(NOON),
            "rank": 0,
            "code": ["PAID"] * len(verdicts),
            "payload_hash": 1,
            "source_hash": 1,
            "verdict": verdicts,
            "batch_id": range(len(verdicts)),
        }
    )
    other = rows.assign(order_id="b", verdict="accepted").head(1)
    known = attempts.states(pd.concat([rows, other], ignore_index=True)).set_index("order_id")["code"]
    assert known.astype("object").where(known.notna(), None).to_dict() == {"a": code, "b": "PAID"}
