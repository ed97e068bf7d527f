"""The ledger: a PostgreSQL database that remembers what was sent, so that nothing is sent twice or lost.

- opening.py: the lock of a destination; session.py: the outcomes of its batches;
- lost_sender.py: the batches that a killed load has left;
- look_ahead.py: states read and batches written ahead of the lock's session;
- attempts.py: attempts as text, and the states that follow from them;
- approvals.py, pace.py: what a person has approved, and when the next request of an account may leave;
- windows.py, files.py, lateness.py: the windows and files that were read, and how late rows came;
- marks.py, renaming.py: whether this is the ledger that it was, and destinations with a new name;
- quarantine.py, encrypted_rows.py, reasons.py: rows that could not be delivered, and why;
- run_records.py, order_history.py, reason_codes.py, reader_role.py: what people and their reports ask;
- status.py, retention.py, erasure.py, schema.py: figures for people, removal of old rows and of a person's, the tables.

It sends nothing and decides nothing about orders.
"""
