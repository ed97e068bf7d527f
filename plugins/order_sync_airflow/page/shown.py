"""How the page writes times, ages, numbers and codes. Functions of the templates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from include.order_sync import codes
from include.order_sync.counted import things
from include.order_sync.reason import Mend

if TYPE_CHECKING:
    from include.order_sync.configuration.models import Destination


# Events of order_history_v1 after which the service has the order in that status.
HAS_IT = ("accepted", "unchanged", "adopted", "decided to accept")


def moment(time: datetime | None) -> str:
    """Return a time in UTC, to the minute."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M}" if time else ""


def second(time: datetime | None) -> str:
    """Return a time in UTC, to the second."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if time else ""


def span(length: timedelta | None) -> str:
    """Return a length of time in its two greatest units."""
    if length is None:
        return ""
    minutes = max(int(length.total_seconds() // 60), 0)
    days, minutes = divmod(minutes, 24 * 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{count} {unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if count]
    return " ".join(parts[:2]) or "0 min"


def ago(time: datetime | None) -> str:
    """Return how long ago a time was."""
    if time is None:
        return "never"
    past = datetime.now(UTC) - time
    return "just now" if past < timedelta(minutes=1) else f"{span(past)} ago"


def number(count: int | None) -> str:
    """Return a number with thin spaces between its thousands."""
    return "" if count is None else f"{count:,}".replace(",", "\u202f")


def many(count: int, thing: str) -> str:
    """Return a number with thin spaces and its thing, as `1 row` or `1 200 rows`."""
    return f"{number(count)} {things(count, thing)}"


def pace(requests_a_second: float | None) -> str:
    """Return how fast an account may be asked; None is for any pace."""
    if requests_a_second is None:
        return "as fast as it answers"
    if requests_a_second < 1:
        return f"at most {_requests(round(60 * requests_a_second, 1))} a minute"
    return f"at most {_requests(requests_a_second)} a second"


def _requests(number: float) -> str:
    return f"{number:g} {'request' if number == 1 else 'requests'}"


def words(code: str | None, destination: Destination | None) -> str:
    """Return the statuses of a service's code, as `created, paid or shipped`; empty if they are not known."""
    if code is None or destination is None:
        return ""
    found = [status.replace("_", " ") for status, own in destination.codes.items() if str(own) == code]
    return " or ".join(filter(None, [", ".join(found[:-1]), *found[-1:]]))


def changes(events: Iterable[Mapping[str, Any]], destination: Destination | None) -> list[str]:
    """Return for each event of an order at a destination its status, and the one before where the service had one.

    Args:
        events: of order_history_v1, in order.
        destination: None if the configuration has it no more.
    """
    had, said = "", []
    for event in events:
        now = words(event["code"], destination)
        said.append(f"{had} → {now}" if had and now and had != now else now)
        if event["event"] in HAS_IT:
            had = now
    return said


def freshness_of(row: Mapping[str, Any] | None, promise: timedelta | None, now: datetime) -> tuple[str, str]:
    """Return how fresh a destination is, as a tone and a word.

    It is late as its alarm says: if nobody has read the source for longer than the promise. What the service has not
    accepted of what was read may be unchanged, rejected or not for it. Before the first scheduled run the source is
    known up to its newest change alone.

    Args:
        row: of freshness_v1; None if no run was recorded.
        promise: how far it may be behind; None without a promise.
        now: the time.
    """
    if row is None or (row["read_up_to"] is None and row["accepted_at"] is None):
        return "quiet", "no run yet"
    read_up_to = row["read_up_to"] or row["newest_read"]
    behind = now - read_up_to if read_up_to else timedelta(0)
    if promise is None:
        return "quiet", ""
    return ("bad", "late") if behind > promise else ("good", "fresh")


def code(text: str | None, root: str) -> Markup:
    """Return the code of a kept reason with a blank behind it, as a link to its explanation; nothing without a code.

    Args:
        text: as the ledger keeps it, or with a code at its beginning, as that of a stop.
        root: of the page.
    """
    reason = codes.reason_of(text) if text else None
    if reason is None:
        return Markup()
    link = Markup('<a class="code" href="{}/reasons#{}" title="{}">{}</a> ')
    return link.format(root, reason.code, reason.cure.replace("`", ""), reason.code)


def cure(text: str) -> str:
    """Return what to do about a kept reason, as a sentence; empty if it is not known."""
    known = codes.cure_of(text)
    return f"{known[:1].upper()}{known[1:]}." if known else ""


def reasons_in(text: str | None) -> list[str]:
    """Return the kept reasons of an event, which order_history_v1 gives as one text."""
    parts = (text or "").split("; ")
    return parts if all(map(codes.reason_of, parts)) else [text or ""]


_NEXT: dict[Mend, str] = {
    "row": (
        "Next: mend the row in the source. The next run that reads it closes this; if none will, trigger {dag} with "
        "`from`, `to` and `order_ids`. A redrive would send the old row."
    ),
    "settings": "Next: put that right, then redrive.",
    "either": (
        "Next: if the row is wrong, mend it in the source, and the next run that reads it closes this (or {dag} with "
        "`from`, `to` and `order_ids`). If a setting or the service was wrong, put that right, then redrive."
    ),
    "as the cure says": "",
}


def next_step(reasons: Iterable[str], dag_id: str) -> str:
    """Return how an entry of the quarantine with these reasons is closed; empty if their cure says it."""
    return _NEXT[codes.mend_of(reasons)].format(dag=dag_id)


def ticked(text: str | None, root: str | None = None) -> Markup:
    """Return a text with its names in backticks set as code, and its codes as links.

    Args:
        text: with names in backticks, as `path`.
        root: of the page; None to link no code.
    """

    def linked(plain: str) -> Markup:
        parts = re.split("(OS-[0-9]{3})", plain) if root is not None else [plain]
        link = Markup('<a class="code" href="{}/reasons#{}">{}</a>')
        return Markup().join(link.format(root, part, part) if at % 2 else part for at, part in enumerate(parts))

    parts = re.split("`([^`]*)`", text or "")
    return Markup().join(
        Markup("<code>{}</code>").format(part) if at % 2 else linked(part) for at, part in enumerate(parts)
    )
