"""The contract of a provider: one service's limits, status codes, checks, and three pure functions.

A fifth service is one module like its neighbours here, and one line in this package's registry.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

from include.order_sync import stops
from include.order_sync.errors import BatchRefusedError, BatchTooLargeError, InDoubtError, StopError, TryAgainError
from include.order_sync.model import Code, OrderStatus
from include.order_sync.reason import Reason
from include.order_sync.transform.checks import Check

if TYPE_CHECKING:  # providers are imported while DAG files are parsed, and pandas is slow to import
    import pandas as pd

MAX_RETRY_AFTER_S = 24 * 60 * 60


@dataclass(frozen=True)
class Credentials:
    """The credentials of an account.

    Args:
        url: scheme, host and maybe a path before the service's own paths; no slash at the end.
        login: a shop id, a login or a user name.
        secret: the key or password; never shown.
    """

    url: str
    login: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Request:
    """A request, usually a POST. Body and headers may hold credentials and personal data, so they are never shown."""

    path: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    method: str = "POST"


@dataclass(frozen=True)
class Answer:
    """A service's answer: HTTP status, headers and the whole body."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def content(self) -> bytes:
        """The body without blanks around it, and without the mark that some servers write before UTF-8."""
        return self.body.removeprefix(codecs.BOM_UTF8).strip()

    def json(self) -> Any:
        """Return the content as JSON.

        Raises:
            ValueError: it is none, has a key twice, of which nobody knows which one counts, or a number that is none.
        """
        return json.loads(self.content, object_pairs_hook=_object, parse_constant=_no_number)

    @property
    def service_message(self) -> str:
        """The beginning of the body. It may quote an order: kept encrypted, and logged only by redact()."""
        return self.body[:2000].decode("utf-8", "replace")

    @property
    def retry_after_s(self) -> float | None:
        """Seconds of the Retry-After header (a number or a date, RFC 9110 section 10.2.3), at most a day."""
        value = self.headers.get("Retry-After", "").strip()
        if not value:
            return None
        if value.isascii() and value.isdigit():
            seconds = float(value)
        else:
            try:
                when = parsedate_to_datetime(value)
            except (ValueError, OverflowError):
                return None
            seconds = (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
        return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key comes twice")
    return made


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


class Outcome(Enum):
    """The outcome of one order of a request."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Verdict:
    """A service's verdict on one order.

    Args:
        outcome: of the order.
        reason: fit for a log; empty if the order was accepted.
        service_message: the service's own text. It may quote the order, so it reaches a log only by redact().
    """

    outcome: Outcome
    reason: str = ""
    service_message: str = field(default="", repr=False)


ACCEPTED = Verdict(Outcome.ACCEPTED)


@dataclass(frozen=True)
class Trial:
    """A request that changes nothing and mails nobody, and shows whether an account's login and key are right.

    Args:
        request: credentials -> the request.
        read: the answer and the credentials -> what they have shown. Raises the errors of `Provider.read`.
    """

    request: Callable[[Credentials], Request]
    read: Callable[[Answer, Credentials], str]


@dataclass(frozen=True)
class Provider:
    """A service's adapter: facts first, then the functions that make requests of orders and verdicts of answers.

    Args:
        name: as in the configuration.
        title: as people write it.
        documentation: the address of the facts.
        max_orders: the most orders of one request.
        requests_a_second: the documented limit for one account; None if nothing is documented. `pace` in the
            configuration overrides it.
        statuses: the service's code for each status; a status that is absent is not for this provider.
        changes: the default: send the newest version of an order in a window, or every version.
        required: columns that a source must have for this provider; of a tuple in it, at least one.
        reads: the columns that `checks` and `build` use, beside id, status and times; no other column is read.
        checks: every fault that an order can have for this provider.
        build: valid orders and their items -> each order's payload as JSON text, without credentials; with the index of
            the orders. The column `code` holds the provider's status code.
        request: credentials and at most `max_orders` payloads of different orders -> the request.
        read: the answer, the ids of the request's orders, the credentials -> a verdict each, in their order.
            Raises StopError, TryAgainError, InDoubtError or BatchRefusedError for the request as a whole.
        try_again: the HTTP statuses that promise that nothing of the request was taken, so that it may be repeated.
            A 5xx that is not here leaves the orders in doubt.
        trial: None if no document has such a request: then only the address can be tried.
        rejections: the reasons that a verdict of `read` can have.
        in_doubt: the HTTP statuses below 500 that leave the orders in doubt, such as a 409 for "is being processed".
        notifies: the codes whose send can notify the customer: the brake counts these. Where no document says that a
            code notifies nobody, it is one of them.
        held_codes: the codes whose sends in doubt wait for a person: none if a code only sets a state, all if each send
            can mail the customer, or some.
        fresh_within_at_most: how late an order may arrive by the service's documentation; None if nothing is said.
        halve_refused: a refused batch may be sent again in halves, to find the order that is refused. Otherwise its
            orders are not sent until a person triggers a redrive. A batch that is too large is halved in any case.
        by_items: a destination's choice of `items` -> the provider as it is then; empty if the service gets no items.
            This provider itself is the default, `full`.
    """

    name: str
    title: str
    documentation: str
    max_orders: int
    requests_a_second: float | None
    statuses: Mapping[OrderStatus, Code]
    changes: Literal["newest", "every"]
    required: tuple[str | tuple[str, ...], ...]
    reads: frozenset[str]
    checks: tuple[Check, ...]
    build: Callable[[pd.DataFrame, pd.DataFrame], pd.Series[str]]
    request: Callable[[Credentials, Sequence[str]], Request]
    read: Callable[[Answer, Sequence[str], Credentials], list[Verdict]]
    try_again: frozenset[int]
    notifies: frozenset[Code]
    held_codes: frozenset[Code]
    trial: Trial | None = None
    rejections: tuple[Reason, ...] = ()
    in_doubt: frozenset[int] = frozenset()
    fresh_within_at_most: timedelta | None = None
    halve_refused: bool = False
    by_items: Mapping[str, Provider] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse unknown codes: a misspelled one would be repeated when in doubt, or pass the brake uncounted."""
        for name in ("held_codes", "notifies"):
            unknown = getattr(self, name) - set(self.codes)
            if unknown:
                raise ValueError(f"{self.title}: {name} has {unknown}, and the codes are {self.codes}")

    @property
    def codes(self) -> list[Code]:
        """The codes that the service knows, and that a destination's own status map may use."""
        return list(dict.fromkeys(self.statuses.values()))

    @property
    def finds_refused_orders(self) -> bool:
        """Whether a refusal leads to single orders: by halves, or because a request holds one order."""
        return self.halve_refused or self.max_orders == 1

    def holds(self, codes: pd.Series[str]) -> pd.Series[bool]:
        """Return a mask of the orders whose send in doubt is held.

        Args:
            codes: of the orders, as text, also if the service's codes are numbers.
        """
        return codes.isin([str(code) for code in self.held_codes])


def refuse_unless_success(
    title: str, answer: Answer, try_again: frozenset[int], in_doubt: frozenset[int] = frozenset()
) -> None:
    """Raise the error of every HTTP status but 2xx; the error's class says what happens next.

    Args:
        title: the service's, for the message.
        answer: of the service.
        try_again: the provider's.
        in_doubt: the provider's.
    """
    status = answer.status
    if 200 <= status < 300:
        return
    said = f"{title} answered HTTP {status}"
    if status in try_again or status == 408:  # 408: the service has not received the whole request
        error = TryAgainError(said, after_s=answer.retry_after_s)
        error.is_limit = status == 429
        error.is_failure = status >= 500
        raise error
    # Below 200 it is no answer yet, as 101.
    if status in in_doubt or status >= 500 or status < 200:
        raise InDoubtError(said, after_s=answer.retry_after_s)
    if 300 <= status < 400:
        raise StopError(
            stops.REDIRECT,
            f"{title} redirects (HTTP {status}). A redirected POST loses its orders, so it is not followed: "
            "put the address it leads to into the connection's host.",
        )
    if status == 401:
        raise StopError(stops.REFUSED_LOGIN, f"{said}. The connection's login or password is wrong.")
    if status == 413:
        raise BatchTooLargeError(said, answer.service_message)
    if status in (400, 422):
        raise BatchRefusedError(said, answer.service_message)
    refused = StopError(
        stops.REFUSED_CALL,
        f"{said}. Nothing was taken: look at the connection's host, login and password, and at the account's features.",
    )
    # A firewall before the service may dislike the text of one order.
    refused.is_failure = True
    raise refused
