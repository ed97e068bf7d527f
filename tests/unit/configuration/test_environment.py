"""Values that come from environment variables."""

import pytest

from include.order_sync.configuration import models
from include.order_sync.configuration.csv_source import CsvSource
from include.order_sync.configuration.sql_source import SqlSource
from tests.unit.configuration.samples import Load, the, with_
from tests.unit.configuration.test_mistakes import SHOP


@pytest.mark.parametrize(
    ("written", "environment", "connection"),
    [
        pytest.param("${SHOP}", "my_shop", "my_shop", id="set"),
        pytest.param("${SHOP:-other}", "my_shop", "my_shop", id="set, with a default"),
        pytest.param("${SHOP:-other}", None, "other", id="default"),
        pytest.param("${SHOP:-other}", "", "other", id="empty, with a default"),
        pytest.param("shop_${SHOP}_${SHOP:-2}", "1", "shop_1_1", id="twice within a text"),
    ],
)
def test_environment(
    load: Load, monkeypatch: pytest.MonkeyPatch, written: str, environment: str | None, connection: str
) -> None:
    """A text may refer to environment variables, with default values."""
    monkeypatch.delenv("SHOP", raising=False)
    if environment is not None:
        monkeypatch.setenv("SHOP", environment)

    assert load(with_(f"{SHOP}/connection", written)).destination("shop_1").connection == connection


@pytest.mark.parametrize(
    ("path", "bad"),
    [
        pytest.param(f"{SHOP}/connection", "shop_1", id="of a destination"),
        pytest.param(f"{SHOP}/statuses", "shop_1", id="of a status map"),
        pytest.param("staging", "mails", id="of the staging folder"),
    ],
)
def test_environment_not_set(load: Load, monkeypatch: pytest.MonkeyPatch, path: str, bad: str) -> None:
    """An unset variable without a default is one mistake, at its key, and makes the entry bad."""
    monkeypatch.delenv("SHOP", raising=False)
    inner = path.endswith("statuses")
    read = load(with_(path, "{paid: '${SHOP}'}" if inner else "${SHOP}"))

    mistake = the(read.mistakes)
    assert mistake.key == path.replace("/", ".") + (".paid" if inner else "")
    assert mistake.value == "${SHOP}"
    assert "the environment variable SHOP is not set" in mistake.cure
    assert bad not in read.destinations


def leaves() -> list[str]:
    """Return the path of each value that the file may have, but for texts that may be anything."""
    free = ("connection", "path", "columns", "item_columns", "renamed_from")
    keys = {
        "sources/warehouse": SqlSource,
        "sources/drop": CsvSource,
        "destinations/shop_1": models.Destination,
        "retention": models.Retention,
    }
    paths = [f"{at}/{key}" for at, model in keys.items() for key in model.model_fields if key not in ("name", *free)]
    maps = ["sources/drop/statuses/7", "destinations/shop_1/statuses/paid", "pace/yespo"]
    return sorted({*paths, "sources/drop/type", *maps} - {f"{at}/statuses" for at in keys})


@pytest.mark.parametrize("secret", ["s3cret-word", "17171717"])
@pytest.mark.parametrize("path", leaves())
def test_environment_is_never_shown(load: Load, monkeypatch: pytest.MonkeyPatch, path: str, secret: str) -> None:
    """No mistake shows an environment variable's value, which may be a secret, whichever key it is a mistake of."""
    monkeypatch.setenv("SECRET", secret)
    *above, last = path.split("/")
    whole = ["retention: {attempts: 90}", "pace: {yespo: 1}"]
    text = "\n".join([*whole, with_("destinations/shop_1/statuses", "{created: 0}")])

    read = load(with_("/".join([*above, last]), "${SECRET}", text))

    assert secret not in "\n".join(map(str, read.mistakes))
    assert read.mistakes or secret == "17171717"


@pytest.mark.parametrize("written", ["{folder: '${SECRET}'}", "['${SECRET}']", "{'${SECRET}': x}"])
@pytest.mark.parametrize("path", [*leaves(), "staging", "alarms/email", "alarms/webhook", f"{SHOP}/connection"])
def test_environment_is_never_shown_within_a_value(
    load: Load, monkeypatch: pytest.MonkeyPatch, path: str, written: str
) -> None:
    """A mapping or a list where a text belongs is shown as written too."""
    monkeypatch.setenv("SECRET", "s3cret-word")
    whole = ["retention: {attempts: 90}", "pace: {yespo: 1}", "alarms: {digest_hour: 7}"]
    text = "\n".join([*whole, with_("destinations/shop_1/statuses", "{created: 0}")])

    read = load(with_(path, written, text))

    assert "s3cret-word" not in "\n".join(map(str, read.mistakes))
    assert read.mistakes or written.startswith("[")  # some keys take lists
