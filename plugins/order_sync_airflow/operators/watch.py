"""Looks every few minutes whether all destinations are well, and raises an alarm if not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from include.order_sync import tuning
from include.order_sync.errors import OrderSyncError
from order_sync_airflow import alarms
from order_sync_airflow.ledger_connection import LEDGER_CONNECTION, history_in, ledger_engine, ledger_transaction
from order_sync_airflow.operators.base import OrderSyncOperator, storage_path
from order_sync_airflow.operators.extract import adopt_before
from order_sync_airflow.operators.source_readers import reader_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.order_sync.configuration.loading import Configuration
    from include.order_sync.configuration.models import Destination
    from include.order_sync.model import Window
    from include.order_sync.watch import Problem

OF_LEDGER = ("late", "held", "quarantine", "files")
# Of destinations that are not late: where one is, silence says nothing.
OF_READING = ("silent",)
# Of destinations whose newest hours are read: where they are not, each of their orders is unread.
OF_SOURCE = ("unread", "source")


class WatchOperator(OrderSyncOperator):
    """Tells people once of each problem, and once when it is over; and sends the daily digest."""

    time_limit_s = tuning.WATCH_TASK_S

    def execute(self, context: Context) -> None:  # noqa: ARG002  (Airflow's signature)
        """Look at configuration and ledger first, and tell: a source may hang."""
        from include.order_sync import watch

        configuration = self.load_configuration()
        state, now = alarms.kept_state(), datetime.now(UTC)
        live = [destination for destination in configuration.destinations.values() if destination.live]
        for destination in live:
            if destination.renamed_from:
                alarms.rename(state, destination.renamed_from, destination.name)
        known = {(old["destination"], old["kind"]) for old in state.open.values()}
        # A destination that is removed has no problem any more; one with mistakes can't be looked at.
        gone = {
            (name, kind)
            for name, kind in known - _judged(live, OF_LEDGER + OF_READING + OF_SOURCE)
            if kind == "mistake" or name not in configuration.mistaken
        }
        found = watch.of_configuration(configuration)
        judged = gone - {("ledger", "down")}
        read: list[Destination] = []
        looked_at: list[Destination] = []
        overdue: list[tuple[Destination, str, Window]] = []
        try:
            with ledger_transaction() as ledger:
                for destination in live:
                    history = history_in(ledger, destination)
                    own = watch.of_ledger(ledger, destination, configuration.sources[destination.source], history, now)
                    found += own
                    if not any(problem.kind == "late" for problem in own):
                        read.append(destination)
                    if watch.stands_still(ledger, destination, history, now):
                        continue
                    looked_at.append(destination)
                    window = watch.overdue(ledger, destination, history, now)
                    if window:
                        overdue.append((destination, history, window))
            judged |= _judged(live, OF_LEDGER) | _judged(read, OF_READING) | {("ledger", "down")}
        except OrderSyncError as error:
            found.append(watch.Problem("ledger", "down", str(error)))
            alarms.tell(configuration.alarms, state, found, judged, now)
            alarms.raise_if_unsent(state)
            return
        alarms.tell(configuration.alarms, state, found, judged, now)
        self._send_digest(configuration, state, live, now)
        seen = [problem for each in overdue for problem in self._look_at_source(configuration, *each)]
        alarms.tell(configuration.alarms, state, [*found, *seen], judged | _judged(looked_at, OF_SOURCE), now)
        alarms.raise_if_unsent(state)

    def _look_at_source(
        self, configuration: Configuration, destination: Destination, history: str, window: Window
    ) -> list[Problem]:
        """Return the problem of a source that runs do not see rightly, or that can't be read."""
        from include.order_sync import pipeline, watch
        from include.order_sync.delivery.planning import Planner
        from include.order_sync.ledger.opening import open_session
        from include.order_sync.sources.run_window import Healing, RunWindow
        from include.order_sync.staging.run_folder import Staging

        source = configuration.sources[destination.source]
        self.log.info("%s: looking at %s from %s up to %s", destination.name, source.name, window.start, window.end)
        options = replace(
            pipeline.send_options(destination),
            reads_present=True,
            adopt_before=adopt_before(destination, window.start, wholly=False, insists=False),
        )
        # Among the folders of runs: what a kill leaves there is found by retention, and by erasing a person.
        folder = storage_path(configuration.staging) / "order_sync_watch" / destination.name
        session = open_session(
            ledger_engine(),
            LEDGER_CONNECTION,
            destination=destination.name,
            run="watch",
            try_number=1,
            read_only=True,
            renamed_from=destination.renamed_from,
        )
        try:
            with session as ledger:
                planner = Planner.of(destination.service, ledger, options)
                # Of a drop the files of this time alone that were not taken.
                run = RunWindow(window, healing=Healing(window.start, window.start))
                reader = reader_of(source, destination, run, history)
                found = watch.unseen(reader, Staging(folder), source, destination, planner)
        except OrderSyncError as error:
            return [watch.Problem(destination.name, "source", f"Source {source.name} can't be looked at: {error}")]
        finally:
            if folder.exists():
                folder.fs.rm(folder.path, recursive=True)
        return [found] if found else []

    def _send_digest(
        self, configuration: Configuration, state: alarms.State, live: Sequence[Destination], now: datetime
    ) -> None:
        from include.order_sync import watch

        hour, today = configuration.alarms.digest_hour, f"{now:%Y-%m-%d}"
        if hour is None or now.hour < hour or state.digest == today:
            return
        with ledger_transaction() as ledger:
            lines = [watch.digest(ledger, each, history_in(ledger, each), now) for each in live]
        alarms.queue(configuration.alarms, state, f"Order Sync: {today}", lines)
        state.digest = today
        alarms.send_unsent(configuration.alarms, state)


def _judged(destinations: Sequence[Destination], kinds: Sequence[str]) -> set[tuple[str, str]]:
    return {(destination.name, kind) for destination in destinations for kind in kinds}
