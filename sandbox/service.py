"""What every service of the sandbox shares: a request in, its orders or a refusal, and an answer out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sandbox.jsontext import write_json


class Account(NamedTuple):
    """An account at a service: the login and the secret that a client's connection must hold."""

    login: str
    secret: str


@dataclass(frozen=True, slots=True)
class Incoming:
    """A POST as it came: its headers (by lower-case name) and its body."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case; empty if none was sent."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the client."""

    status: int
    body: bytes
    media_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


class Update(NamedTuple):
    """One order of a request: its id, its status in the service's own code, and all that was sent of it."""

    order_id: str
    status: str | int
    payload: Mapping[str, Any]


class Rejection(NamedTuple):
    """One order that is not taken, though its request is.

    ``code`` is for services that answer with codes, ``shape`` is how a service that lists such orders does.
    """

    order_id: str
    reason: str
    code: int
    shape: str = "list"


class RefusalError(Exception):
    """A request of which nothing is taken.

    :param status: HTTP status of the answer.
    :param reason: what is wrong, in words that show no credentials and no customer.
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

    Its facts are written here from the documentation alone: contract tests compare the product's own with them, and
    `make chaos` judges by them.

    ``name`` is also its prefix in the sandbox; ``path`` is its own path after that prefix.
    ``account``: the one account that it knows.
    ``max_orders``: of one request.
    ``codes``: status of an order (as the product's model names it) -> the service's code; a status that is absent
    means nothing to it.
    ``repeatable_codes``: a second request with one of these does no harm: it sets a state and mails nobody.
    ``not_taken``: HTTP statuses that promise that nothing of the request was taken.
    ``body_tells``: the body of a 2xx says that the request was taken; else the HTTP status alone says so.
    ``signs``: its answers carry a signature. ``mails_rejections``: only a mail tells of a bad order.
    """

    name: str
    path: str
    account: Account
    max_orders = 1000
    codes: Mapping[str, str | int]
    repeatable_codes: frozenset[str | int] = frozenset()
    not_taken: frozenset[int] = frozenset({429, 503})
    body_tells = True
    signs = False
    mails_rejections = False

    @abstractmethod
    def read(self, incoming: Incoming) -> list[Update]:
        """Return the orders of a request, or raise RefusalError if the service takes nothing of it."""

    @abstractmethod
    def answer(self, request_number: int, rejections: Sequence[Rejection]) -> Answer:
        """Return the answer to a request that was taken, except for these orders."""

    # Most services keep no state, so these two need not be overridden.
    def taken(self, updates: Sequence[Update]) -> None:  # noqa: B027
        """Note the orders of a request that were taken."""

    def reset(self) -> None:  # noqa: B027
        """Forget all that requests have left in the service, such as a rate limit or keys of requests seen."""

    def examine(self, update: Update) -> Rejection | None:
        """Return why this one order can't be taken, or None. By default every order that was read can."""
        return None

    def event(self, update: Update) -> str | None:
        """Return the name of the event that this order raises and that can mail the customer, or None."""
        return None

    def refusal(self, error: RefusalError) -> Answer:
        """Return the answer to a request that was refused as a whole."""
        return Answer(error.status, write_json({"message": error.reason}))

    def with_bad_signature(self, answer: Answer) -> Answer:
        """Return the answer with a signature that does not fit it. Only asked of a service that signs."""
        raise NotImplementedError(f"{self.name} signs nothing")


def first_repeated_id(updates: Sequence[Update]) -> str | None:
    """Return the first order id that occurs twice in one request, or None."""
    seen: set[str] = set()
    for update in updates:
        if update.order_id in seen:
            return update.order_id
        seen.add(update.order_id)
    return None
