"""The processes of the demo: each has its own session and log, and none stays behind."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from demo.settings import ROOT, DemoError

STOP_TIMEOUT_S = 20


class OverdueError(DemoError):
    """A wait has taken too long."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free at present.

    It may be a minute until Airflow takes it: Linux gives no port below 32768 to a program that asks for any.
    """
    while True:
        port = random.randrange(20_000, 32_768)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def check_port_is_free(port: int, variable: str) -> None:
    """Raise a DemoError if this port is in use; it names the variable to change."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise DemoError(
                f"Port {port} is not free ({error.strerror}): choose another one, "
                f"for example `make run {variable}={free_port()}`"
            ) from error


def tail(path: Path, lines: int = 20) -> str:
    """Return the last lines of a log, or a note that there is none."""
    if not path.exists():
        return f"({path} does not exist)"
    with path.open(errors="replace") as file:
        return "".join(deque(file, maxlen=lines)).rstrip()


def wait_for(
    event: str, seconds: float, ready: Callable[[], bool], check: Callable[[], None], *, every_s: float = 0.5
) -> None:
    """Wait until `ready()`; raise OverdueError if that takes too long.

    :param event: the end of the message "Waited 60 s in vain for ...".
    :param check: called in between; it raises if waiting is in vain.
    :param every_s: how long to wait between two looks.
    """
    deadline = time.monotonic() + seconds
    check()
    while not ready():
        if time.monotonic() > deadline:
            raise OverdueError(f"Waited {seconds:.0f} s in vain for {event}")
        time.sleep(every_s)
        check()


@dataclass
class _Started:
    name: str
    popen: subprocess.Popen[bytes]
    log: Path
    children: dict[int, str] = field(default_factory=dict)


class Processes:
    """Starts processes, notices when one ends by itself, and ends them all.

    Each process leads a session. Its descendants carry the session's id, also after the leader has ended. A file
    records the leaders, so the next demo can end the processes that a killed one has left.
    """

    def __init__(self, record: Path, logs: Path) -> None:
        self._record = record
        self._logs = logs
        self._started: list[_Started] = []

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Path:
        """Start a command in the project's folder; return the path of its log."""
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self._logs / f"{name}.log"
        with log.open("wb") as output:
            popen = subprocess.Popen(
                command,
                cwd=ROOT,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(_Started(name, popen, log))
        self._record.write_text(json.dumps([started.popen.pid for started in self._started]))
        return log

    def check(self) -> None:
        """Raise a DemoError if a process or a watched child has ended by itself; it shows the end of the log."""
        for started in self._started:
            ended = [command for child, command in started.children.items() if not is_alive(child)]
            if started.popen.poll() is not None:
                ended.append(f"exit code {started.popen.returncode}")
            if ended:
                raise DemoError(
                    f"{started.name} ({', '.join(ended)}) has ended by itself. "
                    f"The end of {started.log}:\n{tail(started.log)}"
                )

    def watch_children(self, name: str) -> None:
        """Let check() also watch the present direct children of this process."""
        started = next(started for started in self._started if started.name == name)
        for child in psutil.Process(started.popen.pid).children():
            started.children[child.pid] = " ".join(filter(None, child.cmdline()))

    def stop(self) -> None:
        """End every started process, the last one first, with all descendants."""
        for started in reversed(self._started):
            _end_session(started.popen.pid)
            started.popen.wait()
        self._started.clear()
        self._record.unlink(missing_ok=True)

    def stop_leftovers(self) -> int:
        """End the processes that a killed demo has left; return their number."""
        leaders = json.loads(self._record.read_text()) if self._record.exists() else []
        ended = sum(_end_session(leader) for leader in leaders)
        self._record.unlink(missing_ok=True)
        return ended


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _session(leader: int) -> list[psutil.Process]:
    """Return the living processes of a session that work in the project's folder.

    The kernel reuses a session's number only after all its members have ended. The folder guards against such a number.
    """
    members = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader and is_alive(process.pid) and Path(process.cwd()) == ROOT:
                members.append(process)
        except (ProcessLookupError, psutil.Error):
            continue
    return members


def _end_session(leader: int) -> int:
    """Terminate a session's processes, wait, and kill the rest; return the number of processes."""
    members = _session(leader)
    for process in members:
        _send(process, signal.SIGTERM)
    psutil.wait_procs(members, timeout=STOP_TIMEOUT_S)
    for process in _session(leader):
        _send(process, signal.SIGKILL)
    psutil.wait_procs(members, timeout=STOP_TIMEOUT_S)
    return len(members)


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)  # psutil checks that the process id was not reused
    except psutil.NoSuchProcess:
        return
