"""Makes Airflow list the mistakes of the configuration, while order_sync.py keeps the destinations' DAGs.

Airflow takes away the DAGs of a file that raises an error: so the error is raised here.
"""

from include.order_sync.configuration.loading import load
from include.order_sync.errors import StopError

mistakes = load().mistakes
if mistakes:
    raise StopError("\n".join(["The configuration has mistakes.", *map(str, mistakes)]))
