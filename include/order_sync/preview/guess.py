"""Proposes the YAML of a source for a CSV file that nobody has described yet."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from include.order_sync import stops
from include.order_sync.counted import counted
from include.order_sync.errors import StopError
from include.order_sync.model import IDENTITY_COLUMNS, ORDER_COLUMNS, TIME_COLUMNS
from include.order_sync.preview.guess_columns import Columns, columns_of, misfits, times_in
from include.order_sync.preview.guess_forms import (
    are_decorated,
    date_forms,
    decimal_sign,
    have_offsets,
    no_amounts,
    times_of,
)
from include.order_sync.preview.guess_items import item_columns, json_keys, lines_of
from include.order_sync.preview.guess_sample import Sample, read_sample
from include.order_sync.preview.guess_statuses import is_nothing, quoted, status_columns, statuses_of
from include.order_sync.preview.guess_steps import Steps, steps_of
from include.order_sync.sources.column_names import looks_like_data, plain_name
from include.order_sync.sources.csv_header import DELIMITERS

_DIGITS_WITH_COUNTRY = 11
_WIDTH = 112


def guess(file: Path) -> str:
    """Return YAML that proposes a source; lines that are unsure have a comment with a question mark.

    Args:
        file: a CSV file, also packed, or a spreadsheet. What it holds is shown only as names of columns and words of
            statuses.

    Raises:
        StopError: it can't be read, or is no CSV.
    """
    try:
        sample = read_sample(file)
    except OSError as error:
        raise StopError(stops.SMALL_FILE, f"{file} can't be read: {error.strerror}.") from None
    columns = columns_of(sample)
    items, taken = _items_of(sample, columns.found)
    steps = steps_of(sample) if "status" not in columns.found else Steps()
    if steps.has_all_times and "status_changed_at" in columns.unsure:
        del columns.found["status_changed_at"]
    statuses = steps.lines or statuses_of(sample, columns.found)
    taken |= {at for at, name in enumerate(sample.names or []) if f"{{column: {quoted(name)}" in "\n".join(statuses)}
    lines = [
        f"# Proposed for {file.name}. Look at each line with a question mark, put this under `sources` of a copy of",
        "# order_sync.yaml, and try it: make preview SOURCE=drop CONFIG=copy.yaml",
        "drop:",
        "  type: csv",
        f"  path: {quoted(f'{file.absolute().parent}/*{file.suffix}')}",
        *_form_of(sample),
        *_columns_of(sample, columns, taken, steps),
        *items,
        *_values_of(sample, columns.found, steps.times),
        *statuses,
    ]
    return "\n".join(lines) + "\n"


def _form_of(sample: Sample) -> list[str]:
    lines = []
    if sample.encoding != "utf-8":
        unsure = "" if sample.is_sure else "  # ? by the look of its letters: are they right in `make preview`?"
        lines.append(f"  encoding: {sample.encoding}{unsure}")
    written = {sign: name for name, sign in DELIMITERS.items()}[sample.delimiter]
    lines.append(f"  delimiter: {quoted(written)}")
    if sample.names is None:
        lines.append("  header: none")
    elif sample.skip:
        lines.append(f"  skip_lines: {sample.skip}")
    if sample.footer:
        lines.append(f"  footers: [{quoted(sample.footer)}]")
    return lines


def _columns_of(sample: Sample, columns: Columns, taken: Collection[int], steps: Steps) -> list[str]:
    """Return the lines of `columns`, and comments about those that are missing and those that are not used.

    Args:
        sample: the beginning of the file.
        columns: of it.
        taken: indexes of columns that other keys name.
        steps: that give the status, if no column does, and perhaps its time.
    """
    lines, own, used = [], [], {*taken, *columns.found.values()}
    several = len(status_columns(sample, columns.found)) > 1
    for column, at in columns.found.items():
        if column == "status" and several:
            continue  # `status_from` has them
        said = [f"? {columns.unsure[column]}"] if column in columns.unsure else []
        said += [text for text in [misfits(column, sample, at)] if text]
        if sample.names and plain_name(sample.names[at]) == column and not said:
            own.append(column)  # a column of our own name is found by itself
            continue
        name = str(at + 1) if sample.names is None else quoted(sample.names[at])
        lines.append(f"    {column}: {name}" + (f"  # {'; '.join(said)}" if said else ""))
    for at, name in enumerate(sample.names or []):
        if (column := plain_name(name)) in ORDER_COLUMNS and column not in columns.found:
            own.append(f"{column} (but most of its cells do not fit)" if at in columns.refused else column)
            used.add(at)
    missing = [
        f"    # ? {column}: no column was found for it"
        for column in IDENTITY_COLUMNS
        if column not in (*columns.found, *own, *(["status"] if steps.lines else []))
        and (column != "status_changed_at" or not steps.has_all_times)
    ]
    if "status_changed_at" not in (*columns.found, *own) and not steps.has_all_times:
        missing[-1] = "  status_time: file  # ? no column has the time of a status, so the file's own time is taken"
    if "status" not in columns.found and not steps.lines:
        missing.append("  # ? defaults: {status: new}, if all orders of a file have one status")
    said = ["  # with the canonical name already: " + ", ".join(own)] if own else []
    said += _not_used(sample, columns.refused, used)
    return [*(["  columns:", *lines, *missing] if lines else [line.replace("    #", "  #") for line in missing]), *said]


def _not_used(sample: Sample, refused: Mapping[int, str], used: Collection[int]) -> list[str]:
    names = sample.names or [str(at + 1) for at in range(max(map(len, sample.rows)))]
    rest = [at for at, name in enumerate(names) if name and at not in used]
    shown = [at for at in rest if sample.names is None or not looks_like_data(names[at])]
    said = [
        f"{quoted(names[at]) if sample.names else names[at]}"
        + (f" (its name is known for {refused[at]}, but most of its cells do not fit)" if at in refused else "")
        for at in shown
    ]
    said += [f"{counted(len(rest) - len(shown), 'column')} with a name that looks like data"] if rest != shown else []
    return textwrap.wrap(
        ", ".join(said),
        _WIDTH,
        initial_indent="  # columns that are not used: ",
        subsequent_indent="  #   ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _items_of(sample: Sample, columns: dict[str, int]) -> tuple[list[str], set[int]]:
    """Return the lines about items, and the indexes of their columns, which are taken out of `columns`."""
    lines, places = [], set()
    found = item_columns(json_keys(sample.values(columns["items"]))) if "items" in columns else {}
    if several := lines_of(sample.rows, columns):
        how, number = several
        lines.append(f"  lines: {how}  # the rows {number} and {number + 1} are of one order")
        names = sample.names or []
        taken = {names[columns[column]] for column in IDENTITY_COLUMNS if column in columns and names}
        found = {column: name for column, name in item_columns(names).items() if name not in taken}
        places = {at for at, name in enumerate(names) if name in found.values()}
        for column in [column for column, at in columns.items() if at in places]:
            del columns[column]
        if not found:
            lines.append("  # ? item_columns: no column of items was found")
    if found:
        lines += ["  item_columns:", *(f"    {column}: {quoted(name)}" for column, name in found.items())]
    return lines, places


def _values_of(sample: Sample, columns: Mapping[str, int], steps: Sequence[int]) -> list[str]:
    lines = []
    places = dict.fromkeys([*(columns[column] for column in TIME_COLUMNS if column in columns), *steps])
    times = [times_of(times_in(sample, at)) for at in places]
    forms = list(dict.fromkeys(form for texts in times for form in date_forms(texts) or []))
    if have_offsets([text for texts in times for text in texts]):
        lines.append("  timezone: UTC  # all times have an offset of their own")
    else:
        lines.append("  timezone: UTC  # ? the zone of the shop's clock, as Europe/Kyiv")
    doubtful = [form.rstrip("?") for form in forms if form.endswith("?")]
    if doubtful:
        lines.append(f"  # ? dates: [{doubtful[0]}] or [{doubtful[1]}]: no day above 12 tells, so choose one of them")
    elif forms:
        lines.append(f"  dates: [{', '.join(map(quoted, forms))}]")
    if "total_cost" in columns and (sign := decimal_sign(sample.values(columns["total_cost"]))):
        amounts = sample.values(columns["total_cost"])
        bad = no_amounts(amounts, sign)
        lines.append(f"  decimal: {quoted(sign)}" + (f"  # {bad} of {len(amounts)} amounts differ" if bad else ""))
    nothing = {value for at in columns.values() for value in sample.values(at) if is_nothing(value)}
    if nothing:
        lines.append(f"  missing_words: [{', '.join(map(quoted, sorted(nothing)))}]")
    phones = sample.values(columns["phone"]) if "phone" in columns else []
    if any(
        not phone.startswith(("+", "00")) and len(re.sub(r"\D", "", phone)) < _DIGITS_WITH_COUNTRY for phone in phones
    ):
        lines.append("  # ? phone_country: the country of telephone numbers without its code, as UA")
    if "customer_id" not in columns and {"email", "phone"} & columns.keys():
        lines.append("  # ? customer_id_from: [email], if a service needs the id of a customer, as Yespo does")
    if "total_cost" in columns and "currency" not in columns:
        lines.append("  # ? defaults: {currency: UAH}, with the shop's own")
    ids = [
        value for column in ("order_id", "customer_id") if column in columns for value in sample.values(columns[column])
    ]
    if are_decorated(ids):
        lines.append("  strip_ids: true")
    return lines
