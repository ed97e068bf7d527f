"""The configuration file: its values."""

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from include.order_sync.configuration import loading, models, sql_source
from include.order_sync.configuration.csv_source import CsvSource
from include.order_sync.configuration.sql_source import SqlSource
from include.order_sync.configuration.values import PROJECT
from include.order_sync.model import OrderStatus
from include.order_sync.providers import PROVIDERS
from tests.unit.configuration.samples import GOOD, Load, the, with_
from tests.unit.configuration.test_mistakes import DROP, SHOP, WAREHOUSE


def test_good_file(load: Load, queries: Path) -> None:
    """A file without mistakes gives its sources and destinations by name, in the file's order."""
    read = load(GOOD)

    assert read.mistakes == []
    assert read.staging == "/var/staging"
    assert list(read.sources) == ["warehouse", "drop"]
    assert list(read.destinations) == ["shop_1", "mails"]
    warehouse, drop = read.sources["warehouse"], read.sources["drop"]
    assert isinstance(warehouse, SqlSource)
    assert (warehouse.query, warehouse.items_query) == (queries / "orders.sql", None)
    assert isinstance(drop, CsvSource)
    assert drop.columns == {"order_id": "Order number"}
    assert drop.item_columns == {"item_id": "sku"}


def test_defaults(load: Load) -> None:
    """By default a destination is hourly, has 30 retries and the provider's own status map, and uses UTC."""
    shop = load(GOOD).destination("shop_1")

    assert (shop.schedule, shop.retries, shop.sends) == ("0 * * * *", 30, "newest")
    assert shop.start_date == datetime(2026, 1, 1, tzinfo=UTC)
    assert (shop.live, shop.first_run, shop.not_older_than) == (False, "window", None)
    assert shop.dag_id == "order_sync_shop_1"
    assert shop.codes == shop.service.statuses


def test_sample_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's own file has no mistakes, and has a destination for each provider."""
    monkeypatch.setattr(sql_source, "SQL_FOLDER", PROJECT / "include" / "sql")
    for name in ("ORDER_SYNC_CONFIG", "ORDER_SYNC_STAGING", "ORDER_SYNC_DROP"):
        monkeypatch.delenv(name, raising=False)
    read = loading.load()

    assert read.mistakes == []
    assert {destination.provider for destination in read.destinations.values()} == set(models.PROVIDERS)


def test_file_named_by_environment(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """ORDER_SYNC_CONFIG names the file to load by default."""
    file = load(GOOD).file
    monkeypatch.setenv("ORDER_SYNC_CONFIG", str(file))

    assert loading.load().file == file


@pytest.mark.parametrize("status_label", ["on", "no"])
def test_yaml_words_stay_status_labels(load: Load, status_label: str) -> None:
    """`on` and `no` stay status labels, and do not become true and false."""
    assert status_label in load(GOOD).sources["warehouse"].statuses


@pytest.mark.parametrize(
    ("path", "folder", "pattern"),
    [
        pytest.param("/drop/*/orders-*.csv", "/drop", "*/orders-*.csv", id="glob"),
        pytest.param("/drop/orders.csv", "/drop", "orders.csv", id="one file"),
        pytest.param("/drop/[ab]/x/?.csv", "/drop", "[ab]/x/?.csv", id="brackets"),
        pytest.param("s3://shop/drop/*.csv", "s3://shop/drop", "*.csv", id="bucket"),
        pytest.param("drop/*.csv", str(PROJECT / "drop"), "*.csv", id="relative to the project"),
    ],
)
def test_csv_path(load: Load, path: str, folder: str, pattern: str) -> None:
    """A CSV path is split before its first wildcard."""
    drop = load(with_("sources/drop/path", f'"{path}"')).sources["drop"]

    assert isinstance(drop, CsvSource)
    assert (drop.folder, drop.pattern) == (folder, pattern)


def test_overrides(load: Load) -> None:
    """A destination's own codes override its provider's, and null removes a status."""
    shop = load(with_("destinations/shop_1/statuses", "{shipped: 1, returned: null}")).destination("shop_1")

    assert shop.codes[OrderStatus.SHIPPED] == 1
    assert shop.codes[OrderStatus.RETURNED] is None
    assert shop.codes[OrderStatus.CANCELLED] == 2


@pytest.mark.parametrize(
    ("provider", "written", "sends"),
    [
        pytest.param("yespo", None, "newest", id="newest by default"),
        pytest.param("justclick", None, "every", id="every by default at JustClick"),
        pytest.param("justclick", "newest", "newest", id="newest asked for"),
        pytest.param("yespo", "every", "every", id="every asked for"),
    ],
)
def test_changes(load: Load, provider: str, written: str | None, sends: str) -> None:
    """The provider decides between newest and every change by default; the destination can override it."""
    text = with_("destinations/mails/provider", provider)
    if written:
        text = with_("destinations/mails/changes", written, text)

    assert load(text).destination("mails").sends == sends


@pytest.mark.parametrize(
    ("written", "choice"), [("", "full"), ("full", "full"), ("lenient", "lenient"), ("none", "none")]
)
def test_items(load: Load, written: str, choice: str) -> None:
    """A destination's `items` choose what its provider checks and builds; all six fields are needed by default."""
    text = with_("destinations/mails/items", written) if written else GOOD

    assert load(text).destination("mails").service == PROVIDERS["yespo"].by_items[choice]


@pytest.mark.parametrize(
    "written", ["2026-01-01", "2026-01-01 00:00:00", '"2026-01-01"', "${START:-2026-01-01}"], ids=str
)
def test_start_date_has_a_time_zone(load: Load, written: str) -> None:
    """A start date in any form becomes a moment in UTC: Airflow refuses one without a time zone."""
    start = load(with_("destinations/mails/start_date", written)).destination("mails").start_date

    assert start == datetime(2026, 1, 1, tzinfo=UTC)


DURATIONS = pytest.mark.parametrize(
    ("written", "means"),
    [
        ("30m", timedelta(minutes=30)),
        ("1h", timedelta(hours=1)),
        ("2d", timedelta(days=2)),
        ("0h", timedelta(0)),
        ("", timedelta(hours=1)),
    ],
)


@pytest.mark.parametrize(
    ("written", "means"), [("", timedelta(days=3)), ("72h", timedelta(days=3)), ("9d", timedelta(days=9))]
)
def test_heal_at_most(load: Load, written: str, means: timedelta) -> None:
    """Healing is bounded by a duration, by default three days."""
    read = load(with_(f"{SHOP}/heal_at_most", written) if written else GOOD)

    assert read.mistakes == []
    assert read.destinations["shop_1"].heal_at_most == means


def test_the_default_of_heal_at_most_is_checked_too(load: Load) -> None:
    """A longer `reconcile` alone is a mistake, which names the key and the value to give."""
    (mistake,) = load(with_(f"{SHOP}/reconcile", "5")).mistakes

    assert "heal_at_most" in str(mistake)
    assert "give 5d or more" in str(mistake)


@DURATIONS
def test_lookback(load: Load, written: str, means: timedelta) -> None:
    """A lookback is minutes, hours or days; by default one hour."""
    read = load(with_(f"{SHOP}/lookback", written) if written else GOOD)

    assert read.mistakes == []
    assert read.destinations["shop_1"].lookback == means


@DURATIONS
def test_ahead(load: Load, written: str, means: timedelta) -> None:
    """`ahead` limits times in the future in minutes, hours or days; by default one hour."""
    read = load(with_(f"{DROP}/ahead", written) if written else GOOD)

    assert read.mistakes == []
    assert read.sources["drop"].ahead == means


def test_orders_by_ids_need_their_items(load: Load) -> None:
    """A source with an items query needs one for orders by their ids too."""
    with_items = with_(f"{WAREHOUSE}/items_query", "orders.sql", with_(f"{WAREHOUSE}/by_ids_query", "by_ids.sql"))
    read = load(with_items)

    mistake = the([mistake for mistake in read.mistakes if "that source has mistakes" not in mistake.cure])
    assert mistake.key == "sources.warehouse.items_by_ids_query"
    assert "without items" in mistake.cure
    assert load(with_(f"{WAREHOUSE}/items_by_ids_query", "by_ids.sql", with_items)).mistakes == []


RENAMED = GOOD.replace("    provider: yespo\n", "    provider: yespo\n    renamed_from: {old}\n")


def test_a_destination_may_name_its_old_name(load: Load) -> None:
    """The old name is kept for the ledger."""
    read = load(RENAMED.format(old="letters"))
    assert read.mistakes == []
    assert read.destinations["mails"].renamed_from == "letters"


@pytest.mark.parametrize("old", ["shop_1", "mails"])
def test_an_old_name_that_is_still_configured_is_a_mistake(load: Load, old: str) -> None:
    """Both would send: the new name is taken out, and the old one stays."""
    read = load(RENAMED.format(old=old))
    mistake = the(read.mistakes)
    assert (mistake.key, mistake.value) == ("destinations.mails.renamed_from", old)
    assert "still stands under `destinations`: remove that one, or this key" in mistake.cure
    assert list(read.destinations) == ["shop_1"]


def test_one_history_is_taken_over_once(load: Load) -> None:
    """Two destinations with one old name are both taken out."""
    text = RENAMED.format(old="letters").replace("provider: rees46\n", "provider: rees46\n    renamed_from: letters\n")
    read = load(text)
    assert [mistake.key for mistake in read.mistakes] == [
        f"destinations.{name}.renamed_from" for name in ("shop_1", "mails")
    ]
    assert read.destinations == {}


@pytest.mark.parametrize(
    ("fresh_within", "provider", "said"),
    [
        ("25h", "personaclick", "asks for its orders within 24 hours: give at most 24h"),
        ("5m", "justclick", "give at least 10m"),
        ("24h", "personaclick", None),
        ("3d", "justclick", None),
    ],
)
def test_fresh_within_is_what_the_provider_asks(fresh_within, provider, said):
    """REES46 and PersonaClick ask for their orders within 24 hours, and the watch looks every ten minutes."""
    sample = loading.load(loading.DEFAULT_FILE).destinations[provider].model_dump(exclude_unset=True) | {
        "fresh_within": fresh_within
    }
    context = {sample["source"]: True}
    with pytest.raises(ValidationError, match=said) if said else contextlib.nullcontext():
        models.Destination.model_validate(sample, context=context)
