"""Proposes the statuses of a file: its words, and rules where several columns have some."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache

from include.order_sync.counted import counted
from include.order_sync.model import OrderStatus
from include.order_sync.preview.guess_names import CANCELLED_AT, COLUMN_NAMES, plain, squeezed
from include.order_sync.preview.guess_sample import Sample
from include.order_sync.preview.guess_words import NOTHING, STATUS_WORDS
from include.order_sync.transform.reasons import shown_word
from include.order_sync.transform.values import plain_word

_WORDS = 40


def status_columns(sample: Sample, columns: Mapping[str, int]) -> list[int]:
    """Return the indexes of the columns that have words of statuses, the surest first."""
    if sample.names is None or "status" not in columns:
        return [columns["status"]] if "status" in columns else []
    names = [squeezed(name) for name in sample.names]
    others = [at for given in COLUMN_NAMES["status"] for at, name in enumerate(names) if name == squeezed(given)]
    known = [at for at in others if any(meaning(value) for value in sample.values(at))]
    return list(dict.fromkeys([columns["status"], *known]))


def meaning(word: str) -> OrderStatus | None:
    """Return the status that a word of a shop means; None for an unknown one."""
    return _meanings().get(plain_status(word))


@cache
def _meanings() -> dict[str, OrderStatus]:
    return {plain(word): status for status, given in STATUS_WORDS.items() for word in given}


def statuses_of(sample: Sample, columns: Mapping[str, int]) -> list[str]:
    """Return the lines of `status_from` and `statuses`."""
    places = status_columns(sample, columns)
    words = Counter(value for at in places for value in sample.values(at))
    if len(words) > _WORDS:
        return [f"  statuses: {{}}  # ? the column has {len(words)} different words, so it may be no status"]
    lines, seen = [], set()
    for word, rows in words.most_common():
        status = meaning(word)
        if shown_word(word) != word:
            lines.append(f"    # ? a word in {counted(rows, 'row')} that may be personal data")
        elif is_nothing(word) or plain_word(word) in seen:
            continue
        elif status:
            lines.append(f"    {quoted(word)}: {status}")
        else:
            lines.append(f"    # ? {quoted(word)} ({counted(rows, 'row')}): one of {', '.join(OrderStatus)}")
        seen.add(plain_word(word))
    rules = _rules_of(sample, places) if len(places) > 1 else []
    if any("word: cancelled" in rule for rule in rules) and "cancelled" not in seen:
        lines.append("    cancelled: cancelled")
    known = any("?" not in line for line in lines)
    return [*rules, "  statuses:" if known else "  statuses: {}  # ? no known word", *lines]


def _rules_of(sample: Sample, places: Sequence[int]) -> list[str]:
    """Return rules for several columns of statuses: a word for a new order gives way to those of later columns."""
    names = sample.names or []
    cancelled = [at for at, name in enumerate(names) if plain(name) in CANCELLED_AT and sample.values(at)]
    lines = ["  status_from:  # ? the first rule that applies to a row counts: is this their order?"]
    lines += [f"    - {{column: {quoted(names[at])}, word: cancelled}}" for at in cancelled]
    for at in places[:-1]:
        telling = [
            word for word in dict.fromkeys(sample.values(at)) if meaning(word) not in (None, OrderStatus.CREATED)
        ]
        if telling:
            lines.append(f"    - {{column: {quoted(names[at])}, is: [{', '.join(map(quoted, telling))}]}}")
    return [*lines, f"    - {{column: {quoted(names[places[-1]])}}}"]


def plain_status(word: str) -> str:
    """Return a status word without what shop systems put before it: `wc-completed`, `[F] done`."""
    return plain(re.sub(r"^\s*(\[\w+\]\s*|wc-)", "", word))


def is_nothing(value: str) -> bool:
    """Return whether a text is a word for nothing."""
    return value.casefold() in NOTHING


def quoted(text: str) -> str:
    """Return a text as YAML reads it back."""
    return "".join(
        sign if sign.isprintable() else json.dumps(sign)[1:-1] for sign in json.dumps(text, ensure_ascii=False)
    )
