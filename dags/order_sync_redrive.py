"""Sends rejected rows of the quarantine or held orders again, or dismisses entries, with the same code as every run.

1. Choose the destination and what it is about: *rejected rows* or *held orders*. Without a choice among them, all
   rejected rows of the destination are meant, the oldest first.
2. Trigger it with *dry run* on. The log of `extract` lists the entries with their numbers, the batches of held orders,
   and for each whether it *would pass now* or is *still rejected*, and why.
3. Correct the status map or the source, and trigger it again with *dry run* off.

Held orders were sent, and no answer tells whether the service took them. Look them up at the service. Then give the
decision *resend* (it has not taken them) or *accept* (it has), with their batches or order ids.

Each code `OS-...` of a reason is explained in docs/reasons.md, and the whole of it in docs/operating.md.
"""

from datetime import timedelta

from airflow.sdk import DAG, AssetAlias, Param, TriggerRule
from order_sync_airflow.operators import (
    ApproveOperator,
    LoadOrdersOperator,
    StageQuarantineOperator,
    TransformOrdersOperator,
)
from order_sync_airflow.run_context import time_param
from order_sync_airflow.run_figures import APPROVE, TAG

from include.order_sync import tuning
from include.order_sync.codes import rejections
from include.order_sync.configuration.loading import load
from include.order_sync.ledger.reasons import HELD_REASON

configuration = load()
# With those that have mistakes: an open run of one ends red with them.
DESTINATIONS = [*configuration.destinations, *configuration.mistaken]
DESTINATION = "{{ params.destination }}"
REASONS = [f"{each.code} {each.reason}" for each in rejections() if each.reason != HELD_REASON]

REJECTED, HELD, DISMISS = "Rejected rows", "Held orders", "Dismiss"
PARAMS = {
    "destination": Param(None, type="string", enum=DESTINATIONS, title="Destination"),
    "dry_run": Param(
        True,
        type="boolean",
        title="Dry run",
        description="Only list the entries in extract's log, and what would become of each.",
    ),
    "order_ids": Param(
        None,
        type=["null", "array"],
        items={"type": "string", "pattern": r"\S"},
        title="Order ids",
        description="One a line, as the shop writes them; of rejected rows or of held orders.",
    ),
    "reason": Param(
        None,
        type=["null", "string"],
        examples=REASONS,
        title="Reason",
        description="Rows with this reason: one of the list, its code alone, or a part of its text.",
        section=REJECTED,
    ),
    "from": time_param("Seen from", "When a run last saw the row. A time without a zone is UTC.", section=REJECTED),
    "to": time_param("Seen before", section=REJECTED),
    "entries": Param(
        None,
        type=["null", "array"],
        items={"type": "integer"},
        title="Entries",
        description="Their numbers in a dry run's list, as [17, 18].",
        section=REJECTED,
    ),
    "at_most": Param(
        1000, type="integer", minimum=1, title="At most", description="The oldest entries first.", section=REJECTED
    ),
    "decision": Param(
        None,
        type=["null", "string"],
        enum=[None, "resend", "accept", "dismiss"],
        title="Decision",
        description="On held orders, by batches or order ids: resend (the service has not taken them) or accept (it "
        "has). On rejected rows: dismiss (close them, and send nothing), with a note.",
        section=HELD,
    ),
    "batch": Param(
        None,
        type=["null", "array", "integer"],
        items={"type": "integer"},
        title="Batches",
        description="Held orders of these batches, as [4711, 4712]: a dry run with the decision resend lists them.",
        section=HELD,
    ),
    "note": Param(
        None, type=["null", "string"], title="Note", description="Why entries are dismissed.", section=DISMISS
    ),
}

# Without a destination there is nothing to redrive, and order_sync_config.py says why there is none.
if DESTINATIONS:
    with DAG(
        "order_sync_redrive",
        description="Sends quarantined or held orders again",
        schedule=None,
        max_active_runs=1,
        dagrun_timeout=timedelta(seconds=tuning.RUN_S),
        is_paused_upon_creation=False,
        tags=[TAG],
        params=PARAMS,
        doc_md=__doc__,
        default_args={
            "retries": 6,
            "retry_delay": timedelta(minutes=1),
            "retry_exponential_backoff": True,
        },
    ):
        extract = StageQuarantineOperator(task_id="extract", destination=DESTINATION)
        transform = TransformOrdersOperator(
            task_id="transform", destination=DESTINATION, staged=extract.output, retry_rejected=True
        )
        approve = ApproveOperator(task_id=APPROVE, destination=DESTINATION)
        send = LoadOrdersOperator(
            task_id="load",
            destination=DESTINATION,
            staged=transform.output,
            retry_rejected=True,
            outlets=[AssetAlias("order_sync_redrive")],
            trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
        )
        transform >> approve >> send
