"""Keeps UTF-16 and UTF-32 in step with their units of several bytes.

A byte too many or too few would shift all characters behind it, and hide all line ends. So each line end tells anew
where the units begin: a byte that is lost costs its line alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable

# So many characters behind a line end that is out of step tell whether it is one: of a file's rows some are ASCII.
_LOOKED_AT, _ASCII = 8, 2


def in_step(read: Callable[[int], bytes], encoding: str) -> Callable[[int], bytes]:
    """Return a function that reads a text in whole units, and marks lines with a byte too many or too few as no text.

    Args:
        read: size -> the next bytes of the text, from a unit's beginning; none at the end.
        encoding: utf-16-le, utf-16-be, utf-32-le or utf-32-be.
    """
    unit = len("x".encode(encoding))
    zeros = b"\0" * (unit - 1)
    is_little = encoding.endswith("le")
    line_end = re.compile(rb"[\r\n]" + zeros if is_little else zeros + rb"[\r\n]")
    # The second half of a pair, without the first.
    no_text = "\udc00".encode(encoding, "surrogatepass")
    ahead = (1 + _LOOKED_AT) * unit
    rest, ended = b"", False

    def is_line_end(data: bytes, at: int) -> bool:
        starts = range(at + unit + is_little, min(at + ahead, len(data)), unit)
        return [data[start : start + unit - 1] for start in starts].count(zeros) >= _ASCII

    def read_on(size: int) -> bytes:
        nonlocal rest, ended
        while not ended:
            read_now = read(size)
            ended = not read_now
            data = rest + read_now
            # Until the end some bytes are kept, to look at what is behind a line end.
            whole = len(data) if ended else max(0, (len(data) - ahead) // unit * unit)
            pieces, start = [], 0
            for found in line_end.finditer(data, 0, whole):
                at = found.start()
                if (at - start) % unit and is_line_end(data, at):
                    pieces += [data[start:at], b"\0" * (-(at - start) % unit), no_text]
                    start = at
            end = len(data) if ended else start + max(0, whole - start) // unit * unit
            rest = data[end:]
            if piece := b"".join([*pieces, data[start:end]]):
                return piece
        return b""

    return read_on
