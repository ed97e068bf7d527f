"""Sends quarantined or held orders again, with today's map and the same code as every run; or dismisses entries."""

from datetime import timedelta

from airflow.sdk import DAG, Param, TriggerRule
from order_sync_airflow.operators import (
    ApproveOperator,
    LoadOrdersOperator,
    StageQuarantineOperator,
    TransformOrdersOperator,
)
from order_sync_airflow.run_figures import APPROVE, TAG

from include.order_sync import tuning
from include.order_sync.configuration.loading import load

configuration = load()
# With those that have mistakes: an open run of one ends red with them.
DESTINATIONS = [*configuration.destinations, *configuration.mistaken]
DESTINATION = "{{ params.destination }}"

PARAMS = {
    "destination": Param(None, type="string", enum=DESTINATIONS, title="Destination"),
    "reason": Param(None, type=["null", "string"], title="Reason", description="Entries with this in a reason."),
    "from": Param(None, type=["null", "string"], format="date-time", title="Seen from"),
    "to": Param(None, type=["null", "string"], format="date-time", title="Seen before"),
    "order_ids": Param(
        None, type=["null", "array"], items={"type": "string"}, title="Order ids", description="One a line."
    ),
    "entries": Param(
        None,
        type=["null", "array"],
        items={"type": "integer"},
        title="Entries",
        description="Their numbers in a dry run's list, one a line.",
    ),
    "at_most": Param(1000, type="integer", minimum=1, title="At most", description="The oldest entries first."),
    "decision": Param(
        None,
        type=["null", "string"],
        enum=[None, "resend", "accept", "dismiss"],
        title="Decision",
        description="On held orders, by order ids or a batch: resend (the service has not taken them) or accept (it "
        "has). On entries: dismiss (close them, and send nothing), with a note.",
    ),
    "note": Param(None, type=["null", "string"], title="Note", description="Why entries are dismissed."),
    "batch": Param(
        None, type=["null", "integer"], title="Batch", description="Held orders of this batch of the ledger."
    ),
    "dry_run": Param(True, type="boolean", title="Dry run", description="Only list the entries in extract's log."),
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
            trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
        )
        transform >> approve >> send
