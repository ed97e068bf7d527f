"""Runs of a destination without a scheduler: the three tasks, one after the other."""

import json
import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped
from order_sync_airflow.operators import ExtractOrdersOperator, LoadOrdersOperator, TransformOrdersOperator

from include.order_sync.ledger import schema
from include.order_sync.ledger.status import status

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=2)
CONFIGURATION = """
staging: {folder}/staging
sources:
  drop:
    type: csv
    path: {folder}/drop/*.csv
    timezone: UTC
    statuses: {{paid: paid, sent: shipped}}
  warehouse:
    type: sql
    connection: warehouse
    query: orders.sql
    by_ids_query: orders_by_ids.sql
    timezone: UTC
    statuses: {{paid: paid, sent: shipped, back: returned}}
destinations:
  {drop}: {{provider: justclick, connection: account, source: drop, start_date: 2026-01-01, {starts}}}
  {warehouse}: {{provider: justclick, connection: account, source: warehouse, start_date: 2026-01-01, {starts}}}
"""
STARTS = "live: true, first_run: window"


class Runs:
    """A destination's runs without a scheduler: the three tasks, one after the other."""

    def __init__(self, destination, folder, engine):
        self.destination = destination
        self.folder = folder
        self.engine = engine
        self.count = 0

    def put(self, name, *ids, status="paid", modified=NOON + timedelta(minutes=1)):
        """Write a file with these orders into the drop, modified shortly after noon."""
        rows = [f"{order_id},{status},2026-11-21,{order_id},RR1" for order_id in ids]
        header = "order_id,status,status_changed_at,bill_id,tracking_number"
        file = self.folder / "drop" / name
        file.write_text("\n".join([header, *rows]) + "\n")
        os.utime(file, (modified.timestamp(), modified.timestamp()))

    def run(self, hours=0, run_type="scheduled", *, interval=True, pushed=None, before_load=None, **params):
        """Run the hour that begins this number of hours after noon; return the values that its tasks have pushed.

        Its load waits for `before_load`, as after an outage.
        """
        self.count += 1
        start = NOON + hours * HOUR
        pushed = {} if pushed is None else pushed
        names = {"from_": "from"}
        context = {
            "run_id": f"run {self.count}",
            "dag_run": SimpleNamespace(run_type=run_type, dag_id="dag", run_id=f"run {self.count}", start_date=NOON),
            "params": {names.get(name, name): value for name, value in params.items()},
            "dag": SimpleNamespace(params=dict.fromkeys(names.get(name, name) for name in params)),
            **({"data_interval_start": start, "data_interval_end": start + HOUR} if interval else {}),
        }
        staged = {}
        for task in (ExtractOrdersOperator, TransformOrdersOperator, LoadOrdersOperator):
            name = task.__name__.removesuffix("OrdersOperator").lower()
            ti = SimpleNamespace(
                task_id=name,
                try_number=1,
                xcom_push=lambda key, value, name=name: pushed.update({(name, key): json.loads(json.dumps(value))}),
                xcom_pull=lambda *, task_ids, key: pushed.get((task_ids, key)),
            )
            operator = task(task_id=name, destination=self.destination, **staged)
            if before_load and task is LoadOrdersOperator:
                before_load()
            staged = {"staged": operator.execute({**context, "ti": ti})}
        return pushed

    def counts(self, *arguments, **params):
        """Run and return the counts; None if there was nothing to send."""
        try:
            return self.run(*arguments, **params)["load", "counts"]
        except (AirflowSkipException, DownstreamTasksSkipped):
            return None

    def run_extract(self, hours):
        """Run and return the window that was read, whether or not there was anything to send."""
        pushed = {}
        with suppress(AirflowSkipException, DownstreamTasksSkipped):
            self.run(hours, pushed=pushed)
        return pushed["extract", "window"]

    def status(self):
        """Return the destination's state: hours after noon that are read, gaps, and held orders."""
        with schema.transaction(self.engine, "order_sync_ledger") as connection:
            found = status(connection, self.destination)
        return found.read_up_to and (found.read_up_to - NOON) / HOUR, len(found.gaps), found.held_orders


def fail_next(sandbox, **fault):
    """Let the next request fail."""
    sandbox.fault({"provider": "justclick", "next": 1, **fault}).raise_for_status()
