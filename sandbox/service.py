"""The interface of the sandbox's services: a request comes in, orders or a refusal follow, an answer goes out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sandbox.jsontext import write_json
from sandbox.values import Doubt


class Account(NamedTuple):
    """An account at a service: the login and the secret that a client must send."""

    login: str
    secret: str


@dataclass(frozen=True, slots=True)
class Incoming:
    """A POST as received: its headers (by lower-case name) and its body."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case; empty if none was sent."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to the client."""

    status: int
    body: bytes
    media_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


class Update(NamedTuple):
    """One order of a request: its id, its status in the service's own code, and its whole payload as understood."""

    order_id: str
    status: str | int
    payload: Mapping[str, Any]


class Rejection(NamedTuple):
    """One order that the service does not take from a request that it takes.

    ``code`` is for services that answer with codes; ``shape`` is the form of a list of such orders in the answer.
    """

    order_id: str
    reason: str
    code: int
    shape: str = "list"


class RefusalError(Exception):
    """A request that is refused as a whole.

    :param status: HTTP status of the answer.
    :param reason: the fault, in words that show no credentials and no customer.
    :param mail: whether the service also mails the shop's staff about it.
    :param code: the service's own error code, if it has one.
    """

    def __init__(self, status: int, reason: str, *, mail: bool = False, code: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.mail = mail
        self.code = code


class Service(ABC):
    """One service, as its documentation describes it.

    It refuses only what a document says is refused: a fault that a document names, a required value that is missing or
    unreadable, more than a limit. All else that looks wrong is a doubt: it is taken, and noted for the admin. A strict
    sandbox refuses the requests with doubts too.

    Its facts come from the documentation alone: contract tests compare the product's facts with them, and `make chaos`
    judges by them.

    ``name``: of the service, and its prefix in the sandbox.
    ``path``: the service's own path, after that prefix.
    ``account``: the only account at the service.
    ``max_orders``: the most orders in one request.
    ``codes``: status of an order (as the product's model names it) -> the service's code; an absent status means
    nothing to the service.
    ``repeatable_codes``: codes that a second request may safely repeat: they set a state and mail nobody.
    ``not_taken``: HTTP statuses that promise that the service took nothing of the request.
    ``taken_before``: HTTP statuses that say that the service has all orders of the request already.
    ``takes_events``: each change of an order is an event to the service, and the newest is not enough.
    ``signs``: answers carry a signature.
    ``mails_rejections``: only a mail reports a bad order.
    """

    name: str
    path: str
    account: Account
    max_orders = 1000
    codes: Mapping[str, str | int]
    repeatable_codes: frozenset[str | int] = frozenset()
    not_taken: frozenset[int] = frozenset({429, 503})
    taken_before: frozenset[int] = frozenset()
    takes_events = False
    signs = False
    mails_rejections = False

    @abstractmethod
    def read(self, incoming: Incoming, doubt: Doubt) -> list[Update]:
        """Return the orders of a request, or raise RefusalError to refuse it as a whole; note each doubt."""

    @abstractmethod
    def answer(self, request_number: int, taken: Sequence[Update], rejections: Sequence[Rejection]) -> Answer:
        """Return the answer to a request that was not refused: its orders are these, taken or rejected."""

    # Most services keep no state, so these two need not be overridden.
    def taken(self, updates: Sequence[Update]) -> None:  # noqa: B027
        """Note the orders that were taken from one request."""

    def reset(self) -> None:  # noqa: B027
        """Clear the state that requests have left, such as a rate limit or idempotency keys."""

    def examine(self, update: Update) -> Rejection | None:
        """Return the rejection of this order, or None to take it. By default every order that `read` gives is taken."""
        return None

    def other_call(self, method: str, path: str, headers: Mapping[str, str]) -> Answer | None:
        """Return the answer to a call that is not about orders, or None if the service has no such call."""
        return None

    def doubted(self, reason: str) -> RefusalError:
        """Return how a strict sandbox refuses a request for a doubt: as the service refuses a wrong request."""
        return RefusalError(400, reason)

    def event(self, update: Update) -> str | None:
        """Return the name of the event that this order raises, or None. An event can mail the customer."""
        return None

    def refusal(self, error: RefusalError) -> Answer:
        """Return the answer to a request that was refused as a whole."""
        return Answer(error.status, write_json({"message": error.reason}))

    def with_bad_signature(self, answer: Answer) -> Answer:
        """Return the answer with a wrong signature. Called only for a service that signs."""
        raise NotImplementedError(f"{self.name} signs nothing")


def doubt_repeated_ids(updates: Sequence[Update], doubt: Doubt) -> None:
    """Note each order that is in one request twice: no document says what becomes of it. It is taken twice."""
    seen: set[str] = set()
    for position, update in enumerate(updates):
        if update.order_id and update.order_id in seen:
            doubt(f"order {position}: is there already")
        seen.add(update.order_id)
