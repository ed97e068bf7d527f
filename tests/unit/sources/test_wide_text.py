"""UTF-16 and UTF-32 with a byte too many or too few: it costs its own line, and no other."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.order_sync.sources.wide_text import in_step
from include.order_sync.transform.row_problems import BAD_BYTES
from tests.unit.sources.drops import HEADER, Drop, ids

ENCODINGS = ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]
ROWS = [f"{number},paid,2026-11-21 10:00:00,Ганна" for number in range(100, 160)]


def read_all(content: bytes, encoding: str, size: int) -> bytes:
    """Return all that a text gives, read in pieces of a size."""
    read = in_step(io.BytesIO(content).read, encoding)
    return b"".join(iter(lambda: read(size), b""))


@given(
    st.text(st.sampled_from('a1,"\r\néïЯ🎁ਅഅ ')),
    st.sampled_from(ENCODINGS),
    st.integers(1, 50),
)
def test_a_good_text_stays_as_it_is(text: str, encoding: str, size: int) -> None:
    """Whatever it holds, and in whichever pieces it is read."""
    text += "a row in ASCII"
    assert read_all(text.encode(encoding), encoding, size).decode(encoding) == text


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("put", [b"", b"\xff", b"\0"])
def test_a_byte_too_many_or_too_few(drop: Drop, encoding: str, line_end: str, put: bytes) -> None:
    """The rows before and after it are read, wherever in its line it is; the line is listed, by its number."""
    mark = "\ufeff"
    before = (mark + HEADER.replace("\n", line_end) + line_end.join(ROWS[:30]) + line_end).encode(encoding)
    row, end = ROWS[30].encode(encoding), line_end.encode(encoding)
    after = line_end.join(ROWS[31:]).encode(encoding)
    for at in (0, 1, 5, len(row) // 2, len(row) - 1):
        damaged = row[:at] + put + row[at + (not put) :]
        drop.put("a.csv", before + damaged + end + after)
        rows = drop.rows()

        assert [row["line"] for row in rows if row["problem"] == BAD_BYTES] == [32]
        assert ids([row for row in rows if not row["problem"]]) == [row[:3] for row in ROWS if row != ROWS[30]]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_lost_byte_without_a_mark(drop: Drop, encoding: str) -> None:
    """A file whose beginning looks like UTF-16 is read so."""
    content = (HEADER + "\n".join(ROWS * 40)).encode(encoding)
    drop.put("a.csv", content[:-101] + content[-100:])
    rows = drop.rows()

    assert (len(rows), [row["problem"] for row in rows if row["problem"]]) == (2400, [BAD_BYTES])
