"""Reads ISO 8601 dates and times of a source, whole columns at once."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.order_sync.columns.text import array_of, series_of

# Years that every time zone, PostgreSQL and Python can hold. Some shops write 9999 for "never".
_DATE = r"(?:19|[2-8][0-9]|9[0-8])[0-9]{2}-[0-9]{2}-[0-9]{2}"
_DATE_AND_TIME = _DATE + r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?)?"
_OFFSET = r"(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)"

# What MySQL and .NET write where there is no date.
NO_DATE = r"^(?:0000-00-00|0001-01-01|0?1[./]0?1[./]0001)(?:[^0-9]|$)"

# Non-breaking and thin blanks.
_BLANKS = "[\u00a0\u2007\u2009\u202f]"
# The end of a time, with what may stand before its offset; and the words for offsets that mean one alone.
_TIME_END = r"(:[0-9]{2}(?:[.,][0-9]{1,9})?)"
_UNUSUAL_OFFSET = (
    _TIME_END
    + r"(?:\s*[[:alpha:]\p{Cyrillic}]{1,4}(?:[+-].*)?|\s+[+-].*|[+-][0-9](?::.*)?|[+-][0-9]{2}:[0-9]{2}:[0-9]{2})$"
)
# Programs of JavaScript and Java write the zone's name behind its offset: GMT+0200 (EET), +02:00[Europe/Kyiv].
_NAMED_OFFSET = r"(\s*(?i:UTC|GMT)?[+-][0-9:]+|Z)\s*[(\[][^)\]]*[)\]]$"
_ZONE_WORDS = {
    "+00:00": "Z|UTC|GMT|UT|WET",
    "+01:00": "CET|WEST",
    "+02:00": "EET|CEST",
    "+03:00": "EEST|MSK|МСК",  # noqa: RUF001
}
_OFFSET_WITH_SECONDS = re.compile(r":[0-9]{2}(?:\.[0-9]+)?[+-][0-9]{2}:[0-9]{2}:[0-9]{2}$")

# The length of a date alone, and of a time with seconds and without an offset.
_CHARACTERS_OF_A_DATE = 10
_CHARACTERS_TO_THE_SECOND = 19
# Between these, the year fits _DATE in every time zone.
_FIRST_US = int(datetime(1900, 1, 2, tzinfo=UTC).timestamp()) * 1_000_000
_LAST_US = int(datetime(9899, 12, 30, tzinfo=UTC).timestamp()) * 1_000_000

_NO_TIMES = pd.Series(dtype="datetime64[us, UTC]")


class TimesRead(NamedTuple):
    """Times of one column, and those of them whose local time is not one moment. A date alone counts as one.

    Args:
        times: UTC in microseconds. A time in an hour that comes twice is read as its second pass, and a time in an hour
            that the clocks skip as the moment when they go forward.
        first_passes: of the times in an hour that comes twice, the first pass.
        skipped: index of the times in an hour that clocks skip.
    """

    times: pd.Series
    first_passes: pd.Series = _NO_TIMES
    skipped: pd.Index = _NO_TIMES.index


def read_times(texts: pd.Series, timezone: str) -> TimesRead:
    """Return ISO 8601 dates and times as UTC; any other text is missing. Offsets may be words too, as MSK.

    Args:
        texts: trimmed.
        timezone: the shop's, of a time without an offset.
    """
    plain = _plain_times(texts)
    if plain is not None:
        return TimesRead(plain) if plain.dt.tz else _localized(plain, timezone)
    texts = _with_plain_offsets(texts)
    dated = texts.str.fullmatch(_DATE_AND_TIME + _OFFSET + "?", na=False)
    # A date alone ends like an offset ("-21"), so an offset needs a time before it.
    aware = dated & texts.str.contains(r":[0-9]{2}(?:[.,][0-9]+)?" + _OFFSET + "$", na=False)
    times = pd.Series(pd.NaT, index=texts.index, dtype="datetime64[us, UTC]")
    if aware.any():
        times[aware] = _parsed(texts[aware], utc=True)
    naive = dated & ~aware
    if not naive.any():
        return TimesRead(times)
    local = _localized(_parsed(texts[naive], utc=False), timezone)
    times[naive] = local.times
    has_time = texts[naive].str.len() > _CHARACTERS_OF_A_DATE
    with_time = has_time.index[has_time]
    return TimesRead(
        times, local.first_passes[local.first_passes.index.isin(with_time)], local.skipped.intersection(with_time)
    )


def _plain_times(texts: pd.Series) -> pd.Series | None:
    """Fast path: return all times if Arrow reads every one of them as read_times would; else None.

    Databases write all their times in one form, which Arrow reads at once. It also accepts texts that stop at the hour
    and far years: these are excluded here.
    """
    values = array_of(texts)
    shortest = pc.min(pc.binary_length(values)).as_py() or 0
    if shortest < _CHARACTERS_TO_THE_SECOND:
        return None
    has_zone = shortest > _CHARACTERS_TO_THE_SECOND
    try:
        times = values.cast(pa.timestamp("us", "UTC" if has_zone else None))
    except pa.ArrowInvalid:
        return None
    within = pc.min_max(times.cast(pa.int64()))
    if within["min"].as_py() < _FIRST_US or within["max"].as_py() > _LAST_US:
        return None
    return series_of(times, texts.index)


def _with_plain_offsets(texts: pd.Series) -> pd.Series:
    """Return `12:00:00 +0300`, `12:00:00 GMT+3` and `12:00:00 MSK` with the offset +03:00 right behind the time."""
    values = pc.replace_substring_regex(array_of(texts), _BLANKS, " ")
    values = pc.replace_substring_regex(values, _TIME_END + _NAMED_OFFSET, r"\1\2")
    if not pc.any(pc.match_substring_regex(values, _UNUSUAL_OFFSET)).as_py():
        return series_of(values, texts.index)
    values = pc.replace_substring_regex(values, _TIME_END + r"\s*(?i:UTC|GMT|UT)?\s*([+-])", r"\1\2")
    values = pc.replace_substring_regex(values, _TIME_END + r"([+-])([0-9]|[0-9]:[0-9]{2})$", r"\1\20\3")
    for offset, words in _ZONE_WORDS.items():
        values = pc.replace_substring_regex(values, rf"{_TIME_END}\s*(?i:{words})$", rf"\1{offset}")
    return series_of(values, texts.index).map(_whole_minutes, na_action="ignore").astype(texts.dtype)


def _whole_minutes(text: str) -> str:
    """Return a time whose offset has seconds, as a zone's local mean time, in UTC; any other text as it is.

    PostgreSQL writes such offsets for times before a zone had hours, as of 1900: shops write those for "not yet".
    """
    if _OFFSET_WITH_SECONDS.search(text):
        try:
            return datetime.fromisoformat(text).astimezone(UTC).isoformat()
        except (ValueError, OverflowError):
            return text
    return text


def _localized(local: pd.Series, timezone: str) -> TimesRead:
    """Return local times as UTC, with what the zone's clocks make of them."""
    times: pd.Series = local.dt.tz_localize(timezone, ambiguous="NaT", nonexistent="NaT").dt.tz_convert("UTC")
    odd = local[times.isna() & local.notna()]
    if odd.empty:
        return TimesRead(times)
    first, second = (
        odd.dt.tz_localize(timezone, ambiguous=is_first, nonexistent="NaT").dt.tz_convert("UTC")
        for is_first in (True, False)
    )
    skipped = odd[second.isna()]
    times[second.index] = second
    times[skipped.index] = _jumps(skipped, ZoneInfo(timezone))
    return TimesRead(times, first.dropna(), skipped.index)


def _jumps(skipped: pd.Series, zone: ZoneInfo) -> list[datetime]:
    """Return for each local time that does not exist the moment when the clocks went over it.

    pandas' `shift_forward` is an hour late in some zones (3.1.1: America/Adak).
    """
    moments: list[datetime] = []
    for local in skipped.dt.to_pydatetime():
        # By the offset of after the jump it lies before the jump, and the other way round.
        before, after = (local.replace(microsecond=0, tzinfo=zone, fold=fold).astimezone(UTC) for fold in (1, 0))
        if not moments or not before < moments[-1] <= after:
            offset = after.astimezone(zone).utcoffset()
            while after - before > timedelta(seconds=1):
                middle = (before + (after - before) / 2).replace(microsecond=0)
                before, after = (before, middle) if middle.astimezone(zone).utcoffset() == offset else (middle, after)
            moments.append(after)
        else:
            moments.append(moments[-1])
    return moments


def _parsed(texts: pd.Series, *, utc: bool) -> pd.Series:
    # To the microsecond: one time with nanoseconds would make far years unreadable in all the others.
    texts = texts.str.replace(r"[.,](\d{1,6})\d*", r".\1", regex=True)
    return pd.to_datetime(texts, format="ISO8601", utc=utc, errors="coerce").dt.as_unit("us")
