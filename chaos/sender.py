"""The three tasks of a run; they call the functions of include/ as the operators of plugins/ do."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import sqlalchemy as sa
from cryptography.fernet import Fernet
from upath import UPath

from chaos import shop
from chaos.world import World
from include.order_sync import pipeline, tuning
from include.order_sync.configuration.models import Destination
from include.order_sync.configuration.sql_source import SqlSource
from include.order_sync.delivery import http
from include.order_sync.delivery.client import Client
from include.order_sync.delivery.result import DeliveryResult
from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.ledger.encrypted_rows import RowEncryptor
from include.order_sync.ledger.marks import marked
from include.order_sync.ledger.opening import open_session
from include.order_sync.model import Window
from include.order_sync.providers import PROVIDERS
from include.order_sync.providers.base import Credentials
from include.order_sync.sources.warehouse import WarehouseReader
from include.order_sync.staging.run_folder import Staging
from sandbox.registry import SERVICES

log = logging.getLogger(__name__)

# Exit codes of a task's process. They stand for the decisions of OrderSyncRetryPolicy.
TRY_AGAIN, STOPPED = 75, 76

STATUSES = {
    "new": "created",
    "paid": "paid",
    "packing": "in_progress",
    "shipped": "shipped",
    "delivered": "delivered",
    "cancelled": "cancelled",
    "returned": "returned",
}
# For accounts that have a pace. The slowest provider's own would take six minutes more; at this one senders still
# wait, and are killed while they wait.
REQUESTS_A_SECOND = 5.0
# The sandbox is near and answers within a second. A sender waits 2 * CONNECT_S + ANSWER_S after a lost one.
CONNECT_S, ANSWER_S = 1, 4
UNNAMED_WAIT_S = 1  # its limits last no minute
OUTCOMES = ("accepted", "rejected", "unchanged", "stale", "held", "not_sent")


@dataclass(frozen=True)
class Run:
    """One run of a destination.

    Args:
        destination: its name, which is also its provider's name.
        name: unique among the runs of the destination.
        window: the time that the run reads.
        retries_rejected: it sends again what the service has rejected, as a redrive does.
    """

    destination: str
    name: str
    window: Window
    retries_rejected: bool = False

    @property
    def folder(self) -> Path:
        """The run folder, below the world's folder."""
        return Path("staging") / self.destination / self.name


@dataclass(frozen=True)
class FileMark:
    """A file that stands for the Airflow Variable with a destination's mark."""

    path: Path

    def read(self) -> str | None:
        """Return the mark, if there is one."""
        return self.path.read_text() if self.path.exists() else None

    def write(self, mark: str) -> None:
        """Replace the mark, so that a kill leaves the old one or the new one."""
        _replace(self.path, mark)


def configured(name: str) -> tuple[Destination, SqlSource]:
    """Return a destination and its source, as read from a configuration file."""
    query = Path(__file__).with_name("singles.sql" if PROVIDERS[name].max_orders == 1 else "orders.sql")
    source = SqlSource.model_validate(
        {"name": "changes", "type": "sql", "connection": "chaos", "query": query, "timezone": shop.TIMEZONE}
        | {"statuses": STATUSES}
    )
    destination = Destination.model_validate(
        {"name": name, "provider": name, "connection": name, "source": "changes", "start_date": "2025-01-01"}
        | {"first_run": "window"},
        context={"changes": True},
    )
    return destination, source


def extract(world: World, run: Run, _try_number: int) -> None:
    """Stage the raw rows of the run's window."""
    destination, source = configured(run.destination)
    reader = WarehouseReader(_engine(world.source), source, run.window, destination.service.required)
    done = pipeline.extract(reader, Staging(UPath(world.folder / run.folder)))
    _push(world, run, "extract", {"rows": done.rows, "skipped": done.skipped})


def transform(world: World, run: Run, _try_number: int) -> None:
    """Turn the raw rows into payloads."""
    destination, source = configured(run.destination)
    done = pipeline.TransformResult()
    if pull(world, run, "extract")["rows"]:
        done = pipeline.transform(Staging(UPath(world.folder / run.folder)), source, destination)
    _push(world, run, "transform", done.counts)


def load(world: World, run: Run, try_number: int) -> None:
    """Send the ready orders. The run folder stays: a kill can still follow the last line, and then a retry needs it."""
    before = pull(world, run, "transform")
    if before["orders"] == before["rejected"] + before["not_for_provider"]:
        _push(world, run, "load", dict.fromkeys(OUTCOMES, 0) | {"rejected": before["rejected"]})
        return
    destination, source = configured(run.destination)
    credentials = Credentials(f"{world.sandbox}/{run.destination}", *SERVICES[run.destination].account)
    with (
        http.open_session(credentials.url) as session,
        open_session(
            _engine(world.ledger),
            "order_sync_ledger",
            destination=destination.name,
            run=run.name,
            try_number=try_number,
        ) as ledger,
        marked(ledger, FileMark(world.folder / f"{destination.name}.mark")),
    ):
        staging = Staging(UPath(world.folder / run.folder))
        encryptor = RowEncryptor(staging, source.timezone, Fernet(Fernet.generate_key()))
        options = replace(pipeline.send_options(destination), retry_rejected=run.retries_rejected)
        result = DeliveryResult()
        pace = REQUESTS_A_SECOND if destination.service.requests_a_second else None
        try:
            pipeline.load(
                staging,
                destination,
                Client(destination.service, credentials, session),
                ledger,
                encryptor,
                options,
                pace,
                result,
                _stopping.is_set,
            )
        finally:
            outcomes = dict.fromkeys(OUTCOMES, 0) | result.orders
            outcomes["rejected"] += before["rejected"]
            _push(world, run, "load", outcomes)


TASKS: dict[str, Callable[[World, Run, int], None]] = {
    "extract": extract,
    "transform": transform,
    "load": load,
}


# Set by SIGTERM.
_stopping = threading.Event()


def _on_term(task: str) -> None:
    """Act as the operators do when Airflow calls their `on_kill`."""
    _stopping.set()
    if task != "load":
        raise TryAgainError("The task was asked to stop.")


def perform(world: World, run: Run, task: str, try_number: int) -> None:
    """Do one try of a task. Its process ends with the exit code TRY_AGAIN, STOPPED or 0."""
    tuning.CONNECT_S, tuning.ANSWER_S, tuning.UNNAMED_WAIT_S = CONNECT_S, ANSWER_S, UNNAMED_WAIT_S
    try:
        signal.signal(signal.SIGTERM, lambda *_: _on_term(task))
        TASKS[task](world, run, try_number)
    except TryAgainError as error:
        log.info("%s %s, try %d: %s", run.destination, run.name, try_number, error)
        sys.exit(TRY_AGAIN)
    except StopError as error:
        log.info("%s %s stops: %s", run.destination, run.name, error)
        sys.exit(STOPPED)
    except Exception:
        # Within the start of a thread Python turns the error of a stop into another one, which Airflow tries again too.
        if task == "load" or not _stopping.is_set():
            raise
        log.exception("%s %s, try %d: stopped", run.destination, run.name, try_number)
        sys.exit(TRY_AGAIN)


def pull(world: World, run: Run, task: str) -> dict[str, int]:
    """Return the figures that a task of the run has stored. A file stands for Airflow's XCom."""
    figures: dict[str, int] = json.loads((world.folder / run.folder).with_suffix(f".{task}").read_text())
    return figures


def _push(world: World, run: Run, task: str, figures: dict[str, int]) -> None:
    path = (world.folder / run.folder).with_suffix(f".{task}")
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, json.dumps(figures))


def _replace(path: Path, text: str) -> None:
    temporary = path.with_suffix(f"{path.suffix}-{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)


def _engine(address: str) -> sa.Engine:
    """Return an engine whose sessions carry this process's id in their name."""
    url = sa.make_url(address).set(drivername="postgresql+psycopg")
    return sa.create_engine(url, connect_args={"application_name": f"sender {os.getpid()}"})
