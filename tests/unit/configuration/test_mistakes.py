"""Every possible mistake in the configuration file, with its cure."""

import codecs
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from include.order_sync.configuration import loading
from include.order_sync.errors import StopError
from tests.unit.configuration.samples import GOOD, Load, the, with_

SHOP, DROP, WAREHOUSE = "destinations/shop_1", "sources/drop", "sources/warehouse"


@pytest.mark.parametrize(
    ("path", "written", "value", "cure"),
    [
        pytest.param("sorces", "{}", {}, "did you mean 'sources'?", id="unknown top key"),
        pytest.param(f"{SHOP}/conection", "x", "x", "did you mean 'connection'?", id="unknown key of a destination"),
        pytest.param(f"{DROP}/timezon", "UTC", "UTC", "did you mean 'timezone'?", id="unknown key of a source"),
        pytest.param(f"{SHOP}/name", "x", "x", "there is no key 'name'", id="a name below the name"),
        pytest.param(f"{SHOP}/connection", "", None, "add it: the id of an Airflow connection", id="missing key"),
        pytest.param(f"{WAREHOUSE}/query", "", None, "add it: a file in include/sql", id="missing query"),
        pytest.param(f"{SHOP}/start_date", "", None, "add it: the first day", id="missing start date"),
        pytest.param("destinations/mails/first_run", "", None, "adopt (it has", id="how a mailing service starts"),
        pytest.param(f"{SHOP}/first_run", "plan", "plan", "adopt, send or window", id="unknown first_run"),
        pytest.param(f"{SHOP}/live", "soon", "soon", "true, to send", id="maybe live"),
        pytest.param(f"{SHOP}/not_older_than", "30", 30, "as 30m, 1h or 2d", id="a number as not_older_than"),
        pytest.param(f"{SHOP}/not_older_than", "0h", "0h", "none would be sent", id="not_older_than of nothing"),
        pytest.param(f"{SHOP}/not_older_than", "36501d", "36501d", "at most 36500d", id="longer than there are times"),
        pytest.param(f"{SHOP}/retries", "many", "many", "give how often a failed task", id="wrong type"),
        pytest.param(f"{SHOP}/retries", "-1", -1, "greater than or equal to 0", id="negative retries"),
        pytest.param(f"{SHOP}/start_date", "soon", "soon", "give the first day", id="no date"),
        pytest.param(f"{SHOP}/start_date", "20260101", 20260101, "give the first day", id="a number as date"),
        pytest.param(f"{SHOP}/connection", "5", 5, "valid string", id="number as connection"),
        pytest.param(f"{SHOP}/provider", "yespoo", "yespoo", "did you mean 'yespo'?", id="unknown provider"),
        pytest.param(f"{SHOP}/source", "drops", "drops", "did you mean 'drop'?", id="unknown source"),
        pytest.param(f"{SHOP}/changes", "all", "all", "newest or every", id="unknown changes"),
        pytest.param("destinations/mails/items", "some", "some", "full, lenient or none", id="unknown items"),
        pytest.param(f"{SHOP}/items", "none", "none", "REES46 gets no items", id="items of a service without any"),
        pytest.param(f"{SHOP}/schedule", "hourly", "hourly", '"0 * * * *"', id="bad cron"),
        pytest.param(f"{SHOP}/schedule", "61 * * * *", "61 * * * *", '"0 * * * *"', id="minute 61"),
        pytest.param(
            f"{SHOP}/statuses", "{paid: 7}", {"paid": 7}, "REES46 has no such code (for paid)", id="no such code"
        ),
        pytest.param(
            f"{SHOP}/statuses", '{paid: "1"}', {"paid": "1"}, "REES46 has no such code", id="code of another type"
        ),
        pytest.param(
            f"{SHOP}/statuses", "{returned: false}", {"returned": False}, "write null if", id="false as a code"
        ),
        pytest.param(f"{SHOP}/statuses", "{paid: true}", {"paid": True}, "write null if", id="true as a code"),
        pytest.param(f"{DROP}/timezone", "Europe/Kiyv", "Europe/Kiyv", "did you mean 'Europe/Kyiv'?", id="time zone"),
        pytest.param(f"{DROP}/timezone", "MSK", "MSK", "no such time zone; give a region", id="abbreviation"),
        pytest.param(f"{DROP}/timezone", "GMT+3", "GMT+3", "no such time zone; give a region", id="offset"),
        pytest.param(f"{DROP}/statuses", "", None, "add it: the shop's word", id="no status map"),
        pytest.param(f"{DROP}/statuses", "{}", {}, "the shop's word", id="empty status map"),
        pytest.param(
            f"{DROP}/statuses", "{null: paid}", {None: "paid"}, "put the key None in quotes", id="null as status word"
        ),
        pytest.param(f"{DROP}/columns", "{ordr_id: A}", {"ordr_id": "A"}, "did you mean 'order_id'?", id="column"),
        pytest.param(
            f"{DROP}/item_columns", "{item: A}", {"item": "A"}, "no canonical column 'item'", id="item column"
        ),
        pytest.param(
            f"{DROP}/path", "https://x/a.csv", "https://x/a.csv", "a web address is no drop", id="web address"
        ),
        pytest.param(f"{DROP}/path", "ftp://x/*.csv", "ftp://x/*.csv", "a web address is no drop", id="FTP"),
        pytest.param(f"{DROP}/path", "~/drop/*.csv", "~/drop/*.csv", "write the whole path", id="home folder"),
        pytest.param(f"{DROP}/path", "C:\\drop\\*.csv", "C:\\drop\\*.csv", "with /, as C:/drop", id="Windows path"),
        pytest.param(f"{DROP}/path_time", '"%Y-%m"', "%Y-%m", "it takes a year", id="path time without day"),
        pytest.param(f"{DROP}/path_time", '"%Y%m%d%j"', "%Y%m%d%j", "and no other", id="path time by day of year"),
        pytest.param(f"{DROP}/path_time", '"%Y%y%m%d"', "%Y%y%m%d", "once", id="path time with two forms of year"),
        pytest.param(f"{DROP}/path", "https://a.example/b.csv", "https://a.example/b.csv", "no drop", id="web address"),
        pytest.param(f"{DROP}/path", r"C:\drop\*.csv", r"C:\drop\*.csv", "as C:/drop/*.csv", id="backslashes"),
        pytest.param(f"{DROP}/encoding", "cp9999", "cp9999", "no such encoding", id="no such encoding"),
        pytest.param(f"{DROP}/encoding", "idna", "idna", "no such encoding", id="no encoding of files"),
        pytest.param(f"{DROP}/path", "HTTPS://x/a.csv", "HTTPS://x/a.csv", "no drop", id="web address in capitals"),
        pytest.param(f"{DROP}/encoding", "base64", "base64", "no such encoding", id="no encoding of text"),
        pytest.param(f"{DROP}/delimiter", "':'", ":", "give one of", id="delimiter"),
        pytest.param(f"{DROP}/dates", "[d/m/y, M/D/YYYY]", ["d/m/y", "M/D/YYYY"], "as two days", id="day and month"),
        pytest.param(f"{DROP}/decimal", "point", "point", "give the sign", id="decimal"),
        pytest.param(f"{DROP}/defaults", "{order_id: x}", {"order_id": "x"}, "no canonical column", id="default id"),
        pytest.param(f"{DROP}/defaults", "{status: x}", {"status": "x"}, "none of the words", id="default status"),
        pytest.param(f"{DROP}/phone_country", "Ukraine", "Ukraine", "no such country", id="country"),
        pytest.param(f"{DROP}/header", "none", "none", "its number in the file", id="no header and no numbers"),
        pytest.param(f"{DROP}/path_time", '"%Y/%Y%m%d"', "%Y/%Y%m%d", "once", id="path time with two years"),
        pytest.param(f"{WAREHOUSE}/query", "none.sql", "none.sql", "put the query there", id="no such query file"),
        pytest.param(f"{WAREHOUSE}/query", "all.sql", "all.sql", ":window_start and :window_end", id="no window"),
        pytest.param(f"{WAREHOUSE}/query", "half.sql", "half.sql", "not use :window_end", id="half a window"),
        pytest.param(f"{WAREHOUSE}/items_query", "all.sql", "all.sql", ":window_start", id="items of all time"),
        pytest.param(f"{WAREHOUSE}/by_ids_query", "all.sql", "all.sql", "not use :order_ids", id="no order ids"),
        pytest.param(f"{SHOP}/lookback", "1", 1, "as 30m, 1h or 2d", id="a number as lookback"),
        pytest.param(f"{SHOP}/lookback", "an hour", "an hour", "as 30m, 1h or 2d", id="words as lookback"),
        pytest.param(f"{DROP}/ahead", "1", 1, "as 30m, 1h or 2d", id="a number as ahead"),
        pytest.param(f"{DROP}/ahead", "-1h", "-1h", "as 30m, 1h or 2d", id="negative ahead"),
        pytest.param(f"{DROP}/ahead", "1w", "1w", "as 30m, 1h or 2d", id="weeks as ahead"),
        pytest.param(f"{DROP}/ahead", "01:00:00", "01:00:00", "as 30m, 1h or 2d", id="clock time as ahead"),
        pytest.param(f"{SHOP}/heal_at_most", "3", 3, "as 30m, 1h or 2d", id="a number as heal_at_most"),
        pytest.param(f"{SHOP}/heal_at_most", "1d", "1d", "give 2d or more", id="heal_at_most below reconcile"),
        pytest.param(f"{SHOP}/reconcile", "-1", -1, "greater than or equal to 0", id="negative days"),
        pytest.param("pace", "5", 5, "give connections below it", id="a pace for all"),
        pytest.param("pace", "[yespo]", ["yespo"], "give connections below it", id="a list as pace"),
        pytest.param("staging", "", None, "give a folder that all workers see", id="no staging"),
        pytest.param("staging", "5", 5, "give a folder that all workers see", id="number as staging"),
        pytest.param("destinations", "", None, "give at least one", id="no destinations"),
        pytest.param("destinations", "{}", {}, "give at least one", id="empty destinations"),
        pytest.param("destinations", "[a, b]", ["a", "b"], "give at least one", id="a list of destinations"),
        pytest.param(SHOP, "null", None, "give its keys below it", id="destination without keys"),
        pytest.param(SHOP, "rees46", "rees46", "give its keys below it", id="destination in one word"),
    ],
)
def test_mistake(load: Load, path: str, written: str, value: Any, cure: str) -> None:
    """A mistake shows the file, the key's path, the written value and the cure; no other mistake follows from it."""
    read = load(with_(path, written))

    mistake = the([mistake for mistake in read.mistakes if "that source has mistakes" not in mistake.cure])
    assert (mistake.file, mistake.key, mistake.value) == (read.file, path.replace("/", "."), value)
    assert cure in mistake.cure
    assert str(mistake) == f"{read.file}: {mistake.key}: {value!r}: {mistake.cure}"


@pytest.mark.parametrize(
    ("path", "written", "key", "cure"),
    [
        pytest.param(f"{DROP}/statuses/Paid", "payd", "sources.drop.statuses.Paid", "'created', 'paid'", id="status"),
        pytest.param(
            f"{SHOP}/statuses", "{payd: 1}", "destinations.shop_1.statuses.payd", "'created', 'paid'", id="override"
        ),
        pytest.param(f"{DROP}/type", "xml", "sources.drop.type", "say sql or csv", id="source type"),
        pytest.param(f"{DROP}/type", "[csv]", "sources.drop.type", "say sql or csv", id="a list of source types"),
        pytest.param(
            f"{DROP}/query", "orders.sql", "sources.drop.query", "there is no key 'query'", id="query of a drop"
        ),
        pytest.param("sources", "[{type: csv}]", "sources", "give at least one", id="a list of sources"),
        pytest.param("sources", "5", "sources", "give at least one", id="number as sources"),
    ],
)
def test_mistake_in_sources(load: Load, path: str, written: str, key: str, cure: str) -> None:
    """A mistake of a source is reported at its own key."""
    found = [mistake for mistake in load(with_(path, written)).mistakes if mistake.key == key]

    assert cure in the(found).cure


@pytest.mark.parametrize("name", ["config", "redrive", "maintenance", "Shop", "my-shop", "магазин", "a b", '"7.1"'])
def test_name_of_a_destination(load: Load, name: str) -> None:
    """A name that is no valid DAG id, or belongs to another DAG, is refused and shown."""
    mistake = the(load(GOOD.replace("  shop_1:", f"  {name}:")).mistakes)

    assert mistake.key.startswith(f"destinations.{name.strip(chr(34))}")
    assert mistake.value == name.strip('"')
    assert "lower-case letters, digits and _" in mistake.cure


def test_numbers_as_keys(load: Load) -> None:
    """A name or a status word may be a number, and is text as it is written."""
    words = "9: paid\n      07: shipped\n      1.50: delivered"
    read = load(GOOD.replace("  shop_1:", "  17:").replace('"7": delivered', words))

    assert read.mistakes == []
    assert read.destination("17").dag_id == "order_sync_17"
    assert read.sources["drop"].statuses == {"9": "paid", "07": "shipped", "1.50": "delivered"}


NO_YAML = """
# destinations: none yet
destinations:   # of the shop

  # the first
  shop_1:
    schedule: "30 5 * * *"
    start_date: 2026-02-03
  "mails": {provider: yespo, schedule: "0 4 * * *"}
  Shop: {}
  broken:
    schedule: [
  joined:x
  null:
  odd: !!bool soon
  redrive:
sources:
  warehouse: [
"""


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        pytest.param(GOOD, {}, id="no mistake"),
        pytest.param(with_(f"{SHOP}/provider", "rees64"), {"shop_1": "0 * * * *"}, id="in its own entry"),
        pytest.param(with_(f"{WAREHOUSE}/type", "sqll"), {"shop_1": "0 * * * *"}, id="in its source"),
        pytest.param(with_("pace", "{yespo: fast}"), {"mails": "0 * * * *"}, id="in its pace"),
        pytest.param(with_("staging", ""), {"shop_1": "0 * * * *", "mails": "0 * * * *"}, id="in what all need"),
        pytest.param(with_(SHOP, "[]"), {"shop_1": "0 * * * *"}, id="a list for its keys"),
        pytest.param(
            with_(f"{SHOP}/live", "maybe", with_(f"{SHOP}/schedule", "0 6 * * *")),
            {"shop_1": "0 6 * * *"},
            id="its good schedule stays",
        ),
        pytest.param(with_(f"{SHOP}/schedule", "hourly"), {"shop_1": "0 * * * *"}, id="in its schedule"),
        pytest.param(
            NO_YAML,
            {"shop_1": "30 5 * * *", "mails": "0 4 * * *"}
            | dict.fromkeys(("broken", "joined", "null", "odd"), "0 * * * *"),
            id="the file is no YAML",
        ),
        pytest.param(GOOD + "x: [", {"shop_1": "0 * * * *", "mails": "0 * * * *"}, id="the end is no YAML"),
        *[
            pytest.param(text, {"shop_1": "0 * * * *", "mails": "0 * * * *"}, id=name)
            for name, text in {
                "a tab before the first": GOOD.replace("  shop_1:", "\tshop_1:"),
                "the second too deep": GOOD.replace("  mails:", "   mails:"),
                "the second not deep enough": GOOD.replace("  mails:", " mails:"),
                "marks of a merge": GOOD.replace("  mails:", "<<<<<<< HEAD\n  mails:\n=======\n  mails:"),
                "marks around the section": GOOD.replace("destinations:", "<<<<<<< HEAD\ndestinations:\n======="),
            }.items()
        ],
        pytest.param("- a list", {}, id="nothing is known"),
    ],
)
def test_what_is_known_of_destinations_with_mistakes(load: Load, text: str, kept: dict[str, str]) -> None:
    """A destination with mistakes keeps its name, and its schedule if that is good, so that its DAG can stay."""
    read = load(text)

    assert {name: entry.schedule for name, entry in read.mistaken.items()} == kept
    assert not kept.keys() & read.destinations.keys()


def test_the_first_day_of_a_destination_with_mistakes(load: Load) -> None:
    """A good start_date stays, and a bad one counts as a past day."""
    in_future = load(with_(f"{SHOP}/start_date", "2031-05-06", with_(f"{SHOP}/provider", "rees64")))
    bad = load(with_(f"{SHOP}/start_date", "soon"))

    assert in_future.mistaken["shop_1"].start_date == datetime(2031, 5, 6, tzinfo=UTC)
    assert bad.mistaken["shop_1"].start_date < datetime.now(UTC)


def test_a_destination_is_told_its_own_mistakes_first(load: Load) -> None:
    """Of several mistakes those of the destination come first."""
    read = load(with_("destinations/mails/provider", "yespoo", with_("staging", "")))

    with pytest.raises(StopError) as stop:
        read.destination("mails")
    first, second = str(stop.value).splitlines()[1:]
    assert "destinations.mails.provider" in first
    assert "staging" in second


def test_all_mistakes_at_once(load: Load) -> None:
    """One load reports all mistakes of all sections, and of one entry."""
    text = (
        GOOD.replace("staging:", "stagin:")
        .replace("orders.sql", "none.sql")
        .replace("provider: yespo", "provider: espo")
        .replace("connection: yespo", "schedule: never")
    )

    keys = {mistake.key for mistake in load(text).mistakes}

    assert keys == {
        "stagin",
        "staging",
        "sources.warehouse.query",
        "destinations.shop_1.source",
        "destinations.mails.provider",
        "destinations.mails.connection",
        "destinations.mails.schedule",
    }


def test_good_ones_stay(load: Load) -> None:
    """A bad destination does not spoil the good ones."""
    read = load(GOOD.replace("provider: rees46", "provider: rees47"))

    assert list(read.destinations) == ["mails"]
    assert list(read.sources) == ["warehouse", "drop"]


def test_destination_of_a_bad_source(load: Load) -> None:
    """A destination with a bad source is bad too and says so; others stay."""
    read = load(GOOD.replace("orders.sql", "none.sql"))

    assert list(read.destinations) == ["mails"]
    assert [mistake.key for mistake in read.mistakes] == ["sources.warehouse.query", "destinations.shop_1.source"]
    assert "that source has mistakes" in read.mistakes[1].cure
    assert read.mistakes[1].value == "warehouse"


def test_asking_for_a_bad_destination(load: Load) -> None:
    """The request for a bad destination reports all of the file's mistakes."""
    read = load(GOOD.replace("provider: rees46", "provider: rees47"))

    with pytest.raises(StopError) as stop:
        read.destination("shop_1")

    assert "no good destination 'shop_1'" in str(stop.value)
    assert str(read.mistakes[0]) in str(stop.value)


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        pytest.param("staging: [a\nsources: x", "correct the YAML there", id="broken"),
        pytest.param("a: 1\n\tb: 2", "correct the YAML there", id="tab"),
        pytest.param(GOOD + "  mails:\n    provider: yespo\n", "correct the YAML there", id="key twice"),
        pytest.param("", "give the keys staging, retention, pace, alarms, sources, destinations", id="empty"),
        pytest.param("- a\n- b", "give the keys staging, retention, pace, alarms, sources, destinations", id="list"),
    ],
)
def test_no_configuration_at_all(load: Load, text: str, cure: str) -> None:
    """A file that is not a YAML mapping is one mistake, of the whole file."""
    read = load(text)

    mistake = the(read.mistakes)
    assert str(mistake).startswith(f"{read.file}: (the file): ")
    assert cure in mistake.cure
    assert (read.sources, read.destinations) == ({}, {})


@pytest.mark.parametrize(
    ("key", "written", "value", "cure"),
    [
        ("start_date", "2026-02-30", "2026-02-30", "give the first day"),
        ("start_date", "2026-01-01 25:00:00", "2026-01-01 25:00:00", "give the first day"),
        ("start_date", "!!timestamp soon", "soon", "give the first day"),
        ("start_date", "0206-01-01", date(206, 1, 1), "the years 1970 to 2999"),
        ("start_date", "9999-12-31T23:59:59-14:00", None, "the years 1970 to 2999"),
        ("live", "!!bool soon", "soon", "true, to send"),
        ("retries", "!!int many", "many", "give how often a failed task"),
        ("retries", 5000 * "9", 5000 * "9", "give how often a failed task"),
        ("retries", '!!float ""', "", "give how often a failed task"),
    ],
)
def test_an_impossible_value_costs_its_destination_alone(load: Load, key, written, value, cure) -> None:
    """A day that no month has, and a value that is none of its tag, are a mistake of their key; the rest stays good."""
    text = GOOD.replace("provider: rees46", f"provider: rees46\n    {key}: {written}")
    if key == "start_date":
        text = text.replace("    start_date: 2026-01-01\n", "", 1)
    read = load(text)

    mistake = the(read.mistakes)
    assert mistake.key == f"destinations.shop_1.{key}"
    assert value in (None, mistake.value)
    assert cure in mistake.cure
    assert (list(read.destinations), list(read.mistaken)) == (["mails"], ["shop_1"])


def test_key_twice_names_key_and_line(load: Load) -> None:
    """A repeated key is reported with its name and line."""
    mistake = str(the(load(GOOD + "  mails:\n    provider: yespo\n").mistakes))

    assert '"mails"' in mistake
    assert "line 37" in mistake


def test_missing_file(tmp_path: Path) -> None:
    """The mistake of a missing file names the way to set another."""
    mistake = the(loading.load(tmp_path / "none.yaml").mistakes)

    assert mistake.file == tmp_path / "none.yaml"
    assert "ORDER_SYNC_CONFIG" in mistake.cure


@pytest.mark.parametrize(
    "mark_and_encoding",
    [(codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"), (b"", "cp1251")],
    ids=["utf-16-le", "utf-16-be", "cp1251"],
)
def test_not_utf8(tmp_path: Path, mark_and_encoding: tuple[bytes, str]) -> None:
    """A file in another encoding is one mistake with its line and cure, and the DAGs of its destinations stay."""
    mark, encoding = mark_and_encoding
    file = tmp_path / "order_sync.yaml"
    file.write_bytes(mark + GOOD.replace("      on: paid", "      оплачен: paid").encode(encoding))

    read = loading.load(file)

    mistake = the(read.mistakes)
    assert mistake.value == f"no UTF-8 in line {1 if mark else 11}"
    assert mistake.cure == "save the file as UTF-8"
    assert list(read.mistaken) == ["shop_1", "mails"]


def test_utf8_with_a_byte_order_mark(load: Load) -> None:
    """Such a file is good, and where it is no YAML, its destinations are found from its first line on."""
    assert list(load(f"\ufeff{GOOD}").destinations) == ["shop_1", "mails"]
    destinations = GOOD[GOOD.index("destinations:") :]
    assert list(load(f"\ufeff{destinations}sources: [").mistaken) == ["shop_1", "mails"]


def test_no_staging_no_destinations(load: Load) -> None:
    """Without a staging folder no destination is good."""
    read = load(with_("staging", ""))

    assert read.destinations == {}
    assert the(read.mistakes).key == "staging"


@pytest.mark.parametrize(
    ("key", "cure"), [("dates", "no such form of dates"), ("customer_id_from", "give a list of email and phone")]
)
def test_a_mistake_in_a_list(load: Load, key: str, cure: str) -> None:
    """It is named by its place in the list, with its value."""
    mistake = load(with_(f"{DROP}/{key}", "[soon]")).mistakes[0]

    assert (mistake.key, mistake.value) == (f"sources.drop.{key}.0", "soon")
    assert cure in mistake.cure


TANGLED = {
    "an alias within itself": "&x {provider: yespo, connection: *x}",
    "deep": "[" * 90 + "]" * 90,
    "a great many": "{a: &a [x,x,x,x,x,x,x,x], b: &b [*a,*a,*a,*a,*a,*a,*a,*a], c: &c [*b,*b,*b,*b,*b,*b,*b,*b], "
    "d: &d [*c,*c,*c,*c,*c,*c,*c,*c], e: [*d,*d,*d,*d,*d,*d,*d,*d]}",
}


@pytest.mark.parametrize("value", TANGLED.values(), ids=TANGLED)
@pytest.mark.parametrize("key", ["destinations.mails", "retention", "other"])
def test_a_tangled_value_costs_itself_alone(load: Load, key: str, value: str) -> None:
    """A value that contains itself is one mistake, with its cure; the other destinations stay."""
    section, _, name = key.partition(".")
    text = GOOD[: GOOD.index("  mails:")] + f"  mails: {value}\n" if name else f"{GOOD}{section}: {value}\n"
    read = load(text)
    assert (the(read.mistakes).key, "write it out" in the(read.mistakes).cure) == (key, True)
    assert len(str(the(read.mistakes))) < 1000
    assert "shop_1" in read.destinations
    assert ("mails" in read.destinations) is not bool(name)


@pytest.mark.parametrize("text", ["&x [*x]", "staging: " + "[" * 20_000 + "]" * 20_000])
def test_a_tangled_file_is_a_mistake(load: Load, text: str) -> None:
    """A file that is tangled as a whole is a mistake, and no error."""
    assert load(text).mistakes


def test_a_mistake_in_alarms_is_said_with_its_key(tmp_path):
    """An unknown key or hour is named, and takes no destination away."""
    file = tmp_path / "order_sync.yaml"
    file.write_text(
        "alarms: {emial: [a@shop.example], digest_hour: 24}\n" + loading.DEFAULT_FILE.read_text("utf-8"), "utf-8"
    )
    configuration = loading.load(file)
    mistakes = {mistake.key: mistake.cure for mistake in configuration.mistakes}
    assert "did you mean 'email'" in mistakes["alarms.emial"]
    assert "less than or equal to 23" in mistakes["alarms.digest_hour"]
    assert {"personaclick", "justclick"} <= set(configuration.destinations)
