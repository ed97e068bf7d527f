"""A configuration that is changed under a running Airflow: no run stays open without a word."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from demo.processes import wait_for
from tests.e2e.runs import TIMEOUT_S, Run


def dag(demo, name):
    """Return what Airflow knows of a destination's DAG."""
    return demo.api.call("GET", f"/api/v2/dags/order_sync_{name}")


def test_a_mistake_makes_runs_red_at_once(backfilled, change):
    """The DAG stays, its run ends red with the mistake in log and note, and the import errors show it too."""
    demo = backfilled.demo
    change(lambda destinations: destinations["rees46_mistaken"].update(provider="rees64"))
    wait_for(
        "the DAG to say it", TIMEOUT_S, lambda: "MISTAKES" in dag(demo, "rees46_mistaken")["description"], demo.check
    )
    run = Run.start(demo, "rees46_mistaken")
    assert run.end_state() == "failed"
    assert run.states() == {"extract": "failed"} | dict.fromkeys(("transform", "approve", "load"), "upstream_failed")
    log = str(run.get("/taskInstances/extract/logs/1"))
    assert "error_detail" not in log
    for said in (log, run.get()["note"], *demo.api.import_errors()):
        assert "did you mean 'rees46'?" in said


def test_the_open_run_of_a_removed_destination_ends(backfilled):
    """It ends as failed when a run of another DAG begins or ends, and its note says why."""
    demo, gone = backfilled.demo, backfilled.removed
    wait_for("the DAG to be gone", TIMEOUT_S, lambda: dag(demo, "rees46_removed")["is_stale"], demo.check)
    parsed = datetime.fromisoformat(dag(demo, "rees46_removed")["last_parsed_time"])
    long_enough = timedelta(minutes=2)
    wait_for("it to be gone long enough", TIMEOUT_S, lambda: datetime.now(UTC) - parsed > long_enough, demo.check)

    def has_ended() -> bool:
        Run.start(demo, "justclick").end_state()
        return str(gone.get()["state"]) == "failed"

    gone.wait("to be ended", has_ended)
    assert gone.states() == {"extract": "success", "transform": "success", "approve": "skipped", "load": "skipped"}
    assert "not in the configuration any more" in gone.get()["note"]
