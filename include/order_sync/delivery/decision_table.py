"""The decision table: compares ready orders with the ledger and says what happens to each. Pure pandas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal

import numpy as np
import pandas as pd

from include.order_sync.delivery.relations import Relation, differ, is_, masks_of
from include.order_sync.model import VERSION


class Action(StrEnum):
    """What a run does with one ready order."""

    SEND = "send"
    ACCEPTED = "accepted"  # by an earlier try of this run
    REJECTED = "rejected"  # by the service, in this version and with this payload
    UNCHANGED = "unchanged"
    STALE = "stale"
    HELD = "held"
    ADOPTED = "adopted"  # would be sent, but its change is so old that the service counts as having it
    KEPT = "kept"  # would be sent, but it waits in the quarantine: the service did not take it before


@dataclass(frozen=True)
class SendOptions:
    """What a destination's configuration and a run's params say about sending.

    Args:
        send_when: what makes an order changed: its code (status), or its payload (content).
        resend_in_doubt: repeat sends with an unknown outcome, even where the provider's rule is to hold them.
        resend: send unchanged orders too.
        retry_rejected: send again what the service has rejected, though it is the same.
        reads_present: the run reads what the source says now, and no later run has read it: a row of the very same
            times that differs from the attempted one is newer.
        adopt_before: changes before this time are adopted instead of sent.
        adopt_but_at: changes at this very time are sent all the same: the begin of a day, for a shop that writes dates.
        shows_newest: of each order the run's last row is the newest that the source has (a warehouse that is read up to
            the present), so that an older version than the attempted one means that the source was changed.
        trust_source: the last row of each order counts as newer than the attempted one, whatever its times are.
        read_at: when the run has read the source; None if it has not.
    """

    send_when: Literal["status", "content"] = "status"
    resend_in_doubt: bool = False
    resend: bool = False
    retry_rejected: bool = False
    reads_present: bool = False
    adopt_before: datetime | None = None
    adopt_but_at: datetime | None = None
    shows_newest: bool = False
    trust_source: bool = False
    read_at: datetime | None = None

    def of_the_past(self) -> SendOptions:
        """Return the options for orders of which another run has sent what it read later: only a newer row counts."""
        return replace(self, resend=False, reads_present=False, shows_newest=False, trust_source=False)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One row of the decision table: an order for which every given fact holds gets the action.

    A fact that is None holds for every order.

    Args:
        action: of the row.
        why: the row as a sentence.
        own: the verdict that an earlier try of this run got for this version; `sent`: this version or another one of
            the order was accepted before a person cleared the run, which sends unchanged orders too.
        relation: of its version to the ledger's; one of several.
        verdict: of the attempt of the ledger's version.
        changed: the code (`send_when: content`: the payload) differs from the one that the service has.
        repeated: the row that was accepted has a newer `updated_at` or file, and says the same: only the status map or
            the release can have changed its code or payload.
        altered: the payload differs from that of the last attempt.
        repeats_held: a newer version with the code of a held send, and no other code in between.
        resend, retry_rejected: options of the run.
    """

    action: Action
    why: str
    own: Literal["accepted", "adopted", "rejected", "sent"] | None = None
    relation: tuple[Relation, ...] | None = None
    verdict: Literal["accepted", "rejected", "in_doubt", "held"] | None = None
    changed: bool | None = None
    repeated: bool | None = None
    altered: bool | None = None
    repeats_held: bool | None = None
    resend: bool | None = None
    retry_rejected: bool | None = None


_UNKNOWN_OR_NEWER = (Relation.UNKNOWN, Relation.NEWER)
_SAME = (Relation.SAME,)

# The first row that fits an order decides. The last two rows fit every order that no other row fits.
TABLE = (
    Rule(own="accepted", action=Action.ACCEPTED, why="an earlier try of this run delivered it"),
    Rule(own="adopted", action=Action.ADOPTED, why="an earlier try of this run adopted it"),
    Rule(
        own="rejected",
        relation=(Relation.UNKNOWN, Relation.NEWER, Relation.OTHER, Relation.OLDER),
        action=Action.REJECTED,
        why="the service rejected it in an earlier try of this run",
    ),
    Rule(
        own="rejected",
        relation=_SAME,
        altered=False,
        action=Action.REJECTED,
        why="the service rejected this payload in an earlier try of this run",
    ),
    Rule(relation=(Relation.OLDER,), action=Action.STALE, why="a newer version was attempted before"),
    Rule(relation=_SAME, verdict="held", action=Action.HELD, why="its send is in doubt and waits for a person"),
    Rule(
        relation=(Relation.NEWER,),
        verdict="held",
        repeats_held=True,
        action=Action.HELD,
        why="it would repeat a send that is in doubt and waits for a person",
    ),
    Rule(
        own="sent",
        relation=_SAME,
        verdict="accepted",
        action=Action.UNCHANGED,
        why="this resend has sent it before: before a clear, or a person has accepted its send in doubt",
    ),
    Rule(
        own="sent",
        relation=(Relation.NEWER, Relation.OTHER),
        verdict="accepted",
        changed=False,
        action=Action.UNCHANGED,
        why="this resend has sent this code before",
    ),
    Rule(
        relation=(Relation.OTHER,),
        verdict="held",
        action=Action.HELD,
        why="a send of the very same times is in doubt and waits for a person",
    ),
    Rule(resend=True, action=Action.SEND, why="the run was asked to send unchanged orders too"),
    Rule(
        relation=(Relation.OTHER,),
        changed=True,
        action=Action.STALE,
        why="only a scheduled run may overrule a version of the very same times",
    ),
    Rule(
        relation=(Relation.OTHER,),
        changed=False,
        action=Action.UNCHANGED,
        why="the service has the code of another row of the very same times",
    ),
    Rule(relation=_SAME, verdict="in_doubt", action=Action.SEND, why="its send is in doubt and may be repeated"),
    Rule(
        relation=_SAME,
        verdict="rejected",
        altered=True,
        action=Action.SEND,
        why="the service rejected another payload of this version",
    ),
    Rule(
        relation=_SAME,
        verdict="rejected",
        retry_rejected=True,
        action=Action.SEND,
        why="a redrive tries again what the service rejected",
    ),
    Rule(
        relation=_SAME,
        verdict="rejected",
        action=Action.REJECTED,
        why="the service rejected this version with this payload",
    ),
    Rule(relation=_SAME, action=Action.UNCHANGED, why="the service accepted this very version"),
    Rule(relation=(Relation.NEWER,), repeated=True, action=Action.UNCHANGED, why="the service accepted this very row"),
    Rule(relation=_UNKNOWN_OR_NEWER, changed=True, action=Action.SEND, why="the service does not have this code yet"),
    Rule(relation=_UNKNOWN_OR_NEWER, changed=False, action=Action.UNCHANGED, why="the service has this code already"),
)


def decide(
    ready: pd.DataFrame,
    known: pd.DataFrame,
    own: pd.Series,
    relation: Mapping[Relation, np.ndarray],
    options: SendOptions,
) -> pd.Series:
    """Return the Action for each ready order, by TABLE; what is to be sent and older than `adopt_before` is adopted.

    Args:
        ready: partition_hash, order_id, VERSION, code, payload_hash; `repeated`, as repeats() gives it; `changed_at`
            where `adopt_before` is set; an order's changes in order, with the ranks of `ranked`.
        known: STATE_COLUMNS of the ledger, row by row; where the ledger does not know an order, `verdict` is missing.
        own: the verdict that an earlier try of this run got for each version, as Rule.own; missing without one.
        relation: of relations().
        options: of the destination and the run.

    Returns:
        A column with the index of `ready`.
    """
    facts = _facts(ready, known, own, relation, options)
    names = list(Action)
    actions = np.select(
        [_fits(rule, facts, options, len(ready)) for rule in TABLE],
        [names.index(rule.action) for rule in TABLE],
        default=len(names),  # an order that no row fits is an error below
    )
    decided = pd.Series(pd.array(names, dtype="str").take(actions), index=ready.index)
    if options.adopt_before is None:
        return decided
    changed_at = ready["changed_at"]
    if options.send_when == "content":
        # A file's time says nothing of the age of an order that is new to the ledger. A known one has changed since.
        changed_at = changed_at.where(known["verdict"].isna(), ready[VERSION[:2]].max(axis=1))
    is_old = changed_at < options.adopt_before
    if options.adopt_but_at is not None:
        is_old &= changed_at != options.adopt_but_at
    return decided.mask((decided == Action.SEND) & is_old, Action.ADOPTED)


def _facts(
    ready: pd.DataFrame,
    known: pd.DataFrame,
    own: pd.Series,
    relation: Mapping[Relation, np.ndarray],
    options: SendOptions,
) -> dict[tuple[str, object], np.ndarray]:
    """Return a mask of the orders for which each fact has each value."""
    unknown_or_newer = relation[Relation.UNKNOWN] | relation[Relation.NEWER]
    verdict = masks_of(known["verdict"], ("accepted", "rejected", "in_doubt", "held"))
    altered = differ(ready["payload_hash"], known["attempted_hash"])
    # The hash of several rows of one time is of all of them, and does not tell which one came last.
    repeated = ready["repeated"].to_numpy() & is_(ready["rank"], 0) & is_(known["rank"], 0)

    # An order may have several changes in one window: each is compared with the change that is sent before it.
    is_sent = (unknown_or_newer & ~repeated) | (
        relation[Relation.SAME] & (verdict["in_doubt"] | (verdict["rejected"] & (altered | options.retry_rejected)))
    )
    column = "code" if options.send_when == "status" else "payload_hash"
    # A send in doubt may not have been taken.
    taken = known[column].where(~relation[Relation.UNKNOWN] & ~verdict["in_doubt"])
    changed = differ(ready[column], _or_change_before(taken, ready, column, is_sent))
    code_before = _or_change_before(known["code"], ready, "code", is_sent)
    repeats_held = is_(ready["code"], known["code"]) & is_(code_before, known["code"])
    return {
        **{("own", name): mask for name, mask in masks_of(own, ("accepted", "adopted", "rejected", "sent")).items()},
        **{("relation", name): mask for name, mask in relation.items()},
        **{("verdict", name): mask for name, mask in verdict.items()},
        **{("changed", value): changed == value for value in (True, False)},
        **{("repeated", value): repeated == value for value in (True, False)},
        **{("altered", value): altered == value for value in (True, False)},
        **{("repeats_held", value): repeats_held == value for value in (True, False)},
    }


def _fits(rule: Rule, facts: dict[tuple[str, object], np.ndarray], options: SendOptions, orders: int) -> np.ndarray:
    """Return a mask of the orders for which a rule's facts hold."""
    for option in ("resend", "retry_rejected"):
        if getattr(rule, option) not in (None, getattr(options, option)):
            return np.zeros(orders, dtype="bool")
    fits = np.ones(orders, dtype="bool")
    if rule.relation is not None:
        fits = np.logical_or.reduce([facts["relation", relation] for relation in rule.relation])
    for fact in ("own", "verdict", "changed", "repeated", "altered", "repeats_held"):
        value = getattr(rule, fact)
        if value is not None:
            fits = fits & facts[fact, value]
    return fits


def _or_change_before(known: pd.Series, ready: pd.DataFrame, column: str, is_sent: np.ndarray) -> pd.Series:
    """Return `known`, but where an earlier change of the order is sent in this window, that change's value."""
    # Equal hashes are not always one order, but one order always has equal hashes.
    several = ready["partition_hash"].duplicated(keep=False)
    if not several.any():
        return known
    values = ready[column].where(is_sent)[several]
    before = values.groupby(ready["order_id"][several]).shift().dropna()
    replaced = known.copy()
    replaced[before.index] = before
    return replaced
