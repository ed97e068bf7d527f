"""Which changes a service has accepted, in the words of their statuses: `paid → delivered`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from order_sync_airflow.page import shown

if TYPE_CHECKING:
    from include.order_sync.configuration.models import Destination


def told(
    rows: Iterable[Mapping[str, Any]], destination: Destination | None, accepted: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Return each change with its counts, the most frequent first: `change`, and a number for each column.

    Args:
        rows: `code_before`, `code`, `orders`, and the `column` that they count in.
        destination: with the statuses of the codes; None if the configuration has it no more.
        accepted: each column, and how many orders were accepted there. Not all have their change: a try that was killed
            has recorded none.
    """
    found: dict[str, Counter[str]] = {}
    for row in rows:
        said = _said(row["code_before"], row["code"], destination)
        found.setdefault(said, Counter())[row["column"]] += row["orders"]
    by_frequency = sorted(found.items(), key=lambda each: (-each[1].total(), each[0]))
    if found and (left := Counter(accepted) - sum(found.values(), Counter())):
        by_frequency.append(("change not recorded", left))
    return [{"change": said, **{column: orders[column] for column in accepted}} for said, orders in by_frequency]


def _said(before: str | None, now: str, destination: Destination | None) -> str:
    had, has = (shown.words(each, destination) or f"code {each}" for each in (before, now))
    if before is None:
        return f"new → {has}"
    return f"{has}, sent again" if before == now else f"{had} → {has}"
