"""Turns dates as shops write them into ISO 8601, by the forms that a source declares. Other texts stay as they are.

A form is a sequence of d, m and y with its signs, as `d.m.y` for 20.11.2026; a name of a month is `mon`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

UNIX, UNIX_MS, EXCEL = "unix", "unix ms", "excel"
_NUMBERS = (UNIX, UNIX_MS, EXCEL)
FORMS = ("y-m-d", "d.m.y", "d/m/y", "d-m-y", "m/d/y", "m-d-y", "y/m/d", "y.m.d", "ymd", "d mon y", "mon d y", *_NUMBERS)

# Days since 1900, with the leap day that 1900 did not have: so day 0 is this one.
# https://support.microsoft.com/en-us/office/datevalue-function-df8b07d4-7761-4a93-bc33-b7471bbff252
_EXCEL_DAY_0 = datetime(1899, 12, 30)  # noqa: DTZ001  (of local time)
_EXCEL_DAYS = range(20_000, 80_000)  # of the years 1954 to 2119

_PARTS = {"d": r"(?P<day>\d{1,2})", "m": r"(?P<month>\d{1,2})", "y": r"(?P<year>\d{4}|\d{2})"}
_NAME = r"(?P<name>[^\W\d_]{3,})"
_WEEKDAY = r"(?:[^\W\d_]{2,}\.?,?\s+)?"
_TIME = (
    r"(?:\s*(?:год|року|[гр])\b\.?)?(?:(?:[\s,T]+|\s+(?:at|um|в|о|-)\s+)(?P<hour>\d{1,2})[:.](?P<minute>\d{2})"
    r"(?:[:.](?P<second>\d{2}(?:[.,]\d{1,9})?))?(?:\s*(?P<half>[ap])(?:\.?m)?\.?)?(?:\s*uhr\b)?)?"
    r"(?P<zone>\s*(?:z|[^\W\d_]{2,4}|(?:utc|gmt)?[+-]\d{1,2}(?::?\d{2})?))?(?(zone)(?:\s*[([][^)\]]*[)\]])?)"
)
_COMPACT = (
    r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})"
    r"(?:[T ]?(?P<hour>\d{2}):?(?P<minute>\d{2})(?::?(?P<second>\d{2}(?:[.,]\d{1,9})?))?)?"
    r"(?P<half>)(?P<zone>\s*(?:z|[+-]\d{2}:?\d{2}))?"
)
# The months in English, Russian, Ukrainian, German and Polish. Other languages have other months that begin alike: a
# Finnish marraskuu is November. So a word is a month only if one of these begins with it.
_MONTHS = (
    "january январь января січень січня januar styczeń stycznia",
    "february февраль февраля лютий лютого februar luty lutego",
    "march март марта березень березня märz mrz marzec marca",
    "april апрель апреля квітень квітня kwiecień kwietnia",
    "may май мая травень травня mai maj maja",
    "june июнь июня червень червня juni czerwiec czerwca",
    "july июль июля липень липня juli lipiec lipca",
    "august август августа серпень серпня sierpień sierpnia",
    "september сентябрь сентября вересень вересня wrzesień września",
    "october октябрь октября жовтень жовтня oktober październik października",
    "november ноябрь ноября листопад листопада listopad listopada",
    "december декабрь декабря грудень грудня dezember grudzień grudnia",
)
_SHORTEST_MONTH = 3


def known_form(written: str) -> str:
    """Return a form as it is listed in FORMS, however often its letters are repeated: `DD.MM.YYYY` is `d.m.y`.

    Raises:
        ValueError: there is no such form.
    """
    form = re.sub(r"\bmmm+\b|\bmonth\b", "mon", written.strip().lower()).removesuffix(" s")
    if form not in _NUMBERS:
        # A time may follow any date, so it needs no name.
        form = re.sub("[ t]?h.*", "", re.sub(r"([dmy])\1+", r"\1", form))
        form = re.sub(r"[-/., ]+", " ", form) if "mon" in form else form
    if form not in FORMS:
        raise ValueError(f"there is no such form of dates; known: {', '.join(FORMS)}; ISO 8601 is always read")
    return form


def ambiguous(forms: Sequence[str]) -> tuple[str, str] | None:
    """Return two of the forms that read one text as two dates; None if there are none."""
    for form in forms:
        other = form.replace("d", "?").replace("m", "d").replace("?", "m")
        if "mon" not in form and other != form and other in forms:
            return form, other
    return None


def iso_text(text: str, forms: Sequence[str]) -> str:
    """Return a date and time in one of these forms as ISO 8601, or the text itself.

    Args:
        text: of a time column.
        forms: of FORMS; the first that fits is taken.
    """
    trimmed = text.strip()
    for form in forms:
        try:
            found = _reader(form)(trimmed)
        except (ValueError, OverflowError):  # no such day, or hour
            continue
        if found:
            return found
    return text


@cache
def _reader(form: str) -> Callable[[str], str | None]:
    if form in _NUMBERS:
        return {UNIX: _unix, UNIX_MS: _unix_ms, EXCEL: _excel}[form]
    if form == "ymd":
        pattern = _COMPACT
    elif "mon" in form:
        pieces = {"d": r"(?P<day>\d{1,2})(?:st|nd|rd|th|\.)?", "mon": _NAME + r"\.?", "y": _PARTS["y"]}
        pattern = _WEEKDAY + r"[\s,\-/.]+".join(pieces[part] for part in form.split()) + _TIME
    else:
        # Before month and day a year of two digits would look like a day.
        parts = _PARTS | {"y": r"(?P<year>\d{4})"} if form[0] == "y" else _PARTS
        pattern = _WEEKDAY + "".join(parts.get(sign, rf"{re.escape(sign)}\s?") for sign in form) + _TIME
    expression = re.compile(pattern, re.IGNORECASE)

    def read(text: str) -> str | None:
        found = expression.fullmatch(text)
        return _written(found.groupdict()) if found else None

    return read


def _written(parts: dict[str, str | None]) -> str | None:
    """Return the parts of a time as ISO 8601; None for an unknown name of a month. ValueError for no such time."""
    name = parts.get("name")
    month = _month(name.casefold()) if name else int(parts["month"] or 0)
    if not month:
        return None
    written = parts["year"] or ""
    year = int(written) + (2000 if len(written) == 2 else 0)
    if year < 1000:  # 0026 is a mistake, and no year of this century
        raise ValueError
    day = datetime(year, month, int(parts["day"] or 0))  # noqa: DTZ001
    if not parts["hour"]:
        return None if parts["zone"] else f"{day:%Y-%m-%d}"
    hour, half = int(parts["hour"]), parts["half"]
    if half:
        if not 1 <= hour <= 12:
            raise ValueError
        hour = hour % 12 + (12 if half.lower() == "p" else 0)
    seconds = parts["second"] or "00"
    day.replace(hour=hour, minute=int(parts["minute"] or 0), second=int(seconds[:2]))
    return f"{day:%Y-%m-%d} {hour:02}:{parts['minute']}:{seconds}{(parts['zone'] or '').strip()}"


@cache
def _month(name: str) -> int:
    """Return the number of a month by its name or the beginning of it; 0 for another word."""
    numbers = [at for at, words in enumerate(_MONTHS, 1) if any(word.startswith(name) for word in words.split())]
    return numbers[0] if len(numbers) == 1 and len(name) >= _SHORTEST_MONTH else 0


def _unix(text: str) -> str | None:
    found = re.fullmatch(r"(\d{9,11})(\.\d+)?", text)
    return _moment(int(found[1]), float(found[2] or 0)) if found else None


def _unix_ms(text: str) -> str | None:
    found = re.fullmatch(r"(\d{9,11})(\d{3})(?:\.0+)?", text)
    return _moment(int(found[1]), int(found[2]) / 1000) if found else None


def _moment(seconds: int, fraction: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=round(fraction * 1_000_000))
    return moment.isoformat(sep=" ")


def _excel(text: str) -> str | None:
    found = re.fullmatch(r"(\d{5})(?:[.,](\d+))?", text)
    if not found or int(found[1]) not in _EXCEL_DAYS:
        return None
    # A spreadsheet keeps some 15 digits: a second is 0.0000116 days.
    seconds = round(float(f"0.{found[2] or 0}") * 86_400)
    return f"{_EXCEL_DAY_0 + timedelta(days=int(found[1]), seconds=seconds):%Y-%m-%d %H:%M:%S}"
