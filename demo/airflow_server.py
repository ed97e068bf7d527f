"""The environment of `airflow standalone`, which uses the demo's PostgreSQL and loopback alone; its connections."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from demo.airflow_api import UI_USER, service_connection
from demo.postgres import USER, Postgres
from demo.settings import ARROW_ALLOCATOR, ROOT, Settings, write_private
from sandbox.registry import SERVICES

PROGRAMS = Path(sys.executable).parent


def base_url(settings: Settings) -> str:
    """Return the address of Airflow's UI and API."""
    return f"http://127.0.0.1:{settings.airflow_port}"


def environment(settings: Settings, postgres: Postgres, extra: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment for Airflow's processes.

    It leaves out the Airflow settings of the caller's environment: a demo never uses another installation's database,
    and its connections lead to the sandbox.

    :param extra: variables that override the demo's own.
    """
    url = base_url(settings)
    home = settings.local / "airflow"
    home.mkdir(parents=True, exist_ok=True)
    passwords = home / "passwords.json"
    write_private(passwords, json.dumps({UI_USER: settings.secret("ui")}))
    fernet_key = base64.urlsafe_b64encode(hashlib.sha256(settings.secret("fernet").encode()).digest()).decode()

    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW__", "AIRFLOW_CONN_", "AIRFLOW_VAR_", "AIRFLOW_HOME", "AIRFLOW_CONFIG"))
        # Each task is a process: without Python's cache it would compile every import again.
        and name != "PYTHONDONTWRITEBYTECODE"
    }
    return (
        inherited
        | ARROW_ALLOCATOR
        | {
            "PATH": os.pathsep.join([str(_airflow_without_log_servers(home)), os.environ.get("PATH", "")]),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__CORE__FERNET_KEY": fernet_key,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{UI_USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            # Airflow's synchronous part uses psycopg2; the asynchronous part uses asyncpg by default.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.uri("airflow", driver="postgresql+psycopg2"),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(settings.airflow_port),
            "AIRFLOW__API__BASE_URL": url,
            "AIRFLOW__API__SECRET_KEY": settings.secret("api"),
            "AIRFLOW__API_AUTH__JWT_SECRET": settings.secret("jwt"),
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "15",
            "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
            "ORDER_SYNC_STAGING": str(settings.local / "staging"),
            "ORDER_SYNC_DROP": str(settings.drop),
            # A demo sends six hours at once, of as many orders as one asks for, and mails nobody.
            "ORDER_SYNC_APPROVE_ABOVE": "10000000",
            # The upgrade of its tables needs it before Airflow is up; all others are in Airflow's own list.
            "AIRFLOW_CONN_ORDER_SYNC_LEDGER": json.dumps(_database(settings, postgres, "ledger")),
            **extra,
        }
    )


def _airflow_without_log_servers(home: Path) -> Path:
    """Return a folder with an `airflow` command that starts standalone's parts without their log servers.

    A log server listens on every address of the machine, and no setting changes this. Here Airflow reads the logs from
    the disk.
    """
    command = home / "bin" / "airflow"
    command.parent.mkdir(exist_ok=True)
    command.write_text(
        "#!/bin/sh\n"
        'case "$1" in scheduler | triggerer) set -- "$@" --skip-serve-logs ;; esac\n'
        f'exec {shlex.quote(str(PROGRAMS / "airflow"))} "$@"\n'
    )
    command.chmod(0o755)
    return command.parent


def connections(settings: Settings, postgres: Postgres) -> dict[str, dict[str, Any]]:
    """Return the fields of the demo's connections; each service's has its name and its account in the sandbox."""
    sandbox = f"http://127.0.0.1:{settings.sandbox_port}"
    return {
        "order_sync_warehouse": _database(settings, postgres, "shop"),
        **{name: service_connection(name, f"{sandbox}/{name}", *service.account) for name, service in SERVICES.items()},
    }


def _database(settings: Settings, postgres: Postgres, name: str) -> dict[str, Any]:
    return {
        "conn_type": "postgres",
        "host": "127.0.0.1",
        "port": postgres.port,
        "schema": name,
        "login": USER,
        "password": settings.secret("postgres"),
    }
