"""The hash of a file's content, which tells a file that only looks new from one that is."""

from __future__ import annotations

import hashlib
from typing import BinaryIO

from upath import UPath

from include.order_sync import tuning

# The content hash of a file that the worker may not read.
NOT_PERMITTED = ""


class HashedContent:
    """A file's content, and a hash of the bytes read so far."""

    def __init__(self, content: BinaryIO) -> None:
        self._content = content
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read on, as files do."""
        return self._noted(self._content.read(size))

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go elsewhere, as files do. What is read from then on is in no hash."""
        return self._content.seek(offset, whence)

    def tell(self) -> int:
        """Return the place, as files do."""
        return self._content.tell()

    def seekable(self) -> bool:
        """Return whether seek() works."""
        return self._content.seekable()

    @property
    def hash(self) -> str:
        """SHA-256 of the bytes read so far."""
        return self._hash.hexdigest()

    def _noted(self, data: bytes) -> bytes:
        self._hash.update(data)
        return data


def content_hash(path: UPath) -> str:
    """Return the hash of a whole file, or NOT_PERMITTED if the worker may not read it."""
    try:
        with path.open("rb") as content:
            hashed = HashedContent(content)
            while hashed.read(tuning.HASH_READ_BYTES):
                pass
    except PermissionError:
        return NOT_PERMITTED
    return hashed.hash
