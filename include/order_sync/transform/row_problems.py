"""The reasons for which a row is rejected before it is an order: it could not be read as one."""

from __future__ import annotations

from include.order_sync.reason import Reason

BAD_BYTES = "row: bytes that are no text in the file's encoding"
BAD_QUOTE = "row: a quote that is not closed, or closes in mid-field"
TOO_LONG = "row: too long to be read"
WRONG_WIDTH = "row: not as many fields as the header"
LAST_LINE_LOST = "order: the last of its lines could not be read"
MISSING_COLUMN = "file: a column that is needed is missing"
UNREADABLE_FILE = "file: not readable to its end"

# In the items of an order, instead of those of a line that could not be read.
LOST_ITEM = "a line of the order could not be read"

ROWS = (
    Reason("OS-101", BAD_BYTES, "write the file in UTF-8, or name its encoding in the source's `encoding`"),
    Reason(
        "OS-102", BAD_QUOTE, 'double each quote within a quoted field ("5"" pipe"), and close it before the delimiter'
    ),
    Reason("OS-103", TOO_LONG, "shorten the row in the source"),
    Reason("OS-104", WRONG_WIDTH, "quote fields that hold the delimiter, and give each row all fields"),
    Reason("OS-105", MISSING_COLUMN, "name the file's columns in the source's `columns`: the log has the details"),
    Reason(
        "OS-106",
        UNREADABLE_FILE,
        "the log names the fault; the file is read again when it or the configuration has changed",
    ),
    Reason(
        "OS-107",
        LAST_LINE_LOST,
        "correct that line, which is listed too: the line before it has an older status",
    ),
)
