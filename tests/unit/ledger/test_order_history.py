"""What happened to an order: one row for each thing, by destination and in time."""

import re
import uuid
from pathlib import Path

import pandas as pd
import sqlalchemy as sa
from cryptography.fernet import Fernet
from hypothesis import assume, given
from hypothesis import strategies as st

from include.order_sync.ledger import attempts, quarantine, schema
from include.order_sync.ledger.encrypted_rows import QuarantineEntry
from include.order_sync.ledger.opening import open_session
from include.order_sync.ledger.order_history import history, ids_beginning_with, spellings_of
from include.order_sync.ledger.session import LedgerSession
from include.order_sync.model import NO_TIME
from include.order_sync.staging.partition_hash import hashes_of_longer_ids, partition_hash

PAGE = Path(__file__).parents[3] / "docs" / "read-model.md"
ORDER = "A-1042"
NOON = pd.Timestamp("2026-11-21T12:00Z")


def version(session: LedgerSession, code: str, *, order_id: str = ORDER, held: bool = False) -> pd.DataFrame:
    """Return a version of an order as the ledger writes it."""
    order = pd.DataFrame(
        {
            "order_id": pd.Series([order_id], dtype="str"),
            "partition_hash": partition_hash(order_id),
            "status_changed_at": NOON,
            "updated_at": pd.Timestamp(NO_TIME),
            "rank": 0,
            "code": code,
            "payload_hash": 1,
            "held_if_in_doubt": held,
            "source_hash": 1,
        }
    )
    return order.assign(attempt=attempts.lines(order, session.sender.destination_id))


def sent(session: LedgerSession, order: pd.DataFrame) -> int:
    """Write an order down and begin to send it; return its batch."""
    (batch,) = session.look_ahead.write(order, [1])
    session.begin(batch)
    return batch


def test_all_that_happened_is_told_in_order(ledger: sa.Engine):
    """Each event has its code, reason, run and try; a version without a time of its row has none."""
    name = uuid.uuid4().hex
    with open_session(ledger, "ledger", destination=name, run="dag run-1 start read", try_number=2) as session:
        session.record(version(session, "NEW"), "adopted")
        session.record(version(session, "NEW"), "unchanged")
        session.conclude(sent(session, version(session, "PAID")), "not_taken", reason="HTTP 503")
        batch = sent(session, version(session, "PAID", held=True))
        session.conclude(batch, "in_doubt", reason="no answer")
        with session.transaction() as cursor:
            cursor.execute(
                "insert into decisions (destination, order_id, batch_id, decision, decided_by) "
                "values (%s, %s, %s, 'resend', 'olena')",
                (name, ORDER, batch),
            )
        session.conclude(sent(session, version(session, "PAID")), "in_doubt", reason="HTTP 502")
        row = Fernet(Fernet.generate_key()).encrypt(b"{}")
        entry = QuarantineEntry(ORDER, b"1", ["no such code"], row, "orders.csv", 7, NOON)
        session.conclude(
            sent(session, version(session, "SENT")), "answered", rejected={ORDER: "no such code"}, entries=[entry]
        )
        session.conclude(sent(session, version(session, "SENT")), "answered")
        with session.transaction() as cursor:
            (number,) = cursor.execute("select id from quarantine where destination = %s", (name,)).fetchone()
            quarantine.dismiss(cursor, [number], "petro", "the shop's test")
        sent(session, version(session, "DONE"))
        session.look_ahead.write(version(session, "DONE"), [1])
        session.conclude(sent(session, version(session, "NEW", order_id="A-1043")), "answered")
    with schema.transaction(ledger, "ledger") as connection:
        found = [event for event in history(connection, ORDER) if event["destination"] == name]
        assert history(connection, "A-104") == []
    assert [(event["event"], event["code"], event["reason"]) for event in found] == [
        ("adopted", "NEW", None),
        ("unchanged", "NEW", None),
        ("not taken", "PAID", "HTTP 503"),
        ("held", "PAID", "no answer"),
        ("decided to resend", "PAID", "by olena"),
        ("in doubt", "PAID", "HTTP 502"),
        ("rejected", "SENT", "no such code"),
        ("quarantined", None, "no such code"),
        ("accepted", "SENT", None),
        ("left the quarantine", None, "dismissed by petro: the shop's test"),
        ("under way", "DONE", None),
        ("waiting", "DONE", None),
    ]
    first = found[0]
    assert (first["run"], first["try"]) == ("run-1", 2)
    assert (first["status_changed_at"], first["updated_at"]) == (NOON, None)
    quarantined = found[7]
    assert (quarantined["place"], quarantined["run"]) == ("orders.csv:7", "run-1")
    assert (quarantined["encrypted_row"] is not None, found[9]["encrypted_row"]) == (True, None)
    section = PAGE.read_text().split("## order_history_v1\n")[1].split("\n## ")[0]
    events_told = next(part for part in section.split("\n\n") if part.startswith("| event |"))
    told = re.findall(r"^\| ([\w, ]+) \|", events_told, re.MULTILINE)[1:]
    others = {"decided to accept", "quarantined again"}
    assert {event["event"] for event in found} | others == {e for cell in told for e in cell.split(", ")}


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8"), max_size=3))
def test_the_ranges_hold_each_longer_id(text: str, more: str):
    """The hash of an id lies in a range of its beginning, if the rest has at most three bytes."""
    assume(len(more.encode()) <= 3)
    longer = partition_hash(text + more)
    assert any(first <= longer <= last for first, last in hashes_of_longer_ids(text))


def test_ids_are_found_by_their_beginning(ledger: sa.Engine):
    """Ids of the text and up to three characters more are found, of orders sent and of orders only rejected."""
    name = uuid.uuid4().hex
    with open_session(ledger, "ledger", destination=name, run="dag run-1 start read", try_number=1) as session:
        for order_id in ("ORDER-7", "ORDER-70", "ORDER-701", "ORDER-7012", "ORDER-70123", "ORDER-8"):
            session.conclude(sent(session, version(session, "NEW", order_id=order_id)), "answered")
        row = Fernet(Fernet.generate_key()).encrypt(b"{}")
        session.quarantine([QuarantineEntry("ORDER-7-R", b"1", ["no"], row, "orders.csv", 7, NOON)])
    with schema.transaction(ledger, "ledger") as connection:
        found = ids_beginning_with(connection, "ORDER-7", [name], 10)
        assert ids_beginning_with(connection, "ORDER-7", [name], 2) == found[:2]
        assert ids_beginning_with(connection, "ORDER-7", ["another"], 10) == []
        assert ids_beginning_with(connection, "oRdEr-7", [name], 10) == found
    assert found == ["ORDER-7", "ORDER-7-R", "ORDER-70", "ORDER-701", "ORDER-7012"]


def test_an_id_is_spelled_in_small_and_capital_letters():
    """Each way with up to eight letters; of more as it is, small and capital; a letter never becomes two."""
    assert spellings_of("a-1B") == ["A-1B", "A-1b", "a-1B", "a-1b"]
    assert len(spellings_of("Abcdefgh")) == 256
    assert spellings_of("Abcdefghi") == ["ABCDEFGHI", "Abcdefghi", "abcdefghi"]
    assert spellings_of("1ß") == ["1ß"]
    assert spellings_of("Straße und Weg") == ["Straße und Weg", "straße und weg"]
