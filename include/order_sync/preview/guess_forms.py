"""Tells by the values of a column what they are: times of some form, amounts, ids, words."""

from __future__ import annotations

import re
from collections.abc import Sequence

_ISO = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([T ]\d{1,2}:\d{2}.*)?")
_OFFSET = re.compile(r"\d:\d{2}(:\d{2}([.,]\d+)?)?\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2})$")
_PARTS = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})(\D.*)?")
_YEAR_FIRST = re.compile(r"\d{4}([./])\d{1,2}\1\d{1,2}(\D.*)?")
_COMPACT = re.compile(r"(19|20)\d{6}([T ]?\d{4}(\d{2})?)?")
_DAY_MONTH = re.compile(r"([^\W\d_]+\.?,\s*)?\d{1,2}(st|nd|rd|th|\.)?[ -][^\W\d_]{3,}\.?[ -,]+\d{4}.*")
_MONTH_DAY = re.compile(r"[^\W\d_]{3,}\.? \d{1,2}(st|nd|rd|th)?,? \d{4}.*")
# Seconds since 1970, of the years 2001 to 2286; days since 1900, of 1995 to 2064.
_NUMBERS = {"unix": r"1\d{9}(\.\d+)?", "unix ms": r"1\d{12}", "excel": r"(3[5-9]|[45]\d)\d{3}(\.\d+)?"}


def date_forms(texts: Sequence[str]) -> list[str] | None:
    """Return the forms of `dates` that read all these texts, without any for ISO 8601; None if they are no times.

    Two forms that end in a question mark mean that nothing tells day from month.

    Args:
        texts: of one column, none of them empty.
    """
    if not texts:
        return None
    if all(map(_ISO.fullmatch, texts)):
        return []
    for form, pattern in _NUMBERS.items():
        if all(re.fullmatch(pattern, text) for text in texts):
            return [form]
    if all(map(_COMPACT.fullmatch, texts)):
        return ["ymd"]
    for form, expression in (("d mon y", _DAY_MONTH), ("mon d y", _MONTH_DAY)):
        if all(map(expression.fullmatch, texts)):
            return [form]
    if all(map(_YEAR_FIRST.fullmatch, texts)):
        return [f"y{texts[0][4]}m{texts[0][4]}d"]
    found = [_PARTS.fullmatch(text) for text in texts]
    if not all(found):
        return None
    first = max(int(parts[1]) for parts in found if parts)
    second = max(int(parts[3]) for parts in found if parts)
    sign = found[0][2] if found[0] else "/"
    day_first, month_first = f"d{sign}m{sign}y", f"m{sign}d{sign}y"
    if sign == "." or first > 12 >= second:  # nobody writes the month first with points
        return [day_first]
    if second > 12 >= first:
        return [month_first]
    return [f"{day_first}?", f"{month_first}?"] if max(first, second) <= 12 else None


def have_offsets(texts: Sequence[str]) -> bool:
    """Return whether all times have an offset of their own."""
    return bool(texts) and all(_OFFSET.search(text) for text in texts)


def decimal_sign(texts: Sequence[str]) -> str | None:
    """Return the sign before the fraction of amounts; None if they are plain digits, or no amounts."""
    if all(re.fullmatch(r"-?\d+(\.\d+)?", text) for text in texts):
        return None
    ends = [found[1] for text in texts if (found := re.search(r"([.,])\d{1,2}\D*$", text))]
    if ends and len(set(ends)) == 1:
        return ends[0]
    return "." if texts and not ends and all(re.search(r"\d", text) for text in texts) else None


def are_ids(texts: Sequence[str]) -> bool:
    """Return whether these can be ids of orders: most have a digit, and none is a time or an address."""
    with_digit = sum(bool(re.search(r"\d", text)) for text in texts)
    return bool(texts) and with_digit > len(texts) / 2 and not any("@" in text or ":" in text for text in texts)


def are_decorated(texts: Sequence[str]) -> bool:
    """Return whether ids have the marks of a shop or a spreadsheet around them."""
    return any(re.match(r"""\s*(#|№|'|="|\d+\.0+$)""", text) for text in texts)
