"""Transform: raw rows become payloads, or rejected rows with all their reasons; pure pandas.

It reads no file and sends nothing, and it may not import providers, sources or the ledger: a provider's checks and
payloads are handed in.
"""
