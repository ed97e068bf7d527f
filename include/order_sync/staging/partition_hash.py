"""The partition hash: one 32-bit number for each order id, the same in every process, release and database.

- Ids that differ only in their last three characters get neighbouring hashes, and different ones if these are digits.
  Most shops count their orders, so the orders of an hour lie on few pages of the ledger's index.
- The head of an id is spread over the partitions by CRC-32, a standard that every language has.
- The hash is signed, so that PostgreSQL's `integer` holds it.
"""

import zlib
from collections.abc import Callable
from functools import reduce
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# An id's last bytes decide its hash's lowest bits: the tails 000 to 999 get a thousand different values.
_TAIL_BYTES = 3
_TAIL_BITS = 10

Number = TypeVar("Number", int, np.ndarray)


def partition_hashes(ids: pa.ChunkedArray) -> np.ndarray:
    """Return the hash of each id as int32. Surrounding blanks are ignored; a missing id counts as empty.

    The hash of an id's UTF-8 bytes: take CRC-32 of all bytes but the last three; read these three as digits and add
    them to its lowest ten bits, without carry; subtract 2**31.
    """
    trimmed = pc.fill_null(pc.utf8_trim_whitespace(ids), "").cast(pa.binary()).combine_chunks()
    # Counted ids come in runs of one head, and there are few different tails.
    heads = pc.run_end_encode(pc.binary_slice(trimmed, 0, -_TAIL_BYTES))
    tails = pc.dictionary_encode(pc.binary_slice(trimmed, -_TAIL_BYTES))
    checksums = np.repeat(_numbers(zlib.crc32, heads.values), np.diff(heads.run_ends.to_numpy(), prepend=0))
    offsets = _numbers(_tail_number, tails.dictionary)[tails.indices.to_numpy()]
    hashes: np.ndarray = (_add_tail(checksums, offsets) ^ np.uint32(2**31)).view(np.int32)
    return hashes


def partition_hash(order_id: str) -> int:
    """Return the hash of one id, which has no surrounding blanks."""
    id_bytes = order_id.encode()
    return _add_tail(zlib.crc32(id_bytes[:-_TAIL_BYTES]), _tail_number(id_bytes[-_TAIL_BYTES:])) - 2**31


def hashes_of_longer_ids(text: str) -> list[tuple[int, int]]:
    """Return ranges of hashes, first and last, which hold each id that is `text` with up to three bytes more.

    An id's head, all bytes but the last three, decides its hash but for the lowest ten bits.
    """
    text_bytes = text.encode()
    ranges = []
    for more in range(_TAIL_BYTES + 1):
        known = len(text_bytes) + more - _TAIL_BYTES
        first = (zlib.crc32(text_bytes[: max(known, 0)]) >> _TAIL_BITS << _TAIL_BITS) - 2**31
        ranges.append((first, first + (1 << _TAIL_BITS) - 1))
    return sorted(set(ranges))


def _numbers(number: Callable[[bytes], int], texts: pa.Array) -> np.ndarray:
    return np.fromiter(map(number, texts.to_pylist()), np.uint32, len(texts))


def _tail_number(tail: bytes) -> int:
    number: int = reduce(lambda number, byte: 10 * number + byte, tail, 0)
    return number


def _add_tail(checksum: Number, tail_number: Number) -> Number:
    """Add the tail's number to the lowest bits of the head's checksum; works on numbers and on columns."""
    number: Number = (checksum >> _TAIL_BITS << _TAIL_BITS) + (checksum + tail_number) % (1 << _TAIL_BITS)
    return number


def part_numbers(hashes: np.ndarray, parts: int) -> np.ndarray:
    """Return the part of each hash, from 0. A part is a range of hashes; higher parts have higher hashes."""
    return (((hashes.astype(np.int64) + 2**31) * parts) >> 32).astype(np.uint8)
