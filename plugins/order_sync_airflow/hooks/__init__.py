"""Hooks: one for each service, in the module with its provider's name.

A hook turns an Airflow connection into credentials and a session; it builds no request and reads no answer.
"""

from __future__ import annotations

from importlib import import_module

from order_sync_airflow.hooks.base import ServiceHook


def hook_for(provider: str, conn_id: str) -> ServiceHook:
    """Return the hook of a provider for one connection; it is not connected yet."""
    module = import_module(f"{__name__}.{provider}")
    hook: type[ServiceHook]
    (hook,) = (member for member in vars(module).values() if getattr(member, "conn_type", None) == provider)
    return hook(conn_id)
