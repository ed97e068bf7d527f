"""What the log shows of a task that fails, by Airflow's own processors of logs."""

import io
import json
import re
from types import SimpleNamespace

import pytest
import structlog
from airflow.sdk.exceptions import AirflowTaskTimeout
from airflow.sdk.log import logging_processors
from order_sync_airflow.error_block import FAILED
from order_sync_airflow.operators import LoadOrdersOperator, RemoveOldOperator

from include.order_sync import stops
from include.order_sync.errors import StopError, TryAgainError
from tests.airflow.conftest import ROOT


@pytest.fixture
def log():
    """A logger as a task has it, and the bytes that it writes; it was used before the task begins."""
    before = structlog.get_config()
    written = io.BytesIO()
    structlog.configure(
        processors=list(logging_processors(json_output=True)),
        logger_factory=structlog.BytesLoggerFactory(written),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logger = structlog.get_logger("task").bind()
    logger.info("begins")
    yield logger, written
    structlog.configure(**before)


def fail(log, error, operator=None, *, try_number=1, max_tries=30, run_type="scheduled"):
    """Let a task fail as Airflow's task runner does; return its last log line."""
    logger, written = log
    operator = operator or LoadOrdersOperator(task_id="load", destination="yespo", staged="/nowhere")
    context = {
        "ti": SimpleNamespace(task_id=operator.task_id, try_number=try_number, max_tries=max_tries),
        "task": SimpleNamespace(retries=30),
        "dag_run": SimpleNamespace(run_type=run_type),
        "run_id": "scheduled__1",
    }
    operator.pre_execute(context)
    try:
        raise error from ValueError("its cause")
    except type(error):
        logger.exception(FAILED)
    return json.loads(written.getvalue().splitlines()[-1])


def test_our_own_error_is_one_block_without_frames(log):
    """It says what happened, what to do, where, and that it does not try again."""
    line = fail(log, StopError(stops.BAD_CONNECTION, "Connection 'yespo' lacks a login. Add it."))
    assert line["event"] == (
        "load failed, at try 1 of 31.\n"
        "What, and what to do: OS-617: Connection 'yespo' lacks a login. Add it.\n"
        "Each code is explained in docs/reasons.md.\n"
        "Where: destination yespo (connection yespo), source warehouse (connection order_sync_warehouse), "
        "ledger (connection order_sync_ledger); run scheduled__1\n"
        "Next try: none. When this is mended, the next scheduled run takes up what this one has left."
    )
    assert line.keys().isdisjoint({"exception", "exc_info"})


@pytest.mark.parametrize("run_type", ["manual", "backfill"])
def test_a_run_that_no_later_one_makes_up_for_is_to_be_cleared(log, run_type):
    """A manual run or a backfill says that nothing else reads its orders."""
    said = fail(log, StopError(stops.BAD_CONNECTION, "no"), run_type=run_type)["event"]
    assert said.endswith("When this is mended, clear this task: no later run takes up what this one has left.")


@pytest.mark.parametrize(
    ("error", "try_number", "when"),
    [
        (TryAgainError("busy"), 1, "in 60 seconds"),
        (TryAgainError("busy", after_s=7), 1, "in 7 seconds"),
        (TryAgainError("busy"), 5, "in 16 minutes"),
        (TryAgainError("busy"), 30, "in 60 minutes"),
        (TryAgainError("busy"), 31, "none"),
        (KeyError("x"), 2, "in 2 minutes"),
        (KeyError("x"), 3, "none"),
    ],
)
def test_a_block_says_when_it_tries_again(log, error, try_number, when):
    """The time is the one that the retry policy decides; after the last try there is none."""
    said = fail(log, error, try_number=try_number)["event"]
    assert f"Next try: {when}" in said
    assert bool(re.search(r"at \d\d:\d\d:\d\d UTC\.$", said)) == (when != "none")


def test_a_block_counts_from_the_last_clear(log):
    """A task that was cleared after its last try waits a minute again."""
    assert "Next try: in 60 seconds" in fail(log, TryAgainError("busy"), try_number=32, max_tries=61)["event"]


@pytest.mark.parametrize(
    ("error", "name"), [(KeyError("anna@shop.example"), "KeyError"), (AirflowTaskTimeout("x"), "time limit")]
)
def test_an_unknown_error_keeps_its_traceback(log, error, name):
    """The block names its kind, and Airflow's traceback follows."""
    line = fail(log, error)
    assert name in line["event"]
    assert "anna" not in line["event"]
    assert any("frames" in part and part["frames"] for part in line["exception"])


def test_a_later_task_of_the_process_has_its_own_block(log):
    """Tasks that share a process, as in `airflow dags test`, tell each of its own place."""
    fail(log, StopError(stops.BAD_CONNECTION, "no"))
    said = fail(log, StopError(stops.BAD_CONNECTION, "no"), RemoveOldOperator(task_id="remove_old"))["event"]
    assert said.startswith("remove_old failed")
    assert "Where: the ledger (connection order_sync_ledger) and the folder of `staging`;" in said


def test_a_destination_with_mistakes_is_named_with_its_file(log, monkeypatch, tmp_path):
    """Where the configuration can't say more, the block names the destination and the file."""
    sample = (ROOT / "include/config/order_sync.yaml").read_text("utf-8")
    (tmp_path / "order_sync.yaml").write_text(sample.replace("provider: yespo", "provider: yespoo"), "utf-8")
    monkeypatch.setenv("ORDER_SYNC_CONFIG", str(tmp_path / "order_sync.yaml"))
    said = fail(log, StopError(stops.BAD_CONNECTION, "no"))["event"]
    assert f"Where: destination yespo in {tmp_path / 'order_sync.yaml'};" in said
