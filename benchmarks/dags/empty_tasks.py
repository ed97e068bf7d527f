"""A DAG of three tasks that do nothing: the benchmark measures a destination's DAG against it."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import CronDataIntervalTimetable, dag, task


@dag(
    schedule=CronDataIntervalTimetable("0 * * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": 30,
        "retry_delay": timedelta(minutes=10),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(hours=1),
    },
)
def empty_tasks() -> None:
    """Chain three empty Python tasks; the scheduler would never start an EmptyOperator."""

    @task
    def first() -> None:
        pass

    @task
    def second() -> None:
        pass

    @task(max_active_tis_per_dag=1)
    def third() -> None:
        pass

    first() >> second() >> third()


empty_tasks()
