"""Texts for task logs and notes: tables of reasons for rejection, the plan of a run, entries of the quarantine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd
    from sqlalchemy import RowMapping

    from include.order_sync.delivery.result import DeliveryResult


# Status words that are not in the map.
WORDS_IN_NOTE = 5
WORDS_IN_LOG = 50


def reasons_table(reasons: Counter[str], first_rows: Mapping[str, str]) -> str:
    """Return a table of the reasons for rejection: code, number of orders, first row, and cure."""
    from tabulate import tabulate  # not at the top: DAG parsing imports this module

    from include.order_sync.codes import coded, cure_of

    rows = [
        (coded(reason), orders, first_rows.get(reason, ""), cure_of(reason)) for reason, orders in reasons.most_common()
    ]
    return tabulate(rows, headers=["reason", "orders", "first row", "cure"], tablefmt="simple")


def first_reason(reasons: Counter[str], unknown_words: Counter[str] | None = None) -> str:
    """Return the most frequent reason for rejection, with its number of orders, for a run's note.

    Args:
        reasons: how many orders each reason rejected.
        unknown_words: status words that are not in the map: they are named beside that reason.
    """
    ((reason, orders),) = reasons.most_common(1)
    words = _shown(unknown_words).most_common(WORDS_IN_NOTE) if unknown_words and "status map" in reason else []
    named = f" ({', '.join(f'{word} {count}' for word, count in words)})" if words else ""
    from include.order_sync.codes import coded  # not at the top: DAG parsing imports this module
    from include.order_sync.counted import counted

    return f"{counted(orders, 'order')} rejected: {coded(reason)}{named}."


def words_table(unknown: Counter[str], statuses: Mapping[str, str]) -> str:
    """Return a table of status words that are not in the map: number of orders, and the nearest word that is."""
    import difflib

    from tabulate import tabulate  # not at the top: DAG parsing imports this module

    rows = []
    for word, orders in _shown(unknown).most_common(WORDS_IN_LOG):
        near = difflib.get_close_matches(word, statuses, 1)
        rows.append((word, orders, f"{near[0]}: {statuses[near[0]]}" if near else ""))
    return tabulate(rows, headers=["word", "orders", "nearest"], tablefmt="simple", disable_numparse=True)


def _shown(words: Counter[str]) -> Counter[str]:
    """Return the words as they may be shown: those that may be a person's data are counted together."""
    from include.order_sync.transform.reasons import shown_words

    shown: Counter[str] = Counter()
    texts = shown_words(words)
    for word, orders in words.items():
        shown[texts[word]] += orders
    return shown


def stale_table(result: DeliveryResult) -> str:
    """Return a table of the reasons why orders are stale: number of orders, the first ones, and cure."""
    from tabulate import tabulate  # not at the top: DAG parsing imports this module

    from include.order_sync.codes import coded, cure_of

    rows = [
        (coded(reason), orders, ", ".join(result.stale_orders[reason]), cure_of(reason))
        for reason, orders in result.stale.most_common()
    ]
    return tabulate(
        rows, headers=["reason", "orders", "first orders", "cure"], tablefmt="simple", disable_numparse=True
    )


def plan_table(orders: pd.DataFrame) -> str:
    """Return a table of orders: the code that the service has, and the code that it would get."""
    from tabulate import tabulate  # not at the top: DAG parsing imports this module

    return tabulate(orders.fillna("-").to_numpy().tolist(), headers=orders.columns.tolist(), disable_numparse=True)


def entries_table(
    entries: Sequence[Mapping[str, Any]], messages: Sequence[str | None], now: Sequence[str] | None = None
) -> str:
    """Return a table of quarantine entries: numbers, orders, reasons, files and lines, but no content of rows.

    Args:
        entries: as quarantine.find() gives them.
        messages: what the service said of each, fit for the place where the table is shown; None where no key opens it.
        now: what would become of each today; None to leave it out.
    """
    from tabulate import tabulate  # not at the top: DAG parsing imports this module

    from include.order_sync.codes import coded

    rows = [
        (
            entry["id"],
            entry["batch"] or "",
            entry["order_id"] or "-",
            "; ".join(map(coded, entry["reasons"])),
            entry["origin"],
            entry["line"],
            f"{entry['last_seen_at']:%Y-%m-%d %H:%M}",
            entry["times_seen"],
            *(() if now is None else (would_be,)),
            "(no key opens it)" if message is None else message,
        )
        for entry, message, would_be in zip(entries, messages, now or [""] * len(entries), strict=True)
    ]
    headers = ["entry", "held batch", "order", "reasons", "origin", "line", "last seen (UTC)", "runs"]
    headers += [*(() if now is None else ("now",)), "the service said"]
    return tabulate(rows, headers=headers, tablefmt="simple", disable_numparse=True)


def history_table(events: Iterable[RowMapping], messages: Iterable[str | None]) -> str:
    """Return a table of what happened to an order.

    Args:
        events: as order_history.history() gives them.
        messages: what the service said of each, empty without a message; None where no key opens it.
    """
    from tabulate import tabulate  # not at the top: DAG parsing imports this module

    from include.order_sync.codes import coded

    rows = [
        (
            _second(event["happened_at"]),
            event["event"],
            event["code"],
            _second(event["status_changed_at"]),
            coded(event["reason"]) if event["reason"] else event["reason"],
            event["place"],
            f"{event['run']}, try {event['try']}" if event["try"] else event["run"],
            event["batch_id"],
            event["entry"],
            "(no key opens it)" if message is None else message,
        )
        for event, message in zip(events, messages, strict=True)
    ]
    headers = ["when (UTC)", "what", "code", "of (UTC)", "why", "row", "run", "batch", "entry", "the service said"]
    return tabulate(rows, headers=headers, tablefmt="simple", disable_numparse=True)


def _second(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}" if time else ""
