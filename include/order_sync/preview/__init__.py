"""Shows what a source gives and what would be sent of it: `python -m include.order_sync.preview SOURCE`.

It reads the configuration and the source, and writes into a temporary folder. It speaks to no service and no
ledger, and needs no Airflow.
"""
