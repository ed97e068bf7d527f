"""The lines of a CSV file as Arrow gets them: none is too long, and an end mark follows."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.order_sync.sources import csv_stream
from include.order_sync.sources.csv_stream import CUT_MARK, END_MARK, LineStream


class Content:
    """A file that gives out its bytes in small pieces, at most `most` of them."""

    def __init__(self, data: bytes, most: int) -> None:
        self.data, self.most = data, most

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        taken, self.data = self.data[: min(size, self.most)], self.data[min(size, self.most) :]
        return taken


def lines_of(data: bytes, most: int, sizes: list[int]) -> bytes:
    """Return all that a stream of two columns gives, asked for blocks of these sizes in turn."""
    stream = LineStream(Content(data, most), ";", 2)
    given, block, at = b"", b"x", 0
    while block:
        block = stream.read(sizes[at % len(sizes)])
        given, at = given + block, at + 1
    return given


@given(
    st.lists(st.tuples(st.integers(0, 25), st.sampled_from([b"\n", b"\r\n", b"\r"])), max_size=12),
    st.integers(0, 25),
    st.integers(1, 12),
    st.lists(st.integers(1, 30), min_size=1, max_size=3),
)
def test_lines(lines: list[tuple[int, bytes]], rest: int, most: int, sizes: list[int]) -> None:
    """Each line that is too long becomes one with the mark; all others, and the line ends, stay; then comes the end."""
    longest = 12
    data = b"".join(b"x" * length + end for length, end in lines) + b"x" * rest
    expected = b"".join((b"x" * length if length <= longest else b"cut") + end for length, end in lines)
    expected += (b"x" * rest if rest <= longest else b"cut") + b"\n" * bool(rest) + b"end\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_stream, "LONGEST_LINE", longest)
        given_lines = lines_of(data, most, sizes)

    for mark, word in ((CUT_MARK, b"cut"), (END_MARK, b"end")):
        given_lines = re.sub(re.escape(mark.encode()) + b";", word, given_lines)
    assert given_lines == expected


def test_a_line_without_an_end_is_not_held() -> None:
    """Of a gigabyte without a line break a stream never holds more than a few blocks."""

    class Endless:
        given = 0

        def read(self, size: int) -> bytes:
            self.given += size
            return b"x" * size if self.given < 1024**3 else b""

    stream = LineStream(Endless(), ",", 3)
    held = 0
    read_on = stream._read_on

    def counted() -> Any:
        nonlocal held
        read_on()
        held = max(held, stream.held)

    stream._read_on = counted  # type: ignore[method-assign]
    read = stream.read(csv_stream.LONGEST_LINE)

    assert read == f"{CUT_MARK},,\n{END_MARK},,\n".encode()
    assert held <= 2 * csv_stream.LONGEST_LINE


def test_a_block_is_never_short_within_a_file() -> None:
    """A stream gives as many bytes as it is asked for until the end: in short blocks a row could lie in three."""
    stream = LineStream(Content(b"1234567\n" * 1000, 10), ",", 1)

    assert [len(stream.read(100)) for _ in range(80)] == [100] * 80
