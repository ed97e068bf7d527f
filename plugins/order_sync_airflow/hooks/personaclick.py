"""An account at PersonaClick."""

from typing import ClassVar

from order_sync_airflow.forms import personaclick
from order_sync_airflow.hooks.base import ServiceHook


class PersonaClickHook(ServiceHook):
    """Turns a connection into PersonaClick's credentials."""

    conn_type = "personaclick"
    hook_name = personaclick.TITLE
    default_conn_name = "personaclick"
    form: ClassVar = personaclick
