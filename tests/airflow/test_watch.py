"""The watch with real notifiers: one alarm when something breaks, one note when it is well again."""

import html
import json
import os
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import sqlalchemy as sa
from aiosmtpd.controller import Controller
from airflow.models.variable import Variable
from airflow.sdk.exceptions import TaskAwaitingInput
from airflow.sdk.execution_time import comms
from fastapi.testclient import TestClient
from order_sync_airflow import alarms, operators
from order_sync_airflow.page.app import app

from demo.processes import free_port
from include.order_sync import watch
from include.order_sync.configuration.loading import load
from include.order_sync.errors import TryAgainError
from include.order_sync.ledger import schema, windows
from include.order_sync.model import Window
from tests.airflow.shop import NOW, Shop, row

HOUR = timedelta(hours=1)


@dataclass
class Inbox:
    """What an SMTP server has received."""

    messages: list[Message] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: ARG002, N802  (aiosmtpd's)
        """Keep a message."""
        self.messages.append(message_from_bytes(envelope.content))
        return "250 OK"

    def new(self) -> list[tuple[str, str]]:
        """Return subject and text of each message since the last call."""
        found = [(str(each["Subject"]), _text(each)) for each in self.messages]
        self.messages.clear()
        return found


def _text(message: Message) -> str:
    parts = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
    return html.unescape("".join(part.decode() for part in parts if isinstance(part, bytes)))


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    """A real SMTP server behind the connection `smtp_default`."""
    made = Inbox()
    server = Controller(made, hostname="127.0.0.1", port=free_port())
    server.start()
    fields = {
        "conn_type": "smtp",
        "host": "127.0.0.1",
        "port": server.port,
        "extra": {"from_email": "airflow@shop.example", "disable_ssl": True, "disable_tls": True, "retry_limit": 1},
    }
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(fields))
    yield made
    server.stop()


@pytest.fixture
def watched(shop: Shop, inbox: Inbox) -> Shop:
    """A live destination whose problems are mailed."""
    shop.configure(top="alarms: {email: [ops@shop.example]}")
    return shop


def look() -> None:
    """Run the task of the DAG once."""
    operators.WatchOperator(task_id="watch").execute({})


def read_up_to(ledger: sa.Engine, shop: Shop, time: datetime) -> None:
    """Let scheduled runs have read the source up to a time."""
    with schema.transaction(ledger, "order_sync_ledger") as connection:
        windows.begin(connection, shop.name, NOW - 100 * HOUR)
        windows.finish(connection, shop.name, Window(NOW - 100 * HOUR, time), "run")


def test_one_alarm_and_one_note(watched, inbox, ledger):
    """A destination that is not read is told once, however often the watch looks; so is its recovery."""
    watched.drop()
    look()
    assert inbox.new() == []
    read_up_to(ledger, watched, NOW - 5 * HOUR)
    look()
    look()
    ((subject, text),) = inbox.new()
    assert subject == f"Order Sync: {watched.name} needs you"
    assert f"<li>{watched.name}, late: Its source is read up to" in text
    read_up_to(ledger, watched, NOW)
    look()
    look()
    ((subject, text),) = inbox.new()
    assert subject == f"Order Sync: {watched.name} well again"
    assert "well again, after it was wrong since" in text


def test_a_ledger_that_is_down_alarms_and_hides_no_other_problem(watched, inbox, ledger, monkeypatch):
    """What the ledger said before stays open; when it is up again, only that is over."""
    watched.drop()
    read_up_to(ledger, watched, NOW - 5 * HOUR)
    look()
    inbox.new()
    up = os.environ["AIRFLOW_CONN_ORDER_SYNC_LEDGER"]
    monkeypatch.setenv("AIRFLOW_CONN_ORDER_SYNC_LEDGER", json.dumps(json.loads(up) | {"port": 1}))
    look()
    look()
    ((subject, text),) = inbox.new()
    assert subject == "Order Sync: ledger needs you"
    assert "can't be reached" in text
    monkeypatch.setenv("AIRFLOW_CONN_ORDER_SYNC_LEDGER", up)
    look()
    ((subject, _),) = inbox.new()
    assert subject == "Order Sync: ledger well again"
    assert [each["kind"] for each in alarms.kept_state().open.values()] == ["late"]


def test_orders_that_no_run_has_seen(watched, inbox, ledger):
    """Runs end green and bring nothing, and the source has an order: that is told, without its personal data."""
    read_up_to(ledger, watched, NOW)
    watched.drop(row("1", "paid"), row("2", "unknown"))
    (file,) = (watched.tmp / "drop").iterdir()
    os.utime(file, ((NOW - 5 * HOUR).timestamp(),) * 2)
    look()
    ((_, text),) = inbox.new()
    assert "unread: Source drop has 1 order changed more than 3 hours ago that no run has read." in text
    assert "anna" not in text
    assert [path for path in (watched.tmp / "staging").rglob("*") if path.is_file()] == []
    file.unlink()
    look()
    assert inbox.new()[0][0] == f"Order Sync: {watched.name} well again"


def test_the_source_of_a_late_destination_is_not_looked_at(watched, inbox, ledger):
    """A paused DAG leaves orders unread: that is *late* alone, and an `unread` that was open neither comes nor ends."""
    watched.drop(row("1", "paid"))
    (file,) = (watched.tmp / "drop").iterdir()
    os.utime(file, ((NOW - 10 * HOUR).timestamp(),) * 2)
    read_up_to(ledger, watched, NOW - 9 * HOUR)
    look()
    assert list(alarms.kept_state().open) == [f"{watched.name} late"]
    read_up_to(ledger, watched, NOW)
    look()
    assert list(alarms.kept_state().open) == [f"{watched.name} unread"]
    with ledger.begin() as connection:
        undo = "delete from windows where destination = :name and window_end = :end"
        connection.execute(sa.text(undo), {"name": watched.name, "end": NOW})
    file.unlink()
    inbox.new()
    look()
    assert "well again" not in str(inbox.new())
    assert set(alarms.kept_state().open) == {f"{watched.name} late", f"{watched.name} unread"}
    read_up_to(ledger, watched, NOW)
    look()
    assert alarms.kept_state().open == {}


def test_a_source_that_can_not_be_looked_at(watched, inbox, ledger):
    """A drop whose folder is away is a problem of its own."""
    read_up_to(ledger, watched, NOW)
    look()
    ((_, text),) = inbox.new()
    assert f"{watched.name}, source: Source drop can't be looked at" in text


def test_a_destination_that_is_not_live_has_no_problem(watched, inbox, ledger):
    """Whoever sets a destination up is not alarmed; one that was live is well again with that."""
    watched.drop()
    read_up_to(ledger, watched, NOW - 5 * HOUR)
    look()
    inbox.new()
    watched.configure(top="alarms: {email: [ops@shop.example]}", live="false")
    look()
    assert inbox.new()[0][0] == f"Order Sync: {watched.name} well again"


def test_an_alarm_that_can_not_be_sent_is_sent_later(watched, inbox, ledger, monkeypatch):
    """A mail server that is down loses no alarm, and the error names the key and no secret."""
    watched.drop()
    read_up_to(ledger, watched, NOW - 5 * HOUR)
    up = os.environ["AIRFLOW_CONN_SMTP_DEFAULT"]
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(json.loads(up) | {"port": 1}))
    with pytest.raises(TryAgainError, match=r"failed: `email` \(ConnectionRefusedError\)"):
        look()
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", up)
    look()
    assert len(inbox.new()) == 1


def test_a_renamed_destination_keeps_its_problems(watched, inbox, ledger):
    """Before its first run under the new name nothing is well again or told twice, and a paused DAG is late."""
    watched.configure(top="alarms: {email: [ops@shop.example], digest_hour: 0}")
    watched.drop()
    old = watched.name
    read_up_to(ledger, watched, NOW - 5 * HOUR)
    look()
    watched.name = f"{old}_new"
    watched.configure(top="alarms: {email: [ops@shop.example], digest_hour: 0}")
    file = watched.tmp / "order_sync.yaml"
    file.write_text(f"{file.read_text('utf-8')}    renamed_from: {old}\n", "utf-8")
    state = alarms.kept_state()
    state.digest = None
    alarms.keep_state(state)
    inbox.new()
    look()
    ((_, text),) = inbox.new()  # the digest
    assert f"{watched.name}: data up to {NOW - 5 * HOUR:%Y-%m-%d %H:%M} UTC" in text
    assert list(alarms.kept_state().open) == [f"{watched.name} late"]
    alarms.keep_state(alarms.State(digest=state.digest))
    look()
    assert f"Is order_sync_{watched.name} paused" in str(alarms.kept_state().open)


def test_a_notifier_that_is_down_floods_no_other_one(watched, inbox, ledger, monkeypatch, hook):
    """Each gets each message once; what one has missed it gets when it is up again, in order."""
    watched.drop()
    watched.configure(top="alarms: {email: [ops@shop.example], webhook: team, digest_hour: 0}")
    up = os.environ["AIRFLOW_CONN_SMTP_DEFAULT"]
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(json.loads(up) | {"port": 1}))
    for hours_ago in (5, 5, 0, 0):
        read_up_to(ledger, watched, NOW - hours_ago * HOUR)
        with pytest.raises(TryAgainError, match=r"failed: `email` \(ConnectionRefusedError\)"):
            look()
    told = [body["text"].splitlines()[0] for _, body in hook.requests]
    today = f"*Order Sync: {datetime.now(UTC):%Y-%m-%d}*"
    assert told == [f"*Order Sync: {watched.name} needs you*", today, f"*Order Sync: {watched.name} well again*"]
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", up)
    look()
    look()
    assert [f"*{subject}*" for subject, _ in inbox.new()] == told
    assert len(hook.requests) == 3


def test_a_mail_server_that_refuses_is_named(watched, inbox, ledger, monkeypatch):
    """It answers 550 to the recipient: the alarm is kept, and health says that nobody was told."""
    monkeypatch.setattr(Inbox, "handle_RCPT", refused, raising=False)
    watched.drop()
    read_up_to(ledger, watched, NOW - 5 * HOUR)
    with pytest.raises(TryAgainError, match=r"failed: `email` \(SMTPRecipientsRefused\)"):
        look()
    assert alarms.kept_state().failed == {"email": "SMTPRecipientsRefused"}
    monkeypatch.delattr(Inbox, "handle_RCPT")
    look()
    assert len(inbox.new()) == 1
    assert alarms.kept_state().failed == {}


async def refused(*_: Any) -> str:
    """Refuse a recipient, as a server does that does not know it."""
    return "550 no such user"


def test_silence_is_not_over_because_nothing_is_read(watched, inbox, monkeypatch):
    """A source is silent, then its DAG is paused: the silence is not told as over."""
    watched.drop()

    def finds(*kinds: str) -> None:
        problems = [watch.Problem(watched.name, kind, "text") for kind in kinds]
        monkeypatch.setattr(watch, "of_ledger", lambda *_: problems)
        look()

    finds("silent")
    finds("late")
    finds("late")
    assert "well again" not in str(inbox.new())
    finds()
    ((_, text),) = inbox.new()
    assert text.count("well again") == 2


def test_the_digest_comes_once_a_day(watched, inbox):
    """It has a line for each live destination."""
    watched.drop()
    watched.configure(top="alarms: {email: [ops@shop.example], digest_hour: 0}")
    look()
    look()
    ((subject, text),) = inbox.new()
    assert subject == f"Order Sync: {datetime.now(UTC):%Y-%m-%d}"
    assert f"{watched.name}: data up to never; accepted 0, rejected 0" in text


class Hook(BaseHTTPRequestHandler):
    """A webhook that keeps path and body of each request."""

    requests: list[tuple[str, Any]] = []  # noqa: RUF012
    status = 200

    def do_POST(self) -> None:
        """Keep a request."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.requests.append((self.path, json.loads(body)))
        self.send_response(self.status)
        self.end_headers()


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hook]]:
    """A real webhook behind the connection `team`."""
    monkeypatch.setattr(Hook, "requests", [])
    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    fields = {"conn_type": "http", "host": f"http://127.0.0.1:{server.server_port}/services", "password": "a-token"}
    monkeypatch.setenv("AIRFLOW_CONN_TEAM", json.dumps(fields))
    yield Hook
    server.shutdown()
    server.server_close()


def test_a_webhook_gets_the_text(shop, hook, monkeypatch):
    """It is posted as Slack takes it; a refusal is an error that does not show the token."""
    shop.configure(top="alarms: {webhook: team}")
    configuration = load()
    alarms.send(configuration.alarms, "Order Sync: yespo needs you", ["yespo, late: since noon"])
    monkeypatch.setattr(Hook, "status", 404)
    with pytest.raises(TryAgainError, match=r"`webhook` \(HTTP 404\)") as refused:
        alarms.send(configuration.alarms, "again", [])
    fields = {"conn_type": "http", "host": "http://127.0.0.1:1/services", "password": "a-token"}
    monkeypatch.setenv("AIRFLOW_CONN_TEAM", json.dumps(fields))
    with pytest.raises(TryAgainError, match=r"`webhook` \(ConnectionError\)") as away:
        alarms.send(configuration.alarms, "away", [])
    assert hook.requests[0] == (
        "/services/a-token",
        {"text": "*Order Sync: yespo needs you*\n- yespo, late: since noon"},
    )
    assert "a-token" not in f"{refused.value}{away.value}"


def test_a_long_message_is_cut(shop, hook):
    """A chat would refuse it, for ever, and no later one would come."""
    shop.configure(top="alarms: {webhook: team}")
    state, files = alarms.State(), " ".join(f"a-{number}.csv can't be used." for number in range(1000))
    alarms.queue(load().alarms, state, "Order Sync", [files, "short"])
    alarms.send_unsent(load().alarms, state)
    ((_, body),) = hook.requests
    _, first, last = body["text"].splitlines()
    assert (len(first) <= 1002, first.endswith(" ..."), last) == (True, True, "- short")


def test_a_run_that_waits_for_approval_is_told(watched, inbox, monkeypatch):
    """Whoever gets the alarms hears at once which DAG waits; without a mail server the form waits all the same."""
    asked = {"total": 20, "recent": 5, "changes": [], "ages": {}, "order_ids": ["1"]}
    context = watched.context("run")
    context["dag_run"].dag_id = "order_sync_redrive"
    context["ti"].xcoms["transform", "notifications"] = asked
    context["ti"].id = uuid.uuid4()
    context["task_instance"] = context["ti"]
    for sent in (1, 0):
        with pytest.raises(TaskAwaitingInput):
            operators.ApproveOperator(task_id="approve", destination=watched.name).execute(context)
        mails = inbox.new()
        assert len(mails) == sent
        if mails:
            assert mails[0][0] == "Order Sync: order_sync_redrive waits for approval"
            assert f"{watched.name}: 20 notifications, after 5 of the last 24 hours; run run" in mails[0][1]
        monkeypatch.setenv(
            "AIRFLOW_CONN_SMTP_DEFAULT", json.dumps({"conn_type": "smtp", "host": "127.0.0.1", "port": 1})
        )


@pytest.mark.parametrize(
    ("minutes", "problems", "status", "wrong"),
    [
        pytest.param(5, [], 200, {}, id="well"),
        pytest.param(5, [watch.Problem("yespo", "late", "a text")], 503, {"yespo": ["late"]}, id="a problem"),
        pytest.param(40, [], 503, {"watch": ["late"]}, id="the watch stands still"),
        pytest.param(None, [], 503, {"watch": ["late"]}, id="the watch has never looked"),
    ],
)
def test_health_needs_no_login_and_tells_names_alone(supervisor, monkeypatch, minutes, problems, status, wrong):
    """An outside monitor sees 200 or 503, the destinations and the kinds of their problems."""
    if minutes is not None:
        now = datetime.now(UTC) - timedelta(minutes=minutes)
        alarms.tell(load().alarms, alarms.State(), problems, set(), now)
    monkeypatch.setattr(Variable, "get", lambda key, default_var: supervisor.variables.get(key, default_var))
    answer = TestClient(app, root_path="/order-sync", follow_redirects=False).get("/health")
    assert answer.status_code == status
    assert answer.json()["wrong"] == wrong
    assert answer.json()["ok"] == (status == 200)
    assert "a text" not in answer.text


@pytest.mark.parametrize("text", ["", "{", "7", "null", '["open"]', '{"a later": "release"}'])
def test_a_variable_that_was_spoiled_stops_no_alarm(text):
    """Each open problem is told once more; what a later release keeps is passed over."""
    assert alarms.read_state(text) == alarms.State()
    assert alarms.read_state('{"digest": "2026-11-29", "more": 1}') == alarms.State(digest="2026-11-29")


def test_health_says_that_nobody_can_be_told(supervisor, monkeypatch):
    """A mail server that refuses the alarms is seen by an outside monitor alone."""
    alarms.keep_state(alarms.State(datetime.now(UTC).isoformat(), failed={"email": "SMTPRecipientsRefused"}))
    monkeypatch.setattr(Variable, "get", lambda key, default_var: supervisor.variables.get(key, default_var))
    answer = TestClient(app, root_path="/order-sync", follow_redirects=False).get("/health")
    assert (answer.status_code, answer.json()["wrong"]) == (503, {"alarms": ["unsent"]})


def test_an_api_server_that_is_away_is_no_empty_state(supervisor):
    """Else each open problem would be told again, and messages that wait would be lost."""
    supervisor.variables[alarms.VARIABLE] = json.dumps({"digest": "2026-11-29"})
    assert alarms.kept_state().digest == "2026-11-29"
    supervisor.failing = (comms.GetVariable,)
    with pytest.raises(TryAgainError, match=alarms.VARIABLE):
        alarms.kept_state()


def test_an_old_gap_does_not_hide_what_is_unread(watched, ledger):
    """It makes a destination late until a person reads it; runs go on meanwhile, and the source is looked at."""
    watched.drop(row("1", "paid"))
    (file,) = (watched.tmp / "drop").iterdir()
    os.utime(file, ((NOW - 4 * HOUR).timestamp(),) * 2)
    read_up_to(ledger, watched, NOW - 9 * HOUR)
    with ledger.begin() as connection:
        windows.finish(connection, watched.name, Window(NOW - 8 * HOUR, NOW), "run")
    look()
    assert set(alarms.kept_state().open) == {f"{watched.name} late", f"{watched.name} unread"}
