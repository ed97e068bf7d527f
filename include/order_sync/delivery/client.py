"""One request: a batch is sent to its account, and the answer is read as a verdict for each order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import requests

from include.order_sync.counted import counted
from include.order_sync.delivery import http
from include.order_sync.delivery.batching import Batch
from include.order_sync.errors import InDoubtError
from include.order_sync.providers.base import Credentials, Provider, Verdict


@dataclass(frozen=True)
class Client:
    """Asks one account of a service. It records nothing, so that any thread may use it.

    Args:
        provider: whose requests and answers.
        credentials: of the account.
        session: of http.py.
        answered_in_s: seconds that the requests took, each from when it left until its answer or its failure. Threads
            append them; who counts them takes them out.
    """

    provider: Provider
    credentials: Credentials
    session: requests.Session
    answered_in_s: deque[float] = field(default_factory=deque, init=False)

    def ask(self, batch: Batch, leave: Callable[[], None]) -> list[Verdict]:
        """Send a batch; return a verdict for each of its orders.

        Args:
            batch: recorded in the ledger.
            leave: called once the service is connected, right before the request leaves; an error of it keeps the
                request back.

        Raises:
            OrderSyncError: of http.send or of the provider, by what the answer means for the batch.
            InDoubtError: the answer can't be read, or has another number of results.
        """
        request = self.provider.request(self.credentials, batch.payloads)
        left_at: float | None = None

        def leave_now() -> None:
            nonlocal left_at
            leave()
            left_at = time.monotonic()

        try:
            answer = http.send(self.session, self.credentials.url, request, leave_now)
        finally:
            if left_at is not None:
                self.answered_in_s.append(time.monotonic() - left_at)
        title = self.provider.title
        try:
            verdicts = self.provider.read(answer, batch.order_ids, self.credentials)
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
            # No answer may break the reader: the batch could have been taken.
            raise InDoubtError(f"{title} gave an answer that can't be read ({type(error).__name__})") from None
        if len(verdicts) != len(batch):
            # Nobody knows which order a result is missing for.
            raise InDoubtError(f"{title} gave {counted(len(verdicts), 'result')} for {counted(len(batch), 'order')}")
        return verdicts
