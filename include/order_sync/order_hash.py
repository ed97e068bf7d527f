"""One number for each order, the same in every process, release and database.

CRC-32 is a standard that every language has, it is as even as partitions need, and its 32 bits make a column that is
cheap to keep, sort and compare. It is signed, so that PostgreSQL's integer holds it.
"""

import zlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def order_hashes(ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Return crc32(UTF-8) - 2**31 of each id as int32, whatever blanks surround it; a missing one counts as empty."""
    trimmed = pc.fill_null(pc.utf8_trim_whitespace(ids), "").cast(pa.binary())
    hashes = np.fromiter(map(zlib.crc32, trimmed.to_pylist()), np.uint32, len(trimmed))
    return (hashes ^ np.uint32(2**31)).view(np.int32)


def order_hash(order_id: str) -> int:
    """Return the hash of one id without blanks around it, by itself."""
    return zlib.crc32(order_id.encode()) - 2**31


def part_numbers(hashes: np.ndarray, parts: int) -> np.ndarray:
    """Return the part, from 0, that each hash belongs to: each part is a range of hashes, and ranges go up with it."""
    return (((hashes.astype(np.int64) + 2**31) * parts) >> 32).astype(np.uint8)
