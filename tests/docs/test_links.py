"""Links within the pages."""

from pathlib import Path

import pytest

from tests.docs.pages import ROOT, anchors, broken_links, pages


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_resolves(path: Path) -> None:
    """A relative link leads to a file of the project and, with an anchor, to one of its headings."""
    assert broken_links(path, path.read_text("utf-8")) == []


def test_there_are_pages() -> None:
    """The tests above check the front page and those of docs/."""
    names = {str(path.relative_to(ROOT)) for path in pages()}
    assert {"README.md", "docs/configuration.md", "docs/decisions/README.md"} <= names


@pytest.mark.parametrize(
    ("link", "fault"),
    [
        ("[x](other.md)", None),
        ("[x](other.md#what-a-run-reads)", None),
        ("[x](#here)", None),
        ("[x](../README.md#first)", None),
        ("[x](..)", None),
        ("[x](https://example.com/none.md)", None),
        ("`[x](none.md)`", None),
        ("[x](none.md)", "there is no such file"),
        ("![x](none.png)", "there is no such file"),
        ("[x][1]\n\n[1]: none.md", "there is no such file"),
        ("[x](../../outside.md)", "there is no such file"),
        ("[x](other.md#what-a-run-read)", "the page has no such heading"),
        ("[x](#there)", "the page has no such heading"),
    ],
)
def test_a_broken_link_is_found(tmp_path: Path, link: str, fault: str | None) -> None:
    """A link is broken if it leads to no file, to a file outside the project, or to no heading."""
    root = tmp_path / "project"
    (root / "docs").mkdir(parents=True)
    (tmp_path / "outside.md").touch()
    (root / "README.md").write_text("# First")
    (root / "docs" / "other.md").write_text("# Other\n\n## What a run reads")
    page = root / "docs" / "page.md"
    page.write_text(f"# Here\n\n{link}\n")

    broken = broken_links(page, page.read_text(), root)

    assert [text.split(": ")[1] for text in broken] == ([fault] if fault else [])


def test_anchors_are_those_of_github() -> None:
    """An anchor is the heading in lower case, without markup and punctuation, and numbered if repeated."""
    text = "# The file\n\n## `sources.<name>`\n\n## Red run: what to do?\n\n## Twice\n\n## Twice\n"

    assert anchors(text) == {"the-file", "sourcesname", "red-run-what-to-do", "twice", "twice-1"}
