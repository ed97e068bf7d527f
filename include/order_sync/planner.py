"""Plans a run's parts against the ledger, for a delivery or to be looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.order_sync.ledger.session import LedgerSession
from include.order_sync.plan import Action, compare, plan
from include.order_sync.providers.base import Provider
from include.order_sync.transform import VERSION

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

        An attempt has, besides, its `payload_hash`; `held_if_in_doubt`; of what the service has, `known_code` and
        `known_hash`; and whether its version is `newer` than the ledger's.
        """
        known = self._known(part)
        orders = part.assign(
            payload_hash=payload_hashes(part["payload"]),
            held_if_in_doubt=part["code"].isin(self.provider.held_codes) & (not self.choices.resend_in_doubt),
            known_code=known["code"].where(known["verdict"].notna()),
            known_hash=known["payload_hash"],
            newer=compare(part, known)[0],
        )
        action = plan(
            orders,
            known,
            self._own_verdicts(part),
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

    def _known(self, part: pd.DataFrame) -> pd.DataFrame:
        """Return what the ledger knows of each order, row by row."""
        states = self.ledger.states(part)
        if states.empty:
            return states.reindex(part.index)
        at = pc.index_in(pa.array(part["order_id"]), pa.array(states["order_id"])).to_numpy(zero_copy_only=False)
        missing = np.isnan(at)
        known = states.iloc[np.where(missing, 0, at).astype("int64")].set_index(part.index)
        known.loc[missing, "verdict"] = pd.NA
        return known

    def _own_verdicts(self, part: pd.DataFrame) -> pd.Series:
        version = ["order_id", *VERSION]
        if self._own.empty:
            return pd.Series(pd.NA, index=part.index, dtype="str")
        return part[version].merge(self._own, on=version, how="left").set_index(part.index)["verdict"]

    @cached_property
    def _own(self) -> pd.DataFrame:
        return self.ledger.own_verdicts()


def payload_hashes(payloads: pd.Series) -> pd.Series:
    """Return a hash of each payload, of 64 bits; credentials and signatures are in none.

    pandas' hash is the same in every process and, as a test makes sure, in every release that this project has used.
    """
    hashes = pd.util.hash_array(payloads.to_numpy(dtype="object"), categorize=False).view("int64")
    return pd.Series(hashes, index=payloads.index, dtype="Int64")
