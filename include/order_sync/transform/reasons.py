"""The search for every fault of an order, and the lists of reasons that come of it."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

from include.order_sync.transform.checks import Check
from include.order_sync.transform.order_checks import UNKNOWN_STATUS

_HIDDEN = "a text that may be personal"
_MOST_STATUSES = 50
# A status word that may be a person's: an address, a number of theirs, or a sentence.
_PERSONAL = re.compile(r"@|[0-9].*[0-9].*[0-9].*[0-9].*[0-9]|.{41}|(?:[^\W_]+[\W_]+){5}[^\W_]", re.DOTALL)
# PostgreSQL's texts hold no NUL, and a line break would make two reasons of one.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def with_words(reasons: pd.Series, words: pd.Series) -> pd.Series:
    """Return the reasons, that of an unknown status with its word.

    Args:
        reasons: of the rejected rows, as reasons_of() gives them.
        words: the unknown status words, with the index of their rows.
    """
    by_row = words.to_dict()
    shown = shown_words(words)
    named = [
        [f"{each} ({shown[by_row[row]]})" if each == UNKNOWN_STATUS and row in by_row else each for each in given]
        for row, given in reasons.items()
    ]
    return pd.Series(named, index=reasons.index)


def shown_words(unknown: Iterable[str]) -> dict[str, str]:
    """Return status words that are not in the map, each with what a message may show of it.

    Where there are more of them than a shop has statuses, the column may be another one: of names, of cities.
    """
    words = set(unknown)
    is_hidden = len(words) > _MOST_STATUSES
    return {word: _HIDDEN if is_hidden else shown_word(word) for word in words}


def shown_word(word: str) -> str:
    """Return a status word as a message may show it: one that may be a person's data is not shown."""
    return _HIDDEN if _PERSONAL.search(word) else _CONTROL.sub("\N{REPLACEMENT CHARACTER}", word)


def find_faults(orders: pd.DataFrame, items: pd.DataFrame, checks: Iterable[Check]) -> dict[str, pd.Series[bool]]:
    """Return a mask for each reason that occurs.

    Args:
        orders: canonical orders, any index.
        items: their items, with the `position` of their order's row.
        checks: to apply.
    """
    found = {check.reason: check.fails(orders, items) for check in checks}
    return {reason: wrong for reason, wrong in found.items() if wrong.any()}


def any_of(faults: dict[str, pd.Series[bool]], index: pd.Index) -> pd.Series[bool]:
    """Return a mask of the orders that have at least one of the faults."""
    wrong = pd.Series(False, index=index)
    for mask in faults.values():
        wrong |= mask
    return wrong


def reasons_of(faults: dict[str, pd.Series[bool]], index: pd.Index) -> pd.Series:
    """Return for each order of `index` the list of its reasons, in the order of the checks."""
    reasons: list[list[str]] = [[] for _ in index]
    for reason, mask in faults.items():
        for row in mask.loc[index].to_numpy().nonzero()[0]:
            reasons[row].append(reason)
    return pd.Series(reasons, index=index, dtype="object")
