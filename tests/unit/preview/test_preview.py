"""`python -m include.order_sync.preview` shows what a source gives, and sends nothing."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from include.order_sync.configuration import sql_source
from include.order_sync.configuration.loading import DEFAULT_FILE, load
from include.order_sync.preview import report as report_module
from include.order_sync.preview.__main__ import main
from include.order_sync.preview.connections import engine_of

ROOT = Path(__file__).parents[3]
ROWS = """\
number;state;changed;client;mail;tel;first;sum;cur;created
1001;new;2026-11-20 10:00:00;C1;anna@shop.example;+38 (067) 123-45-67;Hanna;19.90;UAH;2026-11-20
1002;paid;2026-11-20 10:05:00;C2;boris@shop.example;380671234568;Borys;29.90;UAH;2026-11-20

1003;Wurde geliefert;2026-11-20 10:06:00;C3;c@shop.example;;Clara;39.90;UAH;2026-11-20
1004;paid;yesterday;C3;c@shop.example;;Clara;39.90;UAH;2026-11-20
1002;done;2026-11-20 11:05:00;C2;boris@shop.example;380671234568;Borys;29.90;UAH;2026-11-20
"""
COLUMNS = (
    "{order_id: number, status: state, status_changed_at: changed, customer_id: client, email: mail, phone: tel, "
    "first_name: first, total_cost: sum, currency: cur, created_at: created}"
)
CONFIGURATION = """
staging: {folder}/staging
sources:
  drop:
    type: csv
    path: {folder}/drop/*.csv
    timezone: Europe/Kyiv
    columns: {columns}
    statuses: {{new: created, paid: paid, done: delivered}}
  shop:
    type: sql
    connection: shop
    query: orders.sql
    window_type: local naive in timezone
    timezone: Europe/Kyiv
    statuses: {{new: created, paid: paid}}
  broken: {{type: csv, path: x.csv, timezone: Mars/Base, statuses: {{a: paid}}}}
destinations:
  clicks: {{provider: rees46, connection: nowhere, source: drop, start_date: 2026-01-01}}
  mails: {{provider: yespo, connection: nowhere, source: drop, start_date: 2026-01-01, first_run: adopt}}
"""
SECRETS = ("anna@", "boris@", "67123456", "671234567", "Hanna", "Borys")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a drop of one file, and a warehouse in SQLite."""
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop/orders.csv").write_text(ROWS)
    monkeypatch.setattr(sql_source, "SQL_FOLDER", tmp_path)
    (tmp_path / "orders.sql").write_text(
        "select id as order_id, state as status, at as status_changed_at from orders "
        "where at >= :window_start and at < :window_end"
    )
    engine = sa.create_engine(f"sqlite:///{tmp_path}/shop.db")
    with engine.begin() as connection:
        connection.exec_driver_sql("create table orders (id text, state text, at text)")
        connection.exec_driver_sql("insert into orders values ('7', 'paid', '2026-11-20 10:30:00')")
        connection.exec_driver_sql("insert into orders values ('8', 'paid', '2026-11-20 11:30:00')")
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", f'{{"conn_type": "sqlite", "host": "{tmp_path}/shop.db"}}')
    (tmp_path / "order_sync.yaml").write_text(CONFIGURATION.format(folder=tmp_path, columns=COLUMNS))
    monkeypatch.setenv("ORDER_SYNC_CONFIG", str(tmp_path / "order_sync.yaml"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture
def report(folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that previews as JSON."""

    def run(*arguments: str) -> dict[str, Any]:
        assert main([*arguments, "--json"]) == 0
        return dict(json.loads(capsys.readouterr().out))

    return run


def test_rows_of_a_drop(report: Any, folder: Path) -> None:
    """The report counts every row once, for each destination, and names the files."""
    found = report("drop")

    assert found["read"][0] == f"1 file matches {folder}/drop/*.csv"
    assert (found["rows"], found["skipped"]) == (6, 1)
    for outcome in found["outcomes"]:
        counts = {"used": 2, "superseded": 1, "rejected": 2, "not_for_provider": 0}
        assert outcome["counts"] == counts
        assert sum(counts.values()) == found["rows"] - found["skipped"]


def test_what_a_person_reads_of_the_rows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines before the header are among the skipped ones by name, and one row is no `rows`."""
    lines = ROWS.splitlines(keepends=True)
    file = folder / "order_sync.yaml"
    file.write_text(file.read_text().replace("type: csv\n    path: ", "type: csv\n    skip_lines: 1\n    path: "))
    (folder / "title.csv").write_text("Orders of November\n" + "".join(lines[:2]))
    assert main(["drop", "--file", str(folder / "title.csv")]) == 0
    out = " ".join(capsys.readouterr().out.split())

    assert "2 rows read, 1 of them skipped (before the header, blank, header again, footer, joined)" in out
    assert "1 order would be sent, 0 rejected, 0 rows superseded" in out
    file.write_text(file.read_text().replace("    skip_lines: 1\n", ""))
    (folder / "one.csv").write_text("".join(lines[:2]))
    assert main(["drop", "--file", str(folder / "one.csv")]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "1 row read, 0 of them" in out
    assert "of 1 row " in out


def test_the_cure_of_a_customer_who_is_missing(report: Any, folder: Path) -> None:
    """It fits where `customer_id_from` is set already, and its column is empty."""
    file = folder / "order_sync.yaml"
    file.write_text(
        file.read_text()
        .replace("customer_id: client, ", "")
        .replace(f"path: {folder}/drop", f"customer_id_from: [email]\n    path: {folder}/drop")
    )
    (folder / "drop/orders.csv").write_text(ROWS.replace("anna@shop.example", ""))
    reasons = {reason["reason"]: reason["cure"] for reason in report("drop")["outcomes"][1]["reasons"]}

    assert "a good value in a column that it names" in reasons["OS-201 customer_id: missing"]


def test_make_preview() -> None:
    """The example of `make help` names a source of the configuration of the demo, and CONFIG another configuration."""
    (example,) = re.findall(r"^preview:.*\(SOURCE=(\w+);.*CONFIG=", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert example in load(DEFAULT_FILE).sources
    said = subprocess.run(
        ["make", "--dry-run", "preview", "SOURCE=drop", "CONFIG=a copy.yaml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert '--config "a copy.yaml"' in said.stdout


def test_status_words(report: Any) -> None:
    """Each word of the shop has its status and its rows; a word that is in no map has none."""
    words = {word: (status, rows) for word, status, rows in report("drop")["words"]}

    assert words == {
        "new": ("created", 1),
        "paid": ("paid", 2),
        "done": ("delivered", 1),
        "Wurde geliefert": (None, 1),
    }


def test_reasons(report: Any) -> None:
    """Each reason has the number of its orders, their first rows and its cure."""
    mails = report("drop")["outcomes"][1]
    reasons = {reason["reason"]: (reason["orders"], reason["rows"]) for reason in mails["reasons"]}

    assert reasons == {
        "OS-129 status: not in the status map": (1, ["orders.csv:5"]),
        "OS-116 status_changed_at: not a date and time": (1, ["orders.csv:6"]),
    }
    assert all(reason["cure"] for reason in mails["reasons"])


def test_the_request_for_one_order(report: Any) -> None:
    """Each destination's request for one order is shown with its code, and with words instead of credentials."""
    clicks, mails = report("drop")["outcomes"]

    assert clicks["request"]["body"]["orders"] == [{"id": "1001", "status": 0}]
    assert "LOGIN" in json.dumps(clicks["request"]["body"])
    (order,) = mails["request"]["body"]["orders"]
    assert (order["externalOrderId"], order["status"]) == ("1001", "INITIALIZED")
    assert mails["codes"] == {"created": "INITIALIZED", "paid": "IN_PROGRESS", "delivered": "DELIVERED"}


@pytest.mark.parametrize("as_json", [True, False], ids=["JSON", "text"])
def test_personal_data_is_masked(folder: Path, capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    """Neither orders nor requests show personal data, unless a person asks for it."""
    arguments = ["drop", "--json"] if as_json else ["drop"]
    assert main(arguments) == 0
    hidden = capsys.readouterr().out
    assert main([*arguments, "--show"]) == 0
    shown = capsys.readouterr().out

    assert [secret for secret in SECRETS if secret in hidden] == []
    assert "a***@shop.example" in hidden
    assert [secret for secret in SECRETS if secret in shown] == list(SECRETS)


def test_a_warehouse(report: Any) -> None:
    """A warehouse is read in the window that a person gives, in the source's zone."""
    found = report("shop", "--from", "2026-11-20T10:00", "--to", "2026-11-20T11:00")

    assert found["rows"] == 1
    assert found["read"] == [
        "orders.sql in sqlite",
        ":window_start = 2026-11-20 10:00",
        ":window_end = 2026-11-20 11:00",
    ]
    assert found["orders"][0]["status_changed_at"].startswith("2026-11-20 08:30:00")


def test_a_source_without_destinations(report: Any) -> None:
    """Without a destination the report shows what each provider would get, and the columns that it needs."""
    found = report("shop", "--from", "2026-11-20", "--to", "2026-11-21")
    missing = {outcome["destination"]: outcome["missing"] for outcome in found["outcomes"]}

    assert missing["rees46"] == []
    assert "email or phone" in missing["yespo"]
    assert missing["justclick"] == ["bill_id"]


def test_a_destination_with_mistakes(report: Any, folder: Path) -> None:
    """A destination that has mistakes is named, because what it would get is not shown."""
    file = folder / "order_sync.yaml"
    file.write_text(file.read_text().replace(", first_run: adopt", ""))
    found = report("drop")

    assert [outcome["destination"] for outcome in found["outcomes"]] == ["clicks"]
    assert any("destinations.mails.first_run" in note for note in found["notes"])


def test_one_file(report: Any, folder: Path) -> None:
    """A file is read by the rules of its drop wherever it lies, also with signs of a glob in its name."""
    (folder / "new [1].csv").write_text("".join(ROWS.splitlines(keepends=True)[:2]))
    found = report("drop", "--file", str(folder / "new [1].csv"))

    assert (found["rows"], found["outcomes"][0]["counts"]["used"]) == (1, 1)


def test_many_files(report: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many files the newest are read, and the report says so."""
    monkeypatch.setattr(report_module, "FILES_READ", 2)
    for number in range(3):
        (folder / f"drop/z{number}.csv").write_text(ROWS)
    found = report("drop")

    assert found["read"][0].startswith("4 files match")
    assert found["read"][0].endswith("the newest 2 are read")
    assert found["rows"] == 12


def test_no_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A glob that matches nothing is said, with the nearest names."""
    (folder / "drop/orders.csv").rename(folder / "drop/Orders.CSV")
    assert main(["drop"]) == 1
    out = capsys.readouterr().out
    assert "0 files match" in out
    assert "Nearest: Orders.CSV" in out


def test_a_file_that_can_not_be_used(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a run would log of a file is shown, and the command says that no order would be sent."""
    (folder / "drop/orders.csv").write_bytes(ROWS.replace("Clara", "Клара").encode("cp1251"))
    assert main(["drop"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "0xCA in line 5" in out
    assert "row: bytes that are no text" in out


def test_columns_of_a_file_that_can_not_be_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody knows the columns of a spreadsheet of the old form: the report says what it is, and no more."""
    (folder / "drop/orders.csv").write_bytes(b"\xd0\xcf\x11\xe0 an old spreadsheet")
    assert main(["drop", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)

    assert (found["columns"], [outcome["missing"] for outcome in found["outcomes"]]) == (
        [],
        [[]] * len(found["outcomes"]),
    )
    assert "save it as .xlsx or CSV" in "".join(found["notes"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["nothing"], "no good source 'nothing'; it has drop, shop", id="unknown"),
        pytest.param(["broken"], "no such time zone", id="with a mistake"),
        pytest.param(["shop", "--file", "x.csv"], "is a warehouse", id="a file for a warehouse"),
        pytest.param(["drop", "--from", "noon"], "'noon' is no time", id="a wrong time"),
        pytest.param(
            ["drop", "--from", "2026-11-21", "--to", "2026-11-20"], "must lie before", id="times turned round"
        ),
    ],
)
def test_refusals(folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    """A source that can't be read ends with 2 and the cure."""
    assert main(arguments) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_connection_that_is_missing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the variable and its form."""
    monkeypatch.delenv("AIRFLOW_CONN_SHOP")
    assert main(["shop"]) == 2
    assert "AIRFLOW_CONN_SHOP, for example to postgres://" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("postgres://me:p%40ss@db:5433/shop?sslmode=require", "postgresql+psycopg://me:p%40ss@db:5433/shop"),
        ('{"conn_type": "postgres", "host": "db", "schema": "shop"}', "postgresql+psycopg://db/shop"),
        ("mysql://me:x@db/shop", "mysql+pymysql://me:x@db/shop"),
        ("sqlite:////srv/shop.db", "sqlite:////srv/shop.db"),
    ],
)
def test_connections(monkeypatch: pytest.MonkeyPatch, written: str, url: str) -> None:
    """A connection is read as Airflow writes it."""
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", written)
    assert engine_of("shop").url.render_as_string(hide_password=False) == url


def test_no_airflow_and_no_trace(folder: Path) -> None:
    """The command runs where Airflow can't be imported, and leaves nothing behind."""
    before = sorted(path for path in folder.rglob("*"))
    code = (
        "import sys; sys.modules['airflow'] = None\n"
        "from include.order_sync.preview.__main__ import main\n"
        "sys.exit(main(['drop', '--json']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path for path in folder.rglob("*")) == before
