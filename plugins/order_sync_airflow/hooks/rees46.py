"""An account at REES46."""

from typing import ClassVar

from order_sync_airflow.hooks.base import ServiceHook


class Rees46Hook(ServiceHook):
    """Turns a connection into REES46's credentials."""

    conn_type = "rees46"
    hook_name = "REES46"
    default_conn_name = "rees46"
    meanings: ClassVar = {"host": "https://api.rees46.ru", "login": "shop_id", "password": "shop_secret"}
