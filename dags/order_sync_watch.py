"""Looks every ten minutes whether each live destination is fresh and well, and tells people if not."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronTriggerTimetable
from order_sync_airflow.operators import WatchOperator

with DAG(
    "order_sync_watch",
    description="Raises an alarm once when something breaks, and says once when it is well again",
    schedule=CronTriggerTimetable("*/10 * * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=1),
    is_paused_upon_creation=False,
    doc_md=__doc__,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
):
    WatchOperator(task_id="watch")
