"""A run's staged files: raw, ready and rejected rows, partitioned by order.

Tasks hand on the folder's path, never rows. It knows columns, and nothing of services, sources or the ledger.
"""
