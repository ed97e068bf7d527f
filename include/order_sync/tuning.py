"""Sizes that trade memory for time, each with its unit in its name. `docs/performance.md` has the figures."""

MIB = 1024 * 1024

# Staging. A window of up to ONE_PART_ROWS and ONE_PART_BYTES is one part; a larger one is split into
# LARGE_WINDOW_PARTS, so that memory does not grow with it. Parts are worked off in groups, because even a small frame
# costs some milliseconds.
ONE_PART_ROWS = 50_000
ONE_PART_BYTES = 64 * MIB
LARGE_WINDOW_PARTS = 128
GROUP_ROWS = 100_000
GROUP_BYTES = 10 * MIB

# Raw rows are sorted by part in blocks of this size; each block becomes one file.
PARTITION_FILE_BYTES = 8 * MIB
# Arrow reads and writes small pieces; Python's files and object storages are asked for this much at once.
FILE_BUFFER_BYTES = MIB

# CSV drop. A block is the longest row that is surely read; Arrow keeps up to 32 blocks in memory.
CSV_BLOCK_BYTES = 3 * MIB // 2
CSV_HEADER_MAX_BYTES = 64 * 1024
HASH_READ_BYTES = MIB

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

# HTTP.
ANSWER_MAX_BYTES = 4 * MIB
