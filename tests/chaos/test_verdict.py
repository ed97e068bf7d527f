"""The verdict itself: it finds each breach of the promise, and a short `make chaos` passes it."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from chaos.verdict import GONE, IN_TIME, LATE, Facts, judge_balances, judge_orders, read_in_order_from, sendable
from sandbox.registry import SERVICES

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
EARLIER, LATER = NOON - timedelta(hours=1), NOON + timedelta(hours=1)
CHANGES = [("1", True, status_label, NOON, False) for status_label in ("new", "paid", "shipped", "delivered")]
FIGURES = dict.fromkeys(
    ("superseded", "skipped", "rejected", "adopted", "unchanged", "stale", "held", "not_for_provider"), 0
)


def differences(service, taken, *, excused=(), sent_again=None, changes=CHANGES, late_too=True, **due) -> list[str]:
    """Return the verdict's differences for the one order."""
    sandbox_service = SERVICES[service]
    facts = Facts(sandbox_service.max_orders, sandbox_service.codes, sandbox_service.repeatable_codes, False)
    again = {"1": sent_again or {}}
    judged = judge_orders(service, facts, changes, {"1": taken}, excused, again, late_too=late_too, **due)
    return judged.differences


@pytest.mark.parametrize(
    ("service", "taken"),
    [("rees46", [0, 1]), ("rees46", [1]), ("yespo", ["INITIALIZED", "DELIVERED"]), ("justclick", ["paid", "sent"])],
)
def test_what_was_promised_is_no_difference(service, taken):
    """The newest status is right, with or without the earlier ones, each once."""
    assert differences(service, taken) == []


@pytest.mark.parametrize(
    ("service", "taken", "message"),
    [
        ("rees46", [0], "the newest is 1"),
        ("yespo", [], "the newest is DELIVERED"),
        ("rees46", [0, 1, 0], "an older state over a newer one"),
        ("yespo", ["DELIVERED", "DELIVERED"], "taken 2 times"),
        ("justclick", ["paid", "return"], "the newest is sent"),
        ("yespo", ["CANCELLED", "DELIVERED"], "the source never had ['CANCELLED']"),
    ],
)
def test_each_fault_is_found(service, taken, message):
    """The verdict finds a lost order, an older state on top, a repeated change, and a status unknown to the source."""
    assert message in " ".join(differences(service, taken))


def test_only_what_is_listed_is_excused():
    """A held or rejected order may lack its newest status; a listed repetition is right only for a repeatable code."""
    assert differences("yespo", ["INITIALIZED"], excused=["1"]) == []
    assert differences("rees46", [0, 0, 1], sent_again={"0": 1}) == []
    assert differences("rees46", [0, 0, 0, 1], sent_again={"0": 1})
    assert differences("yespo", ["DELIVERED", "DELIVERED"], sent_again={"DELIVERED": 1})
    assert differences("justclick", ["paid", "paid", "sent"], sent_again={"paid": 1})


@pytest.mark.parametrize(("taken", "holds"), [([0], True), ([0, 1], True), ([], False), ([1], True)])
def test_a_late_change_may_be_missing_until_all_is_read(taken, holds):
    """A change that was committed late may be at the service or not; in the end it must be, and older ones always."""
    changes = [("1", True, "new", NOON, False), ("1", True, "delivered", NOON, True)]
    assert (differences("rees46", taken, changes=changes, late_too=False) == []) is holds
    assert (differences("rees46", taken, changes=changes) == []) is (taken[-1:] == [1])


def test_each_change_of_hours_that_were_read_in_order_is_due():
    """The newest status hides no change in between; only of an interrupted order it may be missing."""
    assert differences("justclick", ["sent"]) == []
    assert differences("justclick", ["paid", "sent"], due_from=NOON) == []
    assert differences("justclick", ["sent"], due_from=NOON) == [
        "justclick 1: it has ['sent'], and ['paid'] never came"
    ]
    assert differences("justclick", ["sent"], due_from=NOON, interrupted=["2"])
    assert differences("justclick", ["sent"], due_from=NOON, interrupted=["1"]) == []
    assert differences("justclick", ["sent"], due_from=NOON, excused=["1"])


@pytest.mark.parametrize(
    ("lateness", "hours"),
    [
        pytest.param(LATE, 0, id="it came late, after a newer one was sent"),
        pytest.param(GONE, 0, id="its row was changed before it was read"),
        pytest.param(IN_TIME, -1, id="a backfill had sent a later hour"),
    ],
)
def test_a_change_in_between_that_was_not_read_in_order_is_not_due(lateness, hours):
    """It may be at the service, or not."""
    paid = ("1", True, "paid", NOON + timedelta(hours=hours), lateness)
    for taken in (["sent"], ["paid", "sent"]):
        assert differences("justclick", taken, changes=[paid, *CHANGES[2:]], due_from=NOON) == []


def test_the_hours_that_no_backfill_reads_are_read_in_order():
    """A backfill goes back from the last of its hours, which hourly runs may read too."""
    ends = {"backfill-006": 12, "backfill-005": 11, "hourly-007": 13}
    runs = [{"run": name, "end": f"2026-11-21T{hour}:00:00+00:00"} for name, hour in ends.items()]
    assert read_in_order_from(runs) == NOON


@pytest.mark.parametrize("late_too", [True, False])
@pytest.mark.parametrize(
    ("taken", "holds"), [(["paid"], True), (["paid", "sent"], True), (["sent"], True), ([], False)]
)
def test_a_change_that_is_gone_may_always_be_missing(taken, holds, late_too):
    """A row was changed in place to a status that is not for this service: its old one may have been sent, or not."""
    changes = [
        ("1", True, "paid", NOON, IN_TIME),
        ("1", True, "shipped", NOON, GONE),
        ("1", True, "packing", NOON, LATE),
    ]
    assert (differences("justclick", taken, changes=changes, late_too=late_too) == []) is holds


@pytest.mark.parametrize(
    ("others", "found"),
    [
        ([("paid", NOON, IN_TIME)], {"1"}),
        ([("paid", NOON, GONE)], set()),
        ([("paid", NOON, GONE), ("delivered", LATER, LATE)], set()),
        ([("paid", NOON, GONE), ("shipped", LATER, LATE)], {"1"}),
        ([("paid", EARLIER, IN_TIME), ("shipped", NOON, GONE)], set()),
    ],
    ids=["it is there", "it is gone", "now not for JustClick", "now for JustClick", "an earlier one is there"],
)
def test_an_order_may_stay_rejected_only_if_no_run_can_send_it(others, found):
    """A row that was rejected at noon: it, or what has replaced it, can be sent if it is there and for the service."""
    service = SERVICES["justclick"]
    facts = Facts(service.max_orders, service.codes, service.repeatable_codes, True)
    changes = [("1", True, *other) for other in others]
    kyiv = NOON.astimezone(ZoneInfo("Europe/Kyiv")).isoformat()  # PostgreSQL shows times in its own zone
    assert sendable(facts, changes, {"1": [kyiv]}) == found


def test_an_order_that_came_late_as_a_whole_may_be_missing():
    """An order without any change in time need not be at the service before all is read."""
    changes = [("1", True, "new", NOON, True)]
    assert differences("rees46", [], changes=changes, late_too=False) == []
    assert differences("rees46", [], changes=changes)


@pytest.mark.parametrize(
    ("rows", "orders", "accepted", "holds"),
    [(4, 4, 4, True), (4, 4, 3, False), (3, 3, 3, False), (5, 5, 5, True), (6, 6, 6, False)],
)
def test_both_sums_are_counted_against_the_source(rows, orders, accepted, holds):
    """A run whose figures do not balance, or that has missed rows that were there in time, is a difference."""
    figures = {**FIGURES, "rows": rows, "orders": orders, "accepted": accepted}
    window = {"start": "2026-11-21T12:00:00+00:00", "end": "2026-11-21T13:00:00+00:00"}
    run = {"destination": "rees46", "run": "hourly", **window, "figures": figures}
    late = ("1", True, "returned", NOON, True)
    assert (judge_balances([*CHANGES, late], [run]) == []) is holds


def test_orders_that_were_given_up_are_part_of_the_sum():
    """Orders that a run lists as not sent balance, like every other outcome."""
    window = {"start": "2026-11-21T12:00:00+00:00", "end": "2026-11-21T13:00:00+00:00"}
    figures = {**FIGURES, "rows": 4, "orders": 4, "accepted": 3, "not_sent": 1}
    run = {"destination": "rees46", "run": "hourly", **window, "figures": figures}
    assert judge_balances(CHANGES, [run]) == []


def test_the_verdict_knows_nothing_of_what_it_judges():
    """The verdict imports nothing of the project, so no mistake is on both sides."""
    ours = {"include", "sandbox", "demo", "pandas", "order_sync_airflow"}
    code = f"import sys, chaos.verdict; print(*{ours} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_promise_holds_in_a_short_storm(tmp_path):
    """The promise holds in the one-minute form of `make chaos`."""
    command = [sys.executable, "-m", "chaos", "--short", "--folder", str(tmp_path / "chaos")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["holds"]
