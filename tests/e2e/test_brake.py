"""A run with more notifications than its destination may send: it waits, and a person answers over Airflow's API."""

from __future__ import annotations

import re
from typing import Any

from tests.e2e.runs import Run


def waiting(backfilled) -> Run:
    """Start a run of the braked destination; return when it asks."""
    run = Run.start(backfilled.demo, "yespo_braked")
    wait_for_form(run)
    return run


def wait_for_form(run: Run, processes: int = 1) -> None:
    """Wait until the run asks, and as long as a person who reads it: `approve` has had so many processes then."""
    run.wait("to ask", lambda: run.states()["approve"] == "awaiting_input")
    # Airflow 3.3 fails a task that is resumed before the scheduler has heard of the end of the process that has asked.
    task = f"TaskInstanceKey(dag_id='{run.dag_id}', task_id='approve', run_id='{run.run_id}'"
    heard = re.compile(rf"Received executor event with state \w+ for task instance {re.escape(task)}")
    log = run.demo.settings.local / "logs/airflow.log"
    run.wait("to be heard", lambda: len(heard.findall(log.read_text("utf-8", "replace"))) >= processes)


def answer(run: Run, option: str) -> dict[str, Any]:
    """Answer the run's form as a person does in the UI; return the form."""
    path = f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/approve/-1/hitlDetails"
    form: dict[str, Any] = run.demo.api.call("GET", path)
    fields = {name: field["value"] for name, field in form["params"].items()}
    run.demo.api.call("PATCH", path, json={"chosen_options": [option], "params_input": fields})
    return form


def test_a_refused_run_sends_nothing(backfilled, sandbox, change):
    """The run ends red, nobody gets a mail, and the note says who has refused. Cleared, it asks with its new plan."""
    before = sandbox("stats")["yespo"]
    run = waiting(backfilled)
    answer(run, "Reject")
    assert run.end_state() == "failed"
    assert run.states() == {
        "extract": "success",
        "transform": "success",
        "approve": "failed",
        "load": "upstream_failed",
    }
    assert "has refused to send. Nothing was sent." in run.get()["note"]
    change(lambda destinations: destinations["yespo_braked"].update(approve_above=2))
    run.clear()
    wait_for_form(run, processes=3)  # the second one has told the refusal
    assert "`approve_above` is 2." in answer(run, "Reject")["body"]
    assert run.end_state() == "failed"
    assert sandbox("stats")["yespo"] == before


def test_an_approved_run_sends(backfilled, sandbox):
    """The run waits without a request, and sends after the approval what the form has shown."""
    before = sandbox("stats")["yespo"]
    run = waiting(backfilled)
    assert sandbox("stats")["yespo"] == before
    form = answer(run, "Approve")
    assert run.end_state() == "success"
    asked = form["params"]["notifications"]["value"]
    assert sandbox("stats")["yespo"]["mails"] - before["mails"] == asked
    assert f"accepted {asked}" in run.get()["note"]
    assert "@" not in form["body"]
