"""The canonical order: its columns, its statuses, and the window that a run reads."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

# What a source must give of every order.
IDENTITY_COLUMNS = ("order_id", "status", "status_changed_at")

TIME_COLUMNS = ("status_changed_at", "updated_at", "created_at")

# All that a source may give of an order; each is text until transform.py reads it.
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

# All that a source may give of an order's item.
ITEM_COLUMNS = ("item_id", "name", "quantity", "cost", "url", "image_url", "category", "description")

# Where a staged row came from: the query's or file's name; its row there, from 1 (a file's header is 1);
# its place in the whole window; when its file was last modified; what made it unreadable as a row; of a row from the
# quarantine, its rank (VERSION of transform.py) among rows that are no longer beside it; and its part's `order_hash`.
ORIGIN_COLUMNS = ("origin", "line", "position", "file_modified_at", "problem", "rank", "order_hash")


class OrderStatus(StrEnum):
    """Where an order stands; the words of every shop are mapped to these."""

    CREATED = "created"
    PAID = "paid"
    IN_PROGRESS = "in_progress"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    RETURNED = "returned"
    ABANDONED = "abandoned"


@dataclass(frozen=True)
class Window:
    """The time that one run reads: from `start` up to, not including, `end`; both with a time zone."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class FileVersion:
    """One version of a drop's file.

    Args:
        path: the whole path or address.
        fingerprint: of all that a listing tells of the file; the same file may get another one, as by a chmod.
        size: in bytes.
        modified_at: when it was last modified.
        content_hash: of the bytes that were read.
    """

    path: str
    fingerprint: str
    size: int
    modified_at: datetime
    content_hash: str
