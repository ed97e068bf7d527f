"""The brake of a run: counts its notifications against `approve_above`, and finds the approval that covers them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.order_sync.configuration.sql_source import SqlSource
from include.order_sync.model import Window
from order_sync_airflow import run_context, run_figures
from order_sync_airflow.ledger_connection import driver_connection, history_name, ledger_transaction, open_ledger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.order_sync.configuration.models import Destination
    from include.order_sync.configuration.source import Source
    from include.order_sync.delivery.brake import Brake
    from include.order_sync.delivery.decision_table import SendOptions
    from include.order_sync.ledger import approvals
    from include.order_sync.ledger.session import LedgerSession
    from include.order_sync.staging.run_folder import Staging

# The XComs in which transform says what a run would send, and `approve` what a person has said.
NOTIFICATIONS_KEY = "notifications"
APPROVAL_KEY = "approval"


def send_options(
    context: Context, destination: Destination, source: Source, ledger: LedgerSession, *, retry_rejected: bool
) -> SendOptions:
    """Return what configuration and params say about sending.

    Args:
        context: of the running task.
        destination: of the orders.
        source: of the orders.
        ledger: of the destination.
        retry_rejected: send orders again that the service has rejected with the same payload, as a redrive does.
    """
    from include.order_sync import pipeline

    mode, window = run_context.mode(context, destination), run_context.pull_window(context)
    is_scheduled = run_context.run_request(context).by == "schedule"
    reads_present = is_scheduled and window is not None and not ledger.has_read_later(window.end)
    trust_source = run_context.trusts_source(context)
    # A person who adopts what a warehouse says now adopts the second of two states of one time too.
    adopts_present = mode == "adopt" and isinstance(source, SqlSource)
    return replace(
        pipeline.send_options(destination),
        resend=bool(context["params"].get("resend")),
        # A person who adopts knows more than the service's answer of then.
        retry_rejected=retry_rejected or mode == "adopt",
        reads_present=reads_present or trust_source or adopts_present,
        adopt_before=run_context.pull_adopt_before(context),
        adopt_but_at=run_context.pull_adopt_but_at(context),
        shows_newest=reads_present and isinstance(source, SqlSource),
        trust_source=trust_source,
        read_at=run_context.pull_read_at(context),
    )


def to_be_approved(
    context: Context,
    destination: Destination,
    source: Source,
    staging: Staging,
    ready: int,
    *,
    retry_rejected: bool,
) -> dict[str, Any] | None:
    """Return what a person has to approve before a run sends, as the body of NOTIFICATIONS_KEY; None if nothing is.

    Args:
        context: of the running task.
        destination: of the orders.
        source: of the orders.
        staging: of the run, with its ready orders.
        ready: how many these are.
        retry_rejected: see send_options.
    """
    if not ready or run_context.mode(context, destination) != "deliver":
        return None
    from include.order_sync.delivery.brake import notifications
    from include.order_sync.delivery.planning import Planner
    from include.order_sync.ledger import approvals

    limit, codes = destination.approve_above, _codes(destination)
    with ledger_transaction() as connection:
        cursor = driver_connection(connection).cursor()
        number = approvals.destination_id(cursor, history_name(destination))
        # The usual hour: nothing needs to be counted or planned.
        if ready + approvals.recent_at_most(cursor, number) <= limit:
            return None
        recent = approvals.recent(cursor, number, codes)
    if ready + recent <= limit:
        return None
    with open_ledger(context, destination, read_only=True) as ledger:
        options = send_options(context, destination, source, ledger, retry_rejected=retry_rejected)
        found = notifications(Planner.of(destination.service, ledger, options), staging.ready_parts())
        if found.total + recent <= limit or not found.total:
            return None
        with ledger.transaction() as cursor:
            window = run_context.pull_window(context)
            covering = approvals.covering(cursor, number, codes, run_id(context), window)
    if covering and covering.left >= found.total:
        return None
    return {
        "total": found.total,
        "recent": recent,
        "changes": [[before, after, count] for (before, after), count in found.changes.most_common()],
        "ages": dict(found.ages),
        "order_ids": found.order_ids,
    }


def of_load(context: Context, destination: Destination, ledger: LedgerSession, ready: int) -> Brake:
    """Return the brake of a load: it may send what is left of `approve_above`, or of an approval.

    Args:
        context: of load.
        destination: of the orders.
        ledger: with the destination's lock.
        ready: how many orders the run has ready.
    """
    from include.order_sync.delivery.brake import Brake
    from include.order_sync.ledger import approvals

    number, codes = ledger.sender.destination_id, _codes(destination)
    with ledger.transaction() as cursor:
        approval = context["ti"].xcom_pull(task_ids=run_figures.APPROVE, key=APPROVAL_KEY)
        if approval:
            approvals.record(cursor, number, _approval(context, approval))
        at_most = approvals.recent_at_most(cursor, number)
        if ready + at_most <= destination.approve_above:
            return Brake(destination.approve_above - at_most, "so many orders were ready")
        recent = approvals.recent(cursor, number, codes)
        left = destination.approve_above - recent
        window, run_key = run_context.pull_window(context), ledger.sender.run
        covering = approvals.covering(cursor, number, codes, run_id(context), window, run_key)
        # A run that sends under an approval counts in no limit: another try of it sends no more than is left of that.
        if covering and (covering.is_used or covering.left > left):
            approvals.use(cursor, covering.number, run_key)
            return Brake(covering.left, f"so many of approval {covering.number}")
    why = f"`approve_above` of {destination.name} is {destination.approve_above}, and {recent} were sent in 24 hours"
    return Brake(left, why)


def _codes(destination: Destination) -> approvals.Codes:
    from include.order_sync.ledger import approvals

    return approvals.Codes(destination.service.notifies, destination.service.held_codes)


def run_id(context: Context) -> str:
    """Return the ids of the DAG and the run: the same after a clear."""
    return f"{context['dag_run'].dag_id} {context['dag_run'].run_id}"


def _approval(context: Context, pushed: dict[str, Any]) -> Any:
    from include.order_sync.ledger.approvals import Approval

    times = [datetime.fromisoformat(pushed[name]) for name in ("start", "end") if pushed[name]]
    window = Window(*times) if times else None
    return Approval(
        run_id(context),
        window,
        pushed["notifications"],
        pushed["by"],
        datetime.fromisoformat(pushed["at"]),
    )
