"""The mark of a destination: kept in the ledger and beside it, so that a ledger that was restored is noticed.

Each load makes a new mark before it sends, and another one at its end. A mark is a number and a random part, as
`57-9f3c0a51`. It goes to the ledger first, as `next_mark`, and then to the store beside it. So the store has one of
`mark` and `next_mark`, wherever a load is killed. If it has another one, one of these is true:

- The ledger was restored from a backup, or created anew. Its number is lower then.
- Another Airflow has loaded over the same ledger, or Airflow's metadata was restored, copied or lost.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Protocol

from include.order_sync import stops
from include.order_sync.errors import OrderSyncError, StopError

if TYPE_CHECKING:  # session.py imports pandas, which extract does not need
    from include.order_sync.ledger.session import LedgerSession

log = logging.getLogger(__name__)

# Stands in the store in place of a mark if a person accepts the ledger as it is.
ACCEPT = "accept"

Difference = Literal["older ledger", "no mark", "another mark"]
Own = tuple[str | None, str | None]  # `mark` and `next_mark` of the ledger


class MarkStore(Protocol):
    """The place beside the ledger for one destination's mark."""

    def read(self) -> str | None:
        """Return the mark; None if there is none. Raise TryAgainError if the store can't be reached."""

    def write(self, mark: str) -> None:
        """Replace the mark. Raise TryAgainError if the store can't be reached."""


class ForeignLedgerError(StopError):
    """The ledger and the store have different pasts.

    Args:
        destination: its name.
        difference: older ledger: the ledger lacks what the store knows; no mark: the store has none, and the ledger
            has; another mark: the store's mark is neither of the ledger's.
    """

    def __init__(self, destination: str, difference: Difference) -> None:
        super().__init__(
            stops.FOREIGN_LEDGER,
            f"The ledger and the mark of {destination!r} do not agree: {difference}. Nothing was sent.",
        )
        self.difference: Difference = difference


def difference(own: Own, kept: str | None) -> Difference | None:
    """Return how the ledger's marks differ from the one that the store keeps; None if they agree."""
    if kept == ACCEPT or kept in own:
        return None
    if kept is None:
        return "no mark"
    return "older ledger" if _number(kept) > _number(own[1]) else "another mark"


@contextmanager
def marked(ledger: LedgerSession, store: MarkStore, *, adopts: bool = False) -> Iterator[None]:
    """Make a mark before what is done within, and another one after it.

    Args:
        ledger: holds the destination's lock.
        store: of its mark.
        adopts: nothing is sent within: then a difference is only logged, and stays.

    Raises:
        ForeignLedgerError: the ledger and the store have different pasts.
        TryAgainError: one of them can't be reached.
    """
    kept = store.read()
    with ledger.transaction() as cursor:
        own: Own = cursor.execute(
            "select mark, next_mark from destinations where id = %s", (ledger.sender.destination_id,)
        ).fetchone()
    found = difference(own, kept)
    if found and adopts:
        log.warning("%s It is adopted all the same.", ForeignLedgerError(ledger.sender.destination, found))
        yield
        return
    if found:
        raise ForeignLedgerError(ledger.sender.destination, found)
    number = max(_number(kept), _number(own[1])) + 1
    mark = _make(ledger, store, kept, number)
    try:
        yield
    finally:
        try:
            _make(ledger, store, mark, number + 1)
        except OrderSyncError as error:
            # The marks still agree. Only a backup taken during this very load would not be noticed.
            log.warning("The mark at the end of the load was not written: %s", error)


def _make(ledger: LedgerSession, store: MarkStore, kept: str | None, number: int) -> str:
    mark = f"{number}-{secrets.token_hex(4)}"
    with ledger.transaction() as cursor:
        # A crash of the database's server must not take the mark back.
        cursor.execute("set local synchronous_commit = on")
        cursor.execute(
            "update destinations set mark = %s, next_mark = %s where id = %s",
            (kept, mark, ledger.sender.destination_id),
        )
    store.write(mark)
    return mark


def _number(mark: str | None) -> int:
    """Return the number of a mark; 0 of anything else, as a person may have written it."""
    number = (mark or "").partition("-")[0]
    return int(number) if number.isdecimal() else 0
