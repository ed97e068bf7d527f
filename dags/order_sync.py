"""One DAG for each good destination of the configuration: extract >> transform >> load."""

from datetime import timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable, Param, get_parsing_context
from airflow.sdk.definitions.param import ParamsDict
from order_sync_airflow.operators import ExtractOrdersOperator, LoadOrdersOperator, TransformOrdersOperator
from order_sync_airflow.run_figures import TAG

from include.order_sync import tuning
from include.order_sync.configuration.loading import load
from include.order_sync.configuration.models import Destination

PARAMS = {
    "from": Param(
        None,
        type=["null", "string"],
        format="date-time",
        title="From",
        description="Manual runs only: read the orders changed from this time on, in one run. Goes with `to`.",
    ),
    "to": Param(
        None,
        type=["null", "string"],
        format="date-time",
        title="To",
        description="Manual runs only: read the orders changed before this time.",
    ),
    "order_ids": Param(
        None,
        type=["null", "array"],
        items={"type": "string"},
        title="Order ids",
        description="Send only these orders, one a line: of the window, or without `from` and `to` of any time, if the "
        "source has a query by ids.",
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
[{service.title}'s documentation]({service.documentation})
"""


def build_dag(destination: Destination) -> DAG:
    """Return the destination's DAG."""
    with DAG(
        destination.dag_id,
        description=("" if destination.live else "PLAN ONLY, nothing is sent (`live: false`). ")
        + f"Order statuses from {destination.source} to {destination.service.title}",
        schedule=CronDataIntervalTimetable(destination.schedule, timezone="UTC"),
        start_date=destination.start_date,
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=timedelta(seconds=tuning.RUN_S),
        doc_md=doc(destination),
        tags=[TAG, destination.provider],
        default_args={
            # Enough to outlive an outage of a day.
            "retries": destination.retries,
            "retry_delay": timedelta(minutes=10),
            "retry_exponential_backoff": True,
            "max_retry_delay": timedelta(hours=1),
        },
    ) as dag:
        extract = ExtractOrdersOperator(task_id="extract", destination=destination.name)
        transform = TransformOrdersOperator(task_id="transform", destination=destination.name, staged=extract.output)
        LoadOrdersOperator(
            task_id="load",
            destination=destination.name,
            staged=transform.output,
            max_active_tis_per_dag=1,  # a backfill's runs and the hourly one must not send at once
        )
    # Set last: otherwise each task gets a copy of its own, and Airflow checks every copy at every parse. A running task
    # takes them from its DAG.
    dag.params = ParamsDict(PARAMS)
    return dag


# A starting task names its DAG, and needs no other one.
wanted = get_parsing_context().dag_id
for good in load().destinations.values():
    if wanted in (None, good.dag_id):
        build_dag(good)
