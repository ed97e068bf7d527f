"""A good configuration file, and changes of it."""

import io
from collections.abc import Callable

from ruamel.yaml import YAML

from include.order_sync.configuration.loading import Configuration
from include.order_sync.configuration.mistakes import Mistake

GOOD = """\
staging: /var/staging

sources:
  warehouse:
    type: sql
    connection: warehouse
    query: orders.sql
    timezone: Europe/Kyiv
    statuses:
      new: created
      on: paid
      no: cancelled
  drop:
    type: csv
    path: drop/*/orders-*.csv
    path_time: "%Y-%m-%d/orders-%H.csv"
    timezone: UTC
    columns:
      order_id: Order number
    item_columns:
      item_id: sku
    statuses:
      "7": delivered

destinations:
  shop_1:
    provider: rees46
    connection: rees46_shop_1
    source: warehouse
    start_date: 2026-01-01
  mails:
    provider: yespo
    connection: yespo
    source: drop
    start_date: 2026-01-01
    first_run: adopt
"""
Load = Callable[[str], Configuration]


def with_(path: str, written: str, text: str = GOOD) -> str:
    """Return a configuration with the YAML `written` at a key path; an empty text removes the key."""
    yaml = YAML(typ="safe", pure=True)
    tree = node = yaml.load(text)
    *parents, last = path.split("/")
    for key in parents:
        node = node[key]
    if written:
        node[last] = yaml.load(written)
    else:
        del node[last]
    changed = io.StringIO()
    yaml.dump(tree, changed)
    return changed.getvalue()


def the(mistakes: list[Mistake]) -> Mistake:
    """Return the only mistake."""
    assert len(mistakes) == 1, "\n".join(map(str, mistakes))
    return mistakes[0]
