"""A reason why an order is not delivered, or why a task ends: its text and its code, which never changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

# What a rejected order waits for: its row in the source, the settings (the configuration, a connection, the account at
# the service), either of the two, or what the cure says, which is no redrive.
Mend = Literal["row", "settings", "either", "as the cure says"]


@dataclass(frozen=True)
class Reason:
    """A reason with its code. All of them: codes.py.

    Args:
        code: as OS-111. It is not given to another reason, also when this one is gone.
        reason: the fault in one line, without a value of an order. The ledger keeps it, and a redrive filters by it, so
            another wording would make old rows look new. `*` stands for a part that differs from order to order.
        cure: tells the user what to do.
        mend: of a rejection, what is to be mended. A redrive sends the stored row again: no help if that is wrong.
    """

    code: str
    reason: str
    cure: str
    mend: Mend = field(default="row", kw_only=True)
