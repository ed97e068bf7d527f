"""What people have to do in a shop that lives: the demo makes it on purpose, so that the page Order Sync shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from demo.airflow_api import ENDED
from demo.backfill import READY_TIMEOUT_S, destinations
from demo.processes import wait_for
from demo.sample import WAREHOUSE_IDS
from demo.settings import ROOT
from demo.story import Demo
from sandbox.registry import SERVICES

HELD_ORDERS = 3
# Shorter than the time between two runs, so that it is broken for most of each hour.
TOO_SHORT = "15m"


def configuration(folder: Path) -> Path:
    """Write the sample's configuration with one promise of freshness that can't be kept; return its path."""
    whole: dict[str, Any] = yaml.safe_load((ROOT / "include" / "config" / "order_sync.yaml").read_text("utf-8"))
    *_, last = whole["destinations"].values()
    last["fresh_within"] = TOO_SHORT
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "order_sync.yaml"
    path.write_text(yaml.safe_dump(whole, allow_unicode=True, sort_keys=False), "utf-8")
    return path


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
