"""The texts in a file of a drop: itself, or those that gzip, zip or a spreadsheet hold, by its first bytes.

What a container unpacks to is bounded by its own size: a bomb is refused before it fills a disk or the memory.
"""

from __future__ import annotations

import codecs
import gzip
import logging
import zipfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from include.order_sync import tuning
from include.order_sync.counted import named
from include.order_sync.sources.csv_records import UnreadableError
from include.order_sync.sources.csv_text import Readable
from include.order_sync.sources.damage import damage_is
from include.order_sync.sources.spreadsheets import rows_of_spreadsheet

if TYPE_CHECKING:
    from include.order_sync.configuration.csv_source import CsvSource

log = logging.getLogger(__name__)

# https://www.rfc-editor.org/rfc/rfc1952#section-2.3.1 and, of zip, APPNOTE 4.3.7
_GZIP, _ZIP, _EMPTY_ZIP = b"\x1f\x8b", b"PK\x03\x04", b"PK\x05\x06"
_WORKBOOK = "xl/workbook.xml"
# How contents begin that are no CSV. https://www.iana.org/assignments/media-types, https://www.garykessler.net/library
_OTHER_KINDS = {
    _GZIP: "is packed twice: unpack it once",
    _ZIP: "is a packed file or spreadsheet within a container: unpack the container",
    b"\xd0\xcf\x11\xe0": "is a spreadsheet of the old form (.xls), or has a password: save it as .xlsx or CSV",
    b"\x09\x08": "is a spreadsheet of the old form (.xls): save it as .xlsx or CSV",
    b"%PDF": "is a PDF: export the orders as CSV",
    b"Rar!": "is a RAR archive: pack it as zip or gzip",
    b"7z\xbc\xaf": "is a 7-Zip archive: pack it as zip or gzip",
    b"BZh": "is packed by bzip2: pack it by gzip",
    b"\xfd7zXZ": "is packed by xz: pack it by gzip",
    b"\x28\xb5\x2f\xfd": "is packed by zstd: pack it by gzip",
    b"PAR1": "is a Parquet file: export the orders as CSV",
    b"SQLite format 3": "is an SQLite database: read it as a source of `type: sql`",
    b"<!doctypehtml": "is a web page, as of an error or a login: correct the job that fetches the file",
    b"<html": "is a web page, as of an error or a login: correct the job that fetches the file",
    b"<table": "is a web page, though its name may end in .xls: save it as .xlsx or CSV",
    b"<?xml": "is XML: export the orders as CSV",
    b"[{": "is JSON: export the orders as CSV",
    b'{"': "is JSON: export the orders as CSV",
}
# https://www.gnu.org/software/tar/manual/html_node/Standard.html
_TAR_AT, _TAR = 257, b"ustar"
_LONGEST_BEGINNING = _TAR_AT + len(_TAR)
# Beside files with these endings those with others are no orders: a readme, a checksum.
_TABLES = (".csv", ".tsv")
_OF_SYSTEMS = {"thumbs.db", "desktop.ini"}
# Files by which other documents are known that are zips too: .xlsb, OpenDocument, Word.
_OTHER_DOCUMENTS = {"xl/workbook.bin", "mimetype", "word/document.xml"}


def texts_of(
    file: BinaryIO, size: int, delimiter: str, where: str, source: CsvSource | None = None
) -> Iterator[tuple[str, Readable]]:
    """Yield each text in a file: its name within a container, empty for the file itself, and its content.

    Args:
        file: at its first byte; a zip or spreadsheet must be seekable.
        size: of the file, in bytes.
        delimiter: to write the rows of a spreadsheet with.
        where: the file, for the log.
        source: from the configuration; None if nothing is known of the file yet.

    Raises:
        UnreadableError: the container is damaged, empty or a bomb. Reading a content raises it if that is no text, too:
            then the others can be read all the same.
    """
    begin = file.read(len(_ZIP))
    if begin in (_ZIP, _EMPTY_ZIP):
        file.seek(0)
        yield from _of_zip(file, size, delimiter, where, source)
    elif begin.startswith(_GZIP):
        file.seek(0)
        # mode "rb" reads all members of a file that was appended to.
        yield "gzip", _text(_Unpacked(gzip.GzipFile(fileobj=file, mode="rb"), size))
    else:
        yield "", _text(_Rest(begin, file))


def _text(content: Readable) -> Readable:
    """Return a content that begins as a text may; raise UnreadableError for another."""
    begin = content.read(_LONGEST_BEGINNING)
    start = b"".join(begin.removeprefix(codecs.BOM_UTF8).lower().split())
    for mark, kind in _OTHER_KINDS.items():
        if begin.startswith(mark) or start.startswith(mark):
            raise UnreadableError(kind)
    if begin[_TAR_AT:].startswith(_TAR):
        raise UnreadableError("is a tar archive: pack its files as zip or gzip")
    return _Rest(begin, content)


class _Rest:
    """A content whose first bytes were read."""

    def __init__(self, begin: bytes, rest: Readable) -> None:
        self._begin, self._rest = begin, rest

    def read(self, size: int) -> bytes:
        begin, self._begin = self._begin, b""
        return begin + self._rest.read(size - len(begin)) if len(begin) < size else begin


class _Unpacked:
    """The content of a container, up to a bound."""

    def __init__(self, content: Any, packed: int) -> None:
        self._content = content
        self._left = max(tuning.UNPACKED_SURELY_BYTES, packed * tuning.UNPACKED_TIMES)

    def read(self, size: int) -> bytes:
        with damage_is("is a damaged container: copy it anew"):
            data: bytes = self._content.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise UnreadableError(
                f"unpacks to more than {tuning.UNPACKED_TIMES} times its size, as only a bomb does: unpack it by hand"
            )
        return data


class _Member:
    """The content of a file in a zip, which is opened when it is read."""

    def __init__(self, container: zipfile.ZipFile, member: zipfile.ZipInfo, size: int) -> None:
        self._container, self._member, self._size = container, member, size
        self._text: Readable | None = None

    def read(self, size: int) -> bytes:
        if self._text is None:
            self._text = _text(_Unpacked(self._opened(), self._size))
        return self._text.read(size)

    def _opened(self) -> IO[bytes]:
        if self._member.flag_bits & 1:
            raise UnreadableError("is encrypted: let the zip file be written without a password")
        with damage_is("is damaged, or packed in an unknown way: pack the zip file by deflate"):
            return self._container.open(self._member)


def _of_zip(
    file: BinaryIO, size: int, delimiter: str, where: str, source: CsvSource | None
) -> Iterator[tuple[str, Readable]]:
    with damage_is("is a damaged zip file, or one of an unknown form: copy it, or pack it, anew"):
        container = zipfile.ZipFile(file)
    # A damaged one may have a file without a name.
    named_ones = [member for member in container.infolist() if member.filename]
    members = [member for member in named_ones if not member.is_dir() and not _is_hidden(member.filename)]
    if any(member.filename == _WORKBOOK for member in members):
        yield "spreadsheet", rows_of_spreadsheet(file, container, delimiter, where, source)
        return
    if any(member.filename in _OTHER_DOCUMENTS for member in members):
        raise UnreadableError("is a document of another form than .xlsx: save it as .xlsx or CSV")
    if not members:
        raise UnreadableError("is a zip file without files: pack it anew")
    tables = [member for member in members if member.filename.lower().endswith(_TABLES)]
    passed_over = sorted(member.filename for member in members if tables and member not in tables)
    if passed_over:
        log.warning("%s: only its %s files are read, and not %s", where, " and ".join(_TABLES), named(passed_over))
    for member in sorted(tables or members, key=lambda member: member.filename):
        yield member.filename, _Member(container, member, size)


def _is_hidden(name: str) -> bool:
    """Return whether a file in a zip is one that systems put there beside those of a person."""
    return any(part.startswith((".", "__MACOSX")) or part.lower() in _OF_SYSTEMS for part in name.split("/"))
