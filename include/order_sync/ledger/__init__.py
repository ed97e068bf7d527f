"""The ledger: a PostgreSQL database that remembers what was sent, so that nothing is sent twice or lost.

`session.py` is what a load works with, `schema.py` what creates the tables.
"""
