"""A CSV drop of plain rows: ours extracts and transforms it in one process; pandas only reads it.

`python -m benchmarks.csv_drop ours` (or `pandas`) prints one line of JSON. The time excludes imports. The environment
variable DROP names a folder that holds the file of `file_in`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from upath import UPath

from benchmarks.end_to_end import HOUR, STATUSES, configured

PATH_TIME = "orders-%Y-%m-%d-%H.csv"


def file_in(folder: Path) -> Path:
    """Return the path of the hour's file in a drop."""
    return folder / HOUR.start.strftime(PATH_TIME)


def run_ours(folder: Path) -> tuple[int, float]:
    """Extract and transform the drop for REES46; return the number of ready orders, and the seconds."""
    from include.order_sync import pipeline
    from include.order_sync.configuration.csv_source import CsvSource
    from include.order_sync.delivery import http  # noqa: F401 - a task has imported it already
    from include.order_sync.sources.csv_drop import CsvDropReader
    from include.order_sync.staging.run_folder import Staging
    from include.order_sync.transform import transform  # noqa: F401 - a task has imported it already

    source = CsvSource.model_validate(
        {
            "name": "drop",
            "type": "csv",
            "path": str(folder / "orders-*.csv"),
            "path_time": PATH_TIME,
            "columns": {"status_changed_at": "updated_at"},
            "statuses": STATUSES,
            "timezone": "UTC",
        }
    )
    _, destination = configured("rees46", 0)
    with tempfile.TemporaryDirectory(prefix="order-sync-benchmark-") as name:
        staging = Staging(UPath(name))
        started = time.monotonic()
        pipeline.extract(CsvDropReader(UPath(source.folder), source, HOUR, destination.service.required), staging)
        counts = pipeline.transform(staging, source, destination).counts
        seconds = time.monotonic() - started
    return counts["orders"] - counts["rejected"], seconds


def run_pandas(folder: Path) -> tuple[int, float]:
    """Read the file with pandas; return the number of rows, and the seconds."""
    import pandas as pd
    import pyarrow.csv  # noqa: F401 - read_csv would import it

    started = time.monotonic()
    rows = len(pd.read_csv(file_in(folder), engine="pyarrow"))
    return rows, time.monotonic() - started


def main() -> int:
    """Measure one of the two readers."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.csv_drop", description=__doc__)
    parser.add_argument("reader", choices=("ours", "pandas"))
    measure = run_ours if parser.parse_args().reader == "ours" else run_pandas
    orders, seconds = measure(Path(os.environ["DROP"]))
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"orders": orders, "seconds": round(seconds, 3), "peak_mb": peak_kb // 1024}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
