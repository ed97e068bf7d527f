"""Makes Airflow list the mistakes of configuration and settings, while order_sync.py keeps the destinations' DAGs.

Airflow takes away the DAGs of a file that raises an error: so the error is raised here.
"""

from order_sync_airflow.settings_check import settings_that_lose_orders

from include.order_sync import stops
from include.order_sync.configuration.loading import load
from include.order_sync.errors import StopError

mistakes = load().mistakes
if mistakes:
    raise StopError(stops.MISTAKEN, "\n".join(["The configuration has mistakes.", *map(str, mistakes)]))

settings = settings_that_lose_orders()
if settings:
    raise StopError(stops.RISKY_SETTINGS, "\n".join(["Settings of Airflow put orders at risk.", *map(str, settings)]))
