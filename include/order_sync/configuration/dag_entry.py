"""What a DAG needs of a destination's entry: name, schedule, first day and `live`, also if the rest has mistakes."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, date, datetime, time
from typing import Any

from croniter import croniter
from pydantic import Field, ValidationError, field_validator
from yaml import YAMLError

from include.order_sync.configuration import yaml12
from include.order_sync.configuration.values import Section

# Names of the project's own DAGs, which a destination must not take.
RESERVED_NAMES = ("config", "redrive", "maintenance", "watch")

# For an entry whose own ones can't be known.
FALLBACKS = {"schedule": "0 * * * *", "start_date": "2026-01-01", "live": False}

# Beyond these Airflow can't turn a start date into UTC, or has no intervals before it.
FIRST_YEAR, LAST_YEAR = 1970, 2999

# A key below `destinations:` in a text that is no YAML.
_KEY = re.compile(r"""(?P<indent>\s+)(?P<quote>["']?)(?P<name>\w+)(?P=quote)\s*:""")


class Entry(Section):
    """A source or a destination, with its name."""

    name: str = Field(description="the key itself")


class DagEntry(Entry):
    """An entry that becomes a DAG."""

    schedule: str = Field("0 * * * *", description="a cron expression; each run reads the interval that has ended")
    start_date: datetime = Field(description="the first day that may be run or backfilled, as 2026-01-01")
    live: bool = Field(False, description="true, to send; until then each run of it only plans, whatever its params")

    @field_validator("name")
    @classmethod
    def _fit_for_a_dag_id(cls, name: str) -> str:
        if not re.fullmatch(r"[a-z0-9_]+", name) or name in RESERVED_NAMES:
            raise ValueError(
                "a destination's name becomes its DAG's id, order_sync_<name>: "
                f"use lower-case letters, digits and _, and none of {', '.join(RESERVED_NAMES)}"
            )
        return name

    @field_validator("schedule")
    @classmethod
    def _cron(cls, schedule: str) -> str:
        try:
            # Random and second fields, and days that never come, are no schedule to read intervals by.
            if len(schedule.split()) != 5 or "R" in schedule.upper():
                raise ValueError
            croniter(schedule).get_next()
        except (ValueError, KeyError):
            raise ValueError(
                'it is no cron expression of five fields that ever comes; every hour is "0 * * * *"'
            ) from None
        return schedule

    @field_validator("start_date", mode="before")
    @classmethod
    def _a_date(cls, start: Any) -> Any:
        if not isinstance(start, str | date):  # a number would be read as seconds since 1970
            raise ValueError("give the first day that may be run or backfilled, as 2026-01-01")
        if isinstance(start, date) and not isinstance(start, datetime):
            return datetime.combine(start, time())
        return start

    @field_validator("start_date")
    @classmethod
    def _with_a_time_zone(cls, start: datetime) -> datetime:
        start = start if start.tzinfo else start.replace(tzinfo=UTC)
        if not FIRST_YEAR <= start.year <= LAST_YEAR:
            raise ValueError(f"give a day of the years {FIRST_YEAR} to {LAST_YEAR}, as 2026-01-01")
        return start

    @property
    def dag_id(self) -> str:
        """The id of the destination's DAG."""
        return f"order_sync_{self.name}"


def of_mistaken(name: str, body: Any) -> DagEntry | None:
    """Return what can be known of an entry with mistakes; None where its name could not have had a DAG.

    Args:
        name: its key.
        body: what stands below the key, with environment variables put in.
    """
    known: dict[str, Any] = {"name": name, **FALLBACKS}
    for key in FALLBACKS:
        try:
            DagEntry.model_validate({**known, key: body[key]})
        except (ValidationError, KeyError, TypeError):
            continue
        known[key] = body[key]
    try:
        return DagEntry.model_validate(known)
    except ValidationError:
        return None


def salvaged(text: str, keys: Collection[str]) -> dict[str, Any]:
    """Return the destinations of a text that is no YAML: each key right below `destinations:`, and what it says.

    A body that can't be read by itself either is None. The fault may be a wrong indent, or the marks of a merge that
    git could not do: these cost no other destination.

    Args:
        text: of the file.
        keys: that a destination may have: none of them is a name.
    """
    lines = text.splitlines()
    start = next((at for at, line in enumerate(lines) if re.match(r"destinations\s*:", line)), len(lines))
    entries: dict[str, list[str]] = {}
    outer = inner = name = None  # how deep names and their keys are
    for line in lines[start + 1 :]:
        if re.match(r"[\w\"']", line):  # the next key of the top
            break
        found = _KEY.match(line)
        if found:
            depth = len(found["indent"].expandtabs())
            if found["name"] in keys:
                inner = depth
            elif outer is None or depth <= outer or (inner is not None and depth < inner):
                outer, inner, name = depth if outer is None else outer, None, found["name"]
                entries[name] = []
        if name:
            entries[name].append(line)
    return {name: _body(name, "\n".join(written)) for name, written in entries.items()}


def _body(name: str, text: str) -> Any:
    try:
        read = yaml12.load(text)
    except YAMLError:
        return None
    # `name:x` without a blank is one text, and the key `null` is none.
    return read.get(name) if isinstance(read, dict) else None
