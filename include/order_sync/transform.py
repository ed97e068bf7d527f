"""One staged part: raw rows in, payloads and rejected rows out. Pure functions, nothing is read or sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import pandas as pd

from include.order_sync.canonical import canonical_orders, json_items, query_items
from include.order_sync.model import ITEM_COLUMNS, OrderStatus
from include.order_sync.providers.base import Code, Provider
from include.order_sync.validate import STATUS, UNREADABLE, any_of, find_faults, reasons_of

# A version: its two times, and its rank among the order's rows of the very same times, in source order. A row's
# position in the window would not do: another window gives the same row another position.
VERSION = ["status_changed_at", "updated_at", "rank"]

_BEFORE_ALL = pd.Timestamp(0, tz="UTC").as_unit("us")  # a row without a time of its own goes before those with one

# What a ready order carries to delivery: its identity and version, its code, its payload, and where it came from.
READY_COLUMNS = ["order_id", "order_status", "code", *VERSION, "payload", "position", "origin", "line"]


@dataclass(frozen=True)
class Rules:
    """What of the configuration a transform needs.

    Args:
        timezone: of the source's times without an offset.
        latest: versions after this time are wrong, and rejected: they would make all later ones stale.
        statuses: the shop's word -> status.
        codes: status -> the provider's code; a status that is absent or None is not for the provider.
        changes: keep the newest version of an order in the window, or every one.
        item_columns: canonical item column -> key in the items' JSON, where the names differ.
    """

    timezone: str
    latest: datetime
    statuses: Mapping[str, OrderStatus]
    codes: Mapping[OrderStatus, Code | None]
    changes: Literal["newest", "every"]
    item_columns: Mapping[str, str]


@dataclass(frozen=True)
class Transformed:
    """What became of a part's rows.

    Args:
        ready: READY_COLUMNS, an order's changes in order; what the provider is to be sent.
        rejected: the raw rows that can't be sent, with their `rank` and the list of all their `reasons`.
        counts: superseded, orders, rejected, not_for_provider.
        reasons: how many orders each reason rejected.
        first_rows: reason -> where the first of them stands, as `orders.csv:7`.
    """

    ready: pd.DataFrame
    rejected: pd.DataFrame
    counts: dict[str, int]
    reasons: Counter[str]
    first_rows: dict[str, str]


def transform(raw: pd.DataFrame, raw_items: pd.DataFrame | None, rules: Rules, provider: Provider) -> Transformed:
    """Return what to send of a part, and what can't be sent and why.

    Args:
        raw: all rows of some orders, as staging.py keeps them; the index is unique.
        raw_items: their items, where a second query gives them.
        rules: from the configuration.
        provider: whose payloads to build.
    """
    orders = canonical_orders(raw, rules.timezone)
    orders["order_status"] = orders["status"].map(dict(rules.statuses)).astype("str")
    codes = {str(status): str(code) for status, code in rules.codes.items() if code is not None}
    orders["code"] = orders["order_status"].map(codes).astype("str")

    orders["updated_at"] = orders["updated_at"].fillna(_BEFORE_ALL)
    place = orders.groupby(["order_id", *VERSION[:2]], dropna=False).cumcount()
    orders["rank"] = orders["rank"].fillna(place).astype("int64")
    latest = pd.Timestamp(rules.latest)
    orders["in_future"] = (orders["status_changed_at"] > latest) | (orders["updated_at"] > latest)
    chosen = _choose(orders, rules.changes)
    if raw_items is None:
        items, chosen["items_unreadable"] = json_items(chosen, rules.item_columns)
    else:
        items = query_items(raw_items, chosen)
        chosen["items_unreadable"] = False

    whole = chosen["problem"].isna()
    not_for_provider = chosen["order_status"].notna() & chosen["code"].isna()
    faults = {problem: chosen["problem"].eq(problem) for problem in chosen["problem"].dropna().unique()}
    for checks, apply in ((UNREADABLE + STATUS, whole), (provider.checks, whole & ~not_for_provider)):
        for reason, wrong in find_faults(chosen, items, checks).items():
            if (wrong & apply).any():
                faults[reason] = wrong & apply
    wrong = any_of(faults, chosen.index)

    ready = chosen[~wrong & ~not_for_provider].sort_values(VERSION, kind="stable")
    ready["payload"] = provider.build(ready, items[items["position"].isin(ready["position"])])
    rejected = raw.loc[chosen.index[wrong]].assign(rank=chosen.loc[wrong, "rank"])
    return Transformed(
        ready=ready[READY_COLUMNS],
        rejected=rejected.assign(reasons=reasons_of(faults, rejected.index)),
        counts={
            "superseded": len(orders) - len(chosen),
            "orders": len(chosen),
            "rejected": int(wrong.sum()),
            "not_for_provider": int((not_for_provider & ~wrong).sum()),
        },
        reasons=Counter({reason: int(mask.sum()) for reason, mask in faults.items()}),
        first_rows={reason: _place(chosen[mask].iloc[0]) for reason, mask in faults.items()},
    )


def cures(provider: Provider) -> dict[str, str]:
    """Return what to do about each reason that transform can reject an order for."""
    return {check.reason: check.cure for check in (*UNREADABLE, *STATUS, *provider.checks)}


def _place(order: pd.Series) -> str:
    return f"{order['origin']}:{order['line']}"


def _choose(orders: pd.DataFrame, changes: Literal["newest", "every"]) -> pd.DataFrame:
    """Drop the superseded versions of each order.

    A row without a readable id or version supersedes nothing and is superseded by nothing: it stays, to be rejected.
    """
    if changes == "every":
        return orders.copy()
    empty = pd.DataFrame(columns=["position", *ITEM_COLUMNS])
    unplaced = orders["problem"].notna() | any_of(find_faults(orders, empty, UNREADABLE), orders.index)
    newest = orders[~unplaced].sort_values(VERSION, kind="stable").drop_duplicates("order_id", keep="last")
    return pd.concat([orders[unplaced], newest]).sort_values("position")
