"""Keeps the product's connections to databases from task to task: to connect anew would take half of the time.

A load's own sessions are not among them: they are closed when the load ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from order_sync_airflow import ledger_connection
from order_sync_airflow.hooks.base import sql_engine
from order_sync_airflow.operators import extract
from sqlalchemy import Engine

_kept: dict[tuple[str, ...], Engine] = {}


@contextmanager
def kept_engines() -> Iterator[None]:
    """Let tasks of this process share engines."""
    users = (ledger_connection, extract)
    for user in users:
        user.sql_engine = _kept_engine  # type: ignore[attr-defined]
    try:
        yield
    finally:
        new_engines()
        for user in users:
            user.sql_engine = sql_engine  # type: ignore[attr-defined]


def new_engines() -> None:
    """Let the next task connect anew, as each one does in Airflow."""
    for engine in _kept.values():
        engine.dispose()
    _kept.clear()


def leave_engines_to_parent() -> None:
    """Connect anew in a forked process; the parent's connections stay open."""
    for engine in _kept.values():
        engine.dispose(close=False)
    _kept.clear()


def _kept_engine(conn_id: str, **connect_args: str) -> Engine:
    key = (conn_id, *connect_args.values())
    if key not in _kept:
        _kept[key] = sql_engine(conn_id, **connect_args)
    return _kept[key]
