"""One hook a service, in the module named like its provider."""

from __future__ import annotations

from importlib import import_module

from order_sync_airflow.hooks.base import ServiceHook


def hook_for(provider: str, conn_id: str) -> ServiceHook:
    """Return the hook of a provider for one connection; it connects to nothing yet."""
    module = import_module(f"{__name__}.{provider}")
    hook: type[ServiceHook]
    (hook,) = (member for member in vars(module).values() if getattr(member, "conn_type", None) == provider)
    return hook(conn_id)
