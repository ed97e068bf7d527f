"""An account at JustClick."""

from typing import ClassVar

from order_sync_airflow.forms import justclick
from order_sync_airflow.hooks.base import ServiceHook


class JustClickHook(ServiceHook):
    """Turns a connection into JustClick's credentials."""

    conn_type = "justclick"
    hook_name = justclick.TITLE
    default_conn_name = "justclick"
    form: ClassVar = justclick
