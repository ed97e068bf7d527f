"""Pages of runs and orders: what became of rejected and held orders since, and what to do next."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from order_sync_airflow.page import backfills, reads, words
from order_sync_airflow.page.access import Access

from include.order_sync.configuration.loading import DEFAULT_FILE, load
from include.order_sync.ledger import files, quarantine, schema
from include.order_sync.ledger.opening import open_session
from include.order_sync.ledger.reasons import SET_BACK_REASON
from include.order_sync.ledger.run_records import RunRecord, record
from include.order_sync.model import FileVersion
from include.order_sync.transform.order_checks import UNKNOWN_STATUS
from tests.airflow.page.conftest import NOW, RUN, airflow_ran, entry, seen_as
from tests.unit.ledger.test_order_history import sent, version

REASON = "status: missing"


def rejects(
    ledger: sa.Engine,
    name: str,
    dag: str,
    run: str,
    number: int = 1,
    kind: str = "",
    reasons: Sequence[str] = (REASON,),
) -> None:
    """Record a run of a destination that has rejected the order R-1."""
    key = f"{dag} {run} start read"
    with open_session(ledger, "ledger", destination=name, run=key, try_number=1) as session:
        session.quarantine([entry(number, "R-1", *reasons)])
    with schema.transaction(ledger, "ledger") as connection:
        counts = {"rows": 1, "orders": 1, "rejected": 1}
        record(connection, RunRecord(name, key, 1, kind, "person", counts, True, False))


def test_a_row_that_is_rejected_again_stays_with_its_first_run(client: TestClient, ledger: sa.Engine, name: str):
    """The first run names the redrive that has rejected it again; the redrive has the row too, the order both."""
    rejects(ledger, name, f"order_sync_{name}", "first")
    rejects(ledger, name, "order_sync_redrive", "again", kind="REDRIVE")
    first = client.get(f"/run/order_sync_{name}/first").text
    assert "redriven again, and rejected again by" in first
    link = f'href="/prefix/order-sync/run?destination={name}&amp;run=again"'
    assert link in first
    assert "do what the reasons say" in first
    redrive = client.get("/run/order_sync_redrive/again").text
    assert ">R-1</a>" in redrive
    order = client.get("/order/R-1").text
    assert (link in order, f"run?destination={name}&amp;run=first" in order) == (True, True)
    assert "rejected again" in order
    runs = client.get("/quarantine").text
    assert f'run=first" title="first">first</a>, <a {link} title="again">last</a>' in runs


def test_a_run_between_says_that_its_rows_are_elsewhere(client: TestClient, ledger: sa.Engine, name: str):
    """A row has its first and its last run: the page of one between says how many it does not list."""
    for run in ("first", "second", "third"):
        rejects(ledger, name, f"order_sync_{name}", run)
    pages = {run: client.get(f"/run/order_sync_{name}/{run}").text for run in ("first", "second", "third")}
    assert {run: "1 more of its rejected" in text for run, text in pages.items()} == {
        "first": False,
        "second": True,
        "third": False,
    }
    assert "read again, and rejected again by" in pages["first"]


def test_a_held_order_is_decided_and_not_redriven(client: TestClient, ledger: sa.Engine, name: str):
    """The page of a run that has only held orders sends nobody to mend and redrive."""
    key = f"order_sync_{name} {RUN} start read"
    with open_session(ledger, "ledger", destination=name, run=key, try_number=1) as session:
        session.conclude(sent(session, version(session, "PAID", held=True)), "in_doubt", reason="no answer")
        session.quarantine([entry(1, "A-1042", reads.HELD_REASON)])
    with schema.transaction(ledger, "ledger") as connection:
        record(connection, RunRecord(name, key, 1, "", "person", {"rows": 1, "orders": 1, "held": 1}, True, False))
    run = client.get(f"/run/order_sync_{name}/{RUN}").text
    assert ("Next: look them up" in run, "Next: do what" in run) == (True, False)


def test_a_decision_is_told_on_the_run_and_the_order(client: TestClient, ledger: sa.Engine, name: str, filled: int):
    """A run with held orders is not green while they wait, and says afterwards what was decided; so does the order."""
    address = f"/run/order_sync_{name}/{RUN}"
    assert '<span class="pill warn">orders wait for a decision</span>' in client.get(address).text
    assert '<span class="pill warn">held</span>' in client.get("/order/H-1").text
    assert 'class="held"' in client.get("/").text
    assert client.get(address).text.count("Next: do what") == 1  # for its rejected orders
    with (
        open_session(ledger, "ledger", destination=name, run="d r s r", try_number=1) as session,
        session.transaction() as cursor,
    ):
        quarantine.decide(cursor, name, "accept", "olena", batches=[filled])
    overview = client.get("/").text
    assert ('<th scope="row">held</th>' in overview, 'class="held"' in overview) == (True, False)
    run = client.get(address).text
    assert "1 accepted by olena" in run
    assert "orders wait for a decision" not in run
    assert '<span class="pill good">decided to accept</span>' in client.get("/order/H-1").text.partition("<ol")[0]


def test_a_run_that_only_decided_says_so(client: TestClient, ledger: sa.Engine, name: str):
    """Its page has no rows to count, and tells the decision."""
    kind = "REDRIVE, decided to accept 2 held orders"
    done = RunRecord(name, "order_sync_redrive d s r", 1, kind, "person", {}, True, False)
    with schema.transaction(ledger, "ledger") as connection:
        record(connection, done)
    assert "<p>Decided to accept 2 held orders.</p>" in client.get("/run/order_sync_redrive/d").text
    assert "0 requests in the last 24 hours" in client.get("/").text


@pytest.mark.parametrize(
    ("counts", "held", "kind", "said"),
    [
        ({"accepted": 3}, 0, "", ("good", "complete", "3 accepted")),
        ({"held": 3}, 3, "", ("warn", "orders wait for a decision", "3 held")),
        ({"held": 3}, 0, "", ("good", "complete", "3 held")),
        ({"rejected": 2}, 0, "REDRIVE", ("bad", "none accepted, some rejected", "2 rejected")),
        ({"accepted": 1, "rejected": 2}, 0, "", ("warn", "some rejected", "1 accepted, 2 rejected")),
        ({}, 0, "REDRIVE, dismissed 2 entries", ("good", "complete", "dismissed 2 entries")),
        (
            {"accepted": 1},
            0,
            "REDRIVE, decided to resend 1 held order",
            ("good", "complete", "decided to resend 1 held order: 1 accepted"),
        ),
        ({}, 0, "", ("good", "complete", "no order was sent")),
    ],
)
def test_what_came_of_a_run_in_a_sentence(counts: dict[str, int], held: int, kind: str, said: tuple[str, ...]):
    """The page, and the line under a button, say what came of a run by its counts, in true colours."""
    sums = dict.fromkeys(words.OUTCOMES, 0) | counts
    last = {"kind": kind, "is_complete": True, "is_plan": False}
    assert tuple(words.run_outcome(last, sums, held, is_red=False).values()) == said
    assert words.run_outcome(last | {"is_complete": False}, sums, held, is_red=False)["tone"] == "warn"
    assert words.run_outcome(last | {"is_plan": True}, sums, held, is_red=False)["tone"] == "quiet"
    assert words.run_outcome(None, sums, held, is_red=False)["tone"] == "bad"
    assert words.run_outcome(last, sums, held, is_red=True)["word"] == "red"


def event(kind: str, **more: Any) -> dict[str, Any]:
    """Return an event of order_history_v1 as the page has it."""
    blank = dict.fromkeys(("reason", "run", "entry", "place", "said", "row", "code"))
    return {"event": kind, **blank, **more}


@pytest.mark.parametrize(
    ("events", "badge", "open_entry"),
    [
        ([event("rejected", run="a", reason="no"), event("quarantined", run="a", reason="no", entry=7)], "rejected", 7),
        ([event("quarantined", run="a", reason=REASON, entry=7), event("accepted", run="b")], "accepted", 7),
        (
            [
                event("quarantined", reason=REASON, entry=7),
                event("accepted", run="b"),
                event("left the quarantine", reason="redriven", entry=7),
            ],
            "accepted",
            None,
        ),
        (
            [
                event("quarantined", reason=REASON, entry=7),
                event("left the quarantine", reason="dismissed by olena: a test", entry=7),
            ],
            "dismissed",
            None,
        ),
        # The attempt that has resolved it was removed by retention.
        (
            [event("quarantined", reason=REASON, entry=7), event("left the quarantine", reason="redriven", entry=7)],
            "resolved",
            None,
        ),
        ([event("quarantined", reason=reads.HELD_REASON, entry=7)], "held", None),
        ([event("quarantined", reason="stale: another", entry=7)], "stale", 7),
    ],
)
def test_how_an_order_stands(events: list[dict[str, Any]], badge: str, open_entry: int | None):
    """The badge of an order is its last verdict, or why its row waits; its open entry can be redriven."""
    assert words.badge(words.told(events))[1] == badge
    assert words.open_entry(events) == open_entry


def test_a_row_is_told_with_its_verdict():
    """A rejection by the service and its entry are one event, with the place; of another run they are two."""
    told = words.told(
        [
            event("rejected", run="a", reason="no", code="1"),
            event("quarantined", run="a", reason="no", entry=7, place="f:1"),
            event("quarantined again", run="b", reason="no", entry=7, place="f:1"),
            event("held", run="c", reason="no answer"),
            event("quarantined", run="c", reason=reads.HELD_REASON, entry=8, place="f:1"),
        ]
    )
    assert [(each["word"], each["entry"], each["place"]) for each in told] == [
        ("rejected", 7, "f:1"),
        ("rejected again", 7, "f:1"),
        ("held", 8, "f:1"),
    ]


def test_an_order_says_what_to_do_next(client: TestClient, access: Access, ledger: sa.Engine, name: str):
    """An unknown status has its cure, and a button to redrive it for those who may; after a dismissal neither."""
    rejects(ledger, name, f"order_sync_{name}", "first", reasons=[UNKNOWN_STATUS])
    cure = "Add the shop&#39;s word to the source&#39;s <code>statuses</code>."
    order = client.get("/order/R-1").text
    assert f"What to do: {cure}" in order
    assert f'data-destination="{name}" data-entry="' in order
    assert cure in client.get("/quarantine").text
    seen_as(replace(access, may_redrive=False))
    order = client.get("/order/R-1").text
    assert "What to do" in order
    assert ("data-entry" in order, "needs the right to trigger" in order) == (False, True)
    with (
        open_session(ledger, "ledger", destination=name, run="d r s r", try_number=1) as session,
        session.transaction() as cursor,
    ):
        cursor.execute("select id from quarantine where destination = %s", (name,))
        quarantine.dismiss(cursor, [number for (number,) in cursor.fetchall()], "olena", "a test")
    order = client.get("/order/R-1").text  # nothing is left to do
    assert ("What to do" in order, "then redrive" in order, ">dismissed<" in order) == (False, False, True)


@pytest.mark.parametrize(
    ("reasons", "said", "button"),
    [
        (["tracking_number: missing"], "mend the row in the source. The next run that reads it closes this", False),
        (["status: not in the status map (new)"], "put that right, then redrive", True),
        (["phone: no telephone number"], "If a setting or the service was wrong, put that right, then redrive", True),
        (["status: not in the status map (new)", "email: not an address"], "mend the row in the source.", False),
        (["a reason of a release to come"], "then redrive", True),
        ([SET_BACK_REASON], "<code>trust: source</code>", False),
    ],
)
def test_what_is_to_be_mended_decides_the_next_step(
    client: TestClient, ledger: sa.Engine, name: str, reasons: list[str], said: str, button: bool
):
    """A redrive sends the stored row: it is offered where a setting or the service may be at fault."""
    rejects(ledger, name, f"order_sync_{name}", RUN, reasons=reasons)
    order = client.get("/order/R-1").text
    assert (said in order, ">Redrive</button>" in order) == (True, button)
    assert ("then redrive" in order) is button
    if said.startswith("mend"):
        assert f"trigger order_sync_{name} with <code>from</code>" in order
    for view in ("/quarantine", f"/run/order_sync_{name}/{RUN}"):
        assert said in client.get(view).text


def test_each_reason_of_an_order_has_its_own_code_and_cure(client: TestClient, ledger: sa.Engine, name: str):
    """An order with two faults shows each with its link and its cure."""
    rejects(
        ledger,
        name,
        f"order_sync_{name}",
        "first",
        reasons=["email: not an address", "first_name: longer than 40 characters"],
    )
    order = client.get("/order/R-1").text
    for code, text, cure in (
        ("OS-209", "email: not an address", "Correct or empty it in the source."),
        (
            "OS-211",
            "first_name: longer than 40 characters",
            "Shorten it in the source: Yespo takes contact names of 40 characters.",
        ),
    ):
        assert f'>{code}</a> {text}<br><span class="next">What to do: {cure}' in order


def test_an_order_of_a_filtered_status_is_told_from_an_unseen_one(client: TestClient, ledger: sa.Engine, name: str):
    """A status that a service does not take is named where another destination of the same source has the order."""
    sample = load(DEFAULT_FILE).destinations
    yespo, justclick = (sample[each].model_copy(update={"source": "same"}) for each in ("yespo", "justclick"))
    every = {
        name: yespo.model_copy(update={"name": name}),
        f"{name}_j": justclick.model_copy(update={"name": f"{name}_j"}),
    }
    seen_as(Access(every, [], may_redrive=False))
    with open_session(ledger, "ledger", destination=name, run="d r s r", try_number=1) as session:
        for order_id, code in (("F-1", "DELIVERED"), ("F-2", "IN_PROGRESS")):
            session.conclude(sent(session, version(session, code, order_id=order_id)), "answered")

    def said(order_id: str, of: str) -> tuple[str, str]:
        parts = client.get(f"/order/{order_id}", params={"format": "json"}).json()["parts_of_order"]
        (part,) = [part for part in parts if part["name"] == of]
        return part["badge"][1], part["why"]

    assert said("F-1", f"{name}_j")[0] == "never seen"  # its source was never read
    with schema.transaction(ledger, "ledger") as connection:
        for each in every:
            record(connection, RunRecord(each, f"d {RUN} s r", 1, "", "person", {"rows": 0}, True, False))
    badge, why = said("F-1", f"{name}_j")
    assert badge == "not for this service"
    assert "created, in progress, delivered, abandoned" in why
    badge, why = said("F-2", f"{name}_j")  # paid, shipped or in progress: who knows
    assert badge == "nothing recorded"
    assert "older than what the service has. Or it had a status that is not for JustClick" in why
    badge, why = said("F-3", f"{name}_j")
    assert badge == "never seen, or not for this service"
    assert "can't tell which" in why
    assert said("F-3", name)[0] == "never seen"  # Yespo takes every status


def test_an_order_shows_its_present_status_and_the_newest_event_first(client: TestClient, name: str, filled: int):
    """What the service has stands before the history, also below a row that is stale; a rejected order has nothing."""
    order = client.get("/order/A-1").text
    assert "The service has: <strong>delivered</strong>" in order
    assert order.index("created → delivered") < order.index("<strong>created</strong>")
    assert "no status of it that is known" in client.get("/order/R-1").text


def test_a_destination_of_another_source_has_one_line(client: TestClient, access: Access, filled: int, name: str):
    """An order that another source has given is not said to be never seen, with reasons that can't be."""
    other = access.destinations[name].model_copy(update={"name": f"{name}_d", "source": "drop"})
    seen_as(replace(access, destinations={**access.destinations, f"{name}_d": other}))
    with_run = client.get("/order/A-1", params={"format": "json"}).json()["parts_of_order"][1]
    assert with_run["badge"][1] == "reads another source"
    order = client.get("/order/A-1").text
    assert ("It reads drop." in order, "never read" in order, "never seen" in order) == (True, False, False)


def test_a_code_in_the_search_leads_to_its_meaning(client: TestClient):
    """Who searches a code gets its row among the reasons."""
    found = client.get("/order", params={"q": "os-215"})
    assert found.headers["location"] == "/prefix/order-sync/reasons#OS-215"


def test_capital_and_small_letters_are_alike_in_a_search(client: TestClient, access: Access, filled: int):
    """A search leads to the one id that is meant, an address offers it, and the quarantine filters by it."""
    assert client.get("/order", params={"q": "a-1"}).headers["location"] == "/prefix/order-sync/order/A-1"
    order = client.get("/order/a-1").text
    assert ('Did you mean <a class="id"' in order, 'order/A-1">A-1</a>?' in order) == (True, True)
    assert "begin like this" not in order
    assert "No id begins" not in order
    assert 'order/R-1"' in client.get("/quarantine?order=r-1").text
    seen_as(replace(access, destinations={}))
    assert "A-1</a>" not in client.get("/order", params={"q": "a-1"}).text


def test_a_red_run_says_why(client: TestClient, airflow_engine: sa.Engine, ledger: sa.Engine, name: str):
    """The overview, the run and the file that it could not use have the reason of its note; a green run ends it."""
    path, said = f"/drop/{name}.csv", "OS-609 1 file could not be used: `columns` takes status from 'Status'."
    note = f"A person's word.\n\nOrder Sync, begun {RUN} UTC: read 0 = accepted 0 + rejected 0; requests 0. {said}"
    key = f"order_sync_{name} {RUN} s r"
    with schema.transaction(ledger, "ledger") as connection:
        record(connection, RunRecord(name, key, 1, "", "person", {"rows": 1, "orders": 1, "rejected": 1}, True, False))
        unusable = FileVersion(path, "f", 9, NOW, "unusable hash", None, None)
        files.take(connection, name, [unusable], key)
    airflow_ran(airflow_engine, name, RUN, "failed", note)
    airflow_ran(airflow_engine, name, "before_orders", "failed")
    shown = "1 file could not be used: <code>columns</code> takes status"
    run = client.get(f"/run/order_sync_{name}/{RUN}").text
    assert ('<span class="pill bad">red</span>' in run, "#OS-609" in run, shown in run) == (True, True, True)
    assert "Its log in Airflow says why" in client.get(f"/run/order_sync_{name}/before_orders").text
    for address in ("/files", "/files?unusable=1", f"/file?path={path}"):
        assert shown in client.get(address).text
    overview = client.get("/").text
    assert ("last run red" in overview, "before_orders" in overview) == (True, True)
    airflow_ran(airflow_engine, name, "good", "success", note)
    assert "last run red" not in client.get("/").text


def test_the_note_of_a_destination_that_is_not_seen_is_not_shown(
    client: TestClient, access: Access, airflow_engine: sa.Engine, name: str
):
    """Why a run is red is told to those who may read its DAG."""
    note = "Order Sync, begun x UTC: read 0 = accepted 0 + rejected 0; requests 0. a secret"
    airflow_ran(airflow_engine, name, "red", "failed", note)
    assert "a secret" in client.get(f"/run/order_sync_{name}/red").text
    seen_as(replace(access, destinations={}))
    assert "a secret" not in client.get(f"/run/order_sync_{name}/red").text


def test_a_backfill_has_the_sum_of_its_runs(
    client: TestClient, airflow_engine: sa.Engine, ledger: sa.Engine, name: str, monkeypatch: pytest.MonkeyPatch
):
    """The sum is of what its runs have done since it began, tries and all, of destinations that the user may see."""
    with schema.transaction(ledger, "ledger") as connection:
        for run, attempt, accepted in (("one", 1, 2), ("one", 2, 5), ("two", 1, 4), ("another", 1, 90)):
            counts = {"rows": accepted, "orders": accepted, "accepted": accepted}
            key = f"order_sync_{name} {run} s r"
            changes = {(None, "INITIALIZED"): 2}
            record(connection, RunRecord(name, key, attempt, "", "backfill", counts, True, False, changes=changes))
        began = connection.execute(sa.text("select now()")).scalar()
    asked: list[list[str]] = []
    one = {"id": 7, "dag_id": f"order_sync_{name}", "from_date": NOW, "to_date": NOW, "completed_at": None}
    one |= {"triggering_user_name": "olena"}

    def of_airflow(dag_ids: list[str], number: int | None = None) -> list[dict[str, Any]]:
        asked.append(dag_ids)
        runs = [{"run": run, "state": "success", "start": NOW, "end": NOW} for run in ("one", "two", "not ended")]
        runs[1] |= {"state": "failed", "end": NOW + timedelta(hours=1)}
        early = {**one, "created_at": began - timedelta(days=1), "runs": runs}
        late = {**one, "created_at": began + timedelta(days=1), "runs": runs[:1]}
        return [early] if number else [late, early]

    monkeypatch.setattr(backfills, "of_airflow", of_airflow)
    late, early = client.get("/backfills", params={"format": "json"}).json()["backfills"]
    assert (early["accepted"], early["ended"], early["runs"]) == (9, 2, 3)
    assert (late["accepted"], late["ended"]) == (0, 0)
    listed = client.get("/backfills").text
    for text in ("2 of 3", "1 red", 'href="/prefix/order-sync/backfills/7"', "to <time>2026-11-21 13:00"):
        assert text in listed
    airflow_ran(
        airflow_engine, name, "two", "failed", "Order Sync, begun x UTC: read 0 = x; requests 0. OS-701 a fault"
    )
    runs = client.get("/backfills/7", params={"format": "json"}).json()["runs"]
    assert [run["done"] and run["done"]["accepted"] for run in runs] == [5, 4, None]
    of_one = client.get("/backfills/7").text
    for text in (f"/run/order_sync_{name}/one", "OS-701</a> a fault", "no counts yet", "What changed at"):
        assert text in of_one
    told = client.get("/backfills/7", params={"format": "json"}).json()["changes"]
    assert told == [{"change": "new → created", "orders": 6}, {"change": "change not recorded", "orders": 3}]
    assert asked[0] == [f"order_sync_{name}"]
    monkeypatch.setattr(backfills, "RUNS_SHOWN", 1)
    of_one = client.get("/backfills/7").text
    assert f"/run/order_sync_{name}/two" in of_one  # the red one
    assert f"/run/order_sync_{name}/one" not in of_one
    assert "Not listed: 2 more runs." in of_one
    monkeypatch.setattr(backfills, "of_airflow", lambda *_: [])
    assert "no backfill 7" in client.get("/backfills/7").text
    assert "Nobody has started a backfill" in client.get("/backfills").text
