"""Simulated time: months of hourly runs of all services in minutes, against a real ledger. See docs/proof.md."""
