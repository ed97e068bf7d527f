"""Charts as inline SVG: no script, no style but the page's own, readable without seeing them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from markupsafe import Markup, escape

HOURS = 48
_BAR, _GAP, _HEIGHT = 9, 2, 56


def hours_chart(title: str, now: datetime, by_hour: Mapping[datetime, tuple[int, int]]) -> Markup:
    """Return the accepted and rejected orders of the last 48 hours as bars, one an hour.

    Args:
        title: of the chart, for those who do not see it.
        now: the end.
        by_hour: start of an hour in UTC -> accepted, rejected.
    """
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    hours = [first + timedelta(hours=number) for number in range(HOURS)]
    values = [by_hour.get(hour, (0, 0)) for hour in hours]
    most = max((accepted + rejected for accepted, rejected in values), default=0) or 1
    width = HOURS * (_BAR + _GAP)
    accepted_all, rejected_all = (sum(column) for column in zip(*values, strict=True))
    said = f"{title}: {accepted_all:,} accepted and {rejected_all:,} rejected in 48 hours, at most {most:,} in one"
    parts = [
        Markup('<svg class="chart" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">').format(
            width, _HEIGHT + 1, said
        )
    ]
    for at, (hour, (accepted, rejected)) in enumerate(zip(hours, values, strict=True)):
        x = at * (_BAR + _GAP)
        parts.append(_column(x, hour, accepted, rejected, most))
    parts.append(Markup('<line class="axis" x1="0" x2="{0}" y1="{1}" y2="{1}"/></svg>').format(width, _HEIGHT + 0.5))
    return Markup("").join(parts)


def _column(x: int, hour: datetime, accepted: int, rejected: int, most: int) -> Markup:
    """Return the bar of an hour: accepted orders below, rejected ones on top; a few are still seen."""
    heights = [max(round(count / most * (_HEIGHT - 2), 1), 2) if count else 0 for count in (accepted, rejected)]
    low, high = heights
    if low + high > _HEIGHT:
        low = _HEIGHT - high
    bars = Markup("<title>{}: {:,} accepted, {:,} rejected</title>").format(
        f"{hour:%m-%d %H}:00 UTC", accepted, rejected
    )
    bars += Markup('<rect class="hit" x="{}" y="0" width="{}" height="{}"/>').format(x, _BAR + _GAP, _HEIGHT)
    if low:
        bars += Markup('<rect class="good" x="{}" y="{}" width="{}" height="{}"/>').format(x, _HEIGHT - low, _BAR, low)
    if high:
        bars += Markup('<rect class="bad" x="{}" y="{}" width="{}" height="{}"/>').format(
            x, _HEIGHT - low - high, _BAR, high
        )
    return Markup("<g>{}</g>").format(bars)


def shares_bar(parts: Sequence[tuple[str, int, str]]) -> Markup:
    """Return counts as one bar.

    Args:
        parts: name, count and tone of each.
    """
    total = sum(count for _, count, _ in parts)
    said = ", ".join(f"{count:,} {name}" for name, count, _ in parts if count)
    x, drawn = 0.0, Markup("")
    for name, count, tone in parts:
        width = 100 * count / total if total else 0
        if width:
            drawn += Markup(
                '<rect class="{}" x="{:.2f}" y="0" width="{:.2f}" height="8"><title>{}</title></rect>'
            ).format(escape(tone), x, width, f"{count:,} {name}")
        x += width
    return Markup(
        '<svg class="shares" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(said or "no orders", drawn)
