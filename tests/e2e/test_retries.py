"""Airflow's own tries after a service's refusal."""

from __future__ import annotations

from datetime import datetime

from tests.e2e.runs import Run


def test_a_retry_after_is_obeyed_by_airflows_own_retry(backfilled, faults):
    """A 429 with Retry-After 7 is tried again after some 7 s, although the task's retry_delay is a minute."""
    delay = backfilled.demo.api.call("GET", "/api/v2/dags/order_sync_yespo/tasks/load")["retry_delay"]
    assert (delay["days"], delay["seconds"]) == (0, 60)
    faults(provider="yespo", kind="status", status=429, retry_after=7, next=1)
    run = Run.start(backfilled.demo, "yespo", resend=True)
    assert run.end_state() == "success"
    first, second = run.load_tries()
    waited = datetime.fromisoformat(second["start_date"]) - datetime.fromisoformat(first["end_date"])
    assert 7 <= waited.total_seconds() < 30


def test_a_wrong_credential_ends_at_the_first_try(backfilled):
    """A wrong secret fails the task at its first try, though it has retries, and the log names the connection."""
    assert backfilled.demo.api.call("GET", "/api/v2/dags/order_sync_wrong_secret/tasks/load")["retries"] > 1
    run = Run.start(backfilled.demo, "wrong_secret")
    assert run.end_state() == "failed"
    assert [each["state"] for each in run.load_tries()] == ["failed"]
    assert "accepted 0" in run.get()["note"]
    log = run.last_load_log()
    assert "rees46_wrong" in log
    assert "Next try: none. When this is mended, clear this task" in log
    assert "Traceback" not in log
    assert "error_detail" not in log
    assert "HTTP 403" in run.get()["note"]
    assert "not-the-demo-secret" not in log
