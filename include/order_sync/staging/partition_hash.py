"""One number for each order, the same in every process, release and database.

Ids that differ in their last three characters alone get neighbouring numbers, and no two the same where these are
digits. Most shops count their orders, so those of an hour lie on few pages of the ledger's index, however many orders
it knows. What comes before these characters is spread over the partitions by CRC-32, a standard that every language
has. 32 bits make a column that is cheap to keep, sort and compare. It is signed, so that PostgreSQL's integer holds it.
"""

import zlib
from collections.abc import Callable
from functools import reduce
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# By an id's last bytes alone its lowest bits go round: no two of the tails 000 to 999 get the same.
_TAIL_BYTES = 3
_TAIL_BITS = 10

Number = TypeVar("Number", int, np.ndarray)


def partition_hashes(ids: pa.ChunkedArray) -> np.ndarray:
    """Return the hash of each id as int32, whatever blanks surround it; a missing one counts as empty.

    Of its UTF-8 bytes: CRC-32 of all but the last three; to its lowest ten bits, these three are added, read as digits,
    and what is carried is dropped; less 2**31.
    """
    trimmed = pc.fill_null(pc.utf8_trim_whitespace(ids), "").cast(pa.binary()).combine_chunks()
    # Ids that were counted come in runs of one head, and there are few different tails.
    heads = pc.run_end_encode(pc.binary_slice(trimmed, 0, -_TAIL_BYTES))
    tails = pc.dictionary_encode(pc.binary_slice(trimmed, -_TAIL_BYTES))
    checksums = np.repeat(_numbers(zlib.crc32, heads.values), np.diff(heads.run_ends.to_numpy(), prepend=0))
    places = _numbers(_place, tails.dictionary)[tails.indices.to_numpy()]
    hashes: np.ndarray = (_numbered(checksums, places) ^ np.uint32(2**31)).view(np.int32)
    return hashes


def partition_hash(order_id: str) -> int:
    """Return the hash of one id without blanks around it, by itself."""
    id_bytes = order_id.encode()
    return _numbered(zlib.crc32(id_bytes[:-_TAIL_BYTES]), _place(id_bytes[-_TAIL_BYTES:])) - 2**31


def _numbers(number: Callable[[bytes], int], texts: pa.Array) -> np.ndarray:
    return np.fromiter(map(number, texts.to_pylist()), np.uint32, len(texts))


def _place(tail: bytes) -> int:
    place: int = reduce(lambda number, byte: 10 * number + byte, tail, 0)
    return place


def _numbered(checksum: Number, place: Number) -> Number:
    """Return a head's checksum with the tail's place among those of the head; of numbers, or of columns of them."""
    number: Number = (checksum >> _TAIL_BITS << _TAIL_BITS) + (checksum + place) % (1 << _TAIL_BITS)
    return number


def part_numbers(hashes: np.ndarray, parts: int) -> np.ndarray:
    """Return the part, from 0, that each hash belongs to: each part is a range of hashes, and ranges go up with it."""
    return (((hashes.astype(np.int64) + 2**31) * parts) >> 32).astype(np.uint8)
