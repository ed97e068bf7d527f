"""Plans a run's parts against the ledger, for a delivery or to be looked at."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import pandas as pd

from include.order_sync.ledger.session import LedgerSession
from include.order_sync.plan import Action, plan
from include.order_sync.providers.base import Provider

FIRST_SHOWN = 20
NOT_SENT = "not_sent"


@dataclass(frozen=True)
class Choices:
    """What a destination's configuration and a run's params say about sending.

    Args:
        send_when: what makes an order changed: its code (status), or its payload (content).
        resend_in_doubt: repeat what is in doubt, also where the provider's rule would hold it.
        resend: send unchanged orders too.
        retry_rejected: send again what the service has rejected, though it is the same.
    """

    send_when: Literal["status", "content"] = "status"
    resend_in_doubt: bool = False
    resend: bool = False
    retry_rejected: bool = False


@dataclass(frozen=True)
class Planner:
    """Compares ready orders with what the ledger knows.

    Args:
        provider: whose in-doubt rule counts.
        ledger: whose states.
        choices: of the destination and the run.
    """

    provider: Provider
    ledger: LedgerSession
    choices: Choices

    def plan(self, part: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
        """Return a part's orders (READY_COLUMNS of transform.py) as attempts, and the Action for each.

        An attempt has, besides, its `payload_hash`; `held_if_in_doubt`; and `known_code`, which the service has.
        """
        held = part["code"].isin(self.provider.held_codes) & (not self.choices.resend_in_doubt)
        orders = part.assign(payload_hash=_hashes(part["payload"]), held_if_in_doubt=held)
        states = self.ledger.states(orders["order_id"].unique().tolist())
        orders["known_code"] = orders["order_id"].map(states.set_index("order_id")["code"]).astype("str")
        action = plan(
            orders,
            states,
            self._own,
            send_when=self.choices.send_when,
            resend=self.choices.resend,
            retry_rejected=self.choices.retry_rejected,
        )
        return orders, action

    def preview(self, parts: Iterable[pd.DataFrame]) -> tuple[Counter[str], pd.DataFrame]:
        """Return how many orders have each outcome, those to be sent as NOT_SENT, and the first of these.

        The first are shown as order_id, before (the code that the service has, if any is known) and after.
        """
        outcomes: Counter[str] = Counter()
        first: list[pd.DataFrame] = []
        for part in parts:
            orders, action = self.plan(part)
            outcomes.update(action.where(action != Action.SEND, NOT_SENT))
            first.append(orders.loc[action == Action.SEND, ["order_id", "known_code", "code"]].head(FIRST_SHOWN))
        shown = pd.concat(first).head(FIRST_SHOWN)
        return outcomes, shown.set_axis(["order_id", "before", "after"], axis=1)

    @cached_property
    def _own(self) -> pd.DataFrame:
        return self.ledger.own_verdicts()


def _hashes(payloads: pd.Series) -> pd.Series:
    """Return a hash of each payload; credentials and signatures are in none."""
    hashes = [hashlib.blake2b(payload.encode(), digest_size=16).digest() for payload in payloads]
    return pd.Series(hashes, index=payloads.index, dtype="object")
