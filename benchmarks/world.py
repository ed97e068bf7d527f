"""The surroundings of the contenders, in one folder: a PostgreSQL server with its defaults, and a sink."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Timer
from typing import Any

import requests

from benchmarks.shop import Shop
from demo.postgres import Postgres
from demo.processes import Processes, free_port, wait_for
from demo.settings import ARROW_ALLOCATOR, ROOT, Settings

START_TIMEOUT_S = 30
RUN_TIMEOUT_S = 1800
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"

# A contender uses cached bytecode, as in every installation, and sends no telemetry.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "DO_NOT_TRACK": "1",
}


class BenchmarkError(Exception):
    """A contender, or a server that it needs, has failed; the message names it and the failure."""


@dataclass(frozen=True)
class Ran:
    """One run of a process.

    Args:
        seconds: time of the whole process.
        peak_mb: peak of its memory.
        figures: the JSON of its last line; empty if that line is no JSON object.
        received: the sink's counts for this run.
    """

    seconds: float
    peak_mb: float
    figures: dict[str, Any] = field(default_factory=dict)
    received: dict[str, float] = field(default_factory=dict)

    def sent_once(self, orders: int) -> bool:
        """Whether the sink has received this number of orders, each once."""
        return self.received["orders"] == self.received["different"] == orders


class World:
    """A running server and sinks, each on its own port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres = Postgres(Settings(local=folder, airflow_port=0, sandbox_port=0, shop_orders=0, shop_seed=0))
        self._processes = Processes(folder / "processes.json", folder / "logs")

    def start(self) -> None:
        """Stop a server that a killed benchmark has left, empty the folder, and start a new server."""
        self._processes.stop_leftovers()
        self.postgres.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.postgres.start()

    def stop(self) -> None:
        """End all processes."""
        self._processes.stop()
        self.postgres.stop()

    def start_sink(self, latency_ms: float = 0) -> str:
        """Start a sink; return its address."""
        port = free_port()
        command = [sys.executable, "-m", "benchmarks.sink", "--port", str(port), "--latency-ms", str(latency_ms)]
        self._processes.start(f"sink-{port}", command, ENVIRONMENT)
        url = f"http://127.0.0.1:{port}"
        wait_for("the sink", START_TIMEOUT_S, lambda: _answers(url), self._processes.check)
        return url

    @contextmanager
    def new_shop(self) -> Iterator[Shop]:
        """Yield a shop with its own database; drop it afterwards."""
        with Shop.create(self.postgres.uri) as shop:
            yield shop

    def ours(
        self, shop: Shop, url: str, provider: str, orders: int, sent: int | None = None, source: str | None = None
    ) -> Ran:
        """Run one hour of ours.

        Args:
            shop: with the orders.
            url: address of a sink.
            provider: of the destination.
            orders: the number that the run must read.
            sent: the number that the run must send, each once; by default all.
            source: a name of end_to_end.SOURCES; by default the provider's.

        Raises:
            BenchmarkError: the run has sent other numbers.
        """
        environment = {"DSN": shop.dsn, "URL": url, "PROVIDER": provider, "ORDERS": str(orders), **ARROW_ALLOCATOR}
        environment |= {"SOURCE": source or provider}
        ran = self._watched(f"ours to {provider}", [sys.executable, "-m", "benchmarks.end_to_end"], environment, url)
        sent = orders if sent is None else sent
        if not ran.sent_once(sent) or ran.figures["accepted"] != sent:
            raise BenchmarkError(f"Ours must send {sent} orders: it counts {ran.figures}, and the sink {ran.received}")
        return ran

    def paced(self, shop: Shop, url: str, orders: int, workers: int, pace: float) -> dict[str, float]:
        """Let workers run an hour of JustClick's at once, all to one account; return what the sink has counted.

        Args:
            shop: whose hour.
            url: of a sink.
            orders: that each of them sends, one a request.
            workers: how many processes, each with a destination of its own.
            pace: how many requests a second the account takes.

        Raises:
            BenchmarkError: not all were sent.
        """

        def work(number: int) -> Ran:
            environment = {
                "DSN": shop.dsn,
                "URL": url,
                "PROVIDER": "justclick",
                "ORDERS": str(orders),
                **ARROW_ALLOCATOR,
            }
            environment |= {"WORKER": f"_{number}", "PACE": str(pace)}
            return self.run(
                f"worker {number} of {workers}", [sys.executable, "-m", "benchmarks.end_to_end"], environment
            )

        _stats(url)
        with ThreadPoolExecutor(workers) as threads:
            list(threads.map(work, range(workers)))
        received = _stats(url)
        if received["requests"] != orders * workers:
            raise BenchmarkError(f"Of {orders * workers} requests the sink has received {received}")
        return received

    def peer(self, name: str, shop: Shop, url: str) -> Ran:
        """Run one peer of peers.py in its own folder."""
        with tempfile.TemporaryDirectory(dir=self.folder) as temporary:
            environment = {"DSN": shop.dsn, "URL": url, "TMP": temporary}
            return self._watched(name, [str(PEERS_PYTHON), "-P", "benchmarks/peers.py", name], environment, url)

    def _watched(self, name: str, command: Sequence[str], environment: dict[str, str], url: str) -> Ran:
        _stats(url)
        ran = self.run(name, command, environment)
        return replace(ran, received=_stats(url))

    def run(self, name: str, command: Sequence[str], environment: dict[str, str]) -> Ran:
        """Run a process to its end and time it.

        Args:
            name: of the contender, for messages.
            command: to run in the project's folder.
            environment: variables that override those of ENVIRONMENT.

        Raises:
            BenchmarkError: the process failed; the message shows the end of its errors.
        """
        with tempfile.TemporaryFile("w+", dir=self.folder) as errors:
            started = time.monotonic()
            process = subprocess.Popen(
                command, cwd=ROOT, env=ENVIRONMENT | environment, stdout=subprocess.PIPE, stderr=errors, text=True
            )
            overdue = Timer(RUN_TIMEOUT_S, process.kill)
            overdue.start()
            try:
                lines = process.stdout.read().splitlines() if process.stdout else []
                # Popen itself does not report the memory of the process.
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
            finally:
                overdue.cancel()
                if process.returncode is None:
                    process.kill()
                    process.wait()
            seconds = time.monotonic() - started
            if process.returncode:
                errors.seek(0)
                raise BenchmarkError(f"{name} has ended with {process.returncode}:\n{errors.read()[-2000:]}")
        peak_mb = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
        print(f"    {name}: {seconds:.2f} s, {peak_mb:.0f} MB", file=sys.stderr, flush=True)
        last = lines[-1] if lines else ""
        return Ran(seconds, peak_mb, json.loads(last) if last.startswith("{") else {})


@contextmanager
def open_world(folder: Path) -> Iterator[World]:
    """Empty `folder` and yield a world in it; stop its servers afterwards."""
    world = World(folder)
    try:
        world.start()
        yield world
    finally:
        world.stop()


def _stats(url: str) -> dict[str, float]:
    answer = requests.get(f"{url}/stats", timeout=300)
    answer.raise_for_status()
    return dict(answer.json())


def _answers(url: str) -> bool:
    try:
        _stats(url)
    except requests.ConnectionError:
        return False
    return True
