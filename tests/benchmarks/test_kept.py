"""The noise of kept figures, and how new ones compare."""

import json

import pytest

from benchmarks import __main__ as bench
from benchmarks import kept
from benchmarks.kept import Kept, NotKeptError

ROWS = [row for row in bench.ROWS if row.figure in ("again", "justclick", "csv")]


def figure(*rounds: float) -> Kept:
    """Return a kept figure."""
    return Kept(list(rounds), "abc", "2026-11-29", "2 x cpu")


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A file with one kept figure, in place of the repository's."""
    path = kept.ROOT / ".local" / f"kept-{tmp_path.name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"whole": {"again": kept.asdict(figure(0.48, 0.50, 0.51))}, "short": {}}))
    monkeypatch.setattr(kept, "FILE", path)
    yield path
    path.unlink()


@pytest.mark.parametrize(
    ("measured", "at_least", "said"),
    [
        (0.50, False, "same"),
        (0.456, False, "same"),
        (0.454, False, "better"),
        (0.546, False, "worse"),
        (0.454, True, "worse"),
        (0.546, True, "better"),
    ],
)
def test_a_figure_within_the_noise_says_nothing(measured, at_least, said):
    """Within one and a half spreads around the median a figure is the same; beyond, it is better or worse."""
    assert figure(0.48, 0.50, 0.51).judge(measured, at_least=at_least) == said


def test_rounds_that_agree_leave_some_room():
    """Equal rounds have a band of two per cent to each side."""
    assert figure(100, 100, 100).band == (98, 102)


def test_the_table_says_how_each_figure_compares(capsys):
    """Each row has its band and better, same or worse; one without a kept figure says so, and none changes the end."""
    known = {"again": figure(0.30, 0.31, 0.32), "justclick": figure(250, 260, 255)}
    assert bench.print_result(ROWS, {"again": 0.4, "justclick": 290, "csv": 2.5}, known) == 0
    *table, line = capsys.readouterr().out.splitlines()
    entries = {row["figure"].split(",")[0]: row["against_kept"] for row in json.loads(line)["rows"]}
    assert entries == {
        "the same million again": "worse",
        "JustClick": "better",
        "CSV drop of 1": "no figure kept",
    }
    text = "\n".join(table)
    assert "0.28 to 0.34" in text
    assert "no figure kept" in text


def test_figures_are_kept_by_request_alone_and_only_of_a_commit(file, monkeypatch):
    """Keeping replaces the measured figures and leaves the others; few rounds or changed files are refused."""
    said = {"status": " M a.py", "rev-parse": "0123456789ab"}
    monkeypatch.setattr(kept, "_git", lambda command, *_: said[command])
    with pytest.raises(NotKeptError, match="csv: fewer than 3 rounds"):
        kept.keep("whole", {"csv": [3.9, 4.1]})
    with pytest.raises(NotKeptError, match=r"a\.py"):
        kept.keep("whole", {"csv": [3.9, 4.1, 4.0]})
    said["status"] = ""
    kept.keep("whole", {"csv": [3.9, 4.1, 4.0]})
    kept.keep("short", {"csv": [9, 9, 9]})
    found = kept.read("whole")
    assert (found["csv"].rounds, found["csv"].commit) == ([3.9, 4.1, 4.0], "0123456789ab")
    assert found["again"] == figure(0.48, 0.50, 0.51)
    assert kept.read("short").keys() == {"csv"}


def test_the_repository_keeps_only_figures_of_the_table():
    """Each kept figure is one of the table's, and has enough rounds."""
    for form in ("whole", "short"):
        found = kept.read(form)
        assert found.keys() <= {row.figure for row in bench.ROWS}
        assert all(len(one.rounds) >= kept.LEAST_ROUNDS for one in found.values())


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"KEEP": "1"}, "ROUNDS"), ({"ROUNDS": "0"}, "ROUNDS"), ({"ROUNDS": "x"}, "ROUNDS"), ({"RUNS": "0"}, "RUNS")],
)
def test_settings_that_measure_nothing_are_refused(settings, said, monkeypatch, capsys):
    """A wrong setting is refused before anything is measured; figures of one round can't be kept."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert bench.main() == 2
    assert said in capsys.readouterr().err
