"""Alarms: the problems that are open, kept in an Airflow Variable, and the notifiers that tell people of them.

A Variable and not the ledger, because a ledger that is down is a problem too.
"""

from __future__ import annotations

import html
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from airflow.sdk import Variable
from airflow.sdk._shared.secrets_masker import redact  # airflow.sdk.log exports mask_secret alone

from include.order_sync.errors import OrderSyncError, TryAgainError
from order_sync_airflow import api_server
from order_sync_airflow.hooks.base import connection

if TYPE_CHECKING:
    from include.order_sync.configuration.models import Alarms
    from include.order_sync.watch import Problem

log = logging.getLogger(__name__)

VARIABLE = "order_sync_alarms"
DESCRIPTION = "Order Sync: what is wrong at present. Written by the DAG order_sync_watch."
TIMEOUT_S = 30
NOTIFIERS = ("email", "webhook")
MESSAGES_KEPT = 50  # of a notifier that is down
# A chat refuses a long message, and all later ones wait for it. The log has the whole.
LONGEST_LINE = 1000


@dataclass
class State:
    """What people were told so far.

    Args:
        looked_at: when the watch has looked last; None if never.
        open: key of a problem -> its destination, kind and text, and since when.
        digest: the day of the last digest.
        unsent: notifier -> subject and lines of each message that it has not taken yet, the oldest first.
        failed: notifier -> why it has not.
    """

    looked_at: str | None = None
    open: dict[str, dict[str, str]] = field(default_factory=dict)
    digest: str | None = None
    unsent: dict[str, list[list[Any]]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def read_state(text: str | None) -> State:
    """Return the state that a Variable's text holds; an empty one if it can't be read: then all is told once more."""
    try:
        kept = json.loads(text or "{}")
        # Another release may keep more.
        return State(**{each.name: kept[each.name] for each in fields(State) if each.name in kept})
    except (ValueError, TypeError):
        log.warning("The Variable %s can't be read: each problem that is open is told once more.", VARIABLE)
        return State()


def kept_state() -> State:
    """Return the state that a task has kept."""
    return read_state(api_server.read_variable(VARIABLE))


def keep_state(state: State) -> None:
    """Keep the state for the next task."""
    Variable.set(VARIABLE, json.dumps(state.__dict__), DESCRIPTION)


def rename(state: State, old: str, new: str) -> None:
    """Let a destination keep its open problems under its new name: they are not over, and were told already."""
    for key, problem in list(state.open.items()):
        if problem["destination"] == old:
            del state.open[key]
            state.open.setdefault(new + key.removeprefix(old), problem | {"destination": new})


def tell(alarms: Alarms, state: State, found: Sequence[Problem], judged: set[tuple[str, str]], now: datetime) -> None:
    """Tell people of problems that are new and of those that are over, once each, and keep the state.

    Args:
        alarms: who hears of it.
        state: as it was kept; it is brought up to date.
        found: the problems.
        judged: destinations and kinds that were looked at: of no others it is known that they are well again.
        now: the present time.
    """
    # A text may name a path that holds a secret, which Airflow masks in logs alone.
    found = [replace(problem, text=str(redact(problem.text))) for problem in found]
    by_key = {problem.key: problem for problem in found}
    new = [problem for key, problem in by_key.items() if key not in state.open]
    over = [key for key, old in state.open.items() if key not in by_key and (old["destination"], old["kind"]) in judged]
    lines = [f"{problem.destination}, {problem.kind}: {problem.text}" for problem in new]
    lines += [
        f"{state.open[key]['destination']}, {state.open[key]['kind']}: well again, after it was wrong since "
        f"{state.open[key]['since']}."
        for key in over
    ]
    if lines:
        names = sorted({problem.destination for problem in new} or {state.open[key]["destination"] for key in over})
        queue(alarms, state, f"Order Sync: {', '.join(names)} {'needs you' if new else 'well again'}", lines)
    for key in over:
        del state.open[key]
    since = f"{now:%Y-%m-%d %H:%M} UTC"
    state.open |= {
        problem.key: {
            "destination": problem.destination,
            "kind": problem.kind,
            "text": problem.text,
            "since": state.open.get(problem.key, {}).get("since", since),
        }
        for problem in found
    }
    state.looked_at = now.isoformat()
    send_unsent(alarms, state)


def queue(alarms: Alarms, state: State, subject: str, lines: Sequence[str]) -> None:
    """Queue a message for each notifier of the configuration; without one it stands in the log alone."""
    log.warning("%s\n%s", subject, "\n".join(lines))
    short = [shorten(line, LONGEST_LINE, placeholder=" ...") for line in lines]
    for name in _configured(alarms):
        state.unsent[name] = [*state.unsent.get(name, []), [subject, short]][-MESSAGES_KEPT:]


def send_unsent(alarms: Alarms, state: State) -> None:
    """Send each notifier what it has not taken yet, and keep the state.

    A notifier that is down must not make another one get its messages again.
    """
    state.failed.clear()
    for name in set(state.unsent) - set(_configured(alarms)):
        del state.unsent[name]
    for name, messages in list(state.unsent.items()):
        while messages and name not in state.failed:
            if failure := _failure(alarms, name, *messages[0]):
                state.failed[name] = failure
            else:
                del messages[0]
        if not messages:
            del state.unsent[name]
    keep_state(state)


def raise_if_unsent(state: State) -> None:
    """Raise TryAgainError if a notifier has not taken all messages."""
    if state.failed:
        raise TryAgainError(f"{_failed(state.failed)} The next look sends what they have not taken.")


def send(alarms: Alarms, subject: str, lines: Sequence[str]) -> None:
    """Send a message once by each notifier of the configuration; without one it stands in the log alone.

    Raises:
        TryAgainError: a notifier has failed. The others have got the message.
    """
    log.warning("%s\n%s", subject, "\n".join(lines))
    said = {name: _failure(alarms, name, subject, lines) for name in _configured(alarms)}
    failed = {name: failure for name, failure in said.items() if failure}
    if failed:
        raise TryAgainError(f"{_failed(failed)} The message stands in this log.")


def _configured(alarms: Alarms) -> list[str]:
    return [name for name in NOTIFIERS if getattr(alarms, name)]


def _failure(alarms: Alarms, name: str, subject: str, lines: Sequence[str]) -> str:
    """Send a message by a notifier; return why it has failed, without a secret, else nothing."""
    try:
        {"email": _email, "webhook": _webhook}[name](alarms, subject, lines)
    except Exception as error:
        # Not its text: requests quotes the address, which holds the token.
        return str(error) if isinstance(error, OrderSyncError) else type(error).__name__
    return ""


def _failed(failed: Mapping[str, str]) -> str:
    named = ", ".join(f"`{name}` ({said})" for name, said in failed.items())
    return f"Of `alarms` in the configuration failed: {named}. Look at their connections."


def _email(alarms: Alarms, subject: str, lines: Sequence[str]) -> None:
    """Send a mail by Airflow's notifier. Not by calling it: Jinja would read our text as a template."""
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    SmtpNotifier(
        to=alarms.email,
        subject=subject,
        html_content=f"<ul>{items}</ul>",
        smtp_conn_id=alarms.email_connection,
        mime_subtype="alternative",
    ).notify({})


def _webhook(alarms: Alarms, subject: str, lines: Sequence[str]) -> None:
    """Post the text as JSON, as the incoming webhooks of Slack and Mattermost take it."""
    import requests

    conn = connection(str(alarms.webhook))
    host = conn.host or ""
    address = host if "://" in host else f"https://{host}"
    token = f"/{conn.password}" if conn.password else ""
    body: dict[str, Any] = {"text": "\n".join([f"*{subject}*", *(f"- {line}" for line in lines)])}
    answer = requests.post(f"{address.rstrip('/')}{token}", json=body, timeout=TIMEOUT_S, allow_redirects=False)
    if not answer.ok or answer.is_redirect:
        raise TryAgainError(f"HTTP {answer.status_code}")  # the address holds a secret, so it is not named
