"""An Airflow home for these tests, set before any import of Airflow. It has no scheduler: see tests/e2e for that."""

import os
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]

os.environ |= {
    "AIRFLOW_HOME": tempfile.mkdtemp(prefix="order-sync-airflow-"),
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
}
