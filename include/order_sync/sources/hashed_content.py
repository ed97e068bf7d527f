"""The hash of a file's content, which tells a file that only looks new from one that is."""

from __future__ import annotations

import hashlib
from typing import BinaryIO

from upath import UPath

from include.order_sync import tuning
from include.order_sync.errors import OrderSyncError, TryAgainError

# The content hash of a file that the worker may not read.
NOT_PERMITTED = ""


class HashedContent:
    """A file's content, and a hash of the bytes read so far.

    Args:
        content: of the file.
        where: the file, for messages.
    """

    def __init__(self, content: BinaryIO, where: object) -> None:
        self._content = content
        self._where = where
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read on, as files do. If the storage fails, raise TryAgainError: others would be taken for a damaged file."""
        try:
            return self._noted(self._content.read(size))
        except (OrderSyncError, MemoryError, PermissionError, FileNotFoundError):
            raise  # a stop of the task; or a storage says as late as here that a file is gone, or not for us
        except Exception as error:
            said = type(error).__name__
            raise TryAgainError(
                f"{self._where} can't be read to its end ({said}): its storage fails. The next try reads it again."
            ) from error

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
            hashed = HashedContent(content, path)
            while hashed.read(tuning.HASH_READ_BYTES):
                pass
    except PermissionError:
        return NOT_PERMITTED
    return hashed.hash
