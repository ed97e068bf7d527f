"""The findings of a preview, which are printed as tables or as JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class FoundReason:
    """A reason for rejection, and the orders that have it.

    Args:
        reason: its text.
        orders: how many have it.
        rows: the first rows with it, as `orders.csv:7`.
        cure: of it.
    """

    reason: str
    orders: int = 0
    rows: list[str] = field(default_factory=list)
    cure: str = ""


@dataclass
class Outcome:
    """What a destination would get.

    Args:
        destination: its name.
        provider: its title.
        missing: columns that the provider needs and the source does not give.
        counts: used, superseded, rejected, not for this provider.
        reasons: for rejection, the most frequent first.
        left_out: contact column -> how many orders are sent without theirs, because it is none.
        codes: status -> the provider's code for it, of the statuses that came.
        request: path and body of the request for one order; None if no order is good.
    """

    destination: str
    provider: str
    missing: list[str]
    counts: dict[str, int] = field(default_factory=dict)
    reasons: list[FoundReason] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    codes: dict[str, str | None] = field(default_factory=dict)
    request: dict[str, Any] | None = None


@dataclass
class Report:
    """What a source gives.

    Args:
        source: its name.
        read: what was read: files, or queries and their window.
        notes: what the source's reader has said.
        rows: that were read, with the skipped ones.
        skipped: rows that were no orders.
        columns: canonical columns that the source gives.
        words: status word -> its status, None if the map does not know it; with the number of rows.
        orders: the first canonical orders; column -> text.
        outcomes: one a destination.
    """

    source: str
    read: list[str]
    notes: list[str] = field(default_factory=list)
    rows: int = 0
    skipped: int = 0
    columns: list[str] = field(default_factory=list)
    words: list[tuple[str, str | None, int]] = field(default_factory=list)
    orders: list[dict[str, str]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def used(self) -> int:
        """The most orders that any destination would get."""
        return max((outcome.counts["used"] for outcome in self.outcomes), default=0)
