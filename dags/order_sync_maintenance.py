"""Removes old staged parts, attempts and resolved quarantine, once a day."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronTriggerTimetable
from order_sync_airflow.operators import RemoveOldOperator

from include.order_sync import tuning

with DAG(
    "order_sync_maintenance",
    description="Removes what is older than the configuration's retention",
    schedule=CronTriggerTimetable("30 3 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(seconds=tuning.RUN_S),
    is_paused_upon_creation=False,
    doc_md=__doc__,
    default_args={"retries": 6, "retry_delay": timedelta(minutes=10)},
):
    RemoveOldOperator(task_id="remove_old")
