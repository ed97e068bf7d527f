"""Compares ready orders with the ledger: what is to be sent, and what became or becomes of the rest. Pure pandas."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import pandas as pd

from include.order_sync.model import VERSION


class Action(StrEnum):
    """What a run does with one ready order."""

    SEND = "send"
    ACCEPTED = "accepted"  # by an earlier try of this run
    REJECTED = "rejected"  # by the service, in this version and with this payload
    UNCHANGED = "unchanged"
    STALE = "stale"
    HELD = "held"


def plan(
    ready: pd.DataFrame,
    known: pd.DataFrame,
    own: pd.Series,
    *,
    send_when: Literal["status", "content"],
    resend: bool,
    retry_rejected: bool,
) -> pd.Series:
    """Return the Action for each ready order; the index is that of `ready`.

    A version is compared as a whole with the highest that was ever attempted. An order whose code (`send_when:
    status`) or payload (`content`) is the one that the service has is unchanged; `resend` sends it all the same, but
    once in a run, and never an older version. A held order waits for a person, unless a newer version has another
    code: that one is sent, and the held one is resolved by it.

    Args:
        ready: partition_hash, order_id, code, payload_hash; an order's changes in order.
        known: STATE_COLUMNS of the ledger, row by row, as `compare` gives them; where the ledger does not know an
            order, `verdict` is missing.
        own: the verdict that this run's earlier tries have got, row by row; missing where they have none.
        send_when: what makes an order changed.
        resend: send unchanged orders too.
        retry_rejected: send again what the service has rejected, though it is the same.
    """
    verdict = known["verdict"]
    several = ready["partition_hash"].duplicated(keep=False)  # and maybe some that are there once
    if verdict.isna().all() and own.isna().all() and not several.any():
        return pd.Series(Action.SEND.value, index=ready.index, dtype="str")
    newer, same = known["newer"], known["same"]
    ahead = newer | verdict.isna()

    fact = "code" if send_when == "status" else "payload_hash"
    altered = _differ(ready["payload_hash"], known["attempted_hash"])
    again = same & (verdict.eq("in_doubt") | (verdict.eq("rejected") & (altered | retry_rejected)))
    # Where an order has several changes in this window, each is compared with the one before it.
    before = _before(ready, fact, ahead | again, several)
    taken = known[fact].where(verdict.notna() & verdict.ne("in_doubt"))  # what is in doubt may not have been taken
    changed = _differ(ready[fact], before.where(before.notna(), taken))
    code_before = _before(ready, "code", ahead | again, several).fillna(known["code"])
    held = verdict.eq("held") & (same | (newer & ready["code"].eq(known["code"]) & code_before.eq(known["code"])))
    refused = same & verdict.eq("rejected") & ~again

    action = pd.Series(Action.STALE.value, index=ready.index, dtype="str")
    action[ahead | same] = Action.UNCHANGED.value
    action[refused] = Action.REJECTED.value
    action[(ahead & changed) | again] = Action.SEND.value
    if resend:
        action[ahead | same] = Action.SEND.value
    action[held] = Action.HELD.value
    action[own.eq("accepted")] = Action.ACCEPTED.value
    action[own.eq("rejected") & (~altered | ~same)] = Action.REJECTED.value
    return action


def _before(ready: pd.DataFrame, column: str, counts: pd.Series, several: pd.Series) -> pd.Series:
    """Return the value of each row's predecessor among the changes of its order that count; missing without one."""
    before = pd.Series(pd.NA, index=ready.index, dtype=ready[column].dtype)
    if several.any():
        values = ready[column].where(counts)[several]
        before[several] = values.groupby(ready["order_id"][several]).shift()
    return before


def _differ(ours: pd.Series, theirs: pd.Series) -> pd.Series:
    """Return where two columns differ; what is missing differs from all."""
    return ours.ne(theirs).fillna(True).astype("bool")


def compare(ready: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Return `known`, and where an order's version is `newer` than the ledger's, and where it is the `same`.

    Args:
        ready: VERSION.
        known: VERSION and verdict, row by row.
    """
    newer = pd.Series(False, index=ready.index)
    same = known["verdict"].notna()
    for column in VERSION:
        newer |= same & (ready[column] > known[column])
        same &= ready[column] == known[column]
    return known.assign(newer=newer, same=same)
