"""The keys of a CSV drop: where its files lie, and how they are read."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from include.order_sync.configuration.csv_values import PATH_TIMES, StatusRule, known_encoding
from include.order_sync.configuration.source_entry import SourceEntry
from include.order_sync.configuration.values import PROJECT, known_key
from include.order_sync.model import ORDER_COLUMNS


class CsvSource(SourceEntry):
    """A CSV drop: a glob, and the rule by which a file belongs to a window."""

    type: Literal["csv"] = Field(description="sql or csv")
    path: str = Field(description="a glob: a folder of this machine, or an object storage's address", min_length=1)
    path_time: str | None = Field(
        None,
        description="the form of date and hour in a file's path, as %Y-%m-%d/orders-%H.csv; "
        "without it a file's modified time tells its window",
    )
    ignore_case: bool = Field(False, description="true: the case of letters in `path` does not count")
    settle_seconds: int = Field(
        0, ge=0, le=86400, description="a file that was modified so few seconds ago is left to a later run"
    )
    connection: str | None = Field(None, description="the id of the object storage's Airflow connection")
    columns: dict[str, str | list[str]] = Field(
        {}, description="canonical column: the file's name for it, a list of names of which it has one, or its number"
    )
    encoding: Annotated[str, AfterValidator(known_encoding)] | None = Field(
        None, description="as windows-1251; without it a file is UTF-8, or what its byte order mark says"
    )
    delimiter: Literal[",", ";", "tab", "|"] | None = Field(
        None, description="one of , ; tab | in quotes; without it the header tells"
    )
    skip_lines: int = Field(0, ge=0, le=1000, description="the number of lines before the header")
    header: Literal["none"] | None = Field(None, description="none: the files have no header")
    footers: list[Annotated[str, Field(min_length=1)]] = Field(
        [], description="a list of words: a row whose first field begins with one is skipped"
    )
    lines: Literal["items", "continuation", "last"] | None = Field(
        None, description="items, continuation or last: how a file has several lines for an order"
    )
    status_from: list[StatusRule] = Field(
        [], description="a list of rules: the first that applies to a row gives its status word"
    )
    status_time: Literal["file"] | None = Field(
        None, description="file: the file's own time is the status_changed_at of its rows"
    )
    max_unusable_files: int = Field(0, ge=0, description="a run with more files that could not be used ends red")

    @field_validator("columns", "item_columns", mode="before")
    @classmethod
    def _numbered(cls, columns: Any) -> Any:
        if not isinstance(columns, dict):
            return columns
        return {column: str(name) if type(name) is int else name for column, name in columns.items()}

    @field_validator("status_from")
    @classmethod
    def _known_words(cls, rules: list[StatusRule], info: ValidationInfo) -> list[StatusRule]:
        statuses = info.data.get("statuses")
        for rule in rules if statuses else ():
            if rule.word is not None:
                known_key("word in `statuses`", rule.word, list(statuses or ()))
        return rules

    @field_validator("header")
    @classmethod
    def _by_numbers(cls, header: str | None, info: ValidationInfo) -> str | None:
        columns = info.data.get("columns", {})
        if header and not all(isinstance(name, str) and name.isdecimal() and int(name) for name in columns.values()):
            raise ValueError("without a header give each of `columns` its number in the file, from 1 on")
        return header

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str) -> str:
        if "\\" in path:
            raise ValueError("write the path with /, as C:/drop/*.csv")
        if path.lower().startswith(("http://", "https://", "ftp://", "ftps://")):
            raise ValueError("a web address is no drop: let a job put the files into a folder or an object storage")
        if path.startswith("~"):
            raise ValueError("write the whole path: ~ is another folder for each user")
        return path if "://" in path else str(PROJECT / path)

    @field_validator("path_time")
    @classmethod
    def _dated(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        directives = re.findall(r"%.?", pattern)
        if set(directives) & {"%Y", "%y"} == set() or {"%m", "%d"} - set(directives):
            raise ValueError("it takes a year (%Y or %y), %m and %d, and %H, %M and %S if files are of shorter times")
        if set(directives) - set(PATH_TIMES):
            raise ValueError(f"it takes {', '.join(PATH_TIMES)}, and no other")
        if len(directives) != len(set(directives)) or {"%Y", "%y"} <= set(directives):
            raise ValueError("it takes each part of a time once")
        return pattern

    @property
    def given_columns(self) -> set[str]:
        """The canonical columns that a file need not have, because rules or its own time give them."""
        given = {"status"} if self.status_from else set()
        timed = self.status_time or any(rule.time for rule in self.status_from)
        return given | ({"status_changed_at"} if timed else set())

    @property
    def supplied(self) -> set[str]:
        """Also those that rules or the file's own time give."""
        return super().supplied | self.given_columns

    @property
    def column_names(self) -> list[str]:
        """All names that columns of a file may have."""
        named = [[name] if isinstance(name, str) else name for name in self.columns.values()]
        return [*ORDER_COLUMNS, *(name for names in named for name in names)]

    @property
    def words(self) -> list[str]:
        """The texts that a file should hold: names of columns and words of statuses."""
        return [*self.column_names, *self.statuses]

    @property
    def reading(self) -> str:
        """A hash of the keys by which files are read: it changes where an unusable file is worth another try."""
        keys = self.model_dump_json(exclude={"ahead", "settle_seconds", "max_unusable_files"})
        return hashlib.sha256(keys.encode()).hexdigest()[:16]

    @property
    def folder(self) -> str:
        """The fixed beginning of the glob."""
        return self._split()[0]

    @property
    def pattern(self) -> str:
        """The glob within the folder: from its first wildcard on, or the name of the one file."""
        pattern = self._split()[1]
        if not self.ignore_case:
            return pattern
        # Sets of characters stay as they are.
        return re.sub(r"\[.*?\]|[^\W\d_]", lambda at: at[0] if at[0][0] == "[" else _both_cases(at[0]), pattern)

    def _split(self) -> tuple[str, str]:
        parts = self.path.split("/")
        wild = (at for at, part in enumerate(parts) if any(sign in part for sign in "*?["))
        at = next(wild, len(parts) - 1)
        return "/".join(parts[:at]), "/".join(parts[at:])


def _both_cases(letter: str) -> str:
    return f"[{letter.lower()}{letter.upper()}]"
