"""The key `pace`."""

from typing import Any

import pytest

from tests.unit.configuration.samples import Load, the, with_


def test_pace(load: Load) -> None:
    """An account's pace is the file's own, else its provider's: of all destinations with its connection."""
    text = with_("destinations/mails/provider", "personaclick", with_("pace", "{rees46_shop_1: 5}"))
    twin = "{provider: rees46, connection: rees46_shop_1, source: drop, start_date: 2026-01-01}"
    read = load(with_("destinations/twin", twin, text))

    assert read.mistakes == []
    paces = {name: read.requests_a_second(destination) for name, destination in read.destinations.items()}
    assert paces == {"shop_1": 5, "mails": pytest.approx(40 / 60), "twin": 5}


@pytest.mark.parametrize(
    ("written", "pace"),
    [
        ("{yespo: 0.5}", 0.5),
        ("{yespo: '2'}", 2),
        ("{yespo: '${YESPO_PACE:-3}'}", 3),
        ("{yespo: 0.01}", 0.01),
        ("null", None),
    ],
)
def test_pace_in_each_form(load: Load, written: str, pace: float | None) -> None:
    """A pace is a number, or a text of one as from the environment; an empty key sets none."""
    read = load(with_("pace", written))

    assert read.mistakes == []
    assert read.requests_a_second(read.destination("mails")) == pace


@pytest.mark.parametrize(
    ("written", "value"),
    [
        pytest.param("0", 0, id="none at all"),
        pytest.param("-1", -1, id="negative"),
        pytest.param("0.001", 0.001, id="one in a quarter of an hour"),
        pytest.param("40/60", "40/60", id="a fraction"),
        pytest.param("fast", "fast", id="a word"),
        pytest.param("true", True, id="a truth"),
        pytest.param("inf", "inf", id="infinite"),
        pytest.param("nan", "nan", id="not a number"),
        pytest.param("null", None, id="left empty"),
        pytest.param("[5]", [5], id="a list"),
    ],
)
def test_mistaken_pace(load: Load, written: str, value: Any) -> None:
    """A pace that is none is told with the cure, and takes that account's destinations out: they could be too fast."""
    read = load(with_("pace", f"{{yespo: {written}}}"))

    mistake = the(read.mistakes)
    assert (mistake.key, mistake.value) == ("pace.yespo", value)
    assert "give a number of requests a second" in mistake.cure
    assert list(read.destinations) == ["shop_1"]


def test_pace_of_an_unset_variable(load: Load) -> None:
    """A pace whose environment variable is not set is one mistake, and takes the account's destinations out."""
    read = load(with_("pace", "{yespo: '${NO_SUCH_PACE}'}"))

    assert "NO_SUCH_PACE is not set" in the(read.mistakes).cure
    assert list(read.destinations) == ["shop_1"]


@pytest.mark.parametrize("key", ["yespoo", "mails", "drop", "5"])
def test_pace_of_an_unknown_connection(load: Load, key: str) -> None:
    """A pace of a connection that no destination has is told with the connections that there are."""
    read = load(with_("pace", f"{{{key}: 5}}"))

    mistake = the(read.mistakes)
    assert (mistake.key, mistake.value) == (f"pace.{key}", 5)
    assert f"no destination with the connection {key!r}" in mistake.cure
    assert "known: rees46_shop_1, yespo" in mistake.cure
    assert set(read.destinations) == {"shop_1", "mails"}


def test_pace_knows_the_connections_of_bad_destinations(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake of a destination is none of its pace. Connections from the environment count, and are not shown."""
    monkeypatch.setenv("MAILS", "from_environment")
    text = with_("destinations/mails/connection", "${MAILS}", with_("destinations/mails/provider", "espo"))
    good = with_("pace", "{from_environment: 5}", text)
    assert the(load(good).mistakes).key == "destinations.mails.provider"

    cure = load(with_("pace", "{other: 5}", text)).mistakes[-1].cure
    assert "known: rees46_shop_1" in cure
    assert "from_environment" not in cure


@pytest.mark.parametrize("connection", ["[yespo]", "{a: 1}"])
def test_pace_beside_a_connection_that_is_no_text(load: Load, connection: str) -> None:
    """A connection of a wrong type is a mistake of its destination, and brings the reading of paces down for none."""
    read = load(with_("pace", "{rees46_shop_1: 5}", with_("destinations/mails/connection", connection)))

    assert the(read.mistakes).key == "destinations.mails.connection"
    assert read.requests_a_second(read.destination("shop_1")) == 5
