"""Held orders, and a person's decisions on them."""

import sys
from unittest.mock import Mock

import pytest
import sqlalchemy as sa
from order_sync_airflow import operators

from include.order_sync import stops
from include.order_sync.errors import StopError
from include.order_sync.ledger import encrypted_rows
from tests.airflow.shop import Shop, row
from tests.airflow.test_redrive import logged


@pytest.fixture
def held(shop) -> Shop:
    """A shop with the held orders 1 and 2."""
    shop.drop(row("1", "paid"), row("2", "paid"))
    shop.sandbox.fault({"provider": "yespo", "kind": "close", "when": "before", "next": 1})
    with pytest.raises(StopError, match="2 orders are held") as stop:
        shop.run()
    assert stop.value.counts["held"] == 2
    return shop


def test_a_decision_to_resend_sends_held_orders(held, entries, ledger):
    """A redrive sends the held orders that a person decides to resend, and records the person; the others stay."""
    assert held.run(redrive=True, decision="resend", order_ids=["1"], user="olena") == {
        "rows": 1,
        "orders": 1,
        "accepted": 1,
        "requests": 1,
    }
    assert held.taken() == {"1": ["IN_PROGRESS"]}
    assert entries("order_id", "resolved_at is null") == [("2",)]
    with ledger.connect() as connection:
        query = "select order_id, decision, decided_by from decisions where destination = :name"
        decided = connection.execute(sa.text(query), {"name": held.name}).all()
    assert [tuple(decision) for decision in decided] == [("1", "resend", "olena")]


def test_a_decision_covers_all_orders_that_it_names(held):
    """The limit of a redrive is not one of a decision: orders that were decided and not sent would be left behind."""
    assert held.run(redrive=True, decision="resend", order_ids=["1", "2"], at_most=1)["accepted"] == 2


def test_a_decision_to_accept_sends_nothing(held, entries):
    """Held orders that a person accepts, also by batch, are accepted without a request."""
    ((batch,),) = entries(
        "(select batch_id from orders_in_doubt o join destinations d on d.id = o.destination_id "
        "where d.name = destination limit 1)",
        "order_id = '1'",
    )
    assert held.run(redrive=True, decision="accept", batch=batch, user="olena") == {}
    assert held.xcoms["extract", "kind"] == "REDRIVE, decided to accept 2 held orders"
    assert held.taken() == {}
    assert entries("resolution") == [("accepted by olena",)] * 2
    held.drop(row("1", "paid"), row("2", "paid"))
    assert held.run() == {"rows": 2, "orders": 2, "unchanged": 2}


@pytest.mark.parametrize("decision", ["accept", "resend"])
@pytest.mark.parametrize("listed", [False, True])
def test_a_decision_by_batch_is_about_no_other_batch(shop, entries, decision, listed):
    """Of held orders of two batches it takes those of the batch that is given."""
    for order_id in "12":
        shop.drop(row(order_id, "paid"))
        shop.sandbox.fault({"provider": "yespo", "kind": "close", "when": "before", "next": 1})
        with pytest.raises(StopError, match="1 order is held"):
            shop.run()
        shop.drop(row("3", "paid", 10 + int(order_id)))  # its answer says that the service is back
        shop.run()
    ((batch,),) = entries(
        "(select batch_id from orders_in_doubt o join destinations d on d.id = o.destination_id "
        "where d.name = destination and o.order_id = quarantine.order_id)",
        "order_id = '1'",
    )
    sent = {"rows": 1, "orders": 1, "accepted": 1, "requests": 1} if decision == "resend" else {}
    assert shop.run(redrive=True, decision=decision, batch=[batch] if listed else batch) == sent
    assert entries("order_id", "resolved_at is null") == [("2",)]
    assert ("1" in shop.taken(), "2" in shop.taken()) == (decision == "resend", False)
    shop.drop(row("2", "paid"))
    assert shop.run() == {"rows": 1, "orders": 1, "held": 1}


def test_a_decision_to_resend_outlives_the_task_that_took_it(held, entries, monkeypatch):
    """A redrive that is killed between its decision and its staging stages these orders in its retry."""
    resend = {"redrive": True, "decision": "resend", "order_ids": ["1"], "user": "olena"}
    with monkeypatch.context() as patch:
        patch.setattr(encrypted_rows, "decrypt_rows", lambda *_: sys.exit())
        with pytest.raises(SystemExit):
            held.run(**resend)
    held.run(**resend | {"decision": "dismiss", "note": "a mistake"})  # closes no send that was decided
    assert held.run(**resend) == {"rows": 1, "orders": 1, "accepted": 1, "requests": 1}
    assert entries("order_id", "resolved_at is null") == [("2",)]
    with pytest.raises(StopError, match="No order of these is held"):
        held.run(**resend)


def test_a_decided_order_without_a_row_is_named(held, ledger, capsys):
    """The next run that reads it sends it; an accepted one needs no row."""
    with ledger.begin() as connection:
        connection.execute(sa.text("delete from quarantine where destination = :name"), {"name": held.name})
    capsys.readouterr()
    held.run(redrive=True, decision="accept", order_ids=["2"], user="olena")
    accepted = logged(capsys)
    held.run(redrive=True, decision="resend", order_ids=["1"], user="olena")
    resent = logged(capsys)
    assert "The quarantine has no row" not in accepted
    assert "The quarantine has no row of 1 of these (1): the next run" in resent
    assert "Not among these" not in accepted + resent
    held.drop(row("1", "paid"))
    assert held.run() == {"rows": 1, "orders": 1, "accepted": 1, "requests": 1}


def test_a_decision_that_finds_nothing_held_is_said(held):
    """A decision about orders that are not held is refused: it may have been meant for others."""
    with pytest.raises(StopError, match="No order of these is held"):
        held.run(redrive=True, decision="accept", order_ids=["no such order"])


def test_orders_that_were_held_before_do_not_make_a_run_red(held, caplog):
    """A later run counts and names them, and is green; so is the same run, cleared."""
    assert held.run() == {"rows": 2, "orders": 2, "held": 2}
    assert "2 orders held before this run, and waiting for a decision: 1, 2" in caplog.text
    assert held.run(run_id="run 1") == {"rows": 2, "orders": 2, "held": 2}


def test_a_run_is_red_for_what_it_holds_newly(held):
    """An order that is newly held is named alone; so is one whose decided resend is in doubt again."""
    held.drop(row("4", "paid"))  # its answer says that the service is back
    held.run()
    held.drop(row("1", "paid"), row("2", "paid"), row("3", "paid"))
    lost = {"provider": "yespo", "kind": "close", "when": "after", "next": 1}
    held.sandbox.fault(lost)
    with pytest.raises(StopError, match=r"1 order is held \(3\)"):
        held.run()
    held.drop(row("5", "paid"))
    held.run()
    held.sandbox.fault(lost)
    with pytest.raises(StopError, match=r"1 order is held \(1\)"):
        held.run(redrive=True, decision="resend", order_ids=["1"], user="olena")


def test_held_orders_are_not_dismissed(held, entries):
    """Only a decision closes a held order: its send may have been taken."""
    ids = [entry for (entry,) in entries("id")]
    held.run(redrive=True, decision="dismiss", entries=ids, note="all of it")
    assert entries("resolved_at") == [(None,), (None,)]


def test_a_decision_needs_its_orders(held):
    """A decision without orders or a batch is refused: its scope would be unclear."""
    with pytest.raises(StopError, match="order_ids"):
        held.run(redrive=True, decision="resend")


def test_a_decision_names_orders_that_are_not_held(held, capsys):
    """It counts for those that are held, which it takes by a list of batches or of ids."""
    held.run(redrive=True, dry_run=True, decision="resend")
    listed = [line.split() for line in capsys.readouterr().out.splitlines() if "OS-501" in line]
    batches = sorted({int(line[1]) for line in listed})
    assert len(listed) == 2
    assert held.run(redrive=True, decision="resend", order_ids=["1", "A-7"], user="olena")["accepted"] == 1
    assert "Not among these are 1 held order of the params" in (said := logged(capsys))
    assert "They are: A-7" in said
    assert held.run(redrive=True, decision="accept", batch=[*batches, 999999], user="olena") == {}
    assert held.xcoms["extract", "kind"] == "REDRIVE, decided to accept 1 held order"


def test_a_decision_to_resend_can_be_taken_back(held, entries, monkeypatch, capsys):
    """A redrive that was refused, or failed, has decided all the same: `accept` then counts, and nothing is sent."""
    refused = Mock(side_effect=StopError(stops.NOT_APPROVED, "not today"))
    with monkeypatch.context() as patch:
        patch.setattr(operators.LoadOrdersOperator, "execute", refused)
        with pytest.raises(StopError, match="not today"):
            held.run(redrive=True, decision="resend", order_ids=["1"], user="olena")
    capsys.readouterr()
    held.run(redrive=True, decision="accept", order_ids=["1"], dry_run=True)
    assert "1 entry" in logged(capsys)
    assert held.run(redrive=True, decision="accept", order_ids=["1"], user="petro") == {}
    held.drop(row("1", "paid"))
    assert held.run() == {"rows": 1, "orders": 1, "unchanged": 1}
    assert held.taken() == {}
    assert entries("order_id, resolution", "resolved_at is not null") == [("1", "accepted by petro")]


@pytest.mark.parametrize(
    ("decision", "when", "accepted"),
    [pytest.param("accept", "after", 0, id="it was taken"), pytest.param("resend", "before", 1, id="it was not taken")],
)
def test_a_cleared_resend_follows_a_decision_on_its_send_in_doubt(shop, decision, when, accepted):
    """The order was accepted by a person, or sent again by the redrive: the run does not send it once more."""
    shop.drop(row("1", "paid"))
    shop.run()
    shop.drop(row("1", "paid"))
    shop.sandbox.fault({"provider": "yespo", "kind": "close", "when": when, "next": 1})
    with pytest.raises(StopError, match="1 order is held"):
        shop.run(run_id="again", resend=True)
    assert shop.run(redrive=True, decision=decision, order_ids=["1"]).get("accepted", 0) == accepted
    assert shop.run(run_id="again", resend=True) == {"rows": 1, "orders": 1, "unchanged": 1}
    assert len(shop.taken()["1"]) == 2


def test_accept_by_batch_leaves_decisions_to_resend_alone(held, entries, monkeypatch):
    """It is about the orders that are still held: those that a person wants sent would be lost."""
    refused = Mock(side_effect=StopError(stops.NOT_APPROVED, "not today"))
    with monkeypatch.context() as patch:
        patch.setattr(operators.LoadOrdersOperator, "execute", refused)
        with pytest.raises(StopError, match="not today"):
            held.run(redrive=True, decision="resend", order_ids=["1"])
    ((batch,),) = entries(
        "(select batch_id from orders_in_doubt o join destinations d on d.id = o.destination_id "
        "where d.name = destination limit 1)",
        "order_id = '1'",
    )
    assert held.run(redrive=True, decision="accept", batch=batch) == {}
    held.drop(row("1", "paid"), row("2", "paid"))
    assert held.run() == {"rows": 2, "orders": 2, "accepted": 1, "unchanged": 1, "requests": 1}
    assert set(held.taken()) == {"1"}
