"""The page Order Sync without a browser: what each view says, to whom, and that hostile texts stay texts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from order_sync_airflow import page
from order_sync_airflow.page import charts, reads, shown
from order_sync_airflow.page.access import Access
from order_sync_airflow.page.app import app

from include.order_sync.ledger import files, schema
from include.order_sync.ledger.opening import open_session
from include.order_sync.ledger.run_records import RunRecord, record
from include.order_sync.model import FileVersion, Window
from tests.airflow.page.conftest import HOSTILE, NOW, RUN, entry, seen_as


def test_each_view_says_what_happened(client: TestClient, name: str, filled: int):
    """Overview, run and quarantine have the counts, reasons, the batch and its buttons; links have Airflow's prefix."""
    overview = client.get("/").text
    for text in (name, "Yespo", "2026-11-21 12:00", "the service says no", "1 order waits for your decision"):
        assert text in overview
    assert f'href="/prefix/dags/order_sync_{name}"' in overview
    assert 'href="/prefix/order-sync/static/page.css"' in overview
    quarantine = client.get("/quarantine").text
    for text in (f'data-batch="{filled}"', "no answer came", "order_id: missing", "no id", "Dismiss the chosen"):
        assert text in quarantine
    assert quarantine.count('name="entry"') == 3  # not of the held one
    run = client.get(f"/run/order_sync_{name}/{RUN}").text
    for text in ("<strong>6</strong> rows read = 5 orders + 1 superseded", "2026-11-21 11:00 to 2026-11-21 12:00"):
        assert text in run
    assert f"/prefix/dags/order_sync_{name}/runs/scheduled__2026-11-21T11%3A00%3A00%2B00%3A00" in run
    found = client.get("/run", params={"destination": name, "run": RUN})
    assert found.headers["location"].startswith(f"/prefix/order-sync/run/order_sync_{name}/scheduled__2026")


def test_the_overview_says_what_changed(client: TestClient, ledger: sa.Engine, name: str):
    """Changes by the words of their statuses, of today and yesterday; what no try has told is named as such."""
    codes = ("INITIALIZED", "IN_PROGRESS", "DELIVERED", "CANCELLED", "ABANDONED_SHOPPING_CART")
    changes = {(None, code): number for number, code in enumerate(codes, 1)}
    changes |= {("IN_PROGRESS", "DELIVERED"): 40, ("DELIVERED", "DELIVERED"): 30, ("GONE", "DELIVERED"): 20}
    with schema.transaction(ledger, "ledger") as connection:
        key = f"order_sync_{name} {RUN} a b"
        done = RunRecord(name, key, 1, "", "schedule", {"accepted": 107}, True, False, changes=changes)
        record(connection, done)
        connection.execute(sa.text("update run_records set recorded_at = recorded_at - interval '1 day'"))
        record(
            connection, replace(done, try_number=2, counts={"accepted": 112}, changes={("IN_PROGRESS", "DELIVERED"): 5})
        )
    (card,) = client.get("/?format=json").json()["cards"]
    told = {row["change"]: (row["today"], row["yesterday"]) for row in card["changes"]}
    assert list(told)[:3] == [
        "paid, in progress or shipped → delivered",
        "delivered, sent again",
        "code GONE → delivered",
    ]
    assert told["paid, in progress or shipped → delivered"] == (5, 40)
    assert told["new → created"] == (0, 1)
    assert list(told.items())[-1] == ("change not recorded", (0, 2))
    overview = client.get("/").text
    assert "What changed at Yespo" in overview
    assert '<th scope="row">4 other changes</th><td>0</td><td>8</td>' in overview
    run = client.get(f"/run/order_sync_{name}/{RUN}").text
    for change, orders in (("new → created", 1), ("delivered, sent again", 30), ("change not recorded", 2)):
        assert f'<th scope="row">{change}</th><td>{orders}</td>' in run


def test_a_time_of_reading_is_no_time_read_up_to(client: TestClient, ledger: sa.Engine, name: str):
    """A destination that only a person's run has read is read up to nothing, whatever the time of that run."""
    key, window = f"order_sync_{name} {RUN}", Window(NOW - timedelta(hours=1), NOW)
    with schema.transaction(ledger, "ledger") as connection:
        record(connection, RunRecord(name, key, 1, "", "person", {"rows": 0}, True, False, window))
    overview = client.get("/").text
    assert 'no scheduled hour yet <span class="muted">by hand or backfill at 20' in overview
    assert "Its source was read by hand or backfill alone, last " in client.get("/order/Z-9").text


@pytest.mark.parametrize(
    ("order_id", "texts"),
    [
        ("A-1", ["accepted", "created → delivered", "code DELIVERED", "batch"]),
        ("R-1", ["rejected", "the service says no", "entry", "The service said", ">Redrive</button>"]),
        ("H-1", ["held", "no answer came"]),
        ("Z-9", ["Nothing was recorded", "never seen", "read up to 2026-11-21 12:00"]),
    ],
)
def test_an_order_is_explained(client: TestClient, filled: int, order_id: str, texts: list[str]):
    """An accepted, a rejected, a held and an unseen order each get their story."""
    shown_page = client.get(f"/order/{order_id}").text
    for text in texts:
        assert text in shown_page


def test_an_order_is_found_by_its_beginning(client: TestClient, filled: int, name: str):
    """A beginning lists what begins so, of orders sent and rejected; a whole id leads to its order."""
    assert client.get("/order", params={"q": " A-1 "}).text.count("created → delivered") == 1
    assert 'href="/prefix/order-sync/order/A-1"' in client.get("/order", params={"q": "A-"}).text
    assert 'href="/prefix/order-sync/order/R-1"' in client.get("/order", params={"q": "R"}).text
    for nothing in ("", "  "):
        assert "Write the id of an order" in client.get("/order", params={"q": nothing}).text


def test_hostile_texts_stay_texts(client: TestClient, filled: int):
    """An id, a place and a service's word that hold a script are escaped everywhere, and the policy runs none."""
    for address in (
        "/quarantine",
        f"/order/{HOSTILE}",
        "/order/R-1",
        f"/quarantine?order={HOSTILE}",
        "/order?q=<script>",
    ):
        answer = client.get(address)
        assert answer.status_code == 200
        assert "<script>" not in answer.text
        assert "&lt;script&gt;" in answer.text
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'self'" in policy


def test_who_may_not_redrive_sees_no_words_and_no_buttons(client: TestClient, access: Access, filled: int):
    """The service's words and the row need the right to redrive, and even then personal data is masked."""
    whole = client.get("/order/R-1").text
    assert "bad phone of &lt;e-mail&gt;" in whole
    assert "a***@shop.example" in whole
    assert "anna@" not in whole
    seen_as(replace(access, may_redrive=False))
    for address in ("/order/R-1", "/quarantine", "/quarantine?format=json", "/order/R-1?format=json"):
        less = client.get(address).text
        assert "bad phone" not in less
        assert "@shop.example" not in less
        assert 'class="act' not in less


def test_another_destination_is_not_shown(client: TestClient, access: Access, filled: int, name: str):
    """Who may not read its DAG finds neither its orders nor its runs, files or name."""
    seen_as(replace(access, destinations={f"{name}_other": access.destinations[name]}))
    for address in ("/", "/quarantine", "/order/A-1", "/order?q=A-", f"/run/order_sync_{name}/{RUN}", "/files"):
        text = client.get(address).text.replace(f"{name}_other", "")
        for secret in (f">{name}<", 'good">accepted</span>', "no answer came", "rows read"):
            assert secret not in text
    assert "Nothing was recorded about this order" in client.get("/order/A-1").text
    for address in (f"/quarantine?destination={name}", f"/run?destination={name}&run={RUN}"):
        assert client.get(address).status_code == 404
    seen_as(replace(access, destinations={}))
    assert "no destination that you may see" in client.get("/").text


@pytest.mark.parametrize(
    "address", ["/order?q=%00", "/order/a%00b", "/quarantine?reason=%00", "/quarantine?order=a%00"]
)
def test_a_character_that_postgresql_has_not_is_found_nowhere(client, address):
    """It is no error of the page."""
    answer = client.get(address)
    assert (answer.status_code, "NUL" in answer.text) == (404, True)
    assert answer.headers["content-security-policy"]


def test_a_reason_has_its_code_and_the_code_its_explanation(client: TestClient, filled: int, name: str):
    """Each view of reasons shows the code as a link; a text that is not known has none."""
    cure = "give the shop&#39;s word for the status"
    link = f'<a class="code" href="/prefix/order-sync/reasons#OS-128" title="{cure}">OS-128</a>'
    for address in ("/quarantine", "/", f"/run/order_sync_{name}/{RUN}", f"/order/{quote(HOSTILE, safe='')}"):
        assert link in client.get(address).text, address
    assert "</a> the service says no" not in client.get("/order/R-1").text
    explained = client.get("/reasons").text
    for text in ('<tr id="OS-128">', "status: missing", "JustClick error_code …", '<tr id="OS-601">'):
        assert text in explained


def test_filters_narrow_the_entries(client: TestClient, filled: int, name: str):
    """A reason, an order and a destination choose entries."""
    for query, orders in [
        ({"reason": "status: missing"}, {HOSTILE}),
        ({"order": "R-1"}, {"R-1"}),
        ({"destination": name, "reason": "order_id: missing"}, {None}),
        ({"reason": "no such"}, set()),
    ]:
        found = client.get("/quarantine", params={"format": "json", **query}).json()
        assert {each["order_id"] for each in found["entries"]} == orders


def test_files_and_their_lines(client: TestClient, ledger: sa.Engine, name: str):
    """A file has its rows, and why which of them were not delivered; one that could not be used is listed apart."""
    with open_session(ledger, "ledger", destination=name, run=f"d {RUN} s r", try_number=1) as session:
        session.quarantine([entry(7, "C-1", "status: missing", origin=f"/drop/{name}.csv")])
        session.quarantine([entry(9, "C-2", "status: missing", origin=f"/drop/{name}.csv (a.csv)")])
    with schema.transaction(ledger, "ledger") as connection:
        good = FileVersion(f"/drop/{name}.csv", "f", 9, NOW, "hash", 40, 2)
        bad = FileVersion(f"/drop/{name}-bad.csv", "f", 9, NOW, "unusable 1")
        files.take(connection, name, [good, bad], f"d {RUN} s r")
    whole = client.get("/file", params={"path": f"/drop/{name}.csv", "format": "json"}).json()
    assert [(each["rows"], each["skipped"]) for each in whole["versions"]] == [(40, 2)]
    assert whole["reasons"] == [
        {"destination": name, "reason": "status: missing", "rows": 2, "first_line": 7, "open": 2}
    ]
    unusable = client.get("/files", params={"unusable": 1, "format": "json"}).json()["files"]
    assert [each["path"] for each in unusable] == [bad.path]
    assert "could not be used" in client.get("/file", params={"path": bad.path}).text
    assert "has taken this file" in client.get("/file", params={"path": "/nowhere"}).text
    assert "1 file could not be used in 7 days" in client.get("/").text


def test_a_ledger_that_is_down_is_said(client: TestClient, monkeypatch: pytest.MonkeyPatch):
    """The page names the connection instead of failing."""
    monkeypatch.setenv("AIRFLOW_CONN_ORDER_SYNC_LEDGER", "postgres://nobody:x@127.0.0.1:1/nothing")
    answer = client.get("/")
    assert answer.status_code == 503
    assert "order_sync_ledger" in answer.text


def test_nothing_writes(client: TestClient):
    """Each route only reads, and a page's transaction can't write."""
    methods = {method for route in app.routes for method in getattr(route, "methods", [])}
    assert methods == {"GET", "HEAD"}
    with reads.reading() as ledger, pytest.raises(sa.exc.InternalError, match="read-only"):
        ledger.exec_driver_sql("delete from quarantine")


def test_without_a_user_nothing_is_answered(client: TestClient, monkeypatch: pytest.MonkeyPatch):
    """A program gets 401 on every route but health, also of the style; a person is sent to Airflow's login."""
    app.dependency_overrides.clear()

    class Manager:
        def get_url_login(self, next_url: str) -> str:
            return f"/auth/login?next={next_url}"

    monkeypatch.setattr("order_sync_airflow.page.app.get_auth_manager", Manager)
    for route in app.routes:
        address = route.path.replace("{order_id:path}", "x").replace("{dag_id}/{run_id:path}", "x/y")
        address = address.replace("{name}", "page.css")
        if address != "/health":
            assert client.get(address, params={"path": "x"}).status_code == 401
    person = client.get("/quarantine", headers={"Accept": "text/html"})
    assert person.headers["location"].startswith("/auth/login?next=http")


def test_links_lead_into_airflows_frame(monkeypatch: pytest.MonkeyPatch):
    """A task's link keeps the prefix under which Airflow is served."""
    assert page.address_in_airflow("run/d/r+1") == "plugin/order-sync/order-sync/run/d/r%2B1"
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://a.example/air/")
    assert page.address_in_airflow("x") == "plugin/order-sync/air/order-sync/x"


@pytest.mark.parametrize(
    ("row", "promise", "said"),
    [
        (None, 1, "no run yet"),
        ({"read_up_to": 1, "newest_read": 2, "newest_accepted": 1}, 2, "fresh"),
        ({"read_up_to": 3, "newest_read": 2, "newest_accepted": 1}, 2, "late"),
        ({"read_up_to": 1, "newest_read": 1, "newest_accepted": 5}, 2, "fresh"),  # all that came since is unchanged
        ({"read_up_to": 1, "newest_read": 90, "newest_accepted": 90}, 2, "fresh"),  # a quiet shop
        ({"read_up_to": None, "newest_read": 3, "newest_accepted": 3}, 2, "late"),  # only backfills
        ({"read_up_to": 1, "newest_read": 1, "newest_accepted": 5}, None, ""),
    ],
)
def test_a_destination_is_late_or_fresh(row: dict[str, Any] | None, promise: int | None, said: str):
    """A destination is late if its source was not read for too long. What became of the rows does not count."""
    times = row and {name: ago and NOW - timedelta(hours=ago) for name, ago in row.items()}
    times = times and {"accepted_at": NOW, **times}
    assert shown.freshness_of(times, promise and timedelta(hours=promise), NOW)[1] == said


def test_a_chart_shows_its_hours():
    """Bars are as high as their counts, few orders are still seen, and a reader who sees nothing is told the sums."""
    drawn = charts.hours_chart("a < b", NOW, {NOW: (100, 1), NOW - timedelta(hours=1): (50, 0)})
    assert 'aria-label="a &lt; b: 150 accepted and 1 rejected in 48 hours, at most 101 in one"' in drawn
    heights = [part.split('"')[9] for part in drawn.split("<rect ") if part.startswith('class="good"')]
    assert [round(float(height)) for height in heights] == [27, 54]
    assert drawn.count('class="bad"') == 1


def test_lengths_are_told_in_two_units():
    """A length has its two greatest units, and a time that has just been says so."""
    assert shown.span(timedelta(days=1, hours=2, minutes=3)) == "1 d 2 h"
    assert shown.span(timedelta(seconds=59)) == "0 min"
    assert shown.ago(datetime.now(UTC)) == "just now"
    assert shown.ago(None) == "never"
