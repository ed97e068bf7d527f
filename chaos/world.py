"""The surroundings of the senders: a real PostgreSQL server, and the sandbox in its own process, in one folder."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import requests

from demo.postgres import Postgres
from demo.processes import Processes, free_port, wait_for
from demo.settings import Settings

START_TIMEOUT_S = 30


@dataclass(frozen=True)
class World:
    """The addresses of the servers, and the folder of the runs.

    Args:
        source: address of the database with the order changes.
        ledger: address of the ledger's database.
        sandbox: address of the sandbox.
        folder: for staged parts, figures and logs.
    """

    source: str
    ledger: str
    sandbox: str
    folder: Path

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """Call the sandbox's admin."""
        answer = requests.request(method, f"{self.sandbox}/__admin/{path}", json=body, timeout=120)
        answer.raise_for_status()
        return answer.json()


@contextmanager
def open_world(folder: Path) -> Iterator[tuple[World, Postgres]]:
    """Empty `folder`, start both servers in it, and stop them in the end; yield their addresses and PostgreSQL."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    port = free_port()
    postgres = Postgres(Settings(local=folder, airflow_port=0, sandbox_port=port, shop_orders=0, shop_seed=0))
    processes = Processes(folder / "processes.json", folder / "logs")
    try:
        postgres.start()
        with psycopg.connect(postgres.uri("postgres"), autocommit=True) as connection:
            for name in ("chaos_source", "chaos_ledger"):
                connection.execute(f"create database {name}")
            # A killed sender loses no commit; only a killed server would, and this server is only restarted.
            connection.execute("alter system set synchronous_commit = off")
            connection.execute("select pg_reload_conf()")
        world = World(postgres.uri("chaos_source"), postgres.uri("chaos_ledger"), f"http://127.0.0.1:{port}", folder)
        processes.start("sandbox", [sys.executable, "-m", "sandbox", "--strict", "--port", str(port)], os.environ)
        wait_for("the sandbox", START_TIMEOUT_S, lambda: _answers(world), processes.check)
        yield world, postgres
    finally:
        processes.stop()
        postgres.stop()


def _answers(world: World) -> bool:
    try:
        world.admin("GET", "stats")
    except requests.ConnectionError:
        return False
    return True
