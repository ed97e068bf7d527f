"""`make chaos`: the promise of the ledger, under faults and kills; `verdict.py` judges it from outside."""

import include.order_sync  # noqa: F401 - before Arrow, whose allocator it chooses
