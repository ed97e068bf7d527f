"""Proposes the YAML of a source for a CSV file that nobody has described yet."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from include.order_sync.errors import StopError
from include.order_sync.model import IDENTITY_COLUMNS, TIME_COLUMNS, OrderStatus
from include.order_sync.preview.guess_forms import are_decorated, are_ids, date_forms, decimal_sign, have_offsets
from include.order_sync.preview.guess_words import COLUMN_NAMES, FOOTERS, NOTHING, STATUS_WORDS
from include.order_sync.sources.column_names import names_to_show, plain_name
from include.order_sync.sources.csv_header import DELIMITERS
from include.order_sync.sources.csv_text import SAMPLE_BYTES, likely_encoding, open_text
from include.order_sync.transform.reasons import shown_word
from include.order_sync.transform.values import plain_word

_HEADER_WITHIN = 20  # lines
_ROWS = 2000
_WORDS = 40
_DIGITS_WITH_COUNTRY = 11


@dataclass(frozen=True)
class _Sample:
    """The beginning of a file.

    Args:
        encoding: of the file.
        is_sure: whether its bytes tell the encoding.
        delimiter: one character.
        skip: the number of lines before the header.
        names: of the columns; None if the file has no header.
        rows: without the header, none of them blank.
    """

    encoding: str
    is_sure: bool
    delimiter: str
    skip: int
    names: list[str] | None
    rows: list[list[str]]

    def values(self, at: int) -> list[str]:
        """Return the texts of a column that are not empty."""
        return [row[at].strip() for row in self.rows if at < len(row) and row[at].strip()]


def guess(file: Path) -> str:
    """Return YAML that proposes a source; lines that are unsure have a comment with a question mark.

    Args:
        file: a CSV file. What it holds is shown only as names of columns and words of statuses.

    Raises:
        StopError: it can't be read, or is no CSV.
    """
    try:
        sample = _sample(file)
    except OSError as error:
        raise StopError(f"{file} can't be read: {error.strerror}.") from None
    columns, unsure = _columns(sample)
    lines = [
        f"# Proposed for {file.name}. Look at each line with a question mark, put this under `sources`, and try it:",
        "# make preview SOURCE=drop",
        "drop:",
        "  type: csv",
        f"  path: {_quoted(f'{file.absolute().parent}/*{file.suffix}')}",
        *_form_of(sample),
        *_columns_of(sample, columns, unsure),
        *_values_of(sample, columns),
        *_statuses_of(sample, columns),
    ]
    return "\n".join(lines) + "\n"


def _sample(file: Path) -> _Sample:
    words = [word for given in (*COLUMN_NAMES.values(), *STATUS_WORDS.values()) for word in given]
    with file.open("rb") as opened:
        start = opened.read(SAMPLE_BYTES)
        opened.seek(0)
        text = open_text(opened, None, words)
    if start[:2] in (b"PK", b"\x1f\x8b"):
        raise StopError(f"{file} is packed, or no text: unpack it, or save it as CSV, and try that file.")
    is_sure, encoding, decoded = True, text.encoding, text.sample.decode("utf-8", "replace")
    if "\ufffd" in decoded[:-1]:
        encoding, is_sure = likely_encoding(start), False
        if not encoding:
            raise StopError(f"{file} is no text in any encoding that Order Sync knows: save it as CSV in UTF-8.")
        decoded = start.decode(encoding, "replace")
    lines = decoded.splitlines(keepends=True)
    lines = lines[:-1] if len(start) == SAMPLE_BYTES else lines
    if not any(line.strip() for line in lines):
        raise StopError(f"{file} is empty.")
    readings = [(delimiter, list(csv.reader(lines[:_ROWS], delimiter=delimiter))) for delimiter in DELIMITERS.values()]
    delimiter, rows, at = max(
        ((delimiter, rows, at) for delimiter, rows in readings for at in range(min(len(rows), _HEADER_WITHIN))),
        key=lambda reading: (_known(reading[1][reading[2]]), len(reading[1][reading[2]]), -reading[2]),
    )
    names = [name.strip() for name in rows[at]]
    further = [row for row in rows[at + 1 :] if any(field.strip() for field in row)]
    if len(names) < len(IDENTITY_COLUMNS) - 1:
        raise StopError(f"{file} has {len(names)} columns by any of , ; tab |: is it CSV?")
    if _known(names) < 2 and names_to_show(names, {}, further) is None:
        return _Sample(encoding, is_sure, delimiter, 0, None, [row for row in rows if any(row)])
    return _Sample(encoding, is_sure, delimiter, at, names, further)


def _known(names: Sequence[str]) -> int:
    known = {_plain(name) for given in COLUMN_NAMES.values() for name in given}
    return sum(_plain(name) in known for name in names)


def _plain(name: str) -> str:
    """Return a name without what differs between shops: `orderId`, `Order_ID` and `order-id` are one."""
    words = "".join(
        f" {letter}" if before.islower() and letter.isupper() else letter for before, letter in pairwise(f" {name}")
    )
    return plain_name(re.sub(r"[\s_.:,()-]+", " ", words).strip())


def _columns(sample: _Sample) -> tuple[dict[str, int], dict[str, str]]:
    """Return canonical column -> its index, and why some of them are unsure."""
    found: dict[str, int] = {}
    unsure: dict[str, str] = {}
    if sample.names is None:
        return _columns_by_values(sample), dict.fromkeys(COLUMN_NAMES, "by its values: the file has no header")
    names = [_plain(name) for name in sample.names]
    for column, given in COLUMN_NAMES.items():
        fitting = [at for name in given for at, other in enumerate(names) if other == _plain(name)]
        fitting = [at for at in dict.fromkeys(fitting) if at not in found.values() and _fits(column, sample, at)]
        if not fitting and column not in (*IDENTITY_COLUMNS, "customer_id"):
            words = [f" {_plain(name)} " for name in given if len(name) > 3]
            near = [at for at, other in enumerate(names) if any(word in f" {other} " for word in words)]
            fitting = [at for at in near if at not in found.values() and _fits(column, sample, at)]
            if fitting:
                unsure[column] = "a name near to those that are known"
        if fitting:
            found[column] = fitting[0]
            others = [repr(sample.names[at]) for at in fitting[1:3] if column in IDENTITY_COLUMNS]
            if others:
                unsure[column] = f"or {' or '.join(others)}"
    if "status_changed_at" not in found and "created_at" in found:
        found["status_changed_at"] = found["created_at"]
        unsure["status_changed_at"] = "the order's own time: no column tells when its status changed"
    return found, unsure


def _fits(column: str, sample: _Sample, at: int) -> bool:
    values = sample.values(at)
    if column == "order_id":
        return not values or are_ids(values)
    if column in TIME_COLUMNS:
        return not values or date_forms(_times(sample, at)) is not None
    return True


def _plain_word(word: str) -> str:
    """Return a status word without what shop systems put before it: `wc-completed`, `[F] done`."""
    return _plain(re.sub(r"^\s*(\[\w+\]\s*|wc-)", "", word))


def _is_nothing(value: str) -> bool:
    return value.casefold() in NOTHING


def _times(sample: _Sample, at: int) -> list[str]:
    return [value for value in sample.values(at) if not _is_nothing(value)]


def _columns_by_values(sample: _Sample) -> dict[str, int]:
    found: dict[str, int] = {}
    words = {_plain(word) for given in STATUS_WORDS.values() for word in given}
    for at in range(max(map(len, sample.rows))):
        values = sample.values(at)
        tests = {
            "status": any(_plain_word(value) in words for value in values),
            "status_changed_at": date_forms(values) is not None,
            "email": bool(values) and all("@" in value for value in values),
            "order_id": are_ids(values) and len(set(values)) > len(values) // 2,
        }
        for column, is_it in tests.items():
            if is_it and column not in found:
                found[column] = at
                break
    return found


def _form_of(sample: _Sample) -> list[str]:
    lines = []
    if sample.encoding != "utf-8":
        unsure = "" if sample.is_sure else "  # ? by the look of its letters: are they right in `make preview`?"
        lines.append(f"  encoding: {sample.encoding}{unsure}")
    written = {sign: name for name, sign in DELIMITERS.items()}[sample.delimiter]
    lines.append(f"  delimiter: {_quoted(written)}")
    if sample.names is None:
        lines.append("  header: none")
    elif sample.skip:
        lines.append(f"  skip_lines: {sample.skip}")
    last = sample.rows[-1][0].strip() if sample.rows and sample.rows[-1] else ""
    if _plain(last) in FOOTERS:
        lines.append(f"  footers: [{_quoted(last)}]")
    return lines


def _columns_of(sample: _Sample, columns: Mapping[str, int], unsure: Mapping[str, str]) -> list[str]:
    lines = []
    for column, at in columns.items():
        # A column of our own name is found by itself.
        if sample.names and plain_name(sample.names[at]) == column and column not in unsure:
            continue
        name = str(at + 1) if sample.names is None else _quoted(sample.names[at])
        comment = f"  # ? {unsure[column]}" if column in unsure else ""
        lines.append(f"    {column}: {name}{comment}")
    missing = [f"    # ? {column}: no column was found for it" for column in IDENTITY_COLUMNS if column not in columns]
    return ["  columns:", *lines, *missing] if lines else [line.replace("    #", "  #") for line in missing]


def _values_of(sample: _Sample, columns: Mapping[str, int]) -> list[str]:
    lines = []
    times = [_times(sample, columns[column]) for column in TIME_COLUMNS if column in columns]
    forms = list(dict.fromkeys(form for texts in times for form in date_forms(texts) or []))
    if have_offsets([text for texts in times for text in texts]):
        lines.append("  timezone: UTC  # all times have an offset of their own")
    else:
        lines.append("  timezone: UTC  # ? the zone of the shop's clock, as Europe/Kyiv")
    doubtful = [form.rstrip("?") for form in forms if form.endswith("?")]
    if doubtful:
        lines.append(f"  # ? dates: [{doubtful[0]}] or [{doubtful[1]}]: no day above 12 tells, so choose one of them")
    elif forms:
        lines.append(f"  dates: [{', '.join(map(_quoted, forms))}]")
    if "total_cost" in columns and (sign := decimal_sign(sample.values(columns["total_cost"]))):
        lines.append(f"  decimal: {_quoted(sign)}")
    nothing = {value for at in columns.values() for value in sample.values(at) if _is_nothing(value)}
    if nothing:
        lines.append(f"  missing_words: [{', '.join(map(_quoted, sorted(nothing)))}]")
    phones = sample.values(columns["phone"]) if "phone" in columns else []
    if any(
        not phone.startswith(("+", "00")) and len(re.sub(r"\D", "", phone)) < _DIGITS_WITH_COUNTRY for phone in phones
    ):
        lines.append("  # ? phone_country: the country of telephone numbers without its code, as UA")
    if "order_id" in columns and are_decorated(sample.values(columns["order_id"])):
        lines.append("  strip_ids: true")
    return lines


def _statuses_of(sample: _Sample, columns: Mapping[str, int]) -> list[str]:
    words = Counter(sample.values(columns["status"])) if "status" in columns else Counter[str]()
    if len(words) > _WORDS:
        return [f"  statuses: {{}}  # ? the column has {len(words)} different words, so it may be no status"]
    meanings = {_plain(word): status for status, given in STATUS_WORDS.items() for word in given}
    lines, seen = [], set()
    for word, rows in words.most_common():
        status = meanings.get(_plain_word(word))
        if shown_word(word) != word:
            lines.append(f"    # ? a word in {rows} rows that may be personal data")
        elif _is_nothing(word) or plain_word(word) in seen:
            continue
        elif status:
            lines.append(f"    {_quoted(word)}: {status}")
        else:
            lines.append(f"    # ? {_quoted(word)} ({rows} rows): one of {', '.join(OrderStatus)}")
        seen.add(plain_word(word))
    known = any("?" not in line for line in lines)
    return ["  statuses:" if known else "  statuses: {}  # ? no known word", *lines]


def _quoted(text: str) -> str:
    """Return a text as YAML reads it back."""
    return json.dumps(text, ensure_ascii=False)
