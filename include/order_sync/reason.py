"""A reason why an order is not delivered, or why a task ends: its text and its code, which never changes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """A reason with its code. All of them: codes.py.

    Args:
        code: as OS-111. It is not given to another reason, also when this one is gone.
        reason: the fault in one line, without a value of an order. The ledger keeps it, and a redrive filters by it, so
            another wording would make old rows look new. `*` stands for a part that differs from order to order.
        cure: tells the user what to do.
    """

    code: str
    reason: str
    cure: str
