"""The only file that Airflow loads as a plugin."""

from airflow.plugins_manager import AirflowPlugin
from order_sync_airflow import listener


class OrderSyncPlugin(AirflowPlugin):
    """Writes each run's outcome as the run's note."""

    name = "order_sync"
    listeners = [listener]  # noqa: RUF012  (Airflow's own interface)
