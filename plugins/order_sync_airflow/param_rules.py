"""Refuses params that contradict each other, as the first thing that a run does.

When a person triggers a run, Airflow validates each param by its own schema, and has no place for a rule about two: a
policy sees DAGs and tasks, and a listener can't refuse. So the first task says it, before it reads or sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from include.order_sync import stops
from include.order_sync.errors import StopError
from include.order_sync.reason import Reason
from include.order_sync.sources.run_window import RunRequest, given_window

# Params of a redrive that choose rejected rows.
OF_REJECTED_ROWS = ("reason", "from", "to", "entries")


def check_run(params: Mapping[str, Any], request: RunRequest) -> None:
    """Raise StopError if the params of a destination's run contradict each other.

    Args:
        params: of the run.
        request: of the run, which has its times.
    """
    window, now = given_window(request), datetime.now(UTC)
    if window and window.start >= now:
        raise _refused(
            f"The param `from` ({window.start}) lies in the future, so nothing can be read. Give a past time"
        )
    if params.get("mode") == "adopt" and params.get("resend"):
        raise _refused(
            "The param `mode` is adopt and `resend` is true, but a run that adopts sends nothing. Leave `resend` off, "
            "or give `mode` deliver"
        )


def check_redrive(params: Mapping[str, Any], start: datetime | None, end: datetime | None) -> None:
    """Raise StopError if the params of a redrive contradict each other: else it might send what was to be dismissed.

    Args:
        params: of the run.
        start: its `from`.
        end: its `to`.
    """
    decision, note = params["decision"], (params["note"] or "").strip()
    if start and end and start >= end:
        raise _refused(f"The param `from` ({start}) must lie before `to` ({end}). Correct one of them")
    if decision in ("resend", "accept"):
        others = [f"`{name}` ({params[name]})" for name in OF_REJECTED_ROWS if params[name]]
        if others:
            raise _refused(
                f"The param `decision` is {decision}, which is about `order_ids` or a `batch` of held orders: leave "
                f"{', '.join(others)} empty"
            )
    elif params["batch"]:
        raise _refused(
            f"The param `batch` is {params['batch']}, and `decision` is {decision or 'empty'}: batches are of held "
            "orders. Give the decision resend or accept, or leave `batch` empty"
        )
    if decision == "dismiss":
        if not any(params[name] for name in ("entries", "reason", "order_ids")):
            raise _refused(
                "Say which entries are dismissed: give the param `entries`, `reason` or `order_ids`", stops.NO_CHOICE
            )
        if not note:
            raise _refused("Say in the param `note` why these entries are dismissed", stops.NO_CHOICE)
    elif not decision and note:
        raise _refused(
            "The param `note` has a text, and `decision` is empty: without a decision the rows are sent. Give the "
            "decision dismiss, or leave `note` empty"
        )


def _refused(message: str, reason: Reason = stops.WRONG_PARAM) -> StopError:
    return StopError(reason, f"{message}. Nothing was read or sent: trigger it again.")
