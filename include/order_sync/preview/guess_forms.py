"""Tells by the values of a column what they are: times of some form, amounts, ids, words."""

from __future__ import annotations

import re
from collections import Counter
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
_FORMS = {
    "": _ISO,  # needs no form in `dates`
    **{form: re.compile(pattern) for form, pattern in _NUMBERS.items()},
    "ymd": _COMPACT,
    "d mon y": _DAY_MONTH,
    "mon d y": _MONTH_DAY,
}


def are_most(number: int, texts: Sequence[str]) -> bool:
    """Return whether a number of texts is more than half of them: a few bad cells say nothing about a column."""
    return number > len(texts) / 2


def date_forms(texts: Sequence[str]) -> list[str] | None:
    """Return the form of `dates` that reads the most texts, none for ISO 8601; None if most texts are no times.

    Two forms that end in a question mark mean that nothing tells day from month.

    Args:
        texts: of one column, none of them empty.
    """
    counts = Counter(form for text in texts for form in _forms_of(text))
    most = max(counts.values(), default=0)
    if not are_most(most, texts):
        return None
    best = sorted(form for form, count in counts.items() if count == most)
    return [form for form in best if form] if len(best) == 1 else [f"{form}?" for form in best]


def times_of(texts: Sequence[str]) -> list[str]:
    """Return the texts that are times of the form that most of them have; none if most are no times."""
    forms = date_forms(texts)
    if forms is None:
        return []
    read = {"", *(form.rstrip("?") for form in forms)}
    return [text for text in texts if read & set(_forms_of(text))]


def _forms_of(text: str) -> list[str]:
    """Return all forms that read a text."""
    forms = [form for form, pattern in _FORMS.items() if pattern.fullmatch(text)]
    if found := _YEAR_FIRST.fullmatch(text):
        forms.append(f"y{found[1]}m{found[1]}d")
    if found := _PARTS.fullmatch(text):
        first, sign, second = int(found[1]), found[2], int(found[3])
        if first <= 31 and second <= 12:
            forms.append(f"d{sign}m{sign}y")
        if first <= 12 and second <= 31 and sign != ".":  # nobody writes the month first with points
            forms.append(f"m{sign}d{sign}y")
    return forms


def have_offsets(texts: Sequence[str]) -> bool:
    """Return whether all times have an offset of their own."""
    return bool(texts) and all(_OFFSET.search(text) for text in texts)


def decimal_sign(texts: Sequence[str]) -> str | None:
    """Return the sign before the fraction of amounts; None if they are plain digits, or no amounts."""
    if all(re.fullmatch(r"-?\d+(\.\d+)?", text) for text in texts):
        return None
    ends = Counter(sign for text in texts if (sign := _end_of(text)))
    if not ends:
        return "." if texts and are_most(sum(map(_has_digit, texts)), texts) else None
    sign, number = ends.most_common(1)[0]
    return sign if number > ends.total() / 2 else None


def no_amounts(texts: Sequence[str], sign: str) -> int:
    """Return how many texts have no digit, or another sign before the fraction."""
    return sum(not _has_digit(text) or _end_of(text) not in (None, sign) for text in texts)


def _end_of(amount: str) -> str | None:
    found = re.search(r"([.,])\d{1,2}\D*$", amount)
    return found[1] if found else None


def _has_digit(text: str) -> bool:
    return any(sign.isdigit() for sign in text)


def is_id(text: str) -> bool:
    """Return whether a text can be the id of an order: it has a digit, and is no time and no address."""
    return _has_digit(text) and "@" not in text and ":" not in text


def are_ids(texts: Sequence[str]) -> bool:
    """Return whether most of these can be ids of orders."""
    return are_most(sum(map(is_id, texts)), texts)


def are_decorated(texts: Sequence[str]) -> bool:
    """Return whether ids have the marks of a shop or a spreadsheet around them."""
    return any(re.match(r"""\s*(#|№|'|="|\d+\.0+$)""", text) for text in texts)
