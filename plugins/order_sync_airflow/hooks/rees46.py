"""An account at REES46."""

from typing import ClassVar

from order_sync_airflow.forms import rees46
from order_sync_airflow.hooks.base import ServiceHook


class Rees46Hook(ServiceHook):
    """Turns a connection into REES46's credentials."""

    conn_type = "rees46"
    hook_name = rees46.TITLE
    default_conn_name = "rees46"
    form: ClassVar = rees46
