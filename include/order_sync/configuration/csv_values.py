"""Values of the keys of a CSV drop: encodings, times in paths, and rules for statuses."""

from __future__ import annotations

import codecs
from typing import Any

from pydantic import Field, ValidationInfo, field_validator

from include.order_sync.configuration.values import Section

# Of a time in a file's path. A year of two digits is of this century.
PATH_TIMES = {"%Y": r"\d{4}"} | dict.fromkeys(("%y", "%m", "%d", "%H", "%M", "%S"), r"\d{2}")


# Python's encodings of other things than files.
_NO_FILES = ("idna", "punycode", "unicode-escape", "raw-unicode-escape")


def known_encoding(name: str) -> str:
    """Return the name of an encoding of text as Python knows it; raise ValueError for another."""
    try:
        known = codecs.lookup(name).name
        ",".encode(known)
        if known in _NO_FILES:
            raise LookupError
    except (LookupError, UnicodeError):
        raise ValueError(
            "there is no such encoding; known: utf-8, utf-16, windows-1250, windows-1251, windows-1252, cp437, cp850, "
            "cp866, koi8-r, shift_jis, and the others of Python"
        ) from None
    return known


class StatusRule(Section):
    """One way to the status word of a row, from one of its columns."""

    column: str = Field(description="the file's name for the column, or its number", min_length=1)
    is_: list[str] = Field([], alias="is", description="a list of texts, in any case; without it any text but none")
    word: str | None = Field(None, description="one of the words of `statuses`; without it the column's own text")
    time: bool = Field(False, description="true: the column's text is the time of the status")

    @field_validator("column", mode="before")
    @classmethod
    def _numbered(cls, column: Any) -> Any:
        return str(column) if type(column) is int else column

    @field_validator("time")
    @classmethod
    def _with_word(cls, time: bool, info: ValidationInfo) -> bool:
        if time and not info.data.get("word"):
            raise ValueError("a column of times has no status word: give `word`")
        return time
