"""Sizes that trade memory for time, and time limits, each with its unit in its name.

`docs/performance.md` has the figures of the sizes. Each time limit is far above what a healthy run takes: it ends what
would hang for ever, and slows nothing down.
"""

MIB = 1024 * 1024

# Staging. A window of up to ONE_PART_ROWS and ONE_PART_BYTES is one part; a larger one is split into
# LARGE_WINDOW_PARTS, so that memory does not grow with it. Parts are worked off in groups, because even a small frame
# costs some milliseconds.
ONE_PART_ROWS = 50_000
ONE_PART_BYTES = 64 * MIB
LARGE_WINDOW_PARTS = 128
GROUP_ROWS = 100_000
GROUP_BYTES = 8 * MIB

# Raw rows are sorted by part in blocks of this size; each block becomes one file.
PARTITION_FILE_BYTES = 8 * MIB
# Arrow reads and writes small pieces; Python's files and object storages are asked for this much at once.
FILE_BUFFER_BYTES = MIB

# CSV drop. A block is the longest row that is surely read; Arrow keeps up to 32 blocks in memory.
CSV_BLOCK_BYTES = 3 * MIB // 2
CSV_HEADER_MAX_BYTES = 64 * 1024
HASH_READ_BYTES = MIB
# What a container may unpack to: surely so much, beyond that so many times its own size. Orders pack to a tenth; what
# packs to a thousandth is no text. A spreadsheet is held in memory, as several times the size of its texts and as
# a full area up to its last cell.
UNPACKED_SURELY_BYTES = 64 * MIB
UNPACKED_TIMES = 200
SHEETS_MAX_BYTES = 96 * MIB
SHEET_CELLS_MAX = 5_000_000

# Warehouse.
WAREHOUSE_ROW_MAX_BYTES = 8 * MIB
COPY_BLOCK_BYTES = MIB
# A table of rows from a cursor ends at FETCH_ROWS or FETCH_BYTES; the driver is asked for a few rows at a time.
FETCH_ROWS = 20_000
FETCH_BYTES = 8 * MIB
FETCH_ROWS_AT_A_TIME = 16

# Ledger. With fewer orders in a write PostgreSQL takes up to twice as long for each; with more, a killed sender leaves
# more to forget.
LEDGER_WRITE_ORDERS = 10_000
# Up to this many rows in the range for each order wanted, one range scan is cheaper than a look-up of each order.
RANGE_SCAN_ROWS_PER_ORDER = 4

# Quarantine. So many rejected rows are encrypted and written at once, by one statement.
REJECTED_ROWS_AT_ONCE = 5_000

# HTTP.
ANSWER_MAX_BYTES = 4 * MIB
# Each of: a TCP connection, a TLS handshake, a proxy's word, the writing of a request's headers, that of its body.
CONNECT_S = 10
# The whole answer, from the end of the request to its last byte: a service may need long for a thousand orders. A load
# also waits for CONNECT_S and ANSWER_S after a lost one (ledger/lost_sender.py).
ANSWER_S = 120
# How long a load waits after a 429 without Retry-After: many limits are of a minute.
UNNAMED_WAIT_S = 60

# Time limits of tasks and runs. Three million orders are extracted or transformed in minutes; hours mean that a
# database, a disk or an object storage hangs.
EXTRACT_TASK_S = TRANSFORM_TASK_S = MAINTENANCE_TASK_S = 4 * 3600
# An account that takes 100 orders a minute takes 144,000 in this time. A load ends well at its limit, and its next try
# goes on: so the limit costs a healthy load nothing.
LOAD_S = 24 * 3600
# Airflow ends a load by force only if it could not end well within this time: one request, statement and wait for the
# lock take far less.
LOAD_TASK_S = LOAD_S + 3600
# A form for approval is written in seconds. It waits for a person's answer this long; then the run ends red, and the
# next scheduled one asks anew. What was approved counts as long as a run may last.
APPROVE_TASK_S = 600
ANSWER_OF_A_PERSON_S = 24 * 3600
# The watch looks every ten minutes. Before it looks at the sources, it has told what the ledger says.
WATCH_TASK_S = 1800
# A run outlives an outage of a day and a week of sending at 100 orders a minute: a million orders.
RUN_S = APPROVAL_S = 8 * 24 * 3600

# Time limits of PostgreSQL. The longest statement of the ledger takes some seconds, but for a load's wait for the lock,
# which has a limit of its own, of ten minutes.
LEDGER_STATEMENT_S = 15 * 60
# One COPY of a window: also of a first load of years, over a slow line.
WAREHOUSE_STATEMENT_S = 2 * 3600
# libpq's own names and units. https://www.postgresql.org/docs/current/libpq-connect.html
# A router that forgets a connection says nothing. The probes also keep it from forgetting one that is idle: the usual
# limit is some minutes.
POSTGRES_CONNECTION = {
    "connect_timeout": 10,  # s, for each address of the host
    "keepalives": 1,
    "keepalives_idle": 60,  # s
    "keepalives_interval": 10,  # s
    "keepalives_count": 6,
    "tcp_user_timeout": 120_000,  # ms
}
# How the extras of a connection to PostgreSQL begin that its driver gets too.
POSTGRES_EXTRAS = ("ssl", "options", "application_name")
