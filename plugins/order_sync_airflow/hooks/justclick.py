"""An account at JustClick."""

from typing import ClassVar

from order_sync_airflow.hooks.base import ServiceHook


class JustClickHook(ServiceHook):
    """Turns a connection into JustClick's credentials."""

    conn_type = "justclick"
    hook_name = "JustClick"
    default_conn_name = "justclick"
    meanings: ClassVar = {
        "host": "https://USERNAME.justclick.ru",
        "login": "the account's login",
        "password": "the API key",
    }
