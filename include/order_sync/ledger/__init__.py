"""The ledger: a PostgreSQL database that remembers what was sent, so that nothing is sent twice or lost.

`session.py` is what a load works with, `windows.py` and `files.py` say what was read, `status.py` how a destination
stands, `schema.py` creates the tables.
"""
