"""What a person reads in the log of a task that fails: one block, without the stack frames of our own errors.

Airflow logs the exception with its traceback before it asks the retry policy, and nothing on the exception leaves
frames out. But its logs pass structlog's processors, where the block takes the place of Airflow's text. An error that
is not ours keeps its traceback below the block. Should Airflow log failures in another way one day, its own text stands
there.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog
from airflow.sdk import RetryAction

from include.order_sync.errors import OrderSyncError
from order_sync_airflow.retry import decide, is_scheduled, message_of, try_since_clear

if TYPE_CHECKING:
    from airflow.sdk import Context
    from structlog.typing import EventDict

# Airflow's text.
FAILED = "Task failed with exception"


def show_in_log(context: Context, place: str) -> None:
    """Show the running task's failure as a block.

    Args:
        context: of the task.
        place: what the task works with: destination, connections, files.
    """
    processors = structlog.get_config()["processors"]
    # In place: loggers that were used already keep this list.
    processors[:] = [_Block(context, place), *(each for each in processors if not isinstance(each, _Block))]


class _Block:
    """A processor of structlog."""

    def __init__(self, context: Context, place: str) -> None:
        self.context = context
        self.place = place

    def __call__(self, logger: Any, method: str, event: EventDict) -> EventDict:  # noqa: ARG002  (structlog's interface)
        error = sys.exception()
        if event.get("event") == FAILED and error:
            event["event"] = text(error, self.context, self.place)
            if isinstance(error, OrderSyncError):
                event.pop("exc_info", None)
        return event


def text(error: BaseException, context: Context, place: str) -> str:
    """Return the block: what happened and what to do, where, and when it tries again."""
    task = context["ti"]
    return "\n".join(
        [
            f"{task.task_id} failed, at try {task.try_number} of {task.max_tries + 1}.",
            f"What, and what to do: {message_of(error)}",
            "Each code is explained in docs/reasons.md.",
            f"Where: {place}; run {context['run_id']}",
            f"Next try: {_next_try(error, context)}",
        ]
    )


def _next_try(error: BaseException, context: Context) -> str:
    task = context["ti"]
    scheduled = is_scheduled(context)
    decision = decide(error, try_since_clear(task.try_number, task.max_tries, context), scheduled=scheduled)
    if decision.action == RetryAction.RETRY and decision.retry_delay and task.try_number <= task.max_tries:
        return f"in {_in_words(decision.retry_delay)}, at {datetime.now(UTC) + decision.retry_delay:%H:%M:%S} UTC."
    if scheduled:
        return "none. When this is mended, the next scheduled run takes up what this one has left."
    return "none. When this is mended, clear this task: no later run takes up what this one has left."


def _in_words(delay: timedelta) -> str:
    seconds = round(delay.total_seconds())
    return f"{seconds} seconds" if seconds < 120 else f"{round(seconds / 60)} minutes"
