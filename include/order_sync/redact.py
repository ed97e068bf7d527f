"""Removes personal data from foreign texts (answers, messages of databases) before they reach a log."""

import re

_EMAIL = re.compile(r"[^\s\"'<>(),;:=\[\]{}]+@[^\s\"'<>(),;:=\[\]{}]+")
_DIGITS = re.compile(r"\+?\d[\d ()\-]{5,}\d")


def redact(text: str, longest: int = 300) -> str:
    """Return `text` on one line, cut to `longest` characters, with addresses and long numbers blanked out."""
    line = " ".join(text.split())
    line = _DIGITS.sub("<number>", _EMAIL.sub("<e-mail>", line))
    return line if len(line) <= longest else line[:longest] + "…"
