"""The records of a CSV file: whole rows, each with its line, and nothing lost."""

import csv
import io
import re
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.order_sync import tuning
from include.order_sync.sources import csv_records
from include.order_sync.sources.csv_records import Records, is_utf8
from include.order_sync.transform.row_problems import BAD_BYTES, BAD_QUOTE, TOO_LONG

WIDTH = 3


def reading(content: bytes, sizes: Sequence[int] = ()) -> Callable[[int], bytes]:
    """Return a function that reads the content in pieces of these sizes, then of the size that is asked for."""
    file, pieces = io.BytesIO(content), list(sizes)

    def read(size: int) -> bytes:
        return file.read(max(1, pieces.pop(0)) if pieces else size)

    return read


def split(content: bytes, sizes: Sequence[int] = (), **options: int) -> tuple[list[tuple[int, bytes]], dict[int, str]]:
    """Return the records of a file with their lines, and its problems by line."""
    records: list[tuple[int, bytes]] = []
    problems: dict[int, str] = {}
    for block in Records(reading(content, sizes), ",", WIDTH, lambda line: b"ROW" in line, **options):
        records += zip(block.lines.tolist(), block.records(), strict=True)
        problems |= block.problems
    return records, problems


fields = st.sampled_from(["", "a", "é", '"b"', '"c\nd"', '"e\r\nf"', '"g""h"', 'i"j', "'", '"k,l"', '""', '"\r"'])
line_ends = st.sampled_from(["\n", "\r", "\r\n"])
rows = st.lists(st.tuples(st.lists(fields, min_size=1, max_size=4).map(",".join), line_ends))


@given(rows, st.booleans(), st.lists(st.integers(1, 9)))
def test_good_records(lines: list[tuple[str, str]], has_end: bool, sizes: list[int]) -> None:
    """Records are those of Python's csv module, whichever pieces the file is read in, and none is changed or lost."""
    content = "".join(line + end for line, end in lines)
    content = content if has_end else content.rstrip("\r\n")
    expected = list(csv.reader(io.StringIO(content, newline="")))
    records, problems = split(content.encode(), sizes)

    assert problems == {}
    assert [next(csv.reader(io.StringIO(record.decode(), newline="")), []) for _, record in records] == expected
    text = b"".join(record for _, record in records)
    assert text in (content.encode(), content.encode() + b"\n")
    line = 1
    for number, record in records:
        assert number == line
        line += len(record.splitlines())


noise = st.lists(st.sampled_from([*'a",\n\r', '""', ',"', '",', '"\n', "é", "\udcff", "ROW"]), max_size=40)


@given(noise, st.lists(st.integers(1, 9)))
def test_any_bytes(pieces: list[str], sizes: list[int]) -> None:
    """Of any content every line is in one record or is listed, however it is read."""
    content = "".join(pieces).encode("utf-8", "surrogatepass")
    records, problems = split(content, sizes)

    lines = {line for number, record in records for line in range(number, number + len(record.splitlines()))}
    whole = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    expected = whole.count(b"\n") + (not whole.endswith(b"\n") and bool(whole))
    bad_bytes = sum(problem == BAD_BYTES for problem in problems.values())
    assert lines.isdisjoint(problems)
    assert len(lines | set(problems)) == expected if not bad_bytes else len(lines | set(problems)) <= expected
    assert all(is_utf8(record) for _, record in records)
    assert (records, problems) == split(content)


@pytest.mark.parametrize("name", ["mac line ends", "open quotes", "closed quotes", "pairs of quotes", "no line end"])
def test_hostile_files_take_linear_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No content makes the reader look at its bytes more than a bounded number of times."""
    content = {
        "mac line ends": b"\r" * 200_000,
        "open quotes": b'a,"b\n' * 40_000,
        "closed quotes": b'a,"b"c\n' * 30_000,
        "pairs of quotes": b'"' + b'""\n' * 60_000,
        "no line end": b"x" * 200_000,
    }[name]
    seen = 0
    first_line_end = csv_records.first_line_end

    def counted(data: bytes, start: int = 0) -> int:
        nonlocal seen
        end = first_line_end(data, start)
        seen += (end or len(data)) - start
        return end

    monkeypatch.setattr(csv_records, "LONGEST_ROW", 50_000)
    monkeypatch.setattr(tuning, "CSV_BLOCK_BYTES", 50_000)
    monkeypatch.setattr(csv_records, "first_line_end", counted)
    split(content)

    assert seen < 10 * len(content)


@pytest.mark.parametrize("end", ['ROW\nx"\n', 'x"y\n'], ids=["swallows a row", "misplaced"])
def test_lines_that_go_on_alike(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each line opens the quote that the next one closes, all of them end alike, which is found out once."""
    content = ('x","\n' * 1000 + end).encode()
    rows, fields = 0, 0

    class Field:
        def __init__(self, field: re.Pattern[bytes]) -> None:
            self._field = field

        def match(self, data: bytes, at: int) -> re.Match[bytes] | None:
            nonlocal fields
            fields += 1
            return self._field.match(data, at)

    def is_row(line: bytes) -> bool:
        nonlocal rows
        rows += 1
        return b"ROW" in line

    records = Records(reading(content), ",", WIDTH, is_row)
    monkeypatch.setattr(records._patterns, "field", Field(records._patterns.field))
    bad = {line for block in records for line in block.problems}

    assert set(range(1, 1000)) <= bad
    assert rows <= 2 * 1002
    assert fields <= 3 * 1002


@given(noise, st.lists(st.integers(1, 9)), st.integers(5, 30))
def test_rows_that_are_too_long(pieces: list[str], sizes: list[int], longest: int) -> None:
    """Of any content with rows that are too long each line is in one record, listed, or goes on from a listed one."""
    content = "".join(pieces).encode("utf-8", "surrogatepass")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_records, "LONGEST_ROW", longest)
        patch.setattr(tuning, "CSV_BLOCK_BYTES", longest)
        records, problems = split(content, sizes)

    lines = [line for number, record in records for line in range(number, number + len(record.splitlines()))]
    assert all(len(record) <= longest for _, record in records)
    assert len(lines) == len(set(lines))
    assert set(problems).isdisjoint(lines)


def test_a_line_without_an_end_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a line that is too long no more than a row and a block is in memory, and the rows after it are read."""
    monkeypatch.setattr(csv_records, "LONGEST_ROW", 1000)
    monkeypatch.setattr(tuning, "CSV_BLOCK_BYTES", 1000)
    longest = 0
    split_ = Records._split

    def watched(self: Records, data: bytes, *, ended: bool) -> object:
        nonlocal longest
        longest = max(longest, len(data))
        return split_(self, data, ended=ended)

    monkeypatch.setattr(Records, "_split", watched)
    content = b"a,b\n" + b"x" * 100_000 + b"\nc,d\n"

    assert split(content) == ([(1, b"a,b\n"), (3, b"c,d\n")], {2: TOO_LONG})
    assert longest < 3000


def test_skipped_lines() -> None:
    """Lines before the first record are left out, whichever pieces they are read in, and count as lines."""
    for size in range(1, 9):
        assert split(b"x\r\ny\rz\na,b\n", [size] * 9, skip=3)[0] == [(4, b"a,b\n")]


def test_a_swallowed_row() -> None:
    """A quoted field with a line that looks like a row is bad, and that line is a record of its own."""
    assert split(b'1,"a\nROW\n3,"\n4,b\n') == ([(2, b"ROW\n"), (4, b"4,b\n")], {1: BAD_QUOTE, 3: BAD_QUOTE})
