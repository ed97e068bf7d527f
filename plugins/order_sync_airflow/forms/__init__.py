"""The forms of the services' connections in Airflow's list of types: one module each, named as the provider.

order_sync.dist-info names `get_provider_info`, and Airflow calls it in each of its processes before its own
configuration is ready: so nothing here may import Airflow or the rest of the project.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any

ALLOW_HTTP = {
    "label": "Allow plain http",
    "description": "Only if all of the way is your own, as to the sandbox: others could read the key and all orders.",
    "schema": {"type": ["boolean", "null"], "default": False},
}


def get_provider_info() -> dict[str, Any]:
    """Return what Airflow shows of each service's connection, and what it makes of a destination's asset.

    Airflow's provider_info.schema.json has the form.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {
        "package-name": "order-sync",
        "name": "Order Sync",
        "description": "Connections to the services that Order Sync delivers to.",
        "connection-types": [_connection_type(name) for name in names],
        "asset-uris": [
            {
                "schemes": ["order-sync"],
                "handler": None,
                "to_openlineage_converter": "plugins.order_sync_airflow.lineage.dataset_of",
            }
        ],
    }


def _connection_type(name: str) -> dict[str, Any]:
    form = import_module(f"{__name__}.{name}")
    return {
        "connection-type": name,
        "hook-name": form.TITLE,
        "hook-class-name": f"order_sync_airflow.hooks.{name}.{form.HOOK}",
        "conn-fields": {"allow_http": ALLOW_HTTP},
        "ui-field-behaviour": {
            # `Test` of Airflow 3.3.2 refuses a stored connection without a port, so this field is shown.
            # https://github.com/apache/airflow/pull/73298
            "hidden-fields": ["schema", "extra"],
            "relabeling": {"host": "Address", "login": form.LOGIN, "password": form.SECRET},
            "placeholders": {
                "host": form.ADDRESS,
                "port": "443",
                "login": form.LOGIN_HELP,
                "password": form.SECRET_HELP,
            },
        },
    }
