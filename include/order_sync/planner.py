"""Plans a run's parts against the ledger, for a delivery or to be looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import pandas as pd
import pyarrow.compute as pc

from include.order_sync.ahead import made_ahead
from include.order_sync.batching import BATCH_COLUMNS
from include.order_sync.ledger import attempts
from include.order_sync.ledger.preparation import Preparation
from include.order_sync.plan import Action, compare, plan
from include.order_sync.providers.base import Provider
from include.order_sync.texts import array_of
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
class Planned:
    """What a run does with the orders of a part.

    Args:
        to_send: BATCH_COLUMNS of batching.py, an order's changes in order.
        behind: rows of the part that look unchanged, but a change of their order is to be sent before.
        newer: newer versions of orders of which the service has the code, as LedgerSession.advance() takes them.
        held: orders that wait for a person, as attempts.
        outcomes: how many of the other orders have each Action.
    """

    to_send: pd.DataFrame
    behind: pd.DataFrame
    newer: pd.DataFrame
    held: pd.DataFrame
    outcomes: Counter[str]


@dataclass(frozen=True)
class Planner:
    """Compares ready orders with what the ledger knows.

    Args:
        provider: whose in-doubt rule counts.
        ledger: whose states.
        choices: of the destination and the run.
    """

    provider: Provider
    ledger: Preparation
    choices: Choices

    def plans(self, parts: Iterable[pd.DataFrame]) -> Iterator[Planned]:
        """Yield what to do with each part's orders; nothing is done here. The next part's states are read meanwhile."""
        for part, states in self._with_states(parts):
            yield self._planned(part, *self.plan(part, states))

    def _with_states(self, parts: Iterable[pd.DataFrame]) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
        return made_ahead((part, self.ledger.states(part)) for part in parts if len(part))

    def plan(self, part: pd.DataFrame, states: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
        """Return a part's orders (READY_COLUMNS of transform.py) as attempts, and the Action for each.

        An attempt has, besides, its `payload_hash`; `held_if_in_doubt`; of what the service has, `known_code` and
        `known_hash`; and whether its version is `newer` than the ledger's.
        """
        known = compare(part, _row_by_row(states, part))
        orders = part.assign(
            payload_hash=payload_hashes(part["payload"]),
            held_if_in_doubt=part["code"].isin(self.provider.held_codes) & (not self.choices.resend_in_doubt),
            known_code=known["code"].where(known["verdict"].notna()),
            known_hash=known["payload_hash"],
            newer=known["newer"],
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

    def _planned(self, part: pd.DataFrame, orders: pd.DataFrame, action: pd.Series) -> Planned:
        send, held = action == Action.SEND, action == Action.HELD
        to_send = orders[send]
        unchanged = orders[action == Action.UNCHANGED]
        if not unchanged["order_hash"].is_unique:
            unchanged = unchanged.drop_duplicates("order_id", keep="last")
        # The ledger may learn of these only after that change is sent.
        waits = pc.is_in(array_of(unchanged["order_id"]), value_set=array_of(to_send["order_id"])).to_numpy(False)
        # After a refusal, what is unchanged against the refused one is not what the service has.
        known = unchanged["newer"] & unchanged["code"].eq(unchanged["known_code"])
        newer = unchanged[~waits & known]
        return Planned(
            to_send=to_send.assign(attempt=self._lines(to_send))[BATCH_COLUMNS],
            behind=part.loc[unchanged.index[waits]],
            newer=newer.assign(attempt=self._lines(newer.assign(payload_hash=newer["known_hash"]))),
            held=orders[held],
            outcomes=Counter({str(name): n for name, n in action[~send & ~held].value_counts().items()}),
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
            orders, action = self.plan(part, states)
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
    at = pc.index_in(array_of(part["order_id"]), value_set=array_of(states["order_id"]))
    known: pd.DataFrame = states.iloc[at.fill_null(0).to_numpy()].set_index(part.index)
    if at.null_count:
        known["verdict"] = known["verdict"].where(at.is_valid().to_numpy(zero_copy_only=False))
    return known


def payload_hashes(payloads: pd.Series) -> pd.Series:
    """Return a hash of each payload, of 64 bits; credentials and signatures are in none.

    pandas' hash is the same in every process and, as a test makes sure, in every release that this project has used.
    """
    hashes = pd.util.hash_array(payloads.to_numpy(dtype="object"), categorize=False).view("int64")
    return pd.Series(hashes, index=payloads.index, dtype="Int64")
