"""The text of a CSV file as UTF-8, whatever its encoding is.

A byte that is no text in the file's encoding becomes one that is no UTF-8: one rule finds bad rows in all encodings.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

# The beginning of a file, by which its encoding, delimiter and header are found.
SAMPLE_BYTES = 256 * 1024

# Of these an encoding is found by words that the configuration names, where only one of them fits.
FOUND_BY_WORDS = ("windows-1251", "windows-1252", "windows-1250", "cp866", "koi8-r", "cp437", "cp850", "shift_jis")

# A longer mark first: UTF-32's begins with UTF-16's. https://www.unicode.org/faq/utf_bom.html#bom4
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Half a surrogate pair: encoded with "surrogatepass", it is no UTF-8.
_BAD = "\udcff"
_GUESSED_FROM_BYTES = 32 * 1024

codecs.register_error("order_sync_bad_bytes", lambda error: (_BAD, error.end))  # type: ignore[attr-defined]


class Readable(Protocol):
    """A file's content."""

    def read(self, size: int) -> bytes:
        """Read on, as files do."""


@dataclass(frozen=True)
class Text:
    """A file's text.

    Args:
        read: size -> the next UTF-8 bytes, about as many; none at the end.
        sample: the beginning of it, as UTF-8; `read` returns it too.
        encoding: of the file.
        found: why this encoding, if neither the configuration nor UTF-8's form tells it; else empty.
        is_whole: whether the sample is all of the file.
    """

    read: Callable[[int], bytes]
    sample: bytes
    encoding: str
    found: str
    is_whole: bool


def open_text(content: Readable, encoding: str | None, words: Iterable[str]) -> Text:
    """Return the text of a file.

    A byte order mark tells the encoding. Without one the configured encoding counts, else UTF-8; and where the
    beginning is no UTF-8, the only encoding in which it holds words that the configuration names.

    Args:
        content: of the file, from its first byte.
        encoding: from the configuration; None without.
        words: that the file should hold: the shop's names of columns and statuses.
    """
    sample = content.read(SAMPLE_BYTES)
    # Some storages return less than they were asked for.
    while 0 < len(sample) < SAMPLE_BYTES and (more := content.read(SAMPLE_BYTES - len(sample))):
        sample += more
    is_whole = len(sample) < SAMPLE_BYTES
    mark, found = b"", ""
    for mark, name in _MARKS:
        if sample.startswith(mark):
            found = "its byte order mark says so" if encoding or name != "utf-8" else ""
            encoding = name
            break
    else:
        mark = b""
        if encoding is None:
            encoding, found = _encoding_of(sample, words)
        elif encoding.startswith("utf-16"):
            encoding = {"utf-16": "utf-16-le"}.get(encoding, encoding)  # without a mark
        elif encoding != "utf-8" and _is_surely_utf8(sample, is_whole=is_whole):
            encoding, found = "utf-8", "its bytes fit UTF-8 and no other encoding by chance"
    rest = sample[len(mark) :]
    if encoding == "utf-8":
        read = _after(rest, content.read)
        return Text(read, rest, encoding, found, is_whole)
    decoder = codecs.getincrementaldecoder(encoding)("order_sync_bad_bytes")
    decoded = decoder.decode(rest).encode("utf-8", "surrogatepass")

    def read_on(size: int) -> bytes:
        while data := content.read(size):
            if text := decoder.decode(data):
                return text.encode("utf-8", "surrogatepass")
        text = decoder.decode(b"", final=True)
        decoder.reset()
        return text.encode("utf-8", "surrogatepass")

    return Text(_after(decoded, read_on), decoded, encoding, found, is_whole)


def _after(first: bytes, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """Return a function that reads `first` before the rest; it reads no more once the end was reached.

    Bytes that are added to the file after that belong to its next version.
    """
    begun: list[bytes] = [first] if first else []
    ended = False

    def read_next(size: int) -> bytes:
        nonlocal ended
        if begun:
            return begun.pop()
        data = b"" if ended else read(size)
        ended = not data
        return data

    return read_next


def _encoding_of(sample: bytes, words: Iterable[str]) -> tuple[str, str]:
    """Return the encoding of a file without a mark, and why it is not UTF-8."""
    try:
        sample.decode()
    except UnicodeDecodeError as error:
        if error.end == len(sample) and error.reason == "unexpected end of data":
            return "utf-8", ""
    else:
        return "utf-8", ""
    forms = {form for word in words if not word.isascii() for form in (word, word.lower(), word.upper(), word.title())}
    if any(form.encode() in sample for form in forms):
        return "utf-8", ""
    fitting: dict[str, str] = {}  # text -> the first encoding that gives it
    for encoding in FOUND_BY_WORDS:
        if any(_encoded(form, encoding) in sample for form in forms):
            try:
                fitting.setdefault(sample.decode(encoding), encoding)
            except UnicodeDecodeError as error:
                if error.end < len(sample):
                    continue
                fitting.setdefault(sample[: error.start].decode(encoding), encoding)
    if len(fitting) != 1:
        return "utf-8", ""
    (encoding,) = fitting.values()
    return encoding, "in no other one does it hold words of the source's `columns` and `statuses`"


def _encoded(word: str, encoding: str) -> bytes:
    try:
        return word.encode(encoding)
    except UnicodeEncodeError:
        return b"\n\r\n\r"  # in no file that has columns


def _is_surely_utf8(sample: bytes, *, is_whole: bool) -> bool:
    """Return whether bytes are UTF-8 with several characters beyond ASCII: by chance another encoding has no such."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(sample, is_whole)
    except UnicodeDecodeError:
        return False
    return len(sample) - len(text) >= len("абв")


def likely_encoding(sample: bytes) -> str:
    """Return the name of the encoding that bytes which are no UTF-8 may have; empty if nothing tells.

    Args:
        sample: bytes of the file as they are.
    """
    from charset_normalizer import from_bytes  # only a bad file needs it

    if sample[1::2].count(0) > len(sample) // 4:
        return "utf-16-le"
    if sample[::2].count(0) > len(sample) // 4:
        return "utf-16-be"
    best = from_bytes(sample[:_GUESSED_FROM_BYTES], cp_isolation=[*FOUND_BY_WORDS]).best()
    return best.encoding.replace("cp125", "windows-125") if best else ""
