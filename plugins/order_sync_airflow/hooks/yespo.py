"""An account at Yespo."""

from typing import ClassVar

from order_sync_airflow.hooks.base import ServiceHook


class YespoHook(ServiceHook):
    """Turns a connection into Yespo's credentials."""

    conn_type = "yespo"
    hook_name = "Yespo"
    default_conn_name = "yespo"
    meanings: ClassVar = {"host": "https://esputnik.com", "login": "any user name", "password": "the API key"}
