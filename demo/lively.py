"""What people have to do in a shop that lives: the demo makes it on purpose, so that the page Order Sync shows it."""

from __future__ import annotations

from demo.airflow_api import ENDED
from demo.backfill import READY_TIMEOUT_S, destinations
from demo.processes import wait_for
from demo.sample import WAREHOUSE_IDS
from demo.story import Demo
from sandbox.registry import SERVICES

HELD_ORDERS = 3


def hold_a_batch(demo: Demo) -> str:
    """Let a service take some orders again and not answer, so that they are held; return a message about it."""
    # A service none of whose codes may be sent twice: there a doubt always waits for a person.
    name = next(name for name in destinations() if name in SERVICES and not SERVICES[name].repeatable_codes)
    order_ids = WAREHOUSE_IDS[:HELD_ORDERS]
    demo.ask_sandbox("POST", "faults", json={"provider": name, "next": 1, "kind": "close"})
    runs = f"/api/v2/dags/order_sync_{name}/dagRuns"
    body = {"logical_date": None, "conf": {"order_ids": list(order_ids), "resend": True}}
    run_id = demo.api.call("POST", runs, json=body)["dag_run_id"]

    def has_ended() -> bool:
        return demo.api.call("GET", f"{runs}/{run_id}")["state"] in ENDED

    wait_for(f"{run_id} of {name} to end", READY_TIMEOUT_S, has_ended, demo.check)
    demo.ask_sandbox("DELETE", "faults")
    return f"{len(order_ids)} orders of {name} are held on purpose: decide on the page"
