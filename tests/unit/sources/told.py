"""What comes of a file of a drop, from its bytes to what is sent."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from upath import UPath

from include.order_sync import pipeline
from include.order_sync.configuration.csv_source import CsvSource
from include.order_sync.configuration.models import Destination
from include.order_sync.model import Window
from include.order_sync.sources.csv_drop import CsvDropReader
from include.order_sync.staging.run_folder import READY, Staging

WINDOW = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
WORDS = {"new": "created", "paid": "paid", "shipped": "shipped", "delivered": "delivered", "cancelled": "cancelled"}
HEADER = "order_id,status,status_changed_at"
FULL = f"{HEADER},created_at,customer_id,total_cost,currency,email,phone"
ITEM_COLUMNS = {"item_id": "sku", "quantity": "qty"}
TIMES = "2026-11-20 10:00:00,2026-11-20 09:00:00"


class Told:
    """What came of a file.

    `sent` is each order's code or payload by its id, `listed` the reasons of each rejected line.
    """

    def __init__(self, folder: Path, content: str | bytes, provider: str, **keys: Any) -> None:
        file = folder / "orders.csv"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        os.utime(file, (datetime(2026, 11, 21, tzinfo=UTC).timestamp(),) * 2)
        plain = {"name": "drop", "type": "csv", "path": str(file), "timezone": "UTC", "statuses": WORDS}
        source = CsvSource.model_validate({**plain, **keys})
        settings = {"name": "d", "provider": provider, "connection": "c", "source": "drop", "start_date": "2026-01-01"}
        settings |= {"first_run": "window"} | ({"items": "lenient"} if provider == "yespo" else {})
        destination = Destination.model_validate(settings, context={"drop": True})
        staging = Staging(UPath(folder / "staging"))
        self.reader = CsvDropReader(UPath(source.folder), source, WINDOW, destination.service.required)
        extracted = pipeline.extract(self.reader, staging)
        self.done = pipeline.transform(staging, source, destination)
        ready = list(staging.ready_parts()) if (staging.folder / READY).exists() else []
        orders = pd.concat(ready) if ready else pd.DataFrame({"order_id": [], "code": [], "payload": []})
        self.sent = dict(zip(orders["order_id"], orders["code"], strict=True))
        self.payloads = {key: json.loads(text) for key, text in zip(orders["order_id"], orders["payload"], strict=True)}
        self.listed = {
            row["line"]: list(row["reasons"]) for part in staging.rejected_parts() for row in part.to_dict("records")
        }
        counts = self.done.counts
        assert extracted.rows == counts["orders"] + counts["superseded"] + extracted.skipped
