"""Read by each process of the tests' Airflow when it starts.

Tasks are forks of the scheduler, and need not import again what it has imported: a third of a small task's time.
"""

import importlib
import sys

__all__: list[str] = []  # Airflow would take any other name as a setting

if "scheduler" in sys.argv:
    for name in ("airflow.providers.postgres.hooks.postgres", "pandas", "psycopg", "pyarrow.dataset", "requests"):
        importlib.import_module(name)
