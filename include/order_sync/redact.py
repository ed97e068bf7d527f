"""Removes personal data from foreign texts (answers, messages of databases) before they reach a log."""

from __future__ import annotations

import re
from typing import Any

_EMAIL = re.compile(r"[^\s\"'<>(),;:=\[\]{}]+@[^\s\"'<>(),;:=\[\]{}]+")
_DIGITS = re.compile(r"\+?\d[\d ()\-]{5,}\d")
_MARK = r"<(?:e-mail|number)>"
# Up to three words with a capital letter; the replacement looks at the letter.
_WORDS = r"[^\W\d_][^\W\d_.'\u2019-]*\.?(?:[ '\u2019-][^\W\d_][^\W\d_'\u2019-]*\.?){0,3}"
_BESIDE = r"[\s,;|\"'<>()\[\]]{1,5}"
_NAME_BEFORE = re.compile(rf"(?P<name>{_WORDS})(?P<between>{_BESIDE})(?={_MARK})")
_NAME_AFTER = re.compile(rf"(?P<mark>{_MARK})(?P<between>{_BESIDE})(?P<name>{_WORDS})")
# JSON and PostgreSQL's "Key (name)=(value)".
_FIELD = re.compile(
    r"(?P<key>[\"'(]?\b\w*(?:name|address|street|city)\w*[\"')]?\s*[:=]\s*)"
    r"(?P<value>\"(?:[^\"\\]|\\.)*\"|'[^']*'|\([^()]*\))",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"(?P<quote>[\"'`])(?P<text>.*?)(?P=quote)", re.DOTALL)
_ROWS = re.compile(r"\n(?:DETAIL|CONTEXT|HINT|LINE \d+|QUERY|WHERE):", re.IGNORECASE)


def redact(text: str, longest: int = 300) -> str:
    """Return `text` on one line, cut to `longest` characters, with personal data blanked out.

    These are addresses, long numbers, the capitalised words beside them, and fields that are called a name or address.
    """
    line = _FIELD.sub(lambda field: f"{field['key']}<text>", " ".join(text.split()))
    line = _DIGITS.sub("<number>", _EMAIL.sub("<e-mail>", line))
    line = _NAME_BEFORE.sub(lambda found: _without_name(found["name"]) + found["between"], line)
    line = _NAME_AFTER.sub(lambda found: found["mark"] + found["between"] + _without_name(found["name"]), line)
    return line if len(line) <= longest else line[:longest] + "…"


def database_message(error: Any, query: str | None = None) -> str:
    """Return what a database says of a failure, without the rows that it quotes.

    Args:
        error: of the driver. Only the first line of PostgreSQL's is shown: its DETAIL and CONTEXT quote rows.
        query: that failed; then of quoted words only those stay that the query has too.
    """
    match getattr(error, "args", ()):
        case (int(), str(text)):  # MySQL's drivers: a number and a text
            said = text
        case _:
            said = getattr(getattr(error, "diag", None), "message_primary", None) or _ROWS.split(str(error))[0]
    if query is not None:
        said = _QUOTED.sub(lambda found: found[0] if found["text"] in query else "<text>", said)
    return redact(said)


def _without_name(words: str) -> str:
    """Return the words without those from the first with a capital letter to the last such one."""
    kept = [word for word in words.split(" ") if not word[:1].isupper()]
    return words if len(kept) == len(words.split(" ")) else " ".join([*kept, "<name>"])
