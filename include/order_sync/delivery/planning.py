"""Plans a run's parts against the ledger, for a delivery or to be looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.order_sync.columns.text import array_of
from include.order_sync.delivery.batching import BATCH_COLUMNS
from include.order_sync.delivery.decision_table import Action, compare, plan
from include.order_sync.ledger import attempts
from include.order_sync.ledger.look_ahead import LookAheadSession
from include.order_sync.model import READY_COLUMNS, VERSION
from include.order_sync.prefetch import prefetch
from include.order_sync.providers.base import Provider

FIRST_SHOWN = 20
NOT_SENT = "not_sent"


@dataclass(frozen=True)
class SendOptions:
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
class PartPlan:
    """What a run does with the orders of a part.

    Args:
        to_send: BATCH_COLUMNS of batching.py, an order's changes in order.
        recheck: rows of the part that look unchanged, but a change of their order is to be sent before.
        newer: newer versions of orders of which the service has the code, as LedgerSession.advance() takes them.
        held: orders that wait for a person, as attempts.
        outcomes: how many of the other orders have each Action.
    """

    to_send: pd.DataFrame
    recheck: pd.DataFrame
    newer: pd.DataFrame
    held: pd.DataFrame
    outcomes: Counter[str]


@dataclass(frozen=True)
class Planner:
    """Compares ready orders with what the ledger knows.

    Args:
        provider: whose in-doubt rule counts.
        ledger: whose states.
        send_options: of the destination and the run.
    """

    provider: Provider
    ledger: LookAheadSession
    send_options: SendOptions

    def plans(self, parts: Iterable[pd.DataFrame]) -> Iterator[PartPlan]:
        """Yield what to do with each part's orders; nothing is done here. The next part's states are read meanwhile.

        Args:
            parts: READY_COLUMNS of transform.py.
        """
        for part, states in self._with_states(parts):
            delivered = self._delivered(part, states)
            yield self._planned(*self._plan(part[~delivered], states), int(delivered.sum()))

    def _with_states(self, parts: Iterable[pd.DataFrame]) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
        for part, found in prefetch((part, self.ledger.find(part)) for part in parts if len(part)):
            yield part, attempts.states(found)

    def _delivered(self, part: pd.DataFrame, states: pd.DataFrame) -> np.ndarray:
        """Return where the service has taken the very version, so that the order is unchanged whatever else is known.

        That is most of a window that is read again, and spares them all that follows.
        """
        if states.empty or self.send_options.resend or not self._own.empty:
            return np.zeros(len(part), dtype="bool")
        at = _places(part, states)
        delivered: np.ndarray = (
            at.is_valid().to_numpy(zero_copy_only=False) & ~part["partition_hash"].duplicated(keep=False).to_numpy()
        )
        rows = at.fill_null(0).to_numpy()
        delivered &= states["verdict"].eq("accepted").to_numpy(dtype="bool")[rows]
        for column in VERSION:
            ours, theirs = (pa.array(frame[column]).cast(pa.int64()).to_numpy() for frame in (part, states))
            delivered &= ours == theirs[rows]
        return delivered

    def _plan(self, part: pd.DataFrame, states: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
        """Return a part's orders as attempts, and the Action for each.

        An attempt has, besides, its `payload_hash`; `held_if_in_doubt`; of what the service has, `known_code` and
        `known_hash`; and whether its version is `newer` than the ledger's.
        """
        known = compare(part, _row_by_row(states, part))
        orders = part.assign(
            payload_hash=payload_hashes(part["payload"]),
            held_if_in_doubt=part["code"].isin(self.provider.held_codes) & (not self.send_options.resend_in_doubt),
            known_code=known["code"].where(known["verdict"].notna()),
            known_hash=known["payload_hash"],
            newer=known["newer"],
        )
        action = plan(
            orders,
            known,
            self._own_verdicts(part),
            send_when=self.send_options.send_when,
            resend=self.send_options.resend,
            retry_rejected=self.send_options.retry_rejected,
        )
        return orders, action

    def _planned(self, orders: pd.DataFrame, action: pd.Series, delivered: int) -> PartPlan:
        send, held = action == Action.SEND, action == Action.HELD
        to_send = orders[send]
        unchanged = orders[action == Action.UNCHANGED]
        if not unchanged["partition_hash"].is_unique:
            unchanged = unchanged.drop_duplicates("order_id", keep="last")
        # The ledger may learn of these only after that change is sent.
        waits = pc.is_in(array_of(unchanged["order_id"]), value_set=array_of(to_send["order_id"])).to_numpy(False)
        # After a refusal, what is unchanged against the refused one is not what the service has.
        known = unchanged["newer"] & unchanged["code"].eq(unchanged["known_code"])
        newer = unchanged[~waits & known]
        others = {str(name): n for name, n in action[~send & ~held].value_counts().items()}
        return PartPlan(
            to_send=to_send.assign(attempt=self._lines(to_send))[BATCH_COLUMNS],
            recheck=unchanged.loc[waits, READY_COLUMNS],
            newer=newer.assign(attempt=self._lines(newer.assign(payload_hash=newer["known_hash"]))),
            held=orders[held],
            outcomes=Counter(others) + Counter({Action.UNCHANGED: delivered}),
        )

    def _lines(self, orders: pd.DataFrame) -> pd.Series[str]:
        return attempts.lines(orders, self.ledger.sender.destination_id)

    def preview(self, parts: Iterable[pd.DataFrame]) -> tuple[Counter[str], pd.DataFrame]:
        """Return how many orders have each outcome, those to be sent as NOT_SENT, and the first of these.

        The first are shown as order_id, before (the code that the service has, if any is known) and after.
        """
        outcomes: Counter[str] = Counter()
        first: list[pd.DataFrame] = []
        for part, states in self._with_states(parts):
            orders, action = self._plan(part, states)
            outcomes.update(action.where(action != Action.SEND, NOT_SENT))
            first.append(orders.loc[action == Action.SEND, ["order_id", "known_code", "code"]].head(FIRST_SHOWN))
        shown = pd.concat(first).head(FIRST_SHOWN)
        return outcomes, shown.set_axis(["order_id", "before", "after"], axis=1)

    def _own_verdicts(self, part: pd.DataFrame) -> pd.Series:
        version = ["order_id", *VERSION]
        if self._own.empty:
            return pd.Series(pd.NA, index=part.index, dtype="str")
        return part[version].merge(self._own, on=version, how="left").set_index(part.index)["verdict"]

    @cached_property
    def _own(self) -> pd.DataFrame:
        return self.ledger.own_verdicts()


def _row_by_row(states: pd.DataFrame, part: pd.DataFrame) -> pd.DataFrame:
    """Return what is known of each order; where nothing is, `verdict` is missing."""
    if states.empty:
        return states.reindex(part.index)
    at = _places(part, states)
    known: pd.DataFrame = states.iloc[at.fill_null(0).to_numpy()].set_index(part.index)
    if at.null_count:
        known["verdict"] = known["verdict"].where(at.is_valid().to_numpy(zero_copy_only=False))
    return known


def _places(part: pd.DataFrame, states: pd.DataFrame) -> pa.Array:
    """Return where among the states each order's is; missing where there is none."""
    return pc.index_in(array_of(part["order_id"]), value_set=array_of(states["order_id"]))


def payload_hashes(payloads: pd.Series) -> pd.Series:
    """Return a hash of each payload, of 64 bits; credentials and signatures are in none.

    pandas' hash is the same in every process and, as a test makes sure, in every release that this project has used.
    """
    hashes = pd.util.hash_array(payloads.to_numpy(dtype="object"), categorize=False).view("int64")
    return pd.Series(hashes, index=payloads.index, dtype="Int64")
