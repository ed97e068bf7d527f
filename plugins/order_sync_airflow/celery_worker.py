"""Celery's settings: those of Airflow, for a worker that ends its tasks when it is stopped, and answers the doctor.

Set `[celery] celery_config_options` to `order_sync_airflow.celery_worker.CELERY_CONFIG`; docker-compose.yaml does.

On SIGTERM a Celery worker takes no new task and waits for those that run, for hours if they are loads. Docker kills it
after its grace period, which would leave requests in doubt. So the worker passes SIGTERM on to the processes of its
tasks, which end well (`on_kill` of our operators). In Airflow 3.3 a task's supervisor would pass on a signal that it
gets itself; the next version does not.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import logging
import tempfile
from pathlib import Path
from typing import Any

import psutil
from airflow.configuration import conf
from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG
from celery.signals import heartbeat_sent, worker_shutting_down
from celery.worker.control import inspect_command

log = logging.getLogger(__name__)

CELERY_CONFIG = DEFAULT_CELERY_CONFIG

# For health checks, which take no time in this way: `celery inspect ping` takes seconds, on a busy machine a minute.
HEARTBEAT = Path(tempfile.gettempdir()) / "order_sync_worker_heartbeat"


@heartbeat_sent.connect  # type: ignore[untyped-decorator, unused-ignore]
def show_life(**_: object) -> None:
    """Touch a file with each heartbeat that the worker has sent to the broker, by default every 2 s."""
    HEARTBEAT.touch()


@worker_shutting_down.connect  # type: ignore[untyped-decorator, unused-ignore]
def stop_tasks(**_: object) -> None:
    """Send SIGTERM to the process of each running task: the children of the pool's processes, which supervise them."""
    for supervisor in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            for task in supervisor.children():
                log.warning("The worker stops: asking the task of process %d to end", task.pid)
                task.terminate()


def fingerprints(nonce: str) -> dict[str, str]:
    """Return a hash of each key that all services share: to compare, and of no use without the key."""
    keys = {"fernet_key": "core", "jwt_secret": "api_auth", "secret_key": "api"}
    return {
        key: hmac.new(nonce.encode(), conf.get(section, key, fallback="").encode(), hashlib.sha256).hexdigest()
        for key, section in keys.items()
    }


@inspect_command(args=[("nonce", str), ("write", str)])  # type: ignore[untyped-decorator, unused-ignore]
def order_sync_check(state: Any, nonce: str, write: str) -> dict[str, object]:
    """Answer the doctor: the keys' fingerprints, and the workers whose files lie in the staging folder.

    :param nonce: of this examination; the files' names begin with it.
    :param write: "yes" to write this worker's file first.
    """
    # Airflow's executors import this module while they start.
    from include.order_sync.configuration.loading import load
    from order_sync_airflow.operators.base import storage_path

    folder, prefix = storage_path(load().staging), f"doctor-{nonce}-"
    files: list[str] = []
    with contextlib.suppress(Exception):  # then its file is missing, which the doctor says
        if write == "yes":
            (folder / f"{prefix}{state.hostname}").write_text("")
        files = [path.name.removeprefix(prefix) for path in folder.glob(f"{prefix}*")]
    return {**fingerprints(nonce), "files": files}
