"""Tells by a file's rows how it has several lines for an order, and which columns are those of items."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from include.order_sync.preview.guess_names import ITEM_NAMES, plain, squeezed


def lines_of(rows: Sequence[Sequence[str]], columns: Mapping[str, int]) -> tuple[str, int] | None:
    """Return `lines` of the source, and the number of the first row that goes on with the order before it.

    None if each row is an order, or nothing tells.

    Args:
        rows: of the file, without its header.
        columns: canonical column -> its index.
    """
    if "order_id" not in columns:
        return None
    states = [columns[column] for column in ("status", "status_changed_at") if column in columns]
    repeated = None
    for number, (before, row) in enumerate(pairwise(rows), 1):
        own, other = _text(row, columns["order_id"]), _text(before, columns["order_id"])
        state, earlier = ([_text(each, at) for at in states] for each in (row, before))
        if other and own in ("", other) and state[:1] == [""] and earlier[:1] != [""]:
            return "continuation", number
        if repeated is None and own == other != "" and state == earlier and list(row) != list(before):
            repeated = number
    return None if repeated is None else ("items", repeated)


def item_columns(names: Sequence[str]) -> dict[str, str]:
    """Return canonical item column -> the name of the column or key that holds it.

    Args:
        names: of a file's columns, or of the keys of an item in JSON.
    """
    # Some exports put before the name what it is of: `items.sku`.
    short = {squeezed(re.sub(r"^(line )?items? ", "", plain(name))): name for name in reversed(names) if name}
    known = short | {squeezed(name): name for name in reversed(names) if name}
    fitting = {
        column: [known[name] for name in map(squeezed, given) if name in known] for column, given in ITEM_NAMES.items()
    }
    return {column: names[0] for column, names in fitting.items() if names}


def json_keys(values: Sequence[str]) -> list[str]:
    """Return the keys of items in a column's JSON arrays."""
    return list(dict.fromkeys(key for value in values for item in json_items(value) or [] for key in item))


def json_items(value: str) -> list[dict[str, Any]] | None:
    """Return the items of a JSON array; None if a text is something else."""
    try:
        items = json.loads(value)
    except ValueError:
        return None
    return items if isinstance(items, list) and all(isinstance(item, dict) for item in items) else None


def _text(row: Sequence[str], at: int) -> str:
    return row[at].strip() if at < len(row) else ""
