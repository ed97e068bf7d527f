"""The simulated clock: Python's, the ledger's `now()`, and the times of files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import time_machine

# The ledger's tables lie in this schema too. It stands before pg_catalog in the search path, so that its now() is the
# one that the ledger's statements, defaults and views call.
SCHEMA = "simulated"
PREPARE = f"""
    create schema {SCHEMA};
    create table {SCHEMA}.clock (at timestamptz not null, set_at timestamptz not null);
    create function {SCHEMA}.now() returns timestamptz language sql stable as
        'select at + (pg_catalog.clock_timestamp() - set_at) from {SCHEMA}.clock';
"""


class Clock:
    """It goes on by itself too, as fast as the real one.

    Args:
        ledger: address of the ledger's database, which is empty.
        coordinates: of Python's clock.
    """

    def __init__(self, ledger: str, coordinates: time_machine.Traveller) -> None:
        self._coordinates = coordinates
        self.use(ledger)

    def use(self, ledger: str) -> None:
        """Give a new ledger's database this clock."""
        connection = psycopg.connect(ledger, autocommit=True)
        connection.execute(PREPARE)
        connection.execute(f"alter database {connection.info.dbname} set search_path = {SCHEMA}, pg_catalog")
        connection.execute(f"insert into {SCHEMA}.clock values (%s, clock_timestamp())", (self.now,))
        self._ledger = connection

    @property
    def now(self) -> datetime:
        """The simulated time."""
        return datetime.now(UTC)

    def move_to(self, at: datetime) -> None:
        """Move on to a time, or stay if it is over."""
        if at > self.now:
            self._coordinates.move_to(at, tick=True)
            # The time that Python is asked for first begins to go on.
            self._ledger.execute(f"update {SCHEMA}.clock set at = %s, set_at = clock_timestamp()", (self.now,))

    def date_files(self, folder: Path) -> None:
        """Give each new file below the folder the simulated time: the file system has the real one."""
        now = self.now.timestamp()
        for path in [folder, *folder.rglob("*")] if folder.exists() else []:
            if path.stat().st_mtime > now:
                os.utime(path, (now, now))


@contextmanager
def simulated(ledger: str, start: datetime) -> Iterator[Clock]:
    """Yield a clock that starts at `start`; the real time, which must be later, is back in the end."""
    with time_machine.travel(start, tick=True) as coordinates:
        yield Clock(ledger, coordinates)
