"""Transforms one group of parts: raw rows in, payloads and rejected rows out. Pure functions: no files, no requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import pandas as pd
import pyarrow as pa

from include.order_sync.columns.text import array_of, series_of
from include.order_sync.model import NO_TIME, READY_COLUMNS, TIES, VERSION, Code, OrderStatus
from include.order_sync.transform.canonical import NO_ITEMS, canonical_orders, json_items, query_items
from include.order_sync.transform.checks import Check
from include.order_sync.transform.order_checks import STATUS, UNKNOWN_STATUS, UNREADABLE
from include.order_sync.transform.reasons import any_of, find_faults, reasons_of, with_words
from include.order_sync.transform.repeated_hour import with_offsets
from include.order_sync.transform.source_hash import item_hashes, source_hashes
from include.order_sync.transform.values import CONTACT_COLUMNS, PLAIN, Values, plain_word

# Flag of canonical_orders -> what is said of the orders with it. They are delivered all the same.
CLOCK_DOUBTS = {
    "pass_untold": "in the hour that comes twice, and nothing tells which of the two: it is read as the second",
    "skipped_hour": "in an hour that the clocks skip: it is read as the moment when they go forward",
}


@dataclass(frozen=True)
class Rules:
    """What a transform needs to know of the source, the destination and its provider.

    Args:
        timezone: of the source's times without an offset.
        latest: versions after this time are rejected, because they would make all true later ones stale.
        statuses: the shop's status label -> status.
        codes: status -> the provider's code; a status that is absent or None is not for the provider.
        changes: keep the newest version of an order in the window, or every version.
        item_columns: canonical item column -> key in the items' JSON, where the names differ.
        send_when: what makes an order changed.
        checks: the provider's, beside those that every order must pass.
        build: the provider's: valid orders and their items -> each order's payload; `code` holds the status code.
        now: no row was written after it; None if that is not known.
        forms: of the source's values.
        joins_lines: whether the source has joined the lines of an order that stand together.
    """

    timezone: str
    latest: datetime
    statuses: Mapping[str, OrderStatus]
    codes: Mapping[OrderStatus, Code | None]
    changes: Literal["newest", "every"]
    item_columns: Mapping[str, str]
    send_when: Literal["status", "content"]
    checks: Sequence[Check]
    build: Callable[[pd.DataFrame, pd.DataFrame], pd.Series[str]]
    now: datetime | None = None
    forms: Values = PLAIN
    joins_lines: bool = False


@dataclass(frozen=True)
class Transformed:
    """The result of a transform.

    Args:
        ready: READY_COLUMNS, sorted by `partition_hash`; an order's changes in order.
        rejected: the raw rows that can't be sent, with `rank`, `source_hash` and the list of all their `reasons`.
        counts: superseded, orders, rejected, not_for_provider.
        reasons: how many orders each reason rejected.
        first_rows: reason -> the first row with it, as `orders.csv:7`.
        doubts: doubt about a local time (CLOCK_DOUBTS) -> ids of the orders with it, also of superseded rows.
        unknown_words: status word that is not in the map -> how many orders have it.
        left_out: contact column -> how many orders are sent without theirs, because it is none.
        newest_change: of the rows' `status_changed_at` that is a time and not in the future; None without any.
    """

    ready: pd.DataFrame
    rejected: pd.DataFrame
    counts: dict[str, int]
    reasons: Counter[str]
    first_rows: dict[str, str]
    doubts: dict[str, list[str]]
    unknown_words: Counter[str]
    left_out: Counter[str]
    newest_change: datetime | None


def transform(raw: pd.DataFrame, raw_items: pd.DataFrame | None, rules: Rules) -> Transformed:
    """Return the ready orders of some raw rows, and the rejected rows with their reasons.

    Args:
        raw: all rows of some orders, as staging keeps them; the index is unique.
        raw_items: their items, if a second query gives them.
        rules: of the source, the destination and its provider.
    """
    orders = read_orders(raw, rules)
    orders["updated_at"] = orders["updated_at"].fillna(NO_TIME)
    # The time of a file tells which version is newer, and nothing of the age of a change: a full export is always new.
    by = ["status_changed_at", "own_updated_at"] if rules.send_when == "content" else ["status_changed_at"]
    orders["changed_at"] = orders[by].max(axis=1)
    # Equal hashes are not always one order, but one order always has equal hashes. Usually there are none.
    alike = orders["partition_hash"].duplicated(keep=False)
    rank: pd.Series | int = 0
    if alike.any():
        rank = (
            orders[alike]
            .groupby(["order_id", *VERSION[:2]], dropna=False)
            .cumcount()
            .reindex(orders.index, fill_value=0)
        )
    orders["rank"] = orders["rank"].fillna(rank).astype("int64")
    given = orders["source_hash"]  # of a row that a redrive stages again
    known = given.dropna()
    said = source_hashes(raw, orders, alike, rules.send_when)
    said[known.index] = known.astype("int64")
    orders["source_hash"] = said
    latest = pd.Timestamp(rules.latest)
    orders["in_future"] = orders["status_changed_at"] > latest
    orders["updated_in_future"] = orders["updated_at"] > latest
    may_be = alike & rules.joins_lines & orders["order_id"].notna()
    orders["scattered"] = orders["line_lost"] = False
    if may_be.any():
        lines = orders.loc[may_be, ["origin", "status", *TIES]]
        lines["status"] = lines["status"].map(plain_word, na_action="ignore")
        orders.loc[may_be, "scattered"] = lines.duplicated(keep=False)
        lost = _with_lost_lines(orders[may_be])
        orders.loc[lost.index, "line_lost"] = lost
    unreadable = find_faults(orders, NO_ITEMS, UNREADABLE)
    superseded = nowhere = pd.Series(False, index=orders.index)
    # A row without a readable id or version is rejected: it supersedes no row, and no row supersedes it.
    comparable = alike & orders["problem"].isna() & ~any_of(unreadable, orders.index)
    if alike.any():
        superseded = _only_items(orders[comparable]).reindex(orders.index, fill_value=False)
    if rules.changes == "newest" and alike.any():
        by_version = orders[comparable & ~superseded].sort_values(list(VERSION))
        is_newest = ~by_version.duplicated("order_id", keep="last")
        # A status that is not for the provider supersedes none that is: in two windows both would count as well.
        # An unknown status word is listed if it is the newest; an older one hides nothing.
        for_provider = by_version["code"].notna() | (by_version["order_status"].isna() & is_newest)
        by_version = by_version.assign(for_provider=for_provider).sort_values("for_provider", kind="stable")
        older = by_version.duplicated("order_id", keep="last")
        superseded[older.index] |= older
    chosen = _only(orders, ~superseded)
    if raw_items is None:
        items, chosen["items_unreadable"] = json_items(chosen, rules.item_columns, rules.forms.decimal)
    else:
        items, chosen["items_unreadable"] = query_items(raw_items, chosen), nowhere
    items = rules.forms.items(items)

    whole = chosen["problem"].isna()
    not_for_provider = chosen["order_status"].notna() & chosen["code"].isna()
    found = [
        ({reason: wrong[chosen.index] for reason, wrong in unreadable.items()}, whole),
        (find_faults(chosen, items, STATUS), whole),
        (find_faults(chosen, items, rules.checks), whole & ~not_for_provider),
    ]
    faults = {problem: chosen["problem"].eq(problem) for problem in chosen["problem"].dropna().unique()}
    for by_reason, apply in found:
        faults |= {reason: wrong & apply for reason, wrong in by_reason.items() if (wrong & apply).any()}
    wrong = any_of(faults, chosen.index)

    unknown = faults.get(UNKNOWN_STATUS)
    words = chosen.loc[unknown, "status"] if unknown is not None else chosen["status"][:0]
    ready = _only(chosen, ~wrong & ~not_for_provider)
    if len(ready) < len(chosen):
        items = items[items["position"].isin(ready["position"])]
    ready["payload"] = rules.build(ready, items)
    if rules.send_when == "content" and raw_items is not None:
        queried = ready["position"].map(item_hashes(items)).fillna(0).astype("int64")
        ready["source_hash"] += queried.where(given[ready.index].isna(), 0)
    is_last = ~orders.duplicated(TIES, keep="last") if alike.any() else ~nowhere
    bad = chosen[wrong]
    rejected = with_offsets(raw.loc[bad.index], bad, rules.timezone).assign(
        rank=bad["rank"], source_hash=bad["source_hash"].where(is_last[bad.index], 0).astype("str")
    )
    newest = orders["status_changed_at"].mask(orders["in_future"] | orders["updated_in_future"]).max()
    return Transformed(
        ready=_by_hash(ready[READY_COLUMNS], alike),
        rejected=rejected.assign(reasons=with_words(reasons_of(faults, rejected.index), words)),
        counts={
            "superseded": len(orders) - len(chosen),
            "orders": len(chosen),
            "rejected": int(wrong.sum()),
            "not_for_provider": int((not_for_provider & ~wrong).sum()),
        },
        reasons=Counter({reason: int(mask.sum()) for reason, mask in faults.items()}),
        first_rows={reason: _origin(chosen.iloc[mask.to_numpy().argmax()]) for reason, mask in faults.items()},
        doubts={
            doubt: orders.loc[orders[flag], "order_id"].dropna().unique().tolist()
            for flag, doubt in CLOCK_DOUBTS.items()
            if orders[flag].any()
        },
        unknown_words=Counter(words.to_list()),
        left_out=Counter(
            {column: left for column in CONTACT_COLUMNS if (left := int(ready[f"{column}_left_out"].sum()))}
        ),
        newest_change=None if pd.isna(newest) else newest.to_pydatetime(),
    )


def read_orders(raw: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """Return one canonical order a raw row, with `order_status` and the provider's `code`; missing where there is none.

    Args:
        raw: as transform() takes it.
        rules: of the source and the destination.
    """
    orders = canonical_orders(raw, rules.timezone, rules.now, rules.forms)
    orders["order_status"], orders["code"] = _status_and_code(orders["status"], rules)
    return orders


def _status_and_code(status_labels: pd.Series, rules: Rules) -> tuple[pd.Series, pd.Series]:
    """Return each label's status and the provider's code for it; missing where there is none."""
    labels = array_of(status_labels).dictionary_encode()
    meant = [rules.statuses.get(word) for word in labels.dictionary.to_pylist()]
    if None in meant:
        # Another case, or a letter composed otherwise: only where it can mean but one status.
        plain: dict[str, set[OrderStatus]] = {}
        for word, status in rules.statuses.items():
            plain.setdefault(plain_word(word), set()).add(status)
        one = {word: next(iter(statuses)) for word, statuses in plain.items() if len(statuses) == 1}
        words = labels.dictionary.to_pylist()
        meant = [status or one.get(plain_word(word)) for status, word in zip(meant, words, strict=True)]
    codes = [None if status is None or (code := rules.codes.get(status)) is None else str(code) for status in meant]
    statuses, codes = (pa.array(column, pa.large_string()).take(labels.indices) for column in (meant, codes))
    return series_of(statuses, status_labels.index), series_of(codes, status_labels.index)


def _only_items(alike: pd.DataFrame) -> pd.Series[bool]:
    """Return a mask of rows without a status beside a row of the same order and times that has one.

    An export with a line for each item leaves the status of all lines but the first empty: these are no state of their
    order.
    """
    has_status = alike["status"].notna()
    beside = has_status.groupby([alike[column] for column in TIES]).transform("any")
    return ~has_status & beside


def _with_lost_lines(lines: pd.DataFrame) -> pd.Series[bool]:
    """Return a mask of the orders in joined lines that lack an item, because its line has no time or status to join by.

    Args:
        lines: the canonical rows that may share their order with others, with `order_status`.
    """
    lines = lines[lines["items"].notna()]
    untimed = lines["status_changed_at"].isna()
    for fault in ("updated_at_unreadable", "in_future", "updated_in_future"):
        untimed |= lines[fault]
    unworded = ~untimed & lines["order_status"].isna()
    by_order = untimed.groupby([lines[column] for column in ("origin", "order_id")]).transform("any")
    by_time = unworded.groupby([lines[column] for column in ("origin", *TIES)], dropna=False).transform("any")
    return ~untimed & ~unworded & (by_order | by_time)


def _only(orders: pd.DataFrame, keep: pd.Series) -> pd.DataFrame:
    """Return the orders to keep, without a copy if these are all."""
    return orders.copy(deep=False) if keep.all() else orders[keep]


def _by_hash(ready: pd.DataFrame, alike: pd.Series[bool]) -> pd.DataFrame:
    """Return the orders sorted by their hash, and the changes of each in order; `alike` is True for equal hashes."""
    if not alike[ready.index].any():
        return ready.sort_values("partition_hash")
    in_order = ready.sort_values(["partition_hash", "order_id", *VERSION])
    # Only the last row of one time says what the order is now.
    is_last = ~in_order.duplicated(TIES, keep="last")
    return in_order.assign(source_hash=in_order["source_hash"].where(is_last, 0))


def _origin(order: pd.Series) -> str:
    return f"{order['origin']}:{order['line']}"
