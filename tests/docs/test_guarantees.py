"""The page of guarantees names tests that exist."""

import re

from tests.docs.pages import ROOT, page


def test_each_named_test_exists() -> None:
    """Whoever runs a test that the page names finds it."""
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", page("docs/guarantees.md"))
    assert len(named) > 20
    missing = [name for file, name in named if f"def {name}(" not in (ROOT / file).read_text("utf-8")]
    assert missing == []
