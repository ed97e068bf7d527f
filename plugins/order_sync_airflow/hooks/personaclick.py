"""An account at PersonaClick."""

from typing import ClassVar

from order_sync_airflow.hooks.base import ServiceHook


class PersonaClickHook(ServiceHook):
    """Turns a connection into PersonaClick's credentials."""

    conn_type = "personaclick"
    hook_name = "PersonaClick"
    default_conn_name = "personaclick"
    meanings: ClassVar = {"host": "https://api.personaclick.com", "login": "shop_id", "password": "shop_secret"}
