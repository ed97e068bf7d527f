"""Erases one person from staged files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

_ID_COLUMNS = ("order_id", "customer_id", "email")
_COLUMNS = (*_ID_COLUMNS, "phone")
# Shorter ones are no phone numbers, but parts of anything.
_FEWEST_DIGITS = 7


@dataclass(frozen=True)
class Person:
    """A person, known by order ids, customer ids, e-mail addresses and phone numbers.

    Args:
        given: the values as they were given.
        values: the same in lower case.
        phones: phone numbers, digits alone.
    """

    given: frozenset[str]
    values: frozenset[str]
    phones: frozenset[str]

    @classmethod
    def of(cls, lines: Iterable[str]) -> Person:
        """Return the person of a list with one value a line."""
        given = frozenset(text for line in lines if (text := line.strip()))
        values = frozenset(text.lower() for text in given)
        return cls(given, values, frozenset(digits for value in values if (digits := _phone(value))))

    def owns(self, row: Mapping[str, Any]) -> bool:
        """Return whether a row (canonical columns, as text) is of this person."""
        ids = (str(row[column]).strip().lower() for column in _ID_COLUMNS if row.get(column) is not None)
        return any(value in self.values for value in ids) or _phone(str(row.get("phone") or "")) in self.phones


@dataclass
class Found:
    """What of a person lay in staged files.

    Args:
        rejected: the number of rejected rows.
        reads: the folders of runs that have not succeeded, with rows of the person.
        order_ids: of all of these rows.
    """

    rejected: int = 0
    reads: list[UPath] = field(default_factory=list)
    order_ids: set[str] = field(default_factory=set)


def find(staging: UPath, person: Person, *, erase: bool) -> Found:
    """Return what of a person lies in staged files.

    Args:
        staging: the folder of all runs.
        person: to find.
        erase: also remove it. Of a run that has not succeeded all staged rows go, because its sums count each of
            them: such a run is then cleared from its extract task on.
    """
    found = Found()
    reads = {path.parent for path in staging.rglob("*") if path.name == "rejected" or _is_rows(path.name)}
    for read in sorted(reads, key=str):
        for path in sorted((read / "rejected").glob("*.parquet"), key=str):
            _find_rejected(path, person, found, erase=erase)
        folders = [folder for folder in read.iterdir() if _is_rows(folder.name)]
        own = {order_id for folder in folders for order_id in _order_ids(folder, person)}
        if own:
            found.reads.append(read)
            found.order_ids |= own
            for folder in folders if erase else ():
                folder.fs.rm(folder.path, recursive=True)
    return found


def _is_rows(name: str) -> bool:
    """Return whether a folder of this name has a read's raw or ready rows, of this release or another one."""
    return name.startswith(("raw-", "ready-"))


def _order_ids(folder: UPath, person: Person) -> Iterator[str]:
    """Yield the order id of each row of a person in a folder of Arrow files."""
    for path in folder.glob("*.arrow"):
        with path.open("rb") as file, pa.ipc.open_file(file) as reader:
            for number in range(reader.num_record_batches):
                batch = reader.get_batch(number)
                for row in batch.select([name for name in _COLUMNS if name in batch.schema.names]).to_pylist():
                    if person.owns(row):
                        yield str(row.get("order_id") or "").strip()


def _find_rejected(path: UPath, person: Person, found: Found, *, erase: bool) -> None:
    table = pq.read_table(pa.BufferReader(path.read_bytes()))
    rows = table.select([name for name in _COLUMNS if name in table.schema.names]).to_pylist()
    own = [row for row in rows if person.owns(row)]
    found.rejected += len(own)
    found.order_ids |= {str(row.get("order_id") or "").strip() for row in own}
    if own and erase:
        rest = table.filter(pa.array([not person.owns(row) for row in rows]))
        with path.open("wb") as file:
            pq.write_table(rest, file)


def _phone(text: str) -> str:
    """Return the digits of a phone number; empty if the text is none."""
    digits = re.sub(r"\D", "", text) if re.fullmatch(r"[+\d\s().-]+", text) else ""
    return digits if len(digits) >= _FEWEST_DIGITS else ""
