"""The demo in containers: `python -m demo.compose` fills the shop, backfills six hours and prints the table."""

from __future__ import annotations

import os
import sys
from typing import Any
from urllib.parse import quote

from demo import report, shop
from demo.airflow_api import UI_USER, AirflowApi, service_connection
from demo.backfill import READY_TIMEOUT_S, SixHours, destinations
from demo.processes import wait_for
from demo.settings import DemoError, Settings
from sandbox.registry import SERVICES

# The names of the services in docker-compose.yaml.
AIRFLOW = "http://api-server:8080"
SANDBOX = "http://sandbox:8900"
POSTGRES = "postgres"
SHOP = "shop"  # database and user


def main() -> int:
    """Run the demo; return the exit code."""
    try:
        refuse_real_services()
        settings = Settings.from_environment(os.environ)
        six_hours = SixHours(AirflowApi(AIRFLOW, UI_USER, os.environ["AIRFLOW_ADMIN_PASSWORD"]), "in Airflow's pages")
        password = os.environ["SHOP_PASSWORD"]
        print(shop.fill(settings, f"postgresql://{SHOP}:{quote(password)}@{POSTGRES}/{SHOP}", six_hours.hours))
        wait_for("Airflow to be healthy", READY_TIMEOUT_S, six_hours.api.is_healthy, six_hours.check)
        six_hours.api.log_in()
        for name, fields in connections(password).items():
            set_connection(six_hours.api, name, fields)
        six_hours.wait_for_dags([f"order_sync_{name}" for name in destinations()])
        six_hours.backfill(destinations())
        figures = {name: six_hours.figures(name) for name in destinations()}
        report.check_balance(figures)
        print(f"\n{report.as_table(figures)}\n")
    except DemoError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


def connections(shop_password: str) -> dict[str, dict[str, Any]]:
    """Return the fields of the demo's connections: to the sample shop, and to each service of the sandbox."""
    warehouse = {"conn_type": "postgres", "host": POSTGRES, "schema": SHOP, "login": SHOP, "password": shop_password}
    services = {
        name: service_connection(name, f"{SANDBOX}/{name}", *service.account) for name, service in SERVICES.items()
    }
    return {"order_sync_warehouse": warehouse, **services}


def refuse_real_services() -> None:
    """Raise a DemoError if the sample's orders could reach a service other than the sandbox."""
    for name, destination in destinations().items():
        if destination["connection"] not in SERVICES:
            raise DemoError(
                f"Destination {name} has connection {destination['connection']!r}, which is none of the sample's: "
                "the demo is for the configuration that comes with Order Sync"
            )
    for name in SERVICES:
        if (variable := f"AIRFLOW_CONN_{name.upper()}") in os.environ:
            raise DemoError(f"{variable} is set: the demo would send its orders there. Remove it from connections.env")


def set_connection(api: AirflowApi, name: str, fields: dict[str, Any]) -> None:
    """Write one of the demo's connections into Airflow; raise a DemoError if it leads anywhere else at present."""
    present = api.call("GET", f"/api/v2/connections/{name}", or_none=True)
    if present and present["host"] != fields["host"]:
        raise DemoError(
            f"Airflow's connection {name!r} leads to {present['host']!r}, not to the demo's {fields['host']!r}: "
            "the demo leaves it alone. Delete it to try the demo"
        )
    api.set_connection(name, fields)


if __name__ == "__main__":
    sys.exit(main())
