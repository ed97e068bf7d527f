"""The reasons that come of sending: of orders that are held, not sent, stale, or refused by the service.

The ledger's own texts: the quarantine keeps them, and some of its queries look for them.
"""

from __future__ import annotations

from include.order_sync.reason import Reason

HELD_REASON = "held: sent, and no answer tells whether it was taken"
NOT_JUDGED_REASON = "not sent: the service refused the whole batch and named no order"
FAILING_REASON = "not sent: the service fails at each request with this order, and takes others"
SET_BACK_REASON = "stale: the source has changed to a row that is older than the attempted one"
UNDECIDED_REASON = "stale: another row of the very same times was attempted"
# A stale order has this reason, or one of STALE_REASONS: then its row waits in the quarantine.
OLDER = "older than the row that was attempted"
# Only a person can say which state is right.
STALE_REASONS = (SET_BACK_REASON, UNDECIDED_REASON)

REASONS = (
    Reason(
        "OS-501",
        HELD_REASON,
        "look the order up at the service; then trigger `order_sync_redrive` with the decision accept or resend",
        mend="as the cure says",
    ),
    Reason(
        "OS-502",
        NOT_JUDGED_REASON,
        "look at the account and at the rows; then trigger `order_sync_redrive`",
        mend="either",
    ),
    Reason(
        "OS-503",
        FAILING_REASON,
        "look at the row, or ask the service's support; then trigger `order_sync_redrive`",
        mend="either",
    ),
    Reason(
        "OS-504", SET_BACK_REASON, "if the source is right, trigger a run with `trust: source`", mend="as the cure says"
    ),
    Reason(
        "OS-505",
        UNDECIDED_REASON,
        "the next scheduled run that reads it sends it; a run with `trust: source` does so now",
        mend="as the cure says",
    ),
    Reason("OS-506", OLDER, "none is needed: the newer one was attempted", mend="as the cure says"),
    # The service judged one order by the status of its whole answer.
    Reason(
        "OS-511",
        "* answered HTTP *",
        "the service takes this order in no batch: its message in the quarantine may say why. 413: it is too large",
        mend="either",
    ),
)
