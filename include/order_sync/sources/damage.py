"""Tells a damaged container, which a person mends, from other errors.

An error of the storage is a TryAgainError (hashed_content.py).
"""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from include.order_sync.sources.csv_records import UnreadableError

# What Python's modules raise for damaged data, passwords, unknown versions and ways of packing, and for names that are
# not in the code page that the file names.
_DAMAGE = (EOFError, OSError, RuntimeError, ValueError, lzma.LZMAError, zipfile.BadZipFile, zlib.error)


@contextmanager
def damage_is(fault: str) -> Iterator[None]:
    """Raise UnreadableError with this fault and its cure for any damage that is met within."""
    try:
        yield
    except _DAMAGE:
        raise UnreadableError(fault) from None
