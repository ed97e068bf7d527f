"""The page's words for what came of an order, a row or a run: one word for one thing, with its colour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from include.order_sync.ledger.reasons import HELD_REASON
from include.order_sync.model import OrderStatus
from order_sync_airflow.page import shown

if TYPE_CHECKING:
    from include.order_sync.configuration.models import Destination

# Columns of runs_v1 that are outcomes of orders -> their words on the page, in the order of importance.
OUTCOMES = {
    "accepted": "accepted",
    "rejected": "rejected",
    "held": "held",
    "unchanged": "unchanged",
    "stale": "stale",
    "not_for_provider": "not for this service",
    "adopted": "adopted",
    "not_sent": "not sent",
}

# Words that the page does not explain where it says them.
LEGEND = {
    "accepted": "The service has taken the order.",
    "rejected": "The order can't be sent, or the service does not take it. Its row waits in the quarantine.",
    "quarantine": "The rows of rejected and held orders, and of stale ones whose row has changed; encrypted.",
    "entry": "One row in the quarantine. It is open until its order is redriven, delivered, accepted or dismissed.",
    "resolved": "The entry is not open any more.",
    "redrive": "A run that sends rows of the quarantine again, by today's configuration.",
    "held": "It was sent, no answer tells whether it was taken, and a person must decide.",
    "unchanged": "Nothing was sent: the service has this status already.",
    "stale": "Older than what was sent before, so it is not sent. If its row has changed, it is in the quarantine.",
    "not for this service": "The service has no code for the status, so it is not sent.",
    "adopted": "Nothing was sent: the service counts as having it.",
    "not sent": "A plan only counts it, a person did not approve the run, or the run was to send other orders.",
    "superseded": "Another row of the same order in the same run is newer.",
    "skipped": "A row that is no order: a blank line, a header that comes again, or a footer.",
    "change not recorded": "A try that was killed, or an earlier release, has sent it.",
    "batch": "The orders of one request.",
    "gap": "A time that no run has read yet; a scheduled run reads it by itself.",
}

# Event of order_history_v1 -> its word, if it is another one, and its tone.
_EVENTS = {
    "accepted": ("accepted", "good"),
    "decided to accept": ("decided to accept", "good"),
    "adopted": ("adopted", "quiet"),
    "unchanged": ("unchanged", "quiet"),
    "waiting": ("waiting", "quiet"),
    "under way": ("under way", "quiet"),
    "decided to resend": ("decided to resend", "quiet"),
    "rejected": ("rejected", "bad"),
    "held": ("held", "warn"),
    "in doubt": ("in doubt", "warn"),
    "not taken": ("not taken", "warn"),
    "left the quarantine": ("resolved", "good"),
}
_ENTRY = ("quarantined", "quarantined again")
_DISMISSED = "dismissed by "


def _named(event: Mapping[str, Any]) -> tuple[str, str]:
    """Return the word and the tone of an event."""
    kind, reason = event["event"], event["reason"] or ""
    if kind in _ENTRY:
        # What the reasons of the ledger's own begin with.
        for word in ("held", "stale", "not sent"):
            if reason.startswith(f"{word}:"):
                return word, "warn"
        return ("rejected again" if kind == "quarantined again" else "rejected"), "bad"
    if kind == "left the quarantine" and reason.startswith(_DISMISSED):
        return "dismissed", "quiet"
    return _EVENTS[kind]


def told(events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the events of an order at a destination with `word`, `tone` and `reasons`.

    A row that a run has put into the quarantine is told with the verdict of the same run, as one event.
    """
    said: list[dict[str, Any]] = []
    for event in events:
        last = said[-1] if said else None
        if last and event["event"] in _ENTRY and last["run"] == event["run"]:
            same = event["reason"] == last["reason"] if last["event"] == "rejected" else event["reason"] == HELD_REASON
            if same and last["event"] in ("rejected", "held"):
                last |= {name: event[name] for name in ("place", "entry", "said", "row")}
                continue
        word, tone = _named(event)
        reasons = shown.reasons_in(event["reason"]) if event["reason"] else []
        said.append({**event, "word": word, "tone": tone, "reasons": reasons})
    return said


def badge(events: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Return how an order stands at a destination, as a tone and a word.

    Args:
        events: of told(), at least one.
    """
    last = events[-1]
    if last["word"] == "resolved":
        # The verdict before it says more, if it is the one that has resolved the entry.
        verdicts = [event for event in events if event["event"] not in ("left the quarantine", *_ENTRY)]
        if verdicts and verdicts[-1]["tone"] != "bad":
            last = verdicts[-1]
    return last["tone"], last["word"]


def service_has(events: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the event by which the service has the order's present status; None if it has none that is known."""
    return next((each for each in reversed([*events]) if each["event"] in shown.HAS_IT), None)


def open_entry(events: Iterable[Mapping[str, Any]]) -> int | None:
    """Return the order's entry in the quarantine that a redrive takes; None without one. A held order is decided."""
    found = None
    for event in events:
        if event["event"] in _ENTRY and event["reason"] != HELD_REASON:
            found = event["entry"]
        elif event["event"] == "left the quarantine" and event["entry"] == found:
            found = None
    return found


def unseen(
    destination: Destination | None, elsewhere: Iterable[tuple[Mapping[str, Any], Destination]]
) -> tuple[tuple[str, str], str]:
    """Return why nothing was recorded of an order at a destination, as far as is known: a tone and a word, and a text.

    Args:
        destination: None if its entry in the configuration has mistakes.
        elsewhere: the events of the order at destinations of the same source, with these destinations.
    """
    if destination is None:
        return ("quiet", "never seen"), "Its configuration has mistakes, so nothing is read."
    service = destination.service.title
    left_out = [status for status in OrderStatus if destination.codes.get(status) is None]
    named = ", ".join(status.replace("_", " ") for status in left_out)
    had = {
        frozenset(status for status, code in other.codes.items() if str(code) == event["code"])
        for event, other in elsewhere
        if event["code"] is not None
    }
    had.discard(frozenset())
    if had and all(statuses <= set(left_out) for statuses in had):
        return ("quiet", "not for this service"), (
            f"The same source has given the order to another destination, with a status that is not for {service} "
            f"({named}): it is not sent, and leaves no record."
        )
    if had:
        filtered = f" Or it had a status that is not for {service} ({named}): then it is counted, and leaves no record."
        return ("quiet", "nothing recorded"), (
            "The same source has given the order to another destination. No run of this one has read that time, or the "
            f"order is older than what the service has.{filtered if named else ''}"
        )
    if named:
        return ("quiet", "never seen, or not for this service"), (
            f"Either no run that sends has read a row with this id, or its status is not for {service} ({named}): such "
            "an order is counted, and leaves no record. The ledger can't tell which."
        )
    return ("quiet", "never seen"), "No run that sends has read a row with this id."


def since(entry: Mapping[str, Any], run: str, redriven: bool) -> dict[str, Any]:
    """Return what became of an entry after a run: `text`, `tone`, and the `run` that saw it last if it is another.

    Args:
        entry: of rejections_v1.
        run: that the page is about.
        redriven: whether the entry's last run is a redrive.
    """
    later = entry["run"] if entry["run"] != run else None
    if entry["resolved_at"]:
        tone = "quiet" if entry["resolution"].startswith(_DISMISSED) else "good"
        text = entry["resolution"] + (f": {entry['note']}" if entry["note"] else "")
        return {"text": text, "tone": tone, "run": None}
    if later:
        word, _ = _named({"event": "quarantined", "reason": entry["reasons"][0]})
        return {"text": f"{'redriven' if redriven else 'read'} again, and {word} again by", "tone": "bad", "run": later}
    return {"text": "open", "tone": "warn", "run": None}


def run_outcome(last: Mapping[str, Any] | None, sums: Mapping[str, int], held: int, *, is_red: bool) -> dict[str, str]:
    """Return how a run ended: `tone`, `word` and `sentence`.

    Args:
        last: its last try, of runs_v1; None if nothing was recorded.
        sums: its counts.
        held: how many of its orders still wait for a decision.
        is_red: whether Airflow has it as failed.
    """
    if last is None:
        return {"tone": "bad", "word": "red" if is_red else "not recorded", "sentence": "it has recorded nothing"}
    counts = [f"{shown.number(sums[name])} {word}" for name, word in OUTCOMES.items() if sums[name]]
    # What a redrive was told to do.
    decided = last["kind"].partition("REDRIVE, ")[2]
    sentence = ": ".join(filter(None, [decided, ", ".join(counts)])) or "no order was sent"
    if is_red:
        tone, word = "bad", "red"
    elif not last["is_complete"]:
        tone, word = "warn", "not complete"
    elif last["is_plan"]:
        tone, word = "quiet", "nothing was to be sent"
    elif held:
        tone, word = "warn", "orders wait for a decision"
    elif sums["rejected"]:
        tone, word = ("warn", "some rejected") if sums["accepted"] else ("bad", "none accepted, some rejected")
    else:
        tone, word = "good", "complete"
    return {"tone": tone, "word": word, "sentence": sentence}
