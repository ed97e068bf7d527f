"""Reads the first sheet that a person sees of a spreadsheet (.xlsx) as CSV."""

from __future__ import annotations

import csv
import io
import logging
import re
import zipfile
from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from include.order_sync import tuning
from include.order_sync.model import ITEM_NUMBERS, MONEY_COLUMNS
from include.order_sync.sources.column_names import plain_name
from include.order_sync.sources.csv_records import UnreadableError
from include.order_sync.sources.csv_text import Readable
from include.order_sync.sources.damage import damage_is

if TYPE_CHECKING:
    from include.order_sync.configuration.csv_source import CsvSource

log = logging.getLogger(__name__)

_DAMAGED = "is a spreadsheet that can't be read: export it as CSV"

# From here on a spreadsheet has lost digits of a number: it keeps 15. Written so, its id is refused.
_LOST = 1e15
# ECMA-376 part 1, 18.3.1.4. A cell that has only a style is closed at once, and makes no area.
_FILLED_CELL = re.compile(rb"<(?:\w+:)?c\b[^>]*?\br=[\"']([A-Z]{1,3})([0-9]{1,7})[\"'][^>]*(?<!/)>")
# 18.4.8 and 18.3.1.96: the texts of a workbook, and a cell that has the number of one of them.
_SHARED_TEXT = re.compile(rb"<(?:\w+:)?si\b")
_SHARING_CELL = re.compile(rb"<(?:\w+:)?c\b[^>]*?\bt=[\"']s[\"'][^>]*>\s*<(?:\w+:)?v>\s*([0-9]{1,9})\b")
_LONGEST_TAG = 1000


def rows_of_spreadsheet(
    file: BinaryIO, container: zipfile.ZipFile, delimiter: str, where: str, source: CsvSource | None = None
) -> Readable:
    """Return the rows of the first sheet that is not hidden as CSV, one line each.

    Args:
        file: the spreadsheet.
        container: the same, as a zip file.
        delimiter: of the CSV.
        where: the file, for the log.
        source: from the configuration; None if nothing is known of the file yet.

    Raises:
        UnreadableError: it would not fit into memory, or can't be read.
    """
    with damage_is(_DAMAGED):
        _refuse_large(container)
    from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum  # few drops need it

    file.seek(0)
    try:
        workbook = CalamineWorkbook.from_filelike(file)
        sheets = [sheet for sheet in workbook.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
        first, *others = [sheet.name for sheet in sheets if sheet.visible == SheetVisibleEnum.Visible] or [""]
        rows = workbook.get_sheet_by_name(first).to_python(skip_empty_area=False)
        filled = [name for name in others if workbook.get_sheet_by_name(name).height > 1]
    except (CalamineError, IndexError):
        raise UnreadableError(_DAMAGED) from None
    if filled:
        log.warning("%s: its first sheet is read, and %d others with rows are not", where, len(filled))
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    commas = _comma_columns(rows, source) if source and source.decimal == "," else set()
    writer.writerows([_cell(value, "," if at in commas else ".") for at, value in enumerate(row)] for row in rows)
    return io.BytesIO(text.getvalue().encode("utf-8", "replace"))


def _comma_columns(rows: Sequence[Sequence[Any]], source: CsvSource) -> set[int]:
    """Return the indexes of the columns of amounts, whose texts have a comma: their numbers get one too.

    In other columns a number keeps its point, as in a date of Excel's.
    """
    named = [source.columns.get(column, column) for column in MONEY_COLUMNS]
    named += [source.item_columns.get(column, column) for column in ITEM_NUMBERS]
    names = {plain_name(name) for given in named for name in ([given] if isinstance(given, str) else given)}
    if source.header == "none":
        return {int(name) - 1 for name in names if name.isdecimal()}
    header = rows[source.skip_lines] if source.skip_lines < len(rows) else []
    return {at for at, cell in enumerate(header) if isinstance(cell, str) and plain_name(cell) in names}


def _cell(value: Any, point: str) -> str:
    """Return a cell as text. Line breaks become blanks, so that a row is one line, with the row's number.

    Args:
        value: of the cell.
        point: what stands before the fraction of a number.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        if value.is_integer():
            return str(int(value)) if abs(value) < _LOST else f"{value:.5E}"
        return repr(value).replace(".", point)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    return " ".join(str(value).splitlines())


def _refuse_large(container: zipfile.ZipFile) -> None:
    """Raise UnreadableError if a spreadsheet is too large: its texts, or the area that the library makes for its cells.

    One filled cell in the last column of the last row makes an area of 17 billion: the process would end, not the file.
    So it would with a long text that many cells share, of which the library makes a copy for each.
    """
    parts = [member for member in container.infolist() if member.filename.lower().endswith(".xml")]
    if sum(member.file_size for member in parts) > tuning.SHEETS_MAX_BYTES:
        raise UnreadableError(
            f"is a spreadsheet of more than {tuning.SHEETS_MAX_BYTES} bytes, which would not fit into memory: "
            "export it as CSV"
        )
    sizes = _sizes_of_texts(container, parts)
    for member in parts:
        column, row, text_bytes = _extent(container, member, sizes)
        if column * row > tuning.SHEET_CELLS_MAX:
            raise UnreadableError(
                f"is a spreadsheet with cells up to column {column} and row {row}, which would not fit into memory: "
                "delete those that stand apart, or export it as CSV"
            )
        if text_bytes > tuning.SHEETS_MAX_BYTES:
            raise UnreadableError(
                f"is a spreadsheet whose cells repeat texts of {text_bytes} bytes, which would not fit into memory: "
                "export it as CSV"
            )


def _sizes_of_texts(container: zipfile.ZipFile, parts: list[zipfile.ZipInfo]) -> np.ndarray:
    """Return the bytes of each text that cells share, with its marks."""
    texts = [container.read(member) for member in parts if member.filename.lower().endswith("/sharedstrings.xml")]
    whole = b"".join(texts)
    return np.diff([*(found.start() for found in _SHARED_TEXT.finditer(whole)), len(whole)])


def _extent(container: zipfile.ZipFile, member: zipfile.ZipInfo, sizes: np.ndarray) -> tuple[int, int, int]:
    """Return the highest column and row of the filled cells in a part of a spreadsheet, and the bytes of shared texts.

    A cell at the edge of two reads may count twice.

    Args:
        container: the spreadsheet.
        member: the part.
        sizes: of the shared texts.
    """
    columns, last_row, text_bytes, rest = {b""}, 0, 0, b""
    with container.open(member) as content:
        while read := content.read(tuning.HASH_READ_BYTES):
            found = _FILLED_CELL.findall(rest + read)
            columns.update(name for name, _ in found)
            last_row = max(last_row, *(int(row) for _, row in found), 0)
            shared = np.array(_SHARING_CELL.findall(rest + read)).astype("int64")
            text_bytes += int(sizes[shared[shared < len(sizes)]].sum())
            rest = read[-_LONGEST_TAG:]
    return max(map(_number_of_column, columns)), last_row, text_bytes


def _number_of_column(name: bytes) -> int:
    number = 0
    for letter in name:
        number = number * 26 + letter - ord("A") + 1
    return number
