"""Proposes the YAML of a source for a CSV file that nobody has described yet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from include.order_sync import stops
from include.order_sync.errors import StopError
from include.order_sync.model import IDENTITY_COLUMNS, TIME_COLUMNS
from include.order_sync.preview.guess_forms import are_decorated, are_ids, date_forms, decimal_sign, have_offsets
from include.order_sync.preview.guess_items import item_columns, json_keys, lines_of
from include.order_sync.preview.guess_sample import Sample, read_sample
from include.order_sync.preview.guess_statuses import is_nothing, meaning, quoted, status_columns, statuses_of
from include.order_sync.preview.guess_words import COLUMN_NAMES, FOOTERS, plain, squeezed
from include.order_sync.sources.column_names import plain_name
from include.order_sync.sources.csv_header import DELIMITERS

_DIGITS_WITH_COUNTRY = 11


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
    columns, unsure = _columns(sample)
    items = _items_of(sample, columns)
    lines = [
        f"# Proposed for {file.name}. Look at each line with a question mark, put this under `sources`, and try it:",
        "# make preview SOURCE=drop",
        "drop:",
        "  type: csv",
        f"  path: {quoted(f'{file.absolute().parent}/*{file.suffix}')}",
        *_form_of(sample),
        *_columns_of(sample, columns, unsure),
        *items,
        *_values_of(sample, columns),
        *statuses_of(sample, columns),
    ]
    return "\n".join(lines) + "\n"


def _columns(sample: Sample) -> tuple[dict[str, int], dict[str, str]]:
    """Return canonical column -> its index, and why some of them are unsure."""
    found: dict[str, int] = {}
    unsure: dict[str, str] = {}
    if sample.names is None:
        return _columns_by_values(sample), dict.fromkeys(COLUMN_NAMES, "by its values: the file has no header")
    names = [plain(name) for name in sample.names]
    for column, given in COLUMN_NAMES.items():
        exact = [other.replace(" ", "") for other in names]
        fitting = [at for name in given for at, other in enumerate(exact) if other == squeezed(name)]
        fitting = [at for at in dict.fromkeys(fitting) if at not in found.values() and _fits(column, sample, at)]
        if not fitting and column not in (*IDENTITY_COLUMNS, "customer_id"):
            words = [f" {plain(name)} " for name in given if len(name) > 3]
            near = [at for at, other in enumerate(names) if any(word in f" {other} " for word in words)]
            fitting = [at for at in near if at not in found.values() and _fits(column, sample, at)]
            if fitting:
                unsure[column] = "a name near to those that are known"
        if column == "status":  # some exports have its number beside its word
            fitting.sort(key=lambda at: not any(map(meaning, sample.values(at))))
        if fitting:
            found[column] = fitting[0]
            others = [repr(sample.names[at]) for at in fitting[1:3] if column in IDENTITY_COLUMNS]
            if others and column != "status":
                unsure[column] = f"or {' or '.join(others)}"
    if "status_changed_at" not in found and "created_at" in found:
        found["status_changed_at"] = found["created_at"]
        unsure["status_changed_at"] = "the order's own time; or leave it out, and say `status_time: file`"
    return found, unsure


def _fits(column: str, sample: Sample, at: int) -> bool:
    values = sample.values(at)
    if column == "order_id":
        return not values or are_ids(values)
    if column == "customer_id":  # in many exports it is called so, and has names
        return not values or are_ids(values) or all("@" in value for value in values)
    if column == "items":
        return json_keys(values) is not None
    if column in TIME_COLUMNS:
        return not values or date_forms(_times(sample, at)) is not None
    return True


def _times(sample: Sample, at: int) -> list[str]:
    return [value for value in sample.values(at) if not is_nothing(value)]


def _columns_by_values(sample: Sample) -> dict[str, int]:
    found: dict[str, int] = {}
    for at in range(max(map(len, sample.rows))):
        values = sample.values(at)
        tests = {
            "status": any(map(meaning, values)),
            "status_changed_at": date_forms(values) is not None,
            "email": bool(values) and all("@" in value for value in values),
            "order_id": are_ids(values) and len(set(values)) > len(values) // 2,
        }
        for column, is_it in tests.items():
            if is_it and column not in found:
                found[column] = at
                break
    return found


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
    last = sample.rows[-1][0].strip() if sample.rows and sample.rows[-1] else ""
    if plain(last) in FOOTERS:
        lines.append(f"  footers: [{quoted(last)}]")
    return lines


def _columns_of(sample: Sample, columns: Mapping[str, int], unsure: Mapping[str, str]) -> list[str]:
    lines = []
    several = len(status_columns(sample, columns)) > 1
    for column, at in columns.items():
        if column == "status" and several:
            continue  # `status_from` has them
        # A column of our own name is found by itself.
        if sample.names and plain_name(sample.names[at]) == column and column not in unsure:
            continue
        name = str(at + 1) if sample.names is None else quoted(sample.names[at])
        comment = f"  # ? {unsure[column]}" if column in unsure else ""
        lines.append(f"    {column}: {name}{comment}")
    missing = [f"    # ? {column}: no column was found for it" for column in IDENTITY_COLUMNS if column not in columns]
    if "status_changed_at" not in columns:
        missing[-1] = "  status_time: file  # ? no column has the time of a status, so the file's own time is taken"
    if "status" not in columns:
        missing.append("  # ? defaults: {status: new}, if all orders of a file have one status")
    return ["  columns:", *lines, *missing] if lines else [line.replace("    #", "  #") for line in missing]


def _items_of(sample: Sample, columns: dict[str, int]) -> list[str]:
    """Return the lines about items; columns of items are taken out of `columns`, which has those of orders."""
    lines = []
    found = item_columns(json_keys(sample.values(columns["items"])) or []) if "items" in columns else {}
    if several := lines_of(sample.rows, columns):
        how, number = several
        lines.append(f"  lines: {how}  # the rows {number} and {number + 1} are of one order")
        names = sample.names or []
        taken = {names[columns[column]] for column in IDENTITY_COLUMNS if column in columns and names}
        found = {column: name for column, name in item_columns(names).items() if name not in taken}
        for column in [column for column, at in columns.items() if names and names[at] in found.values()]:
            del columns[column]
        if not found:
            lines.append("  # ? item_columns: no column of items was found")
    if found:
        lines += ["  item_columns:", *(f"    {column}: {quoted(name)}" for column, name in found.items())]
    return lines


def _values_of(sample: Sample, columns: Mapping[str, int]) -> list[str]:
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
        lines.append(f"  dates: [{', '.join(map(quoted, forms))}]")
    if "total_cost" in columns and (sign := decimal_sign(sample.values(columns["total_cost"]))):
        lines.append(f"  decimal: {quoted(sign)}")
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
