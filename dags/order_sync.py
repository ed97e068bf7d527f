"""One DAG for each destination of the configuration: extract >> transform >> approve >> load.

The DAG of a destination with mistakes stays, and its runs end red at once, with the mistakes as message.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable, Param, TriggerRule, get_parsing_context
from airflow.sdk.definitions.param import ParamsDict
from order_sync_airflow.assets import asset_of
from order_sync_airflow.operators import (
    ApproveOperator,
    ExtractOrdersOperator,
    LoadOrdersOperator,
    TransformOrdersOperator,
)
from order_sync_airflow.run_context import time_param
from order_sync_airflow.run_figures import APPROVE, TAG

from include.order_sync import tuning
from include.order_sync.configuration.dag_entry import DagEntry
from include.order_sync.configuration.loading import load
from include.order_sync.configuration.models import Destination

PARAMS = {
    "from": time_param(
        "From",
        "Manual runs only: read the orders changed from this time on, in one run. Goes with `to`. A time without a "
        "zone is UTC.",
    ),
    "to": time_param("To", "Manual runs only: read the orders changed before this time, which lies after `from`."),
    "order_ids": Param(
        None,
        type=["null", "array"],
        items={"type": "string", "pattern": r"\S"},
        title="Order ids",
        description="Send only these orders, one a line: of the window, or without `from` and `to` of any time, if the "
        "source has a query by ids. Of a CSV drop give `from` and `to` too.",
    ),
    "mode": Param(
        "deliver",
        type="string",
        enum=["deliver", "plan", "adopt"],
        title="Mode",
        description="plan: only say what would be sent; nothing is sent or remembered. adopt: remember the changes as "
        "known to the service; nothing is sent.",
    ),
    "resend": Param(
        False,
        type="boolean",
        title="Resend",
        description="Send orders that have not changed too: a service may mail their customers again.",
    ),
    "trust": Param(
        "times",
        type="string",
        enum=["times", "source"],
        title="Trust",
        description="source: send what the source shows now, also over a state with a later time, after its times were "
        "set right. Manual runs only, with `order_ids` alone, or with `from` and a `to` in the future.",
    ),
}


def doc(destination: Destination) -> str:
    """Return the DAG's documentation in Airflow: source, service, and the code of each status."""
    service = destination.service
    codes = "\n".join(
        f"| {status} | {'not for this provider' if code is None else code} |"
        for status, code in destination.codes.items()
    )
    return f"""
Carries order statuses from the source `{destination.source}` to **{service.title}**, over the connection
`{destination.connection}`, at most {service.max_orders} a request.
Sends {"the newest state of each order" if destination.sends == "newest" else "every change of each order"}.

| status | {service.title}'s code |
|---|---|
{codes}

A run reads its data interval and the hours before it that earlier runs have left. To read any other time, trigger it
with `from` and `to`; to repair days, use a backfill.

**Which form?** *Trigger* (one run) takes the params of its form; another name, or times that do not fit, end the run
red before anything is read. *Backfill* (a run for each past hour) takes dates, and its runs read their own hours:

- Params count only with *Override parameters on existing runs* on: otherwise Airflow drops what the form shows, also
  for new runs. `from` and `to` stop each run of a backfill.
- *To date* is the last hour that is run, not the end of the time.
- Hours that have runs already are left out, unless *Reprocess behavior* says *All runs* or *Missing and errored runs*.
- The runs wait while this DAG is paused, and a second backfill is refused while one is going on.
- A backfill of a source of present states repeats the orders whose *last* change lies in those hours.
[{service.title}'s documentation]({service.documentation})
"""


def description(destination: Destination) -> str:
    """Return the DAG's line in Airflow's list."""
    plan_only = "" if destination.live else "PLAN ONLY, nothing is sent (`live: false`). "
    return f"{plan_only}Order statuses from {destination.source} to {destination.service.title}"


DOC_OF_A_MISTAKEN_ONE = """
The configuration of this destination has mistakes, so that each run of it ends red at once: its log names them, and so
does Airflow's list of import errors. Nothing is read or sent. When they are mended, the next scheduled run reads what
these runs have left.
"""


def build_dag(entry: DagEntry) -> DAG:
    """Return the DAG of a destination, or of an entry with mistakes, whose tasks find these when they run."""
    good = entry if isinstance(entry, Destination) else None
    with DAG(
        entry.dag_id,
        description=description(good) if good else "MISTAKES in the configuration: every run ends red",
        schedule=CronDataIntervalTimetable(entry.schedule, timezone="UTC"),
        start_date=entry.start_date,
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=timedelta(seconds=tuning.RUN_S),
        doc_md=doc(good) if good else DOC_OF_A_MISTAKEN_ONE,
        tags=[TAG, good.provider] if good else [TAG],
        default_args={
            # Enough to outlive an outage of a day.
            "retries": good.retries if good else 0,
            # Of a task that dies without an error; else the retry policy tells the delay.
            "retry_delay": timedelta(minutes=1),
            "retry_exponential_backoff": True,
            "max_retry_delay": timedelta(hours=1),
        },
    ) as dag:
        extract = ExtractOrdersOperator(task_id="extract", destination=entry.name)
        transform = TransformOrdersOperator(task_id="transform", destination=entry.name, staged=extract.output)
        approve = ApproveOperator(task_id=APPROVE, destination=entry.name)
        send = LoadOrdersOperator(
            task_id="load",
            destination=entry.name,
            staged=transform.output,
            outlets=[asset_of(entry.name)],
            max_active_tis_per_dag=1,  # a backfill's runs and the hourly one must not send at once
            trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,  # transform skips `approve` where it is not needed
        )
        transform >> approve >> send
    # Set last: otherwise each task gets a copy of its own, and Airflow checks every copy at every parse. A running task
    # takes them from its DAG.
    dag.params = ParamsDict(PARAMS)
    return dag


# A starting task names its DAG, and needs no other one.
wanted = get_parsing_context().dag_id
configuration = load()
for each in (*configuration.destinations.values(), *configuration.mistaken.values()):
    if wanted in (None, each.dag_id):
        build_dag(each)
