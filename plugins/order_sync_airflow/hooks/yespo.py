"""An account at Yespo."""

from typing import ClassVar

from order_sync_airflow.forms import yespo
from order_sync_airflow.hooks.base import ServiceHook


class YespoHook(ServiceHook):
    """Turns a connection into Yespo's credentials."""

    conn_type = "yespo"
    hook_name = yespo.TITLE
    default_conn_name = "yespo"
    form: ClassVar = yespo
