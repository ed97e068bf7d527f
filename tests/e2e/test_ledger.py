"""The ledger in a real Airflow: repeated, cleared and killed loads lose nothing and send nothing twice."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import psutil

from demo import report
from demo.story import Demo
from tests.e2e.runs import Run


def test_a_second_backfill_of_the_same_hours_sends_nothing(backfilled, sandbox):
    """A second backfill of the same hours makes no request: all orders are unchanged or stale."""
    demo, name = backfilled.demo, "justclick"  # which gets every change; a cleared run below has the newest states
    before = sandbox("stats")
    demo.backfill([name])
    first, again = backfilled.figures[name], demo.figures(name)
    assert sandbox("stats") == before
    report.check_balance({name: again})
    assert (again["accepted"], again["held"], again["requests"]) == (0, 0, 0)
    for same in ("rows", "orders", "rejected", "not_for_provider"):
        assert again[same] == first[same], same
    assert again["unchanged"] > 0
    assert again["stale"] > 0


def test_a_cleared_run_plans_anew_and_sends_nothing(backfilled, sandbox):
    """A run that is cleared after its success reads its window again, and has nothing to send."""
    run = Run.start(backfilled.demo, "rees46")
    assert run.end_state() == "success"
    before = sandbox("stats")
    run.clear()
    assert run.end_state() == "success"
    assert sandbox("stats") == before
    figures = run.figures()
    report.check_balance({"rees46": figures})
    assert (figures["accepted"], figures["requests"]) == (0, 0)
    assert figures["unchanged"] > 0


def test_a_load_cleared_alone_after_its_success_says_what_to_clear(backfilled, sandbox):
    """A load without its staged parts fails, and its message names the task to clear."""
    run = Run.start(backfilled.demo, "rees46")
    assert run.end_state() == "success"
    before = sandbox("stats")
    run.clear("load")
    assert run.end_state() == "failed"
    assert "Clear the run from its extract task on" in run.last_load_log()
    assert sandbox("stats") == before


def test_loads_killed_in_mid_request(backfilled, sandbox, faults):
    """After kill -9 in mid-request REES46 gets that batch again; at Yespo its orders are held, and the others sent.

    Both in one test: each next try waits over two minutes, until the request of the killed one can't come any more.
    """
    before = {name: stats["accepted"] for name, stats in sandbox("stats").items()}
    faults(provider="rees46", kind="slow", seconds=20, next=1)
    rees46 = killed_in_mid_request(backfilled.demo, "rees46", sandbox)
    rees46.clear("load")
    # A 400 splits the batch into halves; the first half is in flight when the task is killed.
    faults(provider="yespo", kind="status", status=400, next=1)
    faults(provider="yespo", kind="slow", seconds=20, every=2)
    yespo = killed_in_mid_request(backfilled.demo, "yespo", sandbox)
    yespo.clear("load")
    in_flight = {name: stats["accepted"] - before[name] for name, stats in sandbox("stats").items()}

    assert rees46.end_state() == "success"
    figures = rees46.figures()
    report.check_balance({"rees46_killed": figures})
    assert (figures["accepted"], figures["held"], figures["requests"]) == (in_flight["rees46"], 0, 2)
    assert sandbox("stats")["rees46"]["accepted"] - before["rees46"] == 2 * in_flight["rees46"]

    assert yespo.end_state() == "failed"
    figures = yespo.figures()
    report.check_balance({"yespo_killed": figures})
    # The refused batch, the half in flight, a probe of the other half, and its rest.
    assert (figures["held"], figures["requests"]) == (in_flight["yespo"], 4)
    assert figures["accepted"] > 0
    assert sandbox("stats")["yespo"]["accepted"] - before["yespo"] == in_flight["yespo"] + figures["accepted"]
    assert f"{in_flight['yespo']} orders are held" in yespo.last_load_log()


def test_a_load_stopped_in_mid_request_at_yespo_holds_nothing(backfilled, sandbox, faults):
    """A worker that stops passes SIGTERM on to its task: the request in flight gets its answer, and no other leaves."""
    before = sandbox("stats")["yespo"]
    faults(provider="yespo", kind="status", status=400, next=1)
    faults(provider="yespo", kind="slow", seconds=10, every=2)
    run = in_mid_request(backfilled.demo, "yespo_stopped", sandbox)
    in_flight = sandbox("stats")["yespo"]["accepted"] - before["accepted"]
    supervisor = sender(backfilled.demo).parent()
    assert supervisor is not None
    supervisor.terminate()
    run.wait("to be about to try again", lambda: run.get("/taskInstances/load")["state"] == "up_for_retry")
    stopped = sandbox("stats")["yespo"]
    assert (stopped["accepted"] - before["accepted"], stopped["requests"] - before["requests"]) == (in_flight, 2)
    run.clear("load")
    assert run.end_state() == "success"
    figures = run.figures()
    report.check_balance({"yespo_stopped": figures})
    assert (figures["held"], figures["unchanged"] + figures["not_sent"]) == (0, 0)
    assert sandbox("stats")["yespo"]["accepted"] - before["accepted"] == figures["accepted"] > in_flight


def in_mid_request(demo: Demo, destination: str, sandbox: Callable[[str], Any]) -> Run:
    """Start a run, and return when its service has taken a batch and has not answered yet."""
    provider = destination.partition("_")[0]

    def accepted() -> int:
        return int(sandbox("stats")[provider]["accepted"])

    before = accepted()
    run = Run.start(demo, destination)
    run.wait("to have a request in flight", lambda: accepted() > before)
    return run


def killed_in_mid_request(demo: Demo, provider: str, sandbox: Callable[[str], Any]) -> Run:
    """Kill a load with SIGKILL after the service has taken a batch and before it answers.

    Returns when Airflow has noticed the end.
    """
    run = in_mid_request(demo, f"{provider}_killed", sandbox)
    sender(demo).kill()
    run.wait("to be about to try again", lambda: run.get("/taskInstances/load")["state"] == "up_for_retry")
    return run


def sender(demo: Demo) -> psutil.Process:
    """Return the only process of the demo that has a connection to the sandbox."""
    connected = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            if any(c.raddr and c.raddr.port == demo.settings.sandbox_port for c in process.net_connections("tcp")):
                connected.append(process)
    (only,) = connected
    return only
