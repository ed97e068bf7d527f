"""Accounting: the balance of a run's rows and orders, and the thresholds beyond which it is red."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from include.order_sync import stops
from include.order_sync.counted import counted
from include.order_sync.errors import StopError

if TYPE_CHECKING:
    from include.order_sync.configuration.models import Destination

# What may come of an order in load.
OUTCOMES = ("accepted", "adopted", "rejected", "unchanged", "stale", "held", "not_sent")

# Of fewer orders a share says little: one bad row of three is no alarm.
SHARE_COUNTS_FROM = 20


def check_balance(counts: Mapping[str, int], accepted_in_ledger: int) -> None:
    """Raise StopError unless every row and every order of the run is accounted for, once.

    Args:
        counts: rows, superseded, skipped, orders, and each outcome.
        accepted_in_ledger: how many orders of this run the ledger has as accepted.
    """
    orders = counts["not_for_provider"] + sum(counts[outcome] for outcome in OUTCOMES)
    rows = counts["orders"] + counts["superseded"] + counts["skipped"]
    if (rows, orders, accepted_in_ledger) != (counts["rows"], counts["orders"], counts["accepted"]):
        raise StopError(
            stops.SUMS_OFF,
            f"The sums are off: {counted(counts['rows'], 'row')} against {rows} accounted for, "
            f"{counted(counts['orders'], 'order')} against {orders}, {counts['accepted']} accepted against "
            f"{accepted_in_ledger} in the ledger. Clear the run from its extract task on; if it stays so, this is a "
            "fault of Order Sync.",
        )


def check_thresholds(counts: Mapping[str, int], destination: Destination) -> None:
    """Raise StopError if more orders were rejected than the destination allows, or if none was good.

    Only orders that were tried count: unchanged and stale ones would hide that the service takes nothing any more. For
    `none_good_of` these are the newly rejected ones: the known ones must not make each hour without a change red.

    Args:
        counts: each outcome, and `newly_rejected`.
        destination: with its limits.
    """
    rejected, tried = counts["rejected"], counts["accepted"] + counts["rejected"]
    good = counts["accepted"] + counts["adopted"]
    share = rejected / tried if tried else 0.0
    limits = []
    if rejected > destination.max_rejected:
        limits.append(f"max_rejected is {destination.max_rejected}")
    if tried >= SHARE_COUNTS_FROM and share > destination.max_rejected_share:
        limits.append(f"max_rejected_share is {destination.max_rejected_share}")
    if counts["newly_rejected"] >= destination.none_good_of and not good:
        limits.append(f"none was good, and none_good_of is {destination.none_good_of}")
    if limits:
        raise StopError(
            stops.TOO_MANY_REJECTED,
            f"Rejected: {rejected} of {counted(tried, 'order')} that {'was' if tried == 1 else 'were'} tried "
            f"({'; '.join(limits)}). All others are delivered, and the quarantine has these: the table above says why.",
        )
