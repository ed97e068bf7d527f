"""Celery's settings: those of Airflow, and a worker that asks its tasks to end when it is told to stop.

Set `[celery] celery_config_options` to `order_sync_airflow.celery_worker.CELERY_CONFIG`; docker-compose.yaml does.

On SIGTERM a Celery worker takes no new task and waits for those that run, for hours if they are loads. Docker kills it
after its grace period, which would leave requests in doubt. So the worker passes SIGTERM on to the processes of its
tasks, which end well (`on_kill` of our operators). In Airflow 3.3 a task's supervisor would pass on a signal that it
gets itself; the next version does not.
"""

from __future__ import annotations

import contextlib
import logging

import psutil
from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG
from celery.signals import worker_shutting_down

log = logging.getLogger(__name__)

CELERY_CONFIG = DEFAULT_CELERY_CONFIG


@worker_shutting_down.connect  # type: ignore[untyped-decorator, unused-ignore]
def stop_tasks(**_: object) -> None:
    """Send SIGTERM to the process of each running task: the children of the pool's processes, which supervise them."""
    for supervisor in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            for task in supervisor.children():
                log.warning("The worker stops: asking the task of process %d to end", task.pid)
                task.terminate()
