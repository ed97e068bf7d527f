"""The brake: counts the notifications that a run would send, and stops a load that sends more than it may.

A wrong status map makes valid orders with wrong codes: no check sees them, but their number is unusual.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pandas as pd

from include.order_sync import stops
from include.order_sync.counted import ORDERS_NAMED, are
from include.order_sync.delivery.decision_table import Action
from include.order_sync.delivery.planning import Planner, notifying
from include.order_sync.errors import StopError
from include.order_sync.ledger.approvals import OLD

# How old changes are: the end of each class, and its name.
AGES = ((timedelta(hours=1), "up to an hour"), (timedelta(days=1), "up to a day"), (OLD, f"up to {OLD.days} days"))
OLDER = f"more than {OLD.days} days"


@dataclass
class Notifications:
    """What a run would send that can notify customers.

    Args:
        changes: (the code that the service has, None without one; the new code) -> how many.
        ages: class of AGES, or OLDER -> how many.
        order_ids: the first of them.
    """

    changes: Counter[tuple[str | None, str]] = field(default_factory=Counter)
    ages: Counter[str] = field(default_factory=Counter)
    order_ids: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many they are."""
        return self.changes.total()


def notifications(planner: Planner, parts: Iterable[pd.DataFrame]) -> Notifications:
    """Return the notifications that a run would send; nothing is changed.

    Args:
        planner: of the destination and the run.
        parts: READY_COLUMNS.
    """
    found = Notifications()
    now = datetime.now(UTC)
    for part in parts:
        if part.empty:
            continue
        orders, actions = planner.decisions(part)
        orders = orders[(actions == Action.SEND) & ~orders["counted"]]
        orders = orders[notifying(planner.provider, orders)]
        before = orders["known_code"].astype("object").where(orders["known_code"].notna(), None)
        found.changes.update(zip(before, orders["code"], strict=True))
        found.ages.update((now - orders["status_changed_at"]).map(_age))
        found.order_ids += orders["order_id"].head(ORDERS_NAMED - len(found.order_ids)).tolist()
    return found


def _age(age: timedelta) -> str:
    return next((name for end, name in AGES if age <= end), OLDER)


@dataclass
class Brake:
    """Counts the notifications of a load as it plans them, and stops it before it sends too many.

    Args:
        left: how many the load may send.
        why: where that number comes from, for the message.
    """

    left: int
    why: str

    def count(self, planned: int) -> None:
        """Count those of a part, before any of them is sent.

        Raises:
            StopError: they are more than the load may send.
        """
        # `left` is negative after the limit was lowered: a part without notifications goes on all the same.
        if planned and planned > self.left:
            raise StopError(
                stops.NOT_APPROVED,
                f"{are(planned, 'more notification')} to be sent, and {max(self.left, 0)} are left: {self.why}. "
                "Nothing more is sent. To be asked for approval, clear the run from transform on.",
            )
        self.left -= planned
