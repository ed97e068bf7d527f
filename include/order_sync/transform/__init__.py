"""Transform: raw rows become payloads, or rejected rows with all their reasons; pure pandas.

- transform.py: one group of parts, from raw rows to ready and rejected orders;
- canonical.py: the columns of an order; values.py, times.py, date_forms.py, contacts.py: how their texts are read;
- repeated_hour.py: local times that come twice; source_hash.py: whether the source says something else;
- order_checks.py, row_problems.py: the faults that any order or row can have; checks.py, reasons.py: how faults are
  found and listed.

It reads no file and sends nothing, and it may not import providers, sources or the ledger: a provider's checks and
payloads are handed in.
"""
