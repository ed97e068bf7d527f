"""What grows with time, and the bounds that it must keep, however long the campaign."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg

from include.order_sync.providers import PROVIDERS
from simulation.surroundings import RETENTION

# The days that the ledger has kept of something may exceed the retention by a day: maintenance comes once a day.
DAYS = RETENTION["attempts"] + 2
# Scheduled runs, retried ones included, and people's runs: windows that a destination finishes in a day.
WINDOWS_A_DAY = 40

# Decisions are not among these: a person made each, and they are kept for ever (docs/security.md).
QUERIES = {
    # Beside those of the last days an order keeps its newest attempt, and the one that was accepted last.
    "old attempts of one order": """
        select coalesce(max(n), 0) from (
            select count(*) as n from attempts a join batches b on b.id = a.batch_id
            where b.concluded_at < now() - make_interval(days => %(days)s)
            group by a.destination_id, a.partition_hash, a.order_id) as orders
    """,
    "old batches without attempts": """
        select count(*) from batches b where b.concluded_at < now() - make_interval(days => %(days)s)
          and not exists (select from attempts a where a.batch_id = b.id)
    """,
    "rejections without a batch": "select count(*) from rejections r where not exists "
    "(select from batches b where b.id = r.batch_id)",
    "old resolved entries of the quarantine": "select count(*) from quarantine "
    "where resolved_at < now() - make_interval(days => %(days)s)",
    "windows of one destination": "select coalesce(max(n), 0) from "
    "(select count(*) as n from windows group by destination) as counted",
    "accounts with a pace": "select count(*) from request_slots",
    "share of the numbers of an identity used up": """
        select max(coalesce(pg_sequence_last_value(s.seqrelid), 0)::float8 / s.seqmax) from pg_sequence s
    """,
    # A killed load leaves its own until the next load of its destination; JustClick's have one order each.
    "loads with batches under way": "select count(distinct (destination_id, run, try)) from batches "
    "where outcome is null",
}
BOUNDS: dict[str, float] = {
    "old attempts of one order": 2,
    "old batches without attempts": 0,
    "rejections without a batch": 0,
    "old resolved entries of the quarantine": 0,
    "windows of one destination": WINDOWS_A_DAY * DAYS,
    "accounts with a pace": len(PROVIDERS),
    # A century of such weeks as these leaves most of them.
    "share of the numbers of an identity used up": 0.001,
    "loads with batches under way": len(PROVIDERS),
    "staged runs": len(PROVIDERS) * 24 * (RETENTION["staged_parts"] + 2) * 2,
    "old staged runs": 0,
    "Variables": len(PROVIDERS),
    "characters of an XCom": 4000,
}


@dataclass
class Growth:
    """The greatest figures so far.

    Args:
        peaks: figure -> its greatest value.
    """

    peaks: dict[str, float]

    def measure(self, ledger: str, staging: Path, now: float, variables: int) -> None:
        """Measure the ledger and the folder, right after maintenance.

        Args:
            ledger: its address.
            staging: the folder of staged runs.
            now: the simulated time, in seconds since 1970.
            variables: how many Airflow keeps.
        """
        with psycopg.connect(ledger) as connection:
            for name, query in QUERIES.items():
                row = connection.execute(query, {"days": DAYS}).fetchone()
                self.note(name, float(row[0]) if row else 0.0)
        runs = list(staging.glob("*/*"))
        oldest = now - timedelta(days=RETENTION["staged_parts"] + 1).total_seconds()
        self.note("staged runs", len(runs))
        self.note("old staged runs", sum(run.stat().st_mtime < oldest for run in runs))
        self.note("Variables", variables)

    def note(self, name: str, figure: float) -> None:
        """Note a figure."""
        self.peaks[name] = max(figure, self.peaks.get(name, 0))

    def broken(self) -> list[str]:
        """Return the bounds that were broken, as sentences."""
        return [
            f"{name}: {self.peaks[name]:g}, and the bound is {bound:g}"
            for name, bound in BOUNDS.items()
            if self.peaks.get(name, 0) > bound
        ]
