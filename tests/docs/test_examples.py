"""The examples of the pages work."""

from pathlib import Path

import pytest

from include.order_sync.configuration import loading, sql_source
from tests.docs.pages import ROOT, blocks, pages

WHOLE = [
    pytest.param(block, id=f"{path.relative_to(ROOT)} {number}")
    for path in pages()
    for number, block in enumerate(blocks(path.read_text("utf-8"), "yaml"))
    if "\ndestinations:" in block
]


@pytest.mark.parametrize("block", WHOLE)
def test_a_whole_configuration_has_no_mistakes(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An example with destinations is a valid configuration, with the queries that the pages show."""
    queries = [text for path in pages() for text in blocks(path.read_text("utf-8"), "sql")]
    for query in queries:
        name = query.split("\n", 1)[0].removeprefix("-- include/sql/")
        (tmp_path / name).write_text(query)
    monkeypatch.setattr(sql_source, "SQL_FOLDER", tmp_path)
    file = tmp_path / "order_sync.yaml"
    file.write_text(block, "utf-8")

    assert loading.load(file).mistakes == []


def test_there_is_an_example() -> None:
    """The front page shows a whole configuration."""
    assert any(str(parameter.id).startswith("README.md") for parameter in WHOLE)
