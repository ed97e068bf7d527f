"""Reads the first sheet that a person sees of a spreadsheet (.xlsx) as CSV."""

from __future__ import annotations

import csv
import io
import logging
import re
import zipfile
import zlib
from datetime import date, datetime
from typing import Any, BinaryIO

from include.order_sync import tuning
from include.order_sync.sources.csv_records import UnreadableError
from include.order_sync.sources.csv_text import Readable

log = logging.getLogger(__name__)

# From here on a spreadsheet has lost digits of a number: it keeps 15. Written so, its id is refused.
_LOST = 1e15
# ECMA-376 part 1, 18.3.1.4. A cell that has only a style is closed at once, and makes no area.
_FILLED_CELL = re.compile(rb"<(?:\w+:)?c\b[^>]*?\br=[\"']([A-Z]{1,3})([0-9]{1,7})[\"'][^>]*(?<!/)>")
_LONGEST_TAG = 1000


def rows_of_spreadsheet(file: BinaryIO, container: zipfile.ZipFile, delimiter: str, where: str) -> Readable:
    """Return the rows of the first sheet that is not hidden as CSV, one line each.

    Args:
        file: the spreadsheet.
        container: the same, as a zip file.
        delimiter: of the CSV.
        where: the file, for the log.

    Raises:
        UnreadableError: it would not fit into memory, or can't be read.
    """
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
        raise UnreadableError("is a spreadsheet that can't be read: export it as CSV") from None
    if filled:
        log.warning("%s: its first sheet is read, and %d others with rows are not", where, len(filled))
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerows([_cell(value) for value in row] for row in rows)
    return io.BytesIO(text.getvalue().encode("utf-8", "replace"))


def _cell(value: Any) -> str:
    """Return a cell as text. Line breaks become blanks, so that a row is one line, with the row's number."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        if value.is_integer():
            return str(int(value)) if abs(value) < _LOST else f"{value:.5E}"
        return repr(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    return " ".join(str(value).splitlines())


def _refuse_large(container: zipfile.ZipFile) -> None:
    """Raise UnreadableError if a spreadsheet is too large: its texts, or the area that the library makes for its cells.

    One filled cell in the last column of the last row makes an area of 17 billion: the process would end, not the file.
    """
    parts = [member for member in container.infolist() if member.filename.lower().endswith(".xml")]
    if sum(member.file_size for member in parts) > tuning.SHEETS_MAX_BYTES:
        raise UnreadableError(
            f"is a spreadsheet of more than {tuning.SHEETS_MAX_BYTES} bytes, which would not fit into memory: "
            "export it as CSV"
        )
    for member in parts:
        column, row = _last_cell(container, member)
        if column * row > tuning.SHEET_CELLS_MAX:
            raise UnreadableError(
                f"is a spreadsheet with cells up to column {column} and row {row}, which would not fit into memory: "
                "delete those that stand apart, or export it as CSV"
            )


def _last_cell(container: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[int, int]:
    """Return the highest column and row of the filled cells in a part of a spreadsheet; 0 without any."""
    columns, last_row, rest = {b""}, 0, b""
    try:
        with container.open(member) as content:
            while read := content.read(tuning.HASH_READ_BYTES):
                found = _FILLED_CELL.findall(rest + read)
                columns.update(name for name, _ in found)
                last_row = max(last_row, *(int(row) for _, row in found), 0)
                rest = read[-_LONGEST_TAG:]
    except (NotImplementedError, zipfile.BadZipFile, zlib.error, EOFError):
        raise UnreadableError("is a spreadsheet that can't be read: export it as CSV") from None
    return max(map(_number_of_column, columns)), last_row


def _number_of_column(name: bytes) -> int:
    number = 0
    for letter in name:
        number = number * 26 + letter - ord("A") + 1
    return number
