"""`mode: plan`: shows what a run would send, and changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pandas as pd

from include.order_sync.delivery.decision_table import Action
from include.order_sync.delivery.planning import Planner
from include.order_sync.delivery.result import NOT_SENT

ORDERS_SHOWN = 20


def plan_outcomes(planner: Planner, parts: Iterable[pd.DataFrame]) -> tuple[Counter[str], pd.DataFrame]:
    """Return how many orders have each outcome, and the first orders that would be sent.

    Args:
        planner: of the destination and the run.
        parts: READY_COLUMNS.

    Returns:
        Counts by Action, with NOT_SENT for SEND; a run sends nothing that is KEPT. Then, of at most ORDERS_SHOWN
        orders, `order_id`; `before`, the code that the service has, if one is known; and `after`.
    """
    outcomes: Counter[str] = Counter()
    first: list[pd.DataFrame] = []
    for part in parts:
        if part.empty:
            continue
        orders, actions = planner.decisions(part)
        outcomes.update(actions.where(actions != Action.SEND, NOT_SENT))
        first.append(orders.loc[actions == Action.SEND, ["order_id", "known_code", "code"]].head(ORDERS_SHOWN))
    shown = pd.concat(first).head(ORDERS_SHOWN)
    return outcomes, shown.set_axis(["order_id", "before", "after"], axis=1)
