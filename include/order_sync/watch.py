"""The watch: says what is wrong with each destination, by the ledger and by a look at its source; and the digest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from include.order_sync.configuration.csv_source import CsvSource
from include.order_sync.counted import are, counted
from include.order_sync.ledger import windows
from include.order_sync.ledger.status import status
from include.order_sync.model import Window

if TYPE_CHECKING:
    from include.order_sync.configuration.loading import Configuration
    from include.order_sync.configuration.models import Destination
    from include.order_sync.configuration.source import Source
    from include.order_sync.delivery.planning import Planner
    from include.order_sync.sources.csv_drop import CsvDropReader
    from include.order_sync.sources.warehouse import WarehouseReader
    from include.order_sync.staging.run_folder import Staging

HELD_AT_MOST = timedelta(hours=24)
# A source is silent after twice its second longest pause of these days: one accident is no rhythm. Fewer runs with
# orders than RUNS_OF_A_RHYTHM make none.
RHYTHM = timedelta(days=28)
RUNS_OF_A_RHYTHM = 20
SHORTEST_PAUSE = timedelta(hours=1)
# A quarantine grows if a day brings more entries than FEW, and more than so many times a day of the week before.
FEW_ENTRIES, TIMES_AS_MANY = 20, 3
# Only the newest entries are looked at: a day that brings all of them is growth enough.
ENTRIES_LOOKED_AT = 20_000
FILES_LOOKED_AT = timedelta(days=7)
# So far back a source is looked at.
LOOK_BACK = timedelta(days=3)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Args:
        destination: its name; `ledger` or `configuration` for what concerns all.
        kind: in one word; with the destination it tells the same problem again.
        text: what, and what to do; without personal data.
    """

    destination: str
    kind: str
    text: str

    @property
    def key(self) -> str:
        """Tells the same problem again."""
        return f"{self.destination} {self.kind}"


def of_configuration(configuration: Configuration) -> list[Problem]:
    """Return the mistakes of live destinations; all mistakes, if no destination can be known."""
    named = [name for name, entry in configuration.mistaken.items() if entry.live]
    # A mistake in `alarms` counts too: nobody gets a message then, but `/order-sync/health` says so.
    of_all = [each for each in configuration.mistakes if not each.key.startswith(("destinations.", "sources."))]
    if of_all or not (configuration.destinations or configuration.mistaken):
        named.append("configuration")
    said = (
        f"{counted(len(configuration.mistakes), 'mistake')}, as {configuration.mistakes[0]}"
        if configuration.mistakes
        else ""
    )
    return [Problem(name, "mistake", said) for name in named]


def of_ledger(
    connection: sa.Connection, destination: Destination, source: Source, history: str, now: datetime
) -> list[Problem]:
    """Return what the ledger says is wrong with a destination.

    Args:
        connection: to the ledger, in a transaction.
        destination: that sends.
        source: of its orders.
        history: the name of its history: its old name, until its first run has taken that over.
        now: the present time.
    """
    # One whose first run has not ended well is late too, once it is overdue.
    read_up_to = status(connection, history).read_up_to or windows.began(connection, history)
    is_read = read_up_to is None or read_up_to >= now - destination.fresh_within
    found = []
    if not is_read:
        found.append(
            (
                "late",
                f"Its source is read up to {read_up_to:%Y-%m-%d %H:%M} UTC, and `fresh_within` is "
                f"{_hours(destination.fresh_within)}. Is {destination.dag_id} paused, or are its runs red or waiting?",
            )
        )
    found += [
        (kind, text)
        for kind, text in (
            ("silent", _silence(connection, history, source, now) if is_read else None),
            ("held", _held(connection, history, now)),
            ("quarantine", _growth(connection, history, now)),
            ("files", _unusable(connection, history, source, now)),
        )
        if text
    ]
    return [Problem(destination.name, kind, text) for kind, text in found]


def stands_still(connection: sa.Connection, destination: Destination, history: str, now: datetime) -> bool:
    """Return whether no run reads the newest hours: an old gap alone makes a destination late too."""
    before = now - destination.fresh_within
    return any(gap.end == before for gap in windows.unread(connection, history, before))


def overdue(connection: sa.Connection, destination: Destination, history: str, now: datetime) -> Window | None:
    """Return the time of changes that no run has seen and that are accepted by now, if there are any; None without one.

    It lies behind the newest change that a run has read: where runs see the source, they judge its orders themselves.
    """
    began = windows.began(connection, history)
    if began is None:
        return None
    query = sa.text("select greatest(newest_read, newest_accepted) from freshness where destination = :name")
    newest = connection.execute(query, {"name": history}).scalar()
    end = now - destination.fresh_within
    start = max(began, newest or began, end - LOOK_BACK)
    return Window(start, end) if start < end else None


def unseen(
    reader: WarehouseReader | CsvDropReader,
    staging: Staging,
    source: Source,
    destination: Destination,
    planner: Planner,
) -> Problem | None:
    """Read a source apart from all runs, and return the problem if it has orders that a run would have sent.

    Args:
        reader: of the time `overdue`.
        staging: an empty folder for its rows.
        source: of the rows.
        destination: of the orders.
        planner: of the destination.
    """
    from include.order_sync import pipeline
    from include.order_sync.delivery.plan_mode import plan_outcomes
    from include.order_sync.delivery.result import NOT_SENT

    read = pipeline.extract(reader, staging)
    if read.rows == read.skipped:
        return None
    pipeline.transform(staging, source, destination)
    parts = [part for part in staging.ready_parts() if len(part)]
    count = plan_outcomes(planner, parts)[0][NOT_SENT] if parts else 0
    if not count:
        return None
    text = (
        f"Source {source.name} has {counted(count, 'order')} changed more than {_hours(destination.fresh_within)} ago "
        "that no run has read. Do its times and its `timezone` agree with the window?"
    )
    return Problem(destination.name, "unread", text)


def digest(connection: sa.Connection, destination: Destination, history: str, now: datetime) -> str:
    """Return the line of a destination in the daily digest: the last 24 hours.

    Args:
        connection: to the ledger, in a transaction.
        destination: that sends.
        history: the name of its history, as of_ledger takes it.
        now: the present time.
    """
    query = """
        select coalesce(sum(accepted), 0), coalesce(sum(rejected), 0) from run_records
        where destination = :name and recorded_at > :since and not is_plan
    """
    values = {"name": history, "since": now - timedelta(days=1)}
    accepted, rejected = connection.execute(sa.text(query), values).one()
    query = "select reason, entries from reasons_v1 where destination = :name order by entries desc, reason limit 3"
    reasons = [f"{reason} ({entries})" for reason, entries in connection.execute(sa.text(query), values)]
    known = status(connection, history)
    read = f"{known.read_up_to:%Y-%m-%d %H:%M} UTC" if known.read_up_to else "never"
    return (
        f"{destination.name}: data up to {read}; accepted {accepted}, rejected {rejected} in 24 hours; "
        f"held {known.held_orders}; open in the quarantine: {', '.join(reasons) or 'nothing'}"
    )


def _silence(connection: sa.Connection, history: str, source: Source, now: datetime) -> str | None:
    query = """
        with bringing as (
            select recorded_at from run_records
            where destination = :name and begun_by = 'schedule' and accepted + adopted + held > 0
        ), brought as (
            -- The days before the last order: a source that is silent for longer stays so.
            select recorded_at from bringing
            where recorded_at > (select max(recorded_at) from bringing) - cast(:rhythm as interval)
        ), pauses as (
            select recorded_at - lag(recorded_at) over (order by recorded_at) as pause from brought
        )
        select count(*), max(recorded_at),
            (select pause from pauses where pause is not null order by pause desc offset 1 limit 1)
        from brought
    """
    values = {"name": history, "rhythm": RHYTHM}
    runs, last, pause = connection.execute(sa.text(query), values).one()
    if runs < RUNS_OF_A_RHYTHM or now - last <= 2 * max(pause, SHORTEST_PAUSE):
        return None
    return (
        f"No new order since {last:%Y-%m-%d %H:%M} UTC, and its pauses of the {RHYTHM.days} days before were at most "
        f"{_hours(pause)}. Does the shop still write to source {source.name}?"
    )


def _held(connection: sa.Connection, history: str, now: datetime) -> str | None:
    query = "select count(*), min(since) from held_v1 where destination = :name and since < :before"
    values = {"name": history, "before": now - HELD_AT_MOST}
    count, since = connection.execute(sa.text(query), values).one()
    if not count:
        return None
    return (
        f"{are(count, 'order')} held for more than {_hours(HELD_AT_MOST)}, the first since "
        f"{since:%Y-%m-%d %H:%M} UTC. Decide by a redrive (DAG order_sync_redrive)."
    )


def _growth(connection: sa.Connection, history: str, now: datetime) -> str | None:
    query = """
        select count(*) filter (where first_seen_at > :day), count(*) filter (where first_seen_at <= :day)
        from (select destination, first_seen_at, resolved_at from quarantine order by id desc limit :limit) newest
        where destination = :name and first_seen_at > :week and (resolved_at is null or first_seen_at <= :day)
    """
    values = {
        "name": history,
        "day": now - timedelta(days=1),
        "week": now - timedelta(days=8),
        "limit": ENTRIES_LOOKED_AT,
    }
    new, before = connection.execute(sa.text(query), values).one()
    if new <= max(FEW_ENTRIES, TIMES_AS_MANY * before / 7):
        return None
    return f"New in the quarantine in 24 hours: {new}; in the seven days before: {before}. Read the reasons."


def _unusable(connection: sa.Connection, history: str, source: Source, now: datetime) -> str | None:
    if not isinstance(source, CsvSource):
        return None
    query = """
        select count(*), min(path) from (
            select distinct on (path) path, is_unusable from files_v1
            where destination = :name and taken_at > :since order by path, taken_at desc
        ) newest where is_unusable
    """
    values = {"name": history, "since": now - FILES_LOOKED_AT}
    count, path = connection.execute(sa.text(query), values).one()
    if count <= source.max_unusable_files:
        return None
    return f"{counted(count, 'file')} could not be used, as {path}: extract's log says why. Write each anew."


def _hours(time: timedelta) -> str:
    minutes = round(time / timedelta(minutes=1))
    return f"{minutes} minutes" if minutes < 120 else f"{minutes / 60:.3g} hours"
