"""Tells a damaged container, which a person mends, from an error of the storage, which the next try overcomes."""

from __future__ import annotations

import errno
import gzip
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from include.order_sync.sources.csv_records import UnreadableError

# What Python's modules raise for damaged data, passwords, unknown versions and ways of packing, and names of another
# code page than the file says.
_DAMAGE = (EOFError, OSError, RuntimeError, ValueError, lzma.LZMAError, struct.error, zipfile.BadZipFile, zlib.error)


@contextmanager
def damage_is(fault: str) -> Iterator[None]:
    """Raise UnreadableError with this fault and its cure for any damage that is met within."""
    try:
        yield
    except _DAMAGE as error:
        if isinstance(error, OSError) and not _is_of_data(error):
            raise
        raise UnreadableError(fault) from None


def _is_of_data(error: OSError) -> bool:
    """Whether an error is of the data: gzip's and bzip2's have no number; a damaged zip leads to before its begin."""
    return isinstance(error, gzip.BadGzipFile) or (type(error) is OSError and error.errno in (None, errno.EINVAL))
