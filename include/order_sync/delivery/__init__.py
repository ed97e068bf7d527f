"""Load: ready orders are planned against the ledger, batched and sent, and each gets its verdict.

It may use every package but the pipeline; it never names a service.
"""
