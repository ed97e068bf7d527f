"""The text of a CSV file as UTF-8, whatever its encoding is.

A byte that is no text in the file's encoding becomes one that is no UTF-8: one rule finds bad rows in all encodings.
"""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from include.order_sync.sources.wide_text import in_step

# The beginning of a file, by which its encoding, delimiter and header are found.
SAMPLE_BYTES = 256 * 1024

# Of these an encoding is found by words that the configuration names, where only one of them fits best.
FOUND_BY_WORDS = (
    *("windows-1251", "windows-1252", "windows-1250", "cp866", "koi8-r", "cp437", "cp850", "shift_jis"),
    *("cp1125", "koi8-u", "iso8859-5", "iso8859-2", "cp852", "euc_jp"),
)

# A longer mark first: UTF-32's begins with UTF-16's. https://www.unicode.org/faq/utf_bom.html#bom4
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LOOKED_AT_BYTES = 32 * 1024
_BEGINNING_BYTES = 4 * 1024

# A byte that is no text becomes half a surrogate pair, which keeps its value: encoded with "surrogatepass", this is no
# UTF-8.
_HALF = 0xDC00


def _halves(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(_HALF + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error("order_sync_bad_bytes", _halves)


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
        elif encoding.startswith(("utf-16", "utf-32")) and 0 in sample:
            pass
        elif encoding != "utf-8" and _is_surely_utf8(sample, encoding, is_whole=is_whole):
            encoding, found = "utf-8", "its bytes fit UTF-8 and no other encoding by chance"
    if encoding in ("utf-16", "utf-32"):  # without a mark, which Python would refuse
        encoding = _utf_16_of(sample) or f"{encoding}-le"
    rest = sample[len(mark) :]
    if encoding == "utf-8":
        read = _after(rest, content.read)
        return Text(read, rest, encoding, found, is_whole)
    read_bytes: Callable[[int], bytes] = content.read
    if encoding.startswith(("utf-16", "utf-32")):
        read_bytes = in_step(_after(rest, content.read), encoding)
        rest = read_bytes(SAMPLE_BYTES)
        while is_whole and (more := read_bytes(SAMPLE_BYTES)):
            rest += more
    decoder = codecs.getincrementaldecoder(encoding)("order_sync_bad_bytes")
    decoded = decoder.decode(rest).encode("utf-8", "surrogatepass")

    def read_on(size: int) -> bytes:
        while data := read_bytes(size):
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
    if wide := _utf_16_of(sample):
        return wide, "every other byte is 0"
    try:
        sample.decode()
    except UnicodeDecodeError as error:
        if error.end == len(sample) and error.reason == "unexpected end of data":
            return "utf-8", ""
    else:
        return "utf-8", ""
    forms = [{word, word.lower(), word.upper(), word.title()} for word in set(words) if not word.isascii()]
    if any(form.encode() in sample for given in forms for form in given):
        return "utf-8", ""
    held = {
        encoding: sum(any(_encoded(form, encoding) in sample for form in given) for given in forms)
        for encoding in FOUND_BY_WORDS
    }
    fitting: dict[str, list[str]] = {}  # text -> the encodings that give it
    for encoding in FOUND_BY_WORDS:
        text = _text_of(sample, encoding)
        if text and held[encoding] == max(held.values()) > 0:
            fitting.setdefault(text, []).append(encoding)
    if len(fitting) != 1:
        return "utf-8", ""
    ((encoding, *_),) = fitting.values()
    return encoding, "in no other one does it hold as many words of the source's `columns` and `statuses`"


def _text_of(sample: bytes, encoding: str) -> str:
    """Return the sample in an encoding; empty if it is no text there."""
    try:
        text = sample.decode(encoding)
    except UnicodeDecodeError as error:
        if error.end < len(sample):
            return ""
        text = sample[: error.start].decode(encoding)
    # Control characters of ISO 8859, which no text has: it is a Windows encoding.
    return "" if any("\x80" <= character <= "\x9f" for character in text) else text


def _utf_16_of(sample: bytes) -> str:
    """Return which form of UTF-16 a sample without a mark has, by the zeros beside ASCII; empty if it has none."""
    sample = sample[:_BEGINNING_BYTES]  # a byte too many or too few behind it would turn all round
    first, second = sample[::2].count(0), sample[1::2].count(0)
    name = "utf-16-le" if second > 8 * first else "utf-16-be" if first > 8 * second else ""
    if not name or max(first, second) < len(sample) // 16:
        return ""
    text = _text_of(sample, name)
    # Control characters, halves of pairs and unassigned ones: it is no text.
    return "" if any(unicodedata.category(one)[0] == "C" for one in text if one not in "\t\r\n") else name


def _encoded(word: str, encoding: str) -> bytes:
    try:
        return word.encode(encoding)
    except UnicodeEncodeError:
        return b"\n\r\n\r"  # in no file that has columns


def _is_surely_utf8(sample: bytes, encoding: str, *, is_whole: bool) -> bool:
    """Return whether bytes are UTF-8 with several characters beyond ASCII: by chance another encoding has no such.

    Without zeros they can't be UTF-16, whatever `encoding` says.
    """
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(sample, is_whole)
    except UnicodeDecodeError:
        return False
    return encoding.startswith("utf-16") or len(sample) - len(text) >= len("абв")


def bad_byte(data: bytes, encoding: str) -> int:
    """Return the byte of the file that is no text in its encoding.

    Args:
        data: from where the file's text is no UTF-8.
        encoding: of the file.
    """
    if encoding == "utf-8":
        return data[0]
    return ord(data[: len(chr(_HALF).encode("utf-8", "surrogatepass"))].decode("utf-8", "surrogatepass")) - _HALF


def likely_encoding(sample: bytes, words: Iterable[str] = ()) -> str:
    """Return the name of the encoding that bytes which are no UTF-8 may have; empty if nothing tells.

    Args:
        sample: bytes of the file as they are.
        words: that the file should hold.
    """
    from charset_normalizer import from_bytes  # only a bad file needs it

    if sample.isascii():
        return ""
    by_words, found = _encoding_of(sample, words)
    if found:
        return by_words
    best = from_bytes(sample[:_LOOKED_AT_BYTES], cp_isolation=[*FOUND_BY_WORDS]).best()
    if best is None:
        return ""
    alike = {codecs.lookup(name).name for name in best.could_be_from_charset}
    return next(name for name in FOUND_BY_WORDS if codecs.lookup(name).name in alike)


def encoding_cure(text: Text, words: Iterable[str]) -> str:
    """Return what to do about a file that is not in the encoding that it is read by."""
    likely = likely_encoding(text.sample, words) if text.encoding == "utf-8" else ""
    first = f"if it is in {likely}, set `encoding: {likely}` in the source; else " if likely else ""
    return f"{first}name its encoding in the source's `encoding`, or write the file in UTF-8"
