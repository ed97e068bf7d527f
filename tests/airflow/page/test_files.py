"""Pages of files: those that no run reads, and the rejected orders of one; and addresses that lack something."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from order_sync_airflow.page.access import Access

from include.order_sync.ledger import files, schema, windows
from include.order_sync.ledger.opening import open_session
from include.order_sync.ledger.run_records import RunRecord, record
from include.order_sync.model import FileNotRead, FileVersion, Window
from tests.airflow.page.conftest import NOW, RUN, entry, seen_as


def test_files_that_are_not_read_are_listed(client: TestClient, access: Access, ledger: sa.Engine, name: str):
    """They have their reason on the list and on their own page, until the next run, for those who may see it."""
    path = f"/drop/{name}/no-date.csv"
    with schema.transaction(ledger, "ledger") as connection:
        files.keep_not_read(connection, name, [FileNotRead("/drop/gone.csv", NOW, "It was there.")])
        files.keep_not_read(connection, name, [FileNotRead(path, None, "Its path has no date and hour.")])
    assert "1 file is not read" in client.get("/").text
    listed = client.get("/files?not_read=1").text
    assert ("Its path has no date and hour." in listed, "gone.csv" in listed) == (True, False)
    assert '<th scope="col">time</th>' not in listed  # none has one
    assert "Not read (1)" in client.get("/files").text
    own = client.get("/file", params={"path": path}).text
    assert ("Its path has no date and hour." in own, "has taken this file" in own) == (True, False)
    seen_as(replace(access, destinations={f"{name}_other": access.destinations[name]}))
    for address in ("/", "/files?not_read=1", f"/file?path={path}"):
        assert "Its path has no date" not in client.get(address).text
        assert "1 file is not read" not in client.get(address).text
    with schema.transaction(ledger, "ledger") as connection:
        files.keep_not_read(connection, name, [])
    seen_as(access)
    empty = client.get("/files?not_read=1").text
    assert (f"No scheduled run yet of {name}" in empty, "have read each file" in empty) == (True, False)
    with schema.transaction(ledger, "ledger") as connection:
        windows.begin(connection, name, NOW)
        windows.finish(connection, name, Window(NOW, NOW + timedelta(hours=1)), RUN)
        record(connection, RunRecord(name, f"d {RUN}", 1, "", "schedule", {}, True, False))
    empty = client.get("/files?not_read=1").text
    assert ("No scheduled run yet" in empty, "have read each file" in empty) == (False, True)


def test_a_file_leads_to_its_rejected_orders(client: TestClient, ledger: sa.Engine, name: str):
    """The list has the number of rejected rows, and the quarantine shows those of one file and its members."""
    path = f"/drop/{name}.csv"
    with open_session(ledger, "ledger", destination=name, run=f"d {RUN} s r", try_number=1) as session:
        session.quarantine([entry(7, "C-1", "status: missing", origin=path)])
        session.quarantine([entry(8, "C-2", "status: missing", origin=f"{path} (a.csv)")])
        session.quarantine([entry(9, "C-3", "status: missing", origin=f"{path}.other")])
    with schema.transaction(ledger, "ledger") as connection:
        files.take(connection, name, [FileVersion(path, "f", 9, NOW, "hash", 40, 2)], f"d {RUN} s r")
    (listed,) = client.get("/files", params={"format": "json"}).json()["files"]
    assert listed["rejected"] == 2
    assert f'href="/prefix/order-sync/quarantine?file={path}"' in client.get("/file", params={"path": path}).text
    found = client.get("/quarantine", params={"file": path, "format": "json"}).json()["entries"]
    assert {each["order_id"] for each in found} == {"C-1", "C-2"}


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("/file", "It lacks ?path="),
        ("/run?destination=x", "It lacks ?run="),
        ("/run", "It lacks ?destination=… Follow a link of the page instead, or add it. It lacks ?run="),
        ("/files?unusable=banana", "Its unusable is &#39;banana&#39;"),
    ],
)
def test_an_address_that_lacks_something_is_explained(client: TestClient, address: str, said: str):
    """A wrong or missing parameter gives a page that says which."""
    answer = client.get(address)
    assert (answer.status_code, "<h1>" in answer.text) == (422, True)
    assert said in answer.text


def test_an_unknown_address_is_explained_to_a_person(client: TestClient):
    """A person gets a page with the links of the others, a program the status."""
    person = client.get("/nowhere", headers={"Accept": "text/html"})
    assert (person.status_code, "has no such view" in person.text) == (404, True)
    assert client.get("/nowhere").json() == {"detail": "Not Found"}
    assert "may see" in client.get("/files?destination=nowhere").text


def test_words_are_explained_and_a_pace_is_told(client: TestClient, access: Access, name: str):
    """Each page explains its words for a keyboard too; the overview has the pace of each account."""
    for address in ("/", "/quarantine", "/files", "/order/x"):
        text = client.get(address).text
        assert "<summary>What the words mean</summary>" in text
        for word in ("skipped", "superseded", "entry"):
            assert f"<dt>{word}</dt><dd>" in text
    assert "as fast as it answers" in client.get("/").text
    for pace, said in ((2.5, "at most 2.5 requests a second"), (2 / 3, "at most 40 requests a minute")):
        seen_as(replace(access, paces={name: pace}))
        assert said in client.get("/").text
