"""The only file that Airflow loads as a plugin."""

from airflow.plugins_manager import AirflowPlugin
from order_sync_airflow import listener, page
from order_sync_airflow.run_link import RunLink


class OrderSyncPlugin(AirflowPlugin):
    """Writes each run's outcome as the run's note, and shows the page Order Sync."""

    name = "order_sync"
    listeners = [listener]  # noqa: RUF012  (Airflow's own interface)
    fastapi_apps = [{"app": page.lazy_app, "url_prefix": page.PREFIX, "name": page.NAME}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {
            "name": page.NAME,
            "href": f"{page.PREFIX.lstrip('/')}/",
            "url_route": page.PREFIX.lstrip("/"),
            "destination": "nav",
            "nav_top_level": True,
        }
    ]
    operator_extra_links = [RunLink()]  # noqa: RUF012
