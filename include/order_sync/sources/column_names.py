"""Finds the canonical columns among a source's own, by the names that the configuration gives them."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence

from include.order_sync import stops
from include.order_sync.counted import counted
from include.order_sync.errors import StopError
from include.order_sync.model import IDENTITY_COLUMNS, ORDER_COLUMNS

Required = Sequence[str | tuple[str, ...]]
# Canonical column -> the source's name for it, or several of which it has one.
Names = Mapping[str, str | Sequence[str]]

# No name of a column has these: a control character, an address, a date, a year, a long number, a number alone.
_DATA = re.compile(r"[\x00-\x1f]|@|\d{4}-\d\d|\d\d[./]\d\d[./]\d\d|\b(?:19|20)\d\d\b|\d{5}|^[+\d\s().:,/-]+$")
# Of the names of a message.
_SHOWN_NAMES = 50
_SHOWN_CHARACTERS = 60


def find_columns(
    names: Sequence[str],
    columns: Names,
    required: Required,
    where: str,
    *,
    shown: Sequence[str] | None = None,
    given: Collection[str] = (),
) -> dict[str, int]:
    """Return canonical column -> its index among the source's own columns.

    A name that is there as it is written comes first; else case, accents and blanks do not count.

    Args:
        names: the source's own columns, in their order.
        columns: from the configuration; a column that is not there has its canonical name.
        required: canonical columns that must be there; of a tuple in it, at least one.
        where: the source and the query or file, for the message.
        shown: the names that the message may show; None for all that do not look like data.
        given: canonical columns that come from elsewhere.

    Raises:
        StopError: columns are missing or there twice; the message has all of them.
    """
    shown = [name for name in names if not looks_like_data(name)] if shown is None else shown
    faults: list[str] = []
    found = {}
    for column in ORDER_COLUMNS:
        at = index_of(names, columns.get(column, column), faults)
        if at is not None:
            found[column] = at
    for column, name in columns.items():
        if column not in found and column in ORDER_COLUMNS:
            faults.append(missing(f"`columns` takes {column} from", name, shown))
    for need in (*IDENTITY_COLUMNS, *required):
        any_of = {need} if isinstance(need, str) else set(need)
        if not any_of & {*found, *columns, *given}:
            wanted = [need] if isinstance(need, str) else list(need)
            faults.append(f"no column {' or '.join(wanted)}{_hint(wanted, shown)}")
    if faults:
        raise StopError(
            stops.COLUMNS,
            f"{where}: {'; '.join(dict.fromkeys(faults))}. {listed(names, shown)}. "
            "Name them in the source's `columns`, add them to the source, or give them by `defaults`.",
        )
    return found


def index_of(names: Sequence[str], wanted: str | Sequence[str], faults: list[str]) -> int | None:
    """Return where the column of this name, or of the first of these names, stands; None if it is not there.

    A name that stands there twice is added to `faults`.
    """
    for name in [wanted] if isinstance(wanted, str) else wanted:
        for form in (str, plain_name):
            places = [at for at, other in enumerate(names) if form(other) == form(name)]
            if len(places) > 1:
                faults.append(f"column {name!r} is there twice")
            if places:
                return places[0]
    return None


def missing(wanted_by: str, name: str | Sequence[str], shown: Sequence[str]) -> str:
    """Return what is said of a configured column that is not there."""
    wanted = [name] if isinstance(name, str) else list(name)
    return f"{wanted_by} {' or '.join(map(repr, wanted))}, which is not there{_hint(wanted, shown)}"


def _hint(wanted: Sequence[str], shown: Sequence[str]) -> str:
    """Return which of the names that may be shown is near to a wanted one; empty if none is."""
    near = {_letters(name): name for name in reversed(shown)}
    close = [match for one in wanted for match in difflib.get_close_matches(_letters(one), near, 1)]
    return f" (did you mean {near[close[0]]!r}?)" if close else ""


def _letters(name: str) -> str:
    return "".join(sign for sign in plain_name(name) if sign.isalnum())


def plain_name(name: str) -> str:
    """Return the name without what shops change in it unseen: case, accents, kinds of blanks, invisible characters."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    seen = [one for one in letters if unicodedata.category(one) not in ("Mn", "Cf")]
    return " ".join("".join(seen).split())


def looks_like_data(name: str) -> bool:
    """Return whether a name of a column may be a person's data."""
    return len(name) > _SHOWN_CHARACTERS or bool(_DATA.search(name))


def names_to_show(names: Sequence[str], columns: Names, rows: Sequence[Sequence[str]]) -> list[str] | None:
    """Return which fields of a file's first line a message may show; None if that line looks like data.

    A name is shown only if it looks like a column's name, and no cell of the further rows equals it.

    Args:
        names: the fields of the line.
        columns: from the configuration.
        rows: further rows of the file.
    """
    configured = [name for given in columns.values() for name in ([given] if isinstance(given, str) else given)]
    known = {plain_name(name) for name in (*ORDER_COLUMNS, *configured)}
    cells = {plain_name(cell) for row in rows for cell in row}
    fit = [name for name in names if not looks_like_data(name) and plain_name(name) not in cells]
    if sum(plain_name(name) in known for name in names) >= 2:
        return fit
    # Names of columns have no digits where all values below them have some.
    by_column = [[row[at] for row in rows if at < len(row) and row[at].strip()] for at in range(len(names))]
    is_header = any(
        column and not _has_digit(name) and all(map(_has_digit, column))
        for name, column in zip(names, by_column, strict=True)
    )
    if len(fit) < len([name for name in names if name]) or (rows and not is_header):
        return None
    return fit if rows else []


def _has_digit(text: str) -> bool:
    return any(character.isdigit() for character in text)


def listed(names: Sequence[str], shown: Sequence[str]) -> str:
    """Return which columns a source has, without names that may be data."""
    few = [repr(name) for name in shown[:_SHOWN_NAMES]]
    if not few:
        return f"It has {counted(len(names), 'column')}: a name may be data, and is not shown"
    more = f" and {len(names) - len(few)} more" if len(few) < len(names) else ""
    return f"It has {', '.join(few)}{more}"
