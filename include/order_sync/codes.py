"""All reasons with their codes, and the code of a text that the ledger keeps. docs/reasons.md lists them for people.

The ledger keeps the texts alone, so that rows of earlier releases have a code too. The form of a redrive lists the
reasons, so this module must not import pandas.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from include.order_sync.ledger.reasons import REASONS
from include.order_sync.providers import PROVIDERS
from include.order_sync.reason import Mend, Reason
from include.order_sync.transform.order_checks import STATUS, UNREADABLE
from include.order_sync.transform.row_problems import ROWS

_CODE = re.compile(r"OS-[0-9]+")


@cache
def rejections() -> tuple[Reason, ...]:
    """Return the reasons why an order is not delivered, by their codes; those of stops are in stops.py."""
    adapters = [each for provider in PROVIDERS.values() for each in (provider, *provider.by_items.values())]
    of_services = [reason for each in adapters for reason in (*each.checks, *each.rejections)]
    by_code = {reason.code: reason for reason in (*ROWS, *UNREADABLE, *STATUS, *REASONS, *of_services)}
    return tuple(by_code[code] for code in sorted(by_code))


def reason_of(text: str) -> Reason | None:
    """Return the reason of a text as the ledger keeps it; None if this release does not know it.

    Args:
        text: a reason, or a reason with a word of the shop in brackets behind it.
    """
    for given in (text, text.partition(" (")[0]):
        for matching, reason in _patterns():
            if matching.fullmatch(given):
                return reason
    return None


@cache
def _patterns() -> list[tuple[re.Pattern[str], Reason]]:
    """Return the reasons with a pattern of each text; a page asks for hundreds of them."""
    return [(re.compile(re.escape(each.reason).replace(r"\*", ".*"), re.DOTALL), each) for each in rejections()]


def coded(text: str) -> str:
    """Return a kept text with its code before it, as it is shown; a text that is not known, as it is."""
    reason = reason_of(text)
    return f"{reason.code} {text}" if reason else text


def cure_of(text: str) -> str:
    """Return what to do about a kept text; empty if it is not known."""
    reason = reason_of(text)
    return reason.cure if reason else ""


def mend_of(texts: Iterable[str]) -> Mend:
    """Return what the row of an entry of the quarantine waits for, by its kept texts.

    A row with several faults is rejected again while one is left, so that which a redrive can't cure decides.
    """
    found = {reason.mend if reason else "either" for reason in map(reason_of, texts)}
    order: tuple[Mend, ...] = ("as the cure says", "row", "either", "settings")
    return next(each for each in order if each in found)


def pattern(given: str) -> str:
    """Return a pattern of SQL's LIKE for the kept texts that a person means; empty for all.

    Args:
        given: a code, which may have its reason behind it, as a form lists them; or a part of a reason.
    """
    code = _CODE.match(given.strip())
    if not code:
        return f"%{_escaped(given)}%" if given else ""
    known = {reason.code: reason.reason for reason in rejections()}
    # A word of the shop may follow. Of a code that is not known there is no text: nothing is found.
    return _like(known.get(code[0], code[0])) + "%"


def by_pattern() -> dict[str, str]:
    """Return the code of each reason by a pattern of SQL's LIKE for its text, for the views of the ledger."""
    return {_like(reason.reason): reason.code for reason in rejections()}


def _like(reason: str) -> str:
    return _escaped(reason).replace("*", "%")


def _escaped(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)
