"""Every service is named on the pages where a user looks for it."""

from pathlib import Path

import pytest

from include.order_sync.providers import PROVIDERS

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md",
    "docs/configuration.md",
    "docs/glossary.md",
    "docs/going-live.md",
    "docs/operating.md",
    "docs/statuses.md",
)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=lambda provider: provider.name)
def test_a_page_names_each_service(page, provider):
    """A page that tells of the services leaves none out."""
    text = (ROOT / page).read_text("utf-8")
    assert provider.title in text or f"`{provider.name}`" in text
