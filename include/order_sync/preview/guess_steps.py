"""Proposes rules for a file that has a column for each step of its orders: a flag, or the time of the step."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from include.order_sync.model import OrderStatus
from include.order_sync.preview.guess_columns import times_in
from include.order_sync.preview.guess_forms import are_most, times_of
from include.order_sync.preview.guess_names import plain
from include.order_sync.preview.guess_sample import Sample
from include.order_sync.preview.guess_statuses import is_nothing, meaning, quoted

_YES = {"1", "true", "t", "yes", "y", "x", "+", "да", "так", "ja", "tak"}
_NO = {"0", "false", "f", "no", "n", "нет", "ні", "nein", "nie"}
# What stands around the word of the step in the column's name.
_AROUND = re.compile(r"\b(?:is|was|order|date|time|at|on|дата|время|час|datum|data)\b")
_NOUNS = {
    "создания": OrderStatus.CREATED,
    "створення": OrderStatus.CREATED,
    "оплаты": OrderStatus.PAID,
    "оплати": OrderStatus.PAID,
    "отправки": OrderStatus.SHIPPED,
    "отгрузки": OrderStatus.SHIPPED,
    "відправки": OrderStatus.SHIPPED,
    "доставки": OrderStatus.DELIVERED,
    "получения": OrderStatus.DELIVERED,
    "отмены": OrderStatus.CANCELLED,
    "скасування": OrderStatus.CANCELLED,
    "возврата": OrderStatus.RETURNED,
    "повернення": OrderStatus.RETURNED,
}
# The last step of an order first: its rule comes first.
_LAST_FIRST = ("cancelled", "returned", "delivered", "shipped", "in_progress", "paid", "created")


@dataclass
class Steps:
    """The columns of steps.

    Args:
        lines: of `status_from`, `defaults` and `statuses`.
        times: indexes of the columns that have times.
        has_all_times: whether each rule gives the time of its status.
    """

    lines: list[str] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    has_all_times: bool = False


def steps_of(sample: Sample) -> Steps:
    """Return the steps of a file; without lines if fewer than two columns have any."""
    found, steps = [], Steps()
    for at, name in enumerate(sample.names or []):
        rest = " ".join(_AROUND.sub(" ", plain(name)).split())
        status = _NOUNS.get(rest) or meaning(rest)
        values = [value for value in sample.values(at) if not is_nothing(value)]
        if status not in _LAST_FIRST or not values:
            continue
        yes = sorted({value for value in values if value.casefold() in _YES})
        if yes and all(value.casefold() in _YES | _NO for value in values):
            found.append((status, f"is: [{', '.join(map(quoted, yes))}], word: {status}", name))
        elif are_most(len(times_of(times_in(sample, at))), values):
            found.append((status, f"word: {status}, time: true", name))
            steps.times.append(at)
    if len(found) < 2:
        return Steps()
    found.sort(key=lambda step: _LAST_FIRST.index(step[0]))
    steps.has_all_times = len(steps.times) == len(found) and "created" in {status for status, *_ in found}
    statuses = list(dict.fromkeys(status for status, *_ in found))
    steps.lines = ["  status_from:  # ? the first rule that applies to a row counts: is this their order?"]
    steps.lines += [f"    - {{column: {quoted(name)}, {rule}}}" for _, rule, name in found]
    if "created" not in statuses:
        steps.lines.append("  defaults: {status: created}  # ? of a row to which no rule applies")
        statuses.append(OrderStatus.CREATED)
    steps.lines += ["  statuses:", *(f"    {status}: {status}" for status in statuses)]
    return steps
