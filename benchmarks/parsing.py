"""The time in which Airflow parses `dags/order_sync.py` with 50 destinations, against an empty DAG file.

`python -m benchmarks.parsing` prints the figures as one line of JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from demo.settings import ROOT

DESTINATIONS = 50
SOURCES = 5
ROUNDS = 15

EMPTY_DAG = 'from airflow.sdk import DAG\n\ndag = DAG("empty")\n'

# The steps of Airflow's DAG processor. Before it forks a process that parses a file and serializes its DAGs, it imports
# Airflow and the Airflow modules that the file names, and freezes them for the garbage collector.
PARSE = """
import gc, sys, time
from pathlib import Path
import structlog
from airflow.dag_processing import manager, processor

file = Path(sys.argv[1])
log = structlog.get_logger()
processor._pre_import_airflow_modules(str(file), log)
gc.freeze()
request = processor.DagFileParseRequest(file=str(file), bundle_path=file.parent, bundle_name="benchmark")
started = time.perf_counter()
result = processor._parse_file(request, log)
seconds = time.perf_counter() - started
if result.import_errors or len(result.serialized_dags) != int(sys.argv[2]):
    sys.exit(f"{len(result.serialized_dags)} DAGs; {result.import_errors}")
print(seconds)
"""


def measure() -> dict[str, float]:
    """Return the seconds of both files and their difference, as medians over fresh processes that take turns."""
    with tempfile.TemporaryDirectory(prefix="order-sync-parsing-") as folder:
        configuration = Path(folder) / "order_sync.yaml"
        configuration.write_text(yaml.safe_dump(_configuration()), "utf-8")
        empty = Path(folder) / "empty.py"
        empty.write_text(EMPTY_DAG)
        # Python's cache is on, as in every installation: without it each process would compile our modules again.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment |= {
            "PYTHONPATH": str(ROOT),
            "AIRFLOW_HOME": folder,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "ORDER_SYNC_CONFIG": str(configuration),
        }
        files = {empty: 1, ROOT / "dags" / "order_sync.py": DESTINATIONS}
        for file, dags in files.items():
            _parse(file, dags, environment)  # untimed, to fill the cache
        rounds = [[_parse(file, dags, environment) for file, dags in files.items()] for _ in range(ROUNDS)]
    empty_s, ours_s = (statistics.median(column) for column in zip(*rounds, strict=True))
    extra_s = statistics.median(ours - empty for empty, ours in rounds)
    return {"parsing_empty_s": empty_s, "parsing_ours_s": ours_s, "parsing_extra_s": extra_s}


def _parse(file: Path, dags: int, environment: Mapping[str, str]) -> float:
    """Parse a file with this number of DAGs in a fresh process; return the seconds."""
    done = subprocess.run(
        [sys.executable, "-c", PARSE, str(file), str(dags)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=300,
    )
    return float(done.stdout.splitlines()[-1])


def _configuration() -> dict[str, Any]:
    """Return the configuration of an agency with 50 accounts at all providers, each with its own settings."""
    sample = yaml.safe_load((ROOT / "include" / "config" / "order_sync.yaml").read_text("utf-8"))
    kinds = list(sample["sources"].values())
    sources = {f"shop_{number}": kinds[number % len(kinds)] for number in range(SOURCES)}
    destinations = {}
    for number in range(DESTINATIONS):
        provider = list(sample["destinations"])[number % len(sample["destinations"])]
        destinations[f"{provider}_{number}"] = {
            "provider": provider,
            "connection": f"{provider}_{number}",
            "source": f"shop_{number % SOURCES}",
            "start_date": "2026-01-01",
            "live": True,
            "first_run": "window",
            "schedule": f"{number} * * * *",
            "lookback": "2h",
            "reconcile": 5,
            "heal_at_most": "5d",
            "statuses": {"returned": None},
            "max_rejected": 500,
            "retries": 20,
        }
    return {"staging": sample["staging"], "sources": sources, "destinations": destinations}


if __name__ == "__main__":
    print(json.dumps(measure()))
