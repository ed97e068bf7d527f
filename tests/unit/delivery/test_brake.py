"""Which orders count as notifications, before they are sent and in the ledger."""

import uuid
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
import sqlalchemy as sa

from include.order_sync.delivery.planning import notifying
from include.order_sync.ledger import approvals, attempts
from include.order_sync.ledger.opening import open_session
from include.order_sync.providers import PROVIDERS
from tests.unit.ledger.test_order_history import sent, version

NOW = datetime.now(UTC)
CODES = approvals.Codes(PROVIDERS["rees46"].notifies, PROVIDERS["rees46"].held_codes)


@pytest.mark.parametrize(
    ("provider", "codes"),
    [
        ("rees46", {"1", "2"}),
        ("personaclick", {"1", "2"}),
        ("yespo", {"INITIALIZED", "IN_PROGRESS", "DELIVERED", "CANCELLED", "ABANDONED_SHOPPING_CART"}),
        ("justclick", {"paid", "sent", "cancel", "return"}),
    ],
)
def test_codes_that_notify(provider, codes):
    """Every code counts that no document says is harmless; of REES46 all but that of a new order."""
    known = [str(code) for code in PROVIDERS[provider].codes]
    orders = pd.DataFrame({"code": known, "status_changed_at": pd.Timestamp(NOW)})
    assert set(orders["code"][notifying(PROVIDERS[provider], orders)]) == codes


@pytest.mark.parametrize(("days", "counts"), [(6, False), (8, True)])
def test_an_old_change_counts_with_any_code(days, counts):
    """A customer does not expect what is older than seven days."""
    orders = pd.DataFrame({"code": ["0"], "status_changed_at": [pd.Timestamp(NOW - timedelta(days=days))]})
    assert notifying(PROVIDERS["rees46"], orders).tolist() == [counts]


@pytest.mark.parametrize(
    ("code", "age", "outcome", "counted"),
    [
        pytest.param("1", 1, "answered", 1, id="accepted"),
        pytest.param("1", 1, "rejected", 0, id="rejected"),
        pytest.param("1", 1, "in_doubt", 1, id="in doubt"),
        pytest.param("1", 1, "not_taken", 0, id="not taken"),
        pytest.param("0", 1, "answered", 0, id="a code that notifies nobody"),
        pytest.param("0", 8, "answered", 1, id="the same of an old change"),
    ],
)
def test_what_was_sent_is_counted_alike(ledger: sa.Engine, code, age, outcome, counted):
    """The ledger's count of the last 24 hours has the same rule, and leaves out what nobody can have got."""
    name = uuid.uuid4().hex
    with open_session(ledger, "ledger", destination=name, run="dag run a b", try_number=1) as session:
        order = version(session, code).assign(status_changed_at=pd.Timestamp(NOW - timedelta(days=age)))
        order["attempt"] = attempts.lines(order, session.sender.destination_id)
        rejected = {"A-1042": "no"} if outcome == "rejected" else None
        session.conclude(sent(session, order), "answered" if rejected else outcome, rejected=rejected)
        with session.transaction() as cursor:
            number = approvals.destination_id(cursor, name)
            assert approvals.recent(cursor, number, CODES) == counted
            assert approvals.recent_at_most(cursor, number) == (outcome != "not_taken")
            earlier = "update batches set begun_at = begun_at - interval '25 hours' where destination_id = %s"
            cursor.execute(earlier, (number,))
            assert approvals.recent_at_most(cursor, number) == 0
            assert approvals.recent(cursor, number, CODES) == 0


@pytest.mark.parametrize(
    ("later", "differs", "counted"),
    [
        ("in_doubt", {}, 1),
        ("answered", {}, 1),
        ("not_taken", {}, 1),
        pytest.param("answered", {"status_changed_at": pd.Timestamp(NOW)}, 2, id="a newer version"),
        pytest.param("answered", {"code": "2"}, 2, id="another code, after the map was changed"),
    ],
)
def test_a_repeated_send_in_doubt_is_one_notification(ledger: sa.Engine, later, differs, counted):
    """Also if its repetition was not taken; a code that can mail twice counts each time."""
    name = uuid.uuid4().hex
    with open_session(ledger, "ledger", destination=name, run="dag run a b", try_number=1) as session:
        order = version(session, "1")
        session.conclude(sent(session, order), "in_doubt")
        again = order.assign(**differs)
        again["attempt"] = attempts.lines(again, session.sender.destination_id)
        session.conclude(sent(session, again), later)
        with session.transaction() as cursor:
            number = approvals.destination_id(cursor, name)
            assert approvals.recent(cursor, number, CODES) == counted
            can_mail_twice = approvals.Codes(["1", "2"], ["1", "2"])
            assert approvals.recent(cursor, number, can_mail_twice) == (2 if later != "not_taken" else 1)


def test_an_approval_may_be_of_any_destination(ledger: sa.Engine):
    """Also if the numbers of smallint have run out."""
    name, number = uuid.uuid4().hex, 40_000
    with ledger.begin() as connection, connection.connection.cursor() as cursor:
        cursor.execute("insert into destinations (id, name) overriding system value values (%s, %s)", (number, name))
        approvals.record(cursor, number, approvals.Approval("dag run", None, 3, "olena", NOW))
        approval = approvals.covering(cursor, number, CODES, "dag run", None)
    assert approval is not None
    assert approval.left == 3
