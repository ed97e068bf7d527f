"""Plans a run's parts: ready orders are compared with the ledger, and each gets its action."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.order_sync.columns.text import array_of, series_of
from include.order_sync.delivery import stale
from include.order_sync.delivery.batching import BATCH_COLUMNS
from include.order_sync.delivery.decision_table import Action, SendOptions, decide
from include.order_sync.delivery.relations import Relation, ranked, relations, repeats
from include.order_sync.ledger import attempts
from include.order_sync.ledger.approvals import OLD
from include.order_sync.ledger.look_ahead import LookAheadSession
from include.order_sync.ledger.session import Kept, LedgerSession
from include.order_sync.model import VERSION
from include.order_sync.prefetch import prefetch
from include.order_sync.providers.base import Provider


@dataclass(frozen=True)
class PartPlan:
    """What a run does with the orders of a part.

    Args:
        to_send: BATCH_COLUMNS of batching.py, an order's changes in order.
        recheck: the index of orders in the part that look unchanged beside an earlier change of theirs that is sent
            first: they are planned again once that change has its verdict. Their payloads would fill the memory.
        newer: newer versions of orders whose code the service has, as LedgerSession.record() takes them; but not those
            that say the same at the same time in a newer file: a full export would cost a row for each order. Those
            whose order is in the quarantine are: it may leave it.
        adopted: the last change of each order that counts as known to the service, likewise.
        held: orders that wait for a person, as `decisions` gives them.
        kept: orders that are not sent because the service did not take them before, likewise.
        stale: orders that are not sent because of a version that was attempted; `stale` has the reason of stale.py.
        notifications: how many of `to_send` count as notifications (brake.py).
        overruled: ids of orders that are sent though an older row than the attempted one: the run trusts the source.
        outcomes: how many of the other orders have each Action.
    """

    to_send: pd.DataFrame
    notifications: int
    recheck: pd.Index
    newer: pd.DataFrame
    adopted: pd.DataFrame
    held: pd.DataFrame
    kept: pd.DataFrame
    stale: pd.DataFrame
    overruled: list[str]
    outcomes: Counter[str]


@dataclass(frozen=True)
class Planner:
    """Compares ready orders with the states that the ledger knows. It changes nothing.

    Args:
        provider: whose in-doubt rule counts.
        ledger: whose states.
        options: of the destination and the run.
        keep: order id -> the time of the newest change that is not sent, however the ledger stands.
    """

    provider: Provider
    ledger: LookAheadSession
    options: SendOptions
    keep: Mapping[str, datetime] = field(default_factory=dict)

    @classmethod
    def of(cls, provider: Provider, ledger: LedgerSession, options: SendOptions) -> Planner:
        """Return the planner of a run that is only looked at."""
        return cls(provider, ledger.look_ahead, options, kept_back(ledger.kept(), options))

    def plans(self, parts: Iterable[pd.DataFrame]) -> Iterator[PartPlan]:
        """Yield the plan of each part that is not empty.

        Args:
            parts: READY_COLUMNS.
        """
        for part, found in prefetch((part, self.ledger.find(part)) for part in parts if len(part)):
            states, own = self._known(found)
            rows = _rows_in(states, part)
            accepted = self._accepted_versions(part, states, rows, own)
            known = _row_by_row(states, rows.filter(pa.array(~accepted)), part.index[~accepted])
            orders, actions = self._decide(part[~accepted], known, own)
            yield self._plan(orders, actions, int(accepted.sum()))

    def decisions(self, part: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
        """Return a part's orders with what is known of each, and the Action for each.

        Args:
            part: READY_COLUMNS; not empty.

        Returns:
            READY_COLUMNS and `payload_hash`; `held_if_in_doubt`; `known_code` and `known_hash` of what the service has;
            whether its version is `newer` than the ledger's; whether it is `repeated`: the row that was accepted, in a
            newer file; why it would be `stale`; whether it was `overruled`. Then an Action each, with the same index.
        """
        states, own = self._known(self.ledger.find(part))
        return self._decide(part, _row_by_row(states, _rows_in(states, part), part.index), own)

    def _known(self, found: attempts.Found) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the orders' states, and the verdicts that earlier tries of this run have got."""
        rows = attempts.settled(found)
        return attempts.states(rows), attempts.own_verdicts(rows, self._own)

    def _accepted_versions(
        self, part: pd.DataFrame, states: pd.DataFrame, rows_in_states: pa.Array, own: pd.DataFrame
    ) -> np.ndarray:
        """Fast path: mask of rows whose exact version was already accepted. Usually most of a re-read window."""
        if states.empty or self.options.resend or not own.empty:
            return np.zeros(len(part), dtype="bool")
        same_as_next = np.diff(part["partition_hash"].to_numpy()) == 0  # they are sorted
        alike = np.append(same_as_next, [False]) | np.append([False], same_as_next)
        accepted: np.ndarray = rows_in_states.is_valid().to_numpy(zero_copy_only=False) & ~alike
        rows = rows_in_states.fill_null(0).to_numpy()
        accepted &= states["verdict"].eq("accepted").to_numpy(dtype="bool")[rows]
        for column in VERSION:
            ours, theirs = (pa.array(frame[column]).cast(pa.int64()).to_numpy() for frame in (part, states))
            accepted &= ours == theirs[rows]
        attempted = states["source_hash"].to_numpy()[rows]
        accepted &= (attempted == part["source_hash"].to_numpy()) | (attempted == 0)
        return accepted

    def _decide(self, part: pd.DataFrame, known: pd.DataFrame, own: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
        overtaken = known["batch_id"].isin(self._read_later)
        if not overtaken.any():
            return self._decided(part, known, own, self.options)
        of_both = ((overtaken, self.options.of_the_past()), (~overtaken, self.options))
        decided = [self._decided(part[mask], known[mask], own, options) for mask, options in of_both if mask.any()]
        orders, actions = zip(*decided, strict=True)
        return pd.concat(orders).loc[part.index], pd.concat(actions).loc[part.index]

    def _decided(
        self, part: pd.DataFrame, known: pd.DataFrame, own: pd.DataFrame, options: SendOptions
    ) -> tuple[pd.DataFrame, pd.Series]:
        ready, overruled = part.assign(rank=ranked(part, known)), pd.Series(False, index=part.index)
        if options.trust_source:
            ready, overruled = stale.as_newest(ready, known)
        relation = relations(ready, known, reads_present=options.reads_present)
        is_held = self.provider.holds(part["code"])
        orders = ready.assign(
            overruled=overruled,
            payload_hash=payload_hashes(part["payload"]),
            held_if_in_doubt=is_held & (not self.options.resend_in_doubt),
            known_code=known["code"].where(~relation[Relation.UNKNOWN]),
            known_hash=known["payload_hash"],
            newer=relation[Relation.NEWER],
            repeated=repeats(ready, known),
            # The brake has counted these, and their codes can't mail twice.
            counted=relation[Relation.SAME] & known["verdict"].eq("in_doubt") & ~is_held,
        )
        orders["stale"] = stale.reasons_of(orders, known, relation, options)
        own_verdicts = _own_verdicts(orders, own)
        if not orders["rank"].equals(part["rank"]):
            # An earlier try may have sent it with the rank of its window, before another run made a higher one known.
            own_verdicts = own_verdicts.fillna(_own_verdicts(part, own))
        actions = decide(orders, known, own_verdicts, relation, options)
        return orders, actions.mask((actions == Action.SEND) & self._is_kept(orders), Action.KEPT)

    def _plan(self, orders: pd.DataFrame, actions: pd.Series, accepted: int) -> PartPlan:
        of_action = {str(action): orders[actions == action] for action in actions.unique()}
        send, held, kept, adopted, unchanged, stale_orders = (
            of_action.get(action, orders[:0])
            for action in (Action.SEND, Action.HELD, Action.KEPT, Action.ADOPTED, Action.UNCHANGED, Action.STALE)
        )
        counted_elsewhere = (Action.SEND, Action.HELD, Action.KEPT)
        others = {action: len(some) for action, some in of_action.items() if action not in counted_elsewhere}
        if not unchanged["partition_hash"].is_unique:
            unchanged = unchanged.drop_duplicates("order_id", keep="last")
        # The ledger may learn of these only after that change is sent.
        waits = pc.is_in(array_of(unchanged["order_id"]), value_set=array_of(send["order_id"])).to_numpy(False)
        # After a refusal, what is unchanged against the refused one is not what the service has.
        known = unchanged["newer"] & unchanged["code"].eq(unchanged["known_code"])
        newer = unchanged[~waits & known]
        if newer["repeated"].any():
            newer = newer[~newer["repeated"] | newer["order_id"].isin(self._listed)]
        lines = attempts.lines(send, self.ledger.sender.destination_id)
        return PartPlan(
            to_send=send.assign(attempt=lines, change=_changes(send))[BATCH_COLUMNS],
            notifications=int(notifying(self.provider, send[~send["counted"]]).sum()),
            recheck=unchanged.index[waits],
            newer=newer.assign(payload_hash=newer["known_hash"]),
            adopted=adopted.drop_duplicates("order_id", keep="last"),
            held=held,
            kept=kept,
            stale=stale_orders,
            overruled=send.loc[send["overruled"], "order_id"].tolist(),
            outcomes=Counter(others) + Counter({Action.UNCHANGED: accepted}),
        )

    def _is_kept(self, orders: pd.DataFrame) -> pd.Series:
        if not self.keep:
            return pd.Series(False, index=orders.index)
        until = pd.Series(list(self.keep.values()), list(self.keep), "datetime64[us, UTC]")
        return orders["status_changed_at"] <= orders["order_id"].map(until)

    @cached_property
    def _listed(self) -> list[str]:
        return self.ledger.listed()

    @cached_property
    def _read_later(self) -> np.ndarray:
        """The batches of runs that have read the source after this one: a retry or a clear may come days later."""
        options = self.options
        if options.read_at is None or not (options.reads_present or options.resend):
            return np.array([], "int64")
        return self.ledger.batches_read_after(options.read_at)

    @cached_property
    def _own(self) -> attempts.OwnBatches:
        return self.ledger.own_batches(resend=self.options.resend)


def kept_back(kept: Mapping[str, Kept], options: SendOptions) -> dict[str, datetime]:
    """Return the orders that a run does not send, each with the time of its newest change that was kept.

    A run sends once what an earlier run has given up. What was refused with others waits for a person.

    Args:
        kept: the orders in the quarantine that were not sent because of their service.
        options: of the run.
    """
    asked = options.retry_rejected or options.resend
    return {
        order_id: each.until for order_id, each in kept.items() if each.by_this_run or not (each.is_failing or asked)
    }


def notifying(provider: Provider, orders: pd.DataFrame) -> pd.Series[bool]:
    """Return a mask of the orders that count as notifications: by their code, or because the change is old.

    Args:
        provider: with the codes that notify.
        orders: that are to be sent: `code`, `status_changed_at`.
    """
    codes = [str(code) for code in provider.notifies]
    return orders["code"].isin(codes) | (orders["status_changed_at"] < datetime.now(UTC) - OLD)


def _changes(orders: pd.DataFrame) -> pd.Series[str]:
    """Return the change of each order as text: the code that the service has (empty without one), a tab, its new code.

    Args:
        orders: that are to be sent: `order_id`, `partition_hash`, `known_code`, `code`; changes of an order in order.
    """
    before = orders["known_code"]
    # Equal hashes are not always one order, but one order always has equal hashes.
    if not orders["partition_hash"].is_unique:
        before = orders.groupby("order_id")["code"].shift().fillna(before)
    tab = pa.scalar("\t", pa.large_string())
    joined = pc.binary_join_element_wise(pc.fill_null(array_of(before), ""), array_of(orders["code"]), tab)
    return series_of(joined, orders.index)


def _own_verdicts(part: pd.DataFrame, own: pd.DataFrame) -> pd.Series:
    """Return the verdict of each row among those of earlier tries; missing without one.

    An order that was sent before a clear is that in each of its versions: a file that was written anew is a newer one.
    """
    version = ["order_id", *VERSION]
    if own.empty:
        return pd.Series(pd.NA, index=part.index, dtype="str")
    verdicts = part[version].merge(own, on=version, how="left").set_index(part.index)["verdict"]
    sent = part["order_id"].isin(own.loc[own["verdict"].eq("sent"), "order_id"])
    return verdicts.mask(verdicts.isna() & sent, "sent")


def _row_by_row(states: pd.DataFrame, rows_in_states: pa.Array, index: pd.Index) -> pd.DataFrame:
    """Return each order's state; where the ledger knows none, `verdict` is missing.

    Args:
        states: of attempts.states().
        rows_in_states: of each order, as _rows_in() gives them.
        index: of the orders.
    """
    if states.empty:
        return states.reindex(index)
    known: pd.DataFrame = states.iloc[rows_in_states.fill_null(0).to_numpy()].set_index(index)
    if rows_in_states.null_count:
        known["verdict"] = known["verdict"].where(rows_in_states.is_valid().to_numpy(zero_copy_only=False))
    return known


def _rows_in(states: pd.DataFrame, part: pd.DataFrame) -> pa.Array:
    """Return the row of each order among the states; missing where it has none."""
    return pc.index_in(array_of(part["order_id"]), value_set=array_of(states["order_id"]))


def payload_hashes(payloads: pd.Series) -> pd.Series:
    """Return a 64-bit hash of each payload; credentials and signatures are in no payload.

    pandas' hash is the same in every process and, as a test makes sure, in every release that this project has used.
    """
    hashes = pd.util.hash_array(payloads.to_numpy(dtype="object"), categorize=False).view("int64")
    return pd.Series(hashes, index=payloads.index, dtype="Int64")
