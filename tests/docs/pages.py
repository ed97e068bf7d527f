"""A reader of the project's Markdown pages: their links, anchors and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
_PARSER = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Table:
    """A table of a page.

    Args:
        heading: of its section.
        header: the texts of its first row.
        rows: the texts of the other rows.
    """

    heading: str
    header: list[str]
    rows: list[list[str]]

    def column(self, name: str) -> list[str]:
        """Return the texts of one column."""
        index = self.header.index(name)
        return [row[index] for row in self.rows]


def pages(root: Path = ROOT) -> list[Path]:
    """Return all Markdown pages of the project, except those in hidden folders, which hold tools and state."""
    return sorted(
        path for path in root.rglob("*.md") if not any(part.startswith(".") for part in path.relative_to(root).parts)
    )


def page(name: str) -> str:
    """Return the text of a page, by its path from the project's root."""
    return (ROOT / name).read_text("utf-8")


def links(text: str) -> list[str]:
    """Return the targets of a page's links and pictures."""
    inline = (child for token in _PARSER.parse(text) for child in token.children or ())
    found = (token.attrGet("href") or token.attrGet("src") for token in inline if token.type in ("link_open", "image"))
    return [str(target) for target in found if target]


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, in GitHub's form."""
    seen: dict[str, int] = {}
    found = set()
    for title in _headings(_PARSER.parse(text)):
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        before = seen.get(slug, 0)
        seen[slug] = before + 1
        found.add(f"{slug}-{before}" if before else slug)
    return found


def broken_links(path: Path, text: str, root: Path = ROOT) -> list[str]:
    """Return the relative links of a page that lead nowhere.

    Args:
        path: of the page.
        text: of the page.
        root: of the project; files outside are not published with it.
    """
    broken = []
    for link in links(text):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if not target.is_relative_to(root) or not target.exists():
            broken.append(f"{link}: there is no such file")
        elif parts.fragment:
            known = anchors(text if target == path else target.read_text("utf-8")) if target.suffix == ".md" else set()
            if unquote(parts.fragment) not in known:
                broken.append(f"{link}: the page has no such heading")
    return broken


def tables(text: str) -> list[Table]:
    """Return the tables of a page."""
    found: list[Table] = []
    heading = ""
    tokens = _PARSER.parse(text)
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            heading = _text(tokens[at + 1])
        elif token.type == "table_open":
            found.append(Table(heading, [], []))
        elif token.type == "tr_open":
            found[-1].rows.append([])
        elif token.type in ("th_open", "td_open"):
            found[-1].rows[-1].append(_text(tokens[at + 1]))
    return [Table(table.heading, table.rows[0], table.rows[1:]) for table in found]


def blocks(text: str, language: str) -> list[str]:
    """Return the code blocks of a page in one language."""
    return [token.content for token in _PARSER.parse(text) if token.type == "fence" and token.info == language]


def _headings(tokens: list[Token]) -> Iterator[str]:
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            yield _text(tokens[at + 1])


def _text(inline: Token) -> str:
    """Return the text of a heading or cell without its markup."""
    return "".join(child.content for child in inline.children or ())
