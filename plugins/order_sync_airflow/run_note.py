"""The line about a run in the run's note: figures that add up, the kind of run, and the first reason."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from include.order_sync.delivery.accounting import OUTCOMES

# Airflow's limit.
NOTE_LENGTH = 1000

# The parts of `rows` beside the outcomes of load.
NOT_FOR_LOAD = ("superseded", "skipped", "not_for_provider")
ALWAYS = ("accepted", "rejected")

# Orders that came late, and stale ones whose row has changed in the source.
WATCHED = ("late", "stale_changed")

_OURS = re.compile(
    r"Order Sync, (?P<begun>begun \S+ \S+ UTC|not begun)[^\n]*?: read \d+ = accepted (?P<accepted>\d+)[^\n]*?;"
    r"(?: accepted (?P<earlier>\d+) earlier;)?[^\n]*"
)

_REASON = re.compile(r"^Order Sync, (?:not )?begun[^\n]*?; requests [0-9]+[^.\n]*\. ([^\n]+)$", re.MULTILINE)


def reason_in(note: str | None) -> str:
    """Return the reason that the line of a note gives; empty without one."""
    found = _REASON.search(note or "")
    return found[1] if found else ""


def with_line(
    note: str | None, begun: datetime | None, kind: str, counts: Mapping[str, int], reason: str | None
) -> str:
    """Return a run's note with the line about this run below what people wrote; an older line is replaced.

    Where people have left no room for it, it is left out.

    Args:
        note: as it is.
        begun: the start of the run; a run that was cleared starts anew.
        kind: what the run was to do, as PLAN ONLY; empty for a run that delivers.
        counts: of the run.
        reason: the first one why the run is red, or why orders are rejected.
    """
    start = f"begun {begun:%Y-%m-%d %H:%M:%S} UTC" if begun else "not begun"
    people, earlier = [], 0
    for line in (note or "").splitlines():
        ours = _OURS.fullmatch(line)
        if not ours:
            people.append(line)
            continue
        earlier = int(ours["earlier"] or 0)
        if ours["begun"] != start:
            earlier += int(ours["accepted"])
    line = f"Order Sync, {start}{f', {kind}' if kind else ''}: {_sum(counts)};"
    line += f" accepted {earlier} earlier;" if earlier else ""
    line += f" requests {counts['requests']}"
    # These are among the figures above.
    line += "".join(f", {name.replace('_', ' ')} {counts[name]}" for name in WATCHED if counts.get(name)) + "."
    kept = "\n".join(people).strip()
    room = NOTE_LENGTH - len(kept) - len(line) - 3
    if room < 0:
        return kept
    said = " ".join((reason or "").split())
    if said:
        line = f"{line} {said if len(said) <= room else said[: max(room - 1, 0)] + '…'}"[:NOTE_LENGTH]
    return f"{kept}\n\n{line}" if kept else line


def _sum(counts: Mapping[str, int]) -> str:
    """Return how the rows of a run add up; rows that it has not reached are named too."""
    parts = {name: counts[name] for name in (*OUTCOMES, *NOT_FOR_LOAD)}
    parts["not_reached"] = counts["rows"] - sum(parts.values())
    shown = [f"{name.replace('_', ' ')} {count}" for name, count in parts.items() if count or name in ALWAYS]
    return f"read {counts['rows']} = {' + '.join(shown).replace('not for provider', 'not for this provider')}"
