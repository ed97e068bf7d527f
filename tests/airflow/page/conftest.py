"""A person's browser without scripts, and a destination of its own for each test of the page."""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import airflow.models
import pytest
import sqlalchemy as sa
from airflow.models.base import Base
from airflow.models.dagrun import DagRun
from airflow.sdk import crypto
from cryptography.fernet import Fernet
from fastapi.testclient import TestClient
from order_sync_airflow.page import airflow_runs, reads
from order_sync_airflow.page.access import Access, access_of
from order_sync_airflow.page.app import app
from sqlalchemy.orm import Session

from include.order_sync.configuration.loading import DEFAULT_FILE, load
from include.order_sync.ledger import schema, windows
from include.order_sync.ledger.encrypted_rows import QuarantineEntry
from include.order_sync.ledger.opening import open_session
from include.order_sync.ledger.run_records import RunRecord, record
from include.order_sync.model import Window
from tests.unit.ledger.test_order_history import sent, version

KEY = Fernet.generate_key().decode()
HOSTILE = "<script>alert(1)</script>"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RUN = "scheduled__2026-11-21T11:00:00+00:00"


@pytest.fixture
def name() -> str:
    """A destination of one test."""
    return f"yespo_{uuid.uuid4().hex[:8]}"


@pytest.fixture
def access(name: str) -> Access:
    """The rights of a person who may see one destination and redrive."""
    sample = load(DEFAULT_FILE).destinations["yespo"]
    return Access({name: sample.model_copy(update={"name": name})}, [], may_redrive=True)


@pytest.fixture(scope="session")
def airflow_engine() -> sa.Engine:
    """An Airflow database in memory."""
    airflow.models.import_all_models()
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool, connect_args={"check_same_thread": False})
    Base.metadata.create_all(engine)
    return engine


def airflow_ran(engine: sa.Engine, name: str, run: str, state: str, note: str = "") -> None:
    """Let Airflow have an ended run of a destination."""
    with Session(engine) as session:
        number = session.scalar(sa.select(sa.func.count()).select_from(DagRun)) + 1
        ended = DagRun(f"order_sync_{name}", run, run_type="scheduled", state=state, run_after=NOW, start_date=NOW)
        ended.id, ended.run_after = number, NOW + timedelta(seconds=number)
        session.add(ended)
        session.flush()
        ended.note = note
        session.commit()


@pytest.fixture
def client(
    ledger: sa.Engine, airflow_engine: sa.Engine, access: Access, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TestClient]:
    """A browser of that person, without scripts."""
    url = ledger.url
    connection = {"conn_type": "postgres", "host": url.host, "port": url.port, "schema": url.database}
    connection |= {"login": url.username, "password": url.password}
    monkeypatch.setenv("AIRFLOW_CONN_ORDER_SYNC_LEDGER", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", KEY)
    crypto.get_fernet.cache_clear()
    monkeypatch.setattr(airflow_runs, "create_session", lambda: Session(airflow_engine))
    app.dependency_overrides[access_of] = lambda: access
    yield TestClient(app, root_path="/prefix/order-sync", follow_redirects=False)
    app.dependency_overrides.clear()
    crypto.get_fernet.cache_clear()


def seen_as(access: Access) -> None:
    """Let the next requests have these rights."""
    app.dependency_overrides[access_of] = lambda: access


def entry(number: int, order_id: str | None, *reasons: str, said: str = "", origin: str = "query") -> QuarantineEntry:
    """Return an entry for the quarantine whose row has an address."""
    row = {"order_id": order_id or "", "email": "anna@shop.example", "line": "7"}
    whole = json.dumps({"row": row, "items": None, "service_message": said}).encode()
    token = Fernet(KEY).encrypt(whole)
    return QuarantineEntry(order_id, number.to_bytes(2), list(reasons), token, origin, number, NOW)


@pytest.fixture
def filled(ledger: sa.Engine, name: str) -> int:
    """A run with an accepted, a rejected and a held order, and a hostile id; return the held batch."""
    key = f"order_sync_{name} {RUN} start read"
    with open_session(ledger, "ledger", destination=name, run=key, try_number=1) as session:
        session.conclude(sent(session, version(session, "INITIALIZED", order_id="A-1")), "answered")
        session.conclude(sent(session, version(session, "DELIVERED", order_id="A-1")), "answered")
        said = f"bad phone of anna@shop.example {HOSTILE}"
        session.conclude(
            sent(session, version(session, "CANCELLED", order_id="R-1")),
            "answered",
            rejected={"R-1": "the service says no"},
            entries=[entry(1, "R-1", "the service says no", said=said)],
        )
        session.quarantine([entry(2, HOSTILE, "status: missing", origin=HOSTILE), entry(3, None, "order_id: missing")])
        batch = sent(session, version(session, "DELIVERED", order_id="H-1", held=True))
        session.conclude(batch, "in_doubt", reason="no answer came")
        session.quarantine([entry(4, "H-1", reads.HELD_REASON)])
    counts = {"rows": 6, "orders": 5, "superseded": 1, "accepted": 1, "rejected": 3, "held": 1, "requests": 4}
    window = Window(NOW - timedelta(hours=1), NOW)
    with schema.transaction(ledger, "ledger") as connection:
        windows.begin(connection, name, window.start)
        windows.finish(connection, name, window, key)
        record(connection, RunRecord(name, key, 1, "", "schedule", counts, True, False, window, NOW))
    return batch
