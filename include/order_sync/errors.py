"""Errors, named by what happens next. A message tells the user the setting or row, the value and the cure.

No message may hold a secret or personal data: every message ends in a task log.
"""

from __future__ import annotations

from include.order_sync.reason import Reason


class OrderSyncError(Exception):
    """The root of all errors below."""


class StopError(OrderSyncError):
    """A retry would fail in the same way: a person has to change a setting, a source or an account.

    Args:
        reason: of stops.py; its code begins the message.
        message: which setting, row or account, and what to do.

    Attributes:
        is_failure: whether one of the request's orders may be the cause, instead of the account.
    """

    is_failure = False

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(f"{reason.code}: {message}")
        self.reason = reason


class TryAgainError(OrderSyncError):
    """Nothing of the request was taken; a retry may succeed.

    Args:
        message: the failure, and the place to look at if it goes on.
        after_s: seconds to wait, if the service names them; None for the delay of the retry policy.

    Attributes:
        has_progress: whether orders were delivered before it: then the delays start anew.
        is_failure: whether the service has failed (a 5xx, or no answer): one of the request's orders may be the cause.
        is_limit: whether the service takes no more for now, because of the account's limit.
        only_failing: whether only such orders are left, each of which failed alone in its request.
    """

    has_progress = False
    is_failure = False
    is_limit = False
    only_failing = False

    def __init__(self, message: str, after_s: float | None = None) -> None:
        super().__init__(message)
        self.after_s = after_s


class InDoubtError(OrderSyncError):
    """The request left, and no answer says whether its orders were taken.

    Args:
        message: what failed.
        after_s: seconds to wait before another request, where the service names them.
    """

    def __init__(self, message: str, after_s: float | None = None) -> None:
        super().__init__(message)
        self.after_s = after_s


class BatchRefusedError(OrderSyncError):
    """The service refused a batch as a whole: it took none of its orders, and one of them may be the reason.

    Args:
        message: fit for a log.
        service_message: the service's own text. It may quote an order, so it reaches a log only by redact().
    """

    def __init__(self, message: str, service_message: str) -> None:
        super().__init__(message)
        self.service_message = service_message


class BatchTooLargeError(BatchRefusedError):
    """The service refused a batch for its size: halves of it may be taken."""
