"""Celery workers with our settings: how they stop, and what they answer the doctor. The broker is a folder."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.airflow.conftest import ROOT

TIMEOUT_S = 60
CELERY = [sys.executable, "-m", "celery"]

# A task of a worker, as Airflow's: its process is a child of the pool's process, which waits for it.
APP = """
import os, pathlib, signal, time
from airflow.providers.celery.executors.celery_executor_utils import app
import order_sync_airflow.celery_worker

@app.task(name="supervise")
def supervise(folder):
    folder = pathlib.Path(folder)
    if task := os.fork():
        os.waitpid(task, 0)
        return
    def stop(*_):
        (folder / "asked to end").touch()
        os._exit(0)
    signal.signal(signal.SIGTERM, stop)
    (folder / "started").touch()
    time.sleep(3600)
"""


@pytest.fixture
def environment(tmp_path):
    """The environment of workers that share a broker, a staging folder and their keys."""
    (tmp_path / "an_app.py").write_text(APP)
    (tmp_path / "staging").mkdir()
    broker = tmp_path / "broker"
    broker.mkdir()
    options = {name: str(broker) for name in ("DATA_FOLDER_IN", "DATA_FOLDER_OUT", "CONTROL_FOLDER")}
    return {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}:{tmp_path}",
        "TMPDIR": str(tmp_path),
        "ORDER_SYNC_STAGING": str(tmp_path / "staging"),
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CELERY__CELERY_CONFIG_OPTIONS": "order_sync_airflow.celery_worker.CELERY_CONFIG",
        "AIRFLOW__CELERY__BROKER_URL": "filesystem://",
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+sqlite:///{tmp_path / 'results.db'}",
        "AIRFLOW__API_AUTH__JWT_SECRET": "j" * 40,
        "AIRFLOW__API__SECRET_KEY": "s" * 40,
        **{f"AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__{name}": value for name, value in options.items()},
    }


@contextmanager
def worker(name: str, environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker, which is ready on entry and killed on exit."""
    options = ["--loglevel", "INFO", "--queues", "default", "--concurrency", "1", "--hostname", name]
    command = [*CELERY, "--app", "an_app", "worker", *options]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
    try:
        wait(lambda: " ready." in log.read_text(), process, log)
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until `ready()`; fail with the log if the process ends or nothing happens."""
    ends_at = time.monotonic() + TIMEOUT_S
    while not ready():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < ends_at, log.read_text()
        time.sleep(0.1)


def test_a_stopped_worker_asks_its_tasks_to_end(environment, tmp_path):
    """SIGTERM to the worker alone reaches the process of its task, and the worker ends as soon as that has ended."""
    log = tmp_path / "log"
    with worker("one@here", environment, log) as process:
        call = [*CELERY, "--app", "an_app", "call", "supervise", "--queue", "default", "--args"]
        subprocess.run([*call, json.dumps([str(tmp_path)])], env=environment, check=True)
        wait((tmp_path / "started").exists, process, log)
        wait(lambda: health_check(tmp_path) == 0, process, log)
        process.terminate()
        assert process.wait(TIMEOUT_S) == 0
    assert (tmp_path / "asked to end").exists()


def health_check(folder: Path) -> int:
    """Return the exit code of docker-compose.yaml's health check of a worker, with this folder as /tmp."""
    compose = yaml.safe_load((ROOT / "docker-compose.yaml").read_text("utf-8"))
    _, command = compose["services"]["worker"]["healthcheck"]["test"]
    return subprocess.run(["sh", "-c", command.replace("$$", "$").replace("/tmp", str(folder))], check=False).returncode


def test_a_worker_without_heartbeats_is_not_well(tmp_path):
    """A file of an hour ago, or none, is a worker that has lost its broker, or hangs."""
    assert health_check(tmp_path) == 1
    file = tmp_path / "order_sync_worker_heartbeat"
    file.touch()
    assert health_check(tmp_path) == 0
    an_hour_ago = time.time() - 3600
    os.utime(file, (an_hour_ago, an_hour_ago))
    assert health_check(tmp_path) == 1


def asked(environment: dict[str, str]) -> list[tuple[str, str]]:
    """Return what is wrong with the workers, as the doctor sees it from this environment: what, and what it found."""
    code = (
        "import json; from order_sync_airflow import doctor; doctor.WORKERS_TIMEOUT_S = 5; "
        "print(json.dumps([(each.what, each.found) for each in doctor.workers('a nonce') if not each.is_well]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout
    return [tuple(each) for each in json.loads(done.splitlines()[-1])]


def test_the_doctor_asks_every_worker(environment, tmp_path):
    """Keys that differ and a staging folder that is not shared are named, with the worker."""
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    others = {**environment, "AIRFLOW__API_AUTH__JWT_SECRET": "x" * 40, "ORDER_SYNC_STAGING": str(other_folder)}
    assert asked(environment) == [("workers", "none has answered")]
    with worker("one@here", environment, tmp_path / "one"), worker("two@here", others, tmp_path / "two"):
        assert asked(environment) == [  # and nothing of one@here's keys
            ("staging of one@here", "lacks the files of two@here"),
            ("keys of two@here", "others than here: jwt_secret"),
            ("staging of two@here", "lacks the files of one@here"),
        ]
    assert list((tmp_path / "staging").iterdir()) == []
