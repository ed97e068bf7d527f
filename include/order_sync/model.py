"""The canonical order: its columns, its statuses and its version; and the window that a run reads."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

# The key of a run that sends unchanged orders too has it before the time at which the run has started.
RESEND_MARK = "resend,"

# The columns that every source must give.
IDENTITY_COLUMNS = ("order_id", "status", "status_changed_at")

MONEY_COLUMNS = ("total_cost", "shipping", "discount", "taxes")

# The amounts of an item.
ITEM_NUMBERS = ("quantity", "cost")

TIME_COLUMNS = ("status_changed_at", "updated_at", "created_at")

# The columns that a source may give; all are text until transform reads them.
ORDER_COLUMNS = (
    *IDENTITY_COLUMNS,
    "updated_at",
    "created_at",
    "customer_id",
    "email",
    "phone",
    "first_name",
    "last_name",
    "total_cost",
    "currency",
    "shipping",
    "discount",
    "taxes",
    "delivery_method",
    "payment_method",
    "delivery_address",
    "status_description",
    "restore_url",
    "store_id",
    "channel",  # online or offline
    "additional_info",  # a JSON object
    "items",  # a JSON array of objects, where no second query gives the items
    "bill_id",  # JustClick's own number of the order
    "tracking_number",
)

# The columns that a source may give of an item.
ITEM_COLUMNS = ("item_id", "name", "quantity", "cost", "url", "image_url", "category", "description")

# What shops and their programs write instead of the id of a customer, where a guest has bought.
GUESTS = ("0", "-1", "-", "null", "none", "NaN", "guest")

# Where a staged row came from, and where it is kept.
ORIGIN_COLUMNS = (
    "origin",  # the query's or file's name
    "line",  # the row's number there, from 1; a file's header is line 1
    "position",  # the row's number in the run's window, from 0: tells the rows of one run apart
    "file_modified_at",  # when its file was last modified
    "problem",  # what made it unreadable as a row
    "rank",  # of a row from the quarantine, where its neighbours are no longer beside it: see VERSION
    "source_hash",  # of such a row, as text: see transform/source_hash.py
    "partition_hash",  # see staging/partition_hash.py
)

# A version of an order, compared as a whole. `rank` is the row's number, from 0, among the order's rows of the very
# same two times, in source order. `position` would not do: in another window the same row has another one.
VERSION = ["status_changed_at", "updated_at", "rank"]

# The `updated_at` of a row that has none: before all others.
NO_TIME = datetime.fromtimestamp(0, UTC)

# Rows that share these are one order at one time, whatever their status: the source alone can tell which is the later.
TIES = ["order_id", "status_changed_at", "updated_at"]

# A ready order: identity and version, when it has changed by what the row itself says, a hash of what the source says
# at this time (transform/source_hash.py; 0 for all but the last row of one time), the service's status code, the
# payload, and the position of its raw row.
READY_COLUMNS = ["partition_hash", "order_id", *VERSION, "changed_at", "source_hash", "code", "payload", "position"]


# A status code of a service.
Code = str | int


class OrderStatus(StrEnum):
    """Where an order stands; each shop's own status labels are mapped to these."""

    CREATED = "created"
    PAID = "paid"
    IN_PROGRESS = "in_progress"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    RETURNED = "returned"
    ABANDONED = "abandoned"


def forms_of(word: str) -> set[str]:
    """Return a word in each case that programs write; of a zero also `00` and `0.0`."""
    zeros = {"0" * digits for digits in range(1, 21)} | {"0.0", "0,0", "0.00", "0,00"} if word == "0" else set()
    return {word, word.lower(), word.upper(), word.capitalize()} | zeros


@dataclass(frozen=True)
class Window:
    """The time that a run reads: from `start` up to but not including `end`; both have a time zone."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class FileVersion:
    """One version of a drop's file.

    Args:
        path: the whole path or address.
        fingerprint: a hash of everything in the file's listing; a chmod gives the same file another one.
        size: in bytes.
        modified_at: the time of the last change.
        content_hash: SHA-256 of the bytes that were read.
        rows, skipped: how many rows it has, and how many of them were none; None if nobody has counted them.
    """

    path: str
    fingerprint: str
    size: int
    modified_at: datetime
    content_hash: str
    rows: int | None = field(default=None, compare=False)
    skipped: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class FileNotRead:
    """A file of a drop that no scheduled run reads as it is.

    Args:
        path: the whole path or address.
        belongs_at: the time that decides its window; None if it has none.
        reason: why it is not read, and what to do.
    """

    path: str
    belongs_at: datetime | None
    reason: str
