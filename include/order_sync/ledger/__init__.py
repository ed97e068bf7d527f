"""The ledger: a PostgreSQL database that remembers what was sent, so that nothing is sent twice or lost.

- opening.py: the lock of a destination; session.py: the outcomes of its batches;
- look_ahead.py: states read and batches written ahead of the lock's session;
- attempts.py: attempts as text, and the states that follow from them;
- windows.py, files.py, lateness.py: the windows and files that were read, and how late rows came;
- marks.py, renaming.py: whether this is the ledger that it was, and destinations with a new name;
- quarantine.py, encrypted_rows.py: rows that could not be delivered;
- order_history.py, reason_codes.py, reader_role.py: what people and their reports ask;
- status.py, retention.py, schema.py: figures for people, removal of old rows, the tables.

It sends nothing and decides nothing about orders.
"""
