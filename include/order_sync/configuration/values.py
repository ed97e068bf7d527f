"""What several parts of the configuration share: their form, values of keys, and messages about unknown ones."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict

# Relative paths of the configuration begin here.
PROJECT = Path(__file__).parents[3]

LONGEST = timedelta(days=36_500)


class Section(BaseModel):
    """A part of the configuration, which takes no unknown key."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def known_key(kind: str, key: str, known: Sequence[str]) -> None:
    """Raise ValueError for an unknown key; the message names it, the nearest known key, and all known keys."""
    if key not in known:
        raise ValueError(f"there is no {kind} {key!r};{_hint(key, known)}")


def known_value(kind: str, value: str, known: Sequence[str]) -> str:
    """Return `value` if it is known; else raise ValueError like known_key.

    The message does not name the value: it may come from the environment and be a secret.
    """
    if value not in known:
        raise ValueError(f"there is no such {kind};{_hint(value, known)}")
    return value


def _hint(name: str, known: Sequence[str]) -> str:
    import difflib  # only a mistake needs it

    close = difflib.get_close_matches(name, known, 1)
    return f"{f' did you mean {close[0]!r}?' if close else ''} known: {', '.join(known)}"


def quoted(names: Any) -> Any:
    """Return a mapping whose keys are all text; raise ValueError for another key."""
    for name in names if isinstance(names, Mapping) else ():
        if not isinstance(name, str):
            raise ValueError(f"put the key {name!r} in quotes, so that it stays text")
    return names


def time_zone(name: str) -> str:
    """Return the name of a time zone; raise ValueError if there is none.

    An abbreviation gets no hint: MSK is near to MST, which is ten hours away.
    """
    if name in _time_zones():
        return name
    import difflib  # only a mistake needs it

    close = difflib.get_close_matches(name, _time_zones(), 1) if "/" in name else []
    hint = f" did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"there is no such time zone;{hint} give a region and a city, as Europe/Kyiv or America/New_York")


@cache
def _time_zones() -> list[str]:
    return sorted(available_timezones())  # reads hundreds of files


def _duration(text: Any) -> timedelta:
    if isinstance(text, timedelta):  # a default; YAML has no durations
        return text
    found = re.fullmatch(r"(\d{1,6})([mhd])", text) if isinstance(text, str) else None
    if not found:
        raise ValueError("give a number of minutes, hours or days, as 30m, 1h or 2d")
    duration = timedelta(minutes=int(found[1]) * {"m": 1, "h": 60, "d": 24 * 60}[found[2]])
    if duration > LONGEST:  # before the first year there are no times
        raise ValueError(f"give at most {LONGEST.days}d")
    return duration


Duration = Annotated[timedelta, BeforeValidator(_duration)]


def country(code: str) -> str:
    """Return the code of a country, as UA; raise ValueError if there is none."""
    from phonenumbers import SUPPORTED_REGIONS  # few sources need it

    return known_value("country", code, sorted(SUPPORTED_REGIONS))
