"""What the tasks of a run hand on to the pure code."""

import resource
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from upath import UPath

from include.order_sync import pipeline
from include.order_sync.errors import TryAgainError
from include.order_sync.model import OrderStatus
from include.order_sync.providers import PROVIDERS
from include.order_sync.sources.raw import RAW_SCHEMA
from include.order_sync.staging.run_folder import Staging
from include.order_sync.transform.values import Values

SOURCE = SimpleNamespace(
    timezone="Europe/Kyiv",
    ahead=timedelta(hours=1),
    statuses={"paid": OrderStatus.PAID},
    item_columns={},
    values=Values(),
    joins_lines=False,
)
SERVICE = PROVIDERS["rees46"]
DESTINATION = SimpleNamespace(codes=SERVICE.statuses, sends="newest", send_when="status", service=SERVICE)


def staged(tmp_path: Path) -> Staging:
    """Return a run's staging with one raw order."""
    row = {"order_id": "1", "status": "paid", "status_changed_at": "2026-10-25 03:40:00", "position": 0, "line": 1}
    staging = Staging(UPath(tmp_path / "run"))
    staging.stage_raw(iter([pa.Table.from_pylist([{"origin": "query", **row}], RAW_SCHEMA)]), iter(()))
    return staging


def test_transform_names_a_full_staging_folder(tmp_path: Path) -> None:
    """A disk that is full when the ready orders are written is told as that, with the folder."""
    staging = staged(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(TryAgainError, match=f"{tmp_path}.*Make room"):
            pipeline.transform(staging, SOURCE, DESTINATION)  # type: ignore[arg-type]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("minutes", "utc", "doubtful"),
    [pytest.param(5, "00:40", set(), id="before it came so far"), pytest.param(50, "01:40", {"1"}, id="after it")],
)
def test_a_run_before_the_second_pass_knows_that_it_reads_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minutes: int, utc: str, doubtful: set[str]
) -> None:
    """A time of the hour that comes twice is of the first pass if the second has not come so far yet."""
    now = datetime(2026, 10, 25, 1, minutes, tzinfo=UTC)
    monkeypatch.setattr(pipeline, "datetime", SimpleNamespace(now=lambda _zone: now))
    staging = staged(tmp_path)
    done = pipeline.transform(staging, SOURCE, DESTINATION)  # type: ignore[arg-type]
    (ready,) = staging.ready_parts()

    assert ready["status_changed_at"].dt.strftime("%H:%M").tolist() == [utc]
    assert set().union(*done.doubtful.values()) == doubtful
    assert sum(done.doubts.values()) == len(doubtful)
