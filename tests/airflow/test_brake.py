"""The brake: a run with more notifications than usual waits for a person, and sends no more than were approved."""

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from airflow.sdk import DAG
from airflow.sdk._shared.timezones import timezone
from airflow.sdk.exceptions import DownstreamTasksSkipped, TaskAwaitingInput
from order_sync_airflow import operators
from order_sync_airflow.operators.approve import ApproveOperator

from include.order_sync.errors import StopError
from include.order_sync.ledger import approvals
from tests.airflow.shop import NOW, Shop, Task, row

HOUR = timedelta(hours=1)


@dataclass
class Braked:
    """A shop whose runs may send two notifications in 24 hours."""

    shop: Shop
    ledger: sa.Engine

    def stage(self, *rows: str, run: str = "run", hours: int = 0, **params: Any) -> tuple[dict[str, Any], str]:
        """Run extract and transform of a run that begins some hours earlier; return its context and staged folder."""
        self.shop.drop(*rows)
        context = self.shop.context(run, params=params)
        context["data_interval_start"] -= hours * HOUR
        return context, self.shop.stage(context)

    def asked(self, context: dict[str, Any]) -> Any:
        """Return what transform asks to approve."""
        return context["ti"].xcom_pull("transform", "notifications")

    def load(self, staged: tuple[dict[str, Any], str]) -> None:
        """Run load."""
        context, folder = staged
        operators.LoadOrdersOperator(task_id="load", staged=folder, destination=self.shop.name).execute(context)

    def answer(self, context: dict[str, Any], option: str, **fields: Any) -> None:
        """Answer the form of `approve` as a person."""
        given = {"notifications": 3, "covers_from": None, "covers_to": None} | fields
        event = {
            "chosen_options": [option],
            "params_input": given,
            "responded_at": datetime.now(UTC),
            "responded_by_user": {"id": "1", "name": "olena"},
        }
        self.approve().execute_complete({**context, "ti": Task("approve", 1, context["ti"].xcoms)}, event)

    def approve(self) -> ApproveOperator:
        """Return the task that asks."""
        return ApproveOperator(task_id="approve", destination=self.shop.name)

    def approved(self) -> list[tuple[Any, ...]]:
        """Return the approvals in the ledger."""
        query = """
            select notifications, approved_by, cardinality(runs) from approvals
            where destination_id = (select id from destinations where name = :name)
        """
        with self.ledger.connect() as connection:
            return [tuple(found) for found in connection.execute(sa.text(query), {"name": self.shop.name})]


@pytest.fixture
def braked(shop: Shop, ledger: sa.Engine) -> Braked:
    """A shop with `approve_above: 2`."""
    file = shop.tmp / "order_sync.yaml"
    file.write_text(file.read_text("utf-8") + "    approve_above: 2\n", "utf-8")
    return Braked(shop, ledger)


THREE = (row("1", "paid"), row("2", "paid"), row("3", "done"))


def test_above_the_limit_nothing_is_sent_without_approval(braked):
    """Transform asks with counts and ids, and load itself stops: a skipped or forced `approve` sends nothing."""
    staged = braked.stage(*THREE)
    asked = braked.asked(staged[0])
    assert (asked["total"], asked["recent"]) == (3, 0)
    assert asked["changes"] == [[None, "IN_PROGRESS", 2], [None, "DELIVERED", 1]]
    assert asked["ages"] == {"more than 7 days": 3}
    assert asked["order_ids"] == ["1", "2", "3"]
    with pytest.raises(StopError, match="3 more notifications are to be sent, and 2 are left: `approve_above`"):
        braked.load(staged)
    assert braked.shop.taken() == {}


def test_those_of_the_last_24_hours_count(braked, monkeypatch):
    """Two a day may be sent: the third asks, though its run has one alone; 24 hours later it does not."""
    first = braked.stage(row("1", "paid"), row("2", "paid"), run="first")
    assert braked.asked(first[0]) is None
    braked.load(first)
    rows = (row("1", "paid"), row("2", "paid"), row("3", "paid"))
    second = braked.stage(*rows, run="second", hours=1)
    assert braked.asked(second[0])["total"] == 1
    assert braked.asked(second[0])["recent"] == 2
    with pytest.raises(StopError, match="1 more notification is to be sent, and 0 are left"):
        braked.load(second)
    monkeypatch.setattr(approvals, "RECENT", timedelta(0))
    later = braked.stage(*rows, run="later", hours=2)
    assert braked.asked(later[0]) is None
    braked.load(later)
    assert set(braked.shop.taken()) == {"1", "2", "3"}


def test_after_an_approved_run_what_notifies_nobody_goes_on(braked):
    """What was approved does not count; nor does a limit that is lower now make a run of unchanged orders red."""
    first = braked.stage(*THREE)
    braked.answer(first[0], "Approve")
    braked.load(first)
    next_hour = braked.stage(*THREE, row("4", "paid"), row("5", "paid"), run="next", hours=9)
    assert braked.asked(next_hour[0]) is None
    braked.load(next_hour)
    file = braked.shop.tmp / "order_sync.yaml"
    file.write_text(file.read_text("utf-8").replace("approve_above: 2", "approve_above: 0"), "utf-8")
    again = braked.stage(*THREE, row("4", "paid"), row("5", "paid"), run="again", hours=19)
    assert braked.asked(again[0]) is None
    braked.load(again)


def test_what_is_not_sent_is_no_notification(braked):
    """Unchanged orders that are read again ask for nothing; nor do runs that send nothing."""
    braked.load(braked.stage(row("1", "paid"), row("2", "paid")))
    assert braked.asked(braked.stage(row("1", "paid"), row("2", "paid"), run="again")[0]) is None
    for mode in ("plan", "adopt"):
        assert braked.asked(braked.stage(*THREE, run=mode, mode=mode)[0]) is None


def test_an_approved_run_sends(braked):
    """It sends what was approved; the ledger keeps who has approved it and how many."""
    staged = braked.stage(*THREE)
    braked.answer(staged[0], "Approve")
    braked.load(staged)
    assert set(braked.shop.taken()) == {"1", "2", "3"}
    assert braked.approved() == [(3, "olena", 1)]


def test_a_plan_that_has_grown_is_not_covered(braked):
    """Three were approved; a run that would send four sends none of them."""
    staged = braked.stage(*THREE, row("4", "paid"))
    braked.answer(staged[0], "Approve", notifications=3)
    with pytest.raises(StopError, match="4 more notifications are to be sent, and 3 are left: so many of approval"):
        braked.load(staged)
    assert braked.shop.taken() == {}


def test_two_runs_that_wait_for_the_same_orders_send_each_once(braked):
    """Both are approved, or one is refused: what one has sent the other one does not, and its approval is not used."""
    first, second = (braked.stage(*THREE, run=run, hours=hours) for run, hours in (("first", 0), ("second", 9)))
    assert braked.asked(first[0])["total"] == braked.asked(second[0])["total"] == 3
    for run in (first, second):
        braked.answer(run[0], "Approve")
    braked.load(second)
    braked.load(first)
    assert braked.shop.taken() == {"1": ["IN_PROGRESS"], "2": ["IN_PROGRESS"], "3": ["DELIVERED"]}
    third = braked.stage(*THREE, *(row(number, "paid") for number in "456"), run="third", hours=20)
    assert (braked.asked(third[0])["total"], braked.asked(third[0])["recent"]) == (3, 0)
    with pytest.raises(StopError, match="olena has refused"):
        braked.answer(third[0], "Reject")
    with pytest.raises(StopError, match="3 more notifications are to be sent, and 2 are left"):
        braked.load(third)
    assert "4" not in braked.shop.taken()


def test_one_approval_covers_a_backfill(braked):
    """Runs within its range are not asked again while enough is left; beyond the range or the number they are."""
    first = braked.stage(*THREE)
    covers = {"covers_from": (NOW - 3 * HOUR).isoformat(), "covers_to": (NOW + HOUR).isoformat()}
    braked.answer(first[0], "Approve", notifications=7, **covers)
    braked.load(first)
    within = braked.stage(*THREE, *(row(number, "paid") for number in "489"), run="within", hours=1)
    assert braked.asked(within[0]) is None
    braked.load(within)
    three_more = [row(number, "paid") for number in "567"]
    beyond = braked.stage(*THREE, *three_more, run="beyond", hours=5)
    assert braked.asked(beyond[0])["total"] == 3
    last = braked.stage(*THREE, *three_more, run="last", hours=2)
    assert braked.asked(last[0])["total"] == 3  # one is left
    assert set(braked.shop.taken()) == set("123489")
    assert braked.approved() == [(7, "olena", 2)]


def test_a_time_of_the_form_without_an_offset_is_utc(braked, monkeypatch):
    """As a param is; Airflow's own default time zone does not count."""
    monkeypatch.setattr(timezone._Timezone, "initialized_timezone", timezone.parse_timezone("Asia/Tokyo"))
    context, _ = braked.stage(*THREE)
    braked.answer(context, "Approve", covers_from="2026-11-01T10:00:00", covers_to="2026-11-02T10:00:00")
    assert context["ti"].xcom_pull("approve", "approval")["start"] == "2026-11-01T10:00:00+00:00"


def test_a_refusal_ends_the_run(braked):
    """Refused, or without an answer: nothing is approved, and the error says who and how to go on."""
    context, _ = staged = braked.stage(*THREE)
    with pytest.raises(StopError, match="olena has refused to send"):
        braked.answer(context, "Reject")
    with pytest.raises(StopError, match="decision to resend stays in force: to take it back, decide `accept`"):
        braked.answer({**context, "params": {"decision": "resend"}}, "Reject")
    context["task_instance"] = context["ti"]
    with pytest.raises(StopError, match="Nobody has answered within 24 hours"):
        braked.approve().execute_complete(context, {"error": "late", "error_type": "timeout"})
    with pytest.raises(StopError, match="3 more notifications"):
        braked.load(staged)
    assert braked.approved() == []
    assert braked.shop.taken() == {}


def test_the_form_shows_counts_and_no_personal_data(braked, supervisor):
    """The form has the change of each code, the ages and the ids; XComs and form name no customer."""
    context, _ = braked.stage(*THREE)
    context["ti"].id = uuid.uuid4()
    context["task_instance"] = context["ti"]
    with pytest.raises(TaskAwaitingInput) as waiting:
        braked.approve().execute(context)
    assert waiting.value.timeout == timedelta(days=1)
    (form,) = (asked.model_dump() for asked in supervisor.forms)  # once: a second one would delete an answer
    assert form["options"] == ["Approve", "Reject"]
    assert form["subject"] == f"{braked.shop.name}: send 3 notifications?"
    assert "| (new) | IN_PROGRESS | 2 |" in form["body"]
    assert "| more than 7 days | 3 |" in form["body"]
    assert "Orders: 1, 2, 3" in form["body"]
    assert form["params"]["notifications"]["value"] == 3
    assert form["params"]["covers_from"]["value"] == (NOW - HOUR).isoformat()
    for said in (json.dumps(form["body"]), json.dumps(list(context["ti"].xcoms.values()))):
        assert "anna" not in said


def test_a_form_of_before_a_clear_is_not_asked_with(braked, supervisor):
    """Airflow keeps it, and a person would approve what is not sent any more: the run stops, and says how to go on."""
    context, _ = braked.stage(*THREE)
    context["ti"].id = uuid.uuid4()
    supervisor.form = {"subject": "Send?", "body": "another plan", "params": {}}
    with pytest.raises(StopError, match="still shows what this run was to send before it was cleared"):
        braked.approve().execute(context)


@pytest.mark.parametrize("orders", [2, 3])
def test_transform_skips_what_is_not_needed(braked, orders):
    """In its DAG transform skips `approve` alone, and hands the folder on; above the limit it skips nothing."""
    context, folder = braked.stage(*THREE[:orders])
    with DAG("dag", schedule=None):
        transform = operators.TransformOrdersOperator(task_id="transform", staged=folder, destination=braked.shop.name)
        transform >> [braked.approve(), operators.LoadOrdersOperator(task_id="load", staged="", destination="x")]
    ti = Task("transform", 1, context["ti"].xcoms)
    if orders == 3:
        assert transform.execute({**context, "ti": ti}) == folder
        return
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        transform.execute({**context, "ti": ti})
    assert skipped.value.tasks == ["approve"]
    assert ti.xcom_pull("transform", "return_value") == folder


def test_another_try_of_an_approved_run_sends_no_more_than_is_left(braked):
    """It does not fall back on `approve_above`: what it sends counts in no limit."""
    staged = braked.stage(*THREE, run="first")
    braked.answer(staged[0], "Approve", notifications=3)
    braked.load(staged)
    more = braked.stage(*THREE, row("4", "paid"), run="first")
    # The same key: no person has cleared it.
    more[0]["ti"].xcoms["extract", "read_at"] = staged[0]["ti"].xcom_pull("extract", "read_at")
    with pytest.raises(StopError, match="1 more notification is to be sent, and 0 are left: so many of approval"):
        braked.load(more)
