"""Reads query files: their text, and which of their colons are parameters.

A colon in a comment, a quoted text or a quoted name is no parameter. Databases differ in what these are, so the text is
read by the rules of the database that the query is for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

# https://www.postgresql.org/docs/current/sql-syntax-lexical.html, https://sqlite.org/lang_keywords.html
_STANDARD = re.compile(
    r"""--[^\n]*|/\*|(?<!\w)[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`"""
    r"""|(?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$""",
    re.DOTALL,
)
# https://dev.mysql.com/doc/refman/8.4/en/comments.html, https://dev.mysql.com/doc/refman/8.4/en/string-literals.html
_MYSQL = re.compile(
    r"""\#[^\n]*|--(?=\s|$)[^\n]*|/\*.*?(?:\*/|$)|'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`[^`]*`""",
    re.DOTALL,
)
_RULES = {"mysql": _MYSQL, "mariadb": _MYSQL}
# PostgreSQL and SQL Server nest comments; SQLite and Oracle end them at the first */.
_NESTED = ("postgresql", "mssql")
# PostgreSQL's cast of a parameter. SQLAlchemy would take its colons for a sign that it is none.
_CAST_PARAMETER = re.compile(r"(?<![:\w$\\]):(\w+)::")
_PARAMETER = re.compile(r"(?<![:\w$\\]):(\w+)(?![:\w$])")

# At the end of a query.
_END = "; \t\r\n\f"

# Every way to read a text, for a caller that does not know the database.
_ANY = ("postgresql", "sqlite", "mysql")


def read_query(file: Path) -> str:
    """Return the text of a query file, without a byte order mark.

    Raises:
        ValueError: the file is no UTF-8.
    """
    content = file.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"the file is no UTF-8 (line {line}): save it as UTF-8") from None


def statement_text(text: str, dialect: str) -> str:
    """Return a query as SQLAlchemy's `text` takes it: with parameters where the query has them, and nowhere else.

    Every other colon gets a backslash, and semicolons at the end are left out.

    Args:
        text: of the file.
        dialect: SQLAlchemy's name of the database.
    """
    parts = list(_parts(text, dialect))
    for at in range(len(parts) - 1, -1, -1):
        is_code, part = parts[at]
        if is_code:
            code = part.rstrip(_END)
            parts[at] = True, code + part[len(code) :].replace(";", "")
            if code:
                break
    parts = [(is_code, _CAST_PARAMETER.sub(r":\1\\:\\:", part) if is_code else part) for is_code, part in parts]
    return "".join(part if is_code else re.sub(r"(?<!\\):", r"\\:", part) for is_code, part in parts)


def parameters(text: str, dialect: str | None = None) -> set[str]:
    """Return the names of a query's parameters; without a dialect, those that any database would find."""
    found: set[str] = set()
    for each in _ANY if dialect is None else (dialect,):
        found.update(_PARAMETER.findall(statement_text(text, each)))
    return found


def _parts(text: str, dialect: str) -> Iterator[tuple[bool, str]]:
    """Yield the query's parts in their order, each with whether it is code."""
    rule, start = _RULES.get(dialect, _STANDARD), 0
    while found := rule.search(text, start):
        end = found.end()
        if found[0] == "/*":
            end = _end_of_comment(text, end, is_nested=dialect in _NESTED)
        yield True, text[start : found.start()]
        yield False, text[found.start() : end]
        start = end
    yield True, text[start:]


def _end_of_comment(text: str, start: int, *, is_nested: bool) -> int:
    depth = 1
    for mark in re.compile(r"/\*|\*/").finditer(text, start):
        depth += (1 if is_nested else 0) if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)
