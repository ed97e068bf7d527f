"""Shows what a source gives and what would be sent of it: `python -m include.order_sync.preview SOURCE`.

- report.py, connections.py: a source is read as a run reads it; findings.py, masks.py, shown.py: what is printed;
- guess.py: proposes the YAML of a CSV file; guess_sample.py: its beginning; guess_columns.py, guess_names.py,
  guess_items.py: its columns; guess_statuses.py, guess_steps.py, guess_words.py, guess_forms.py: what its cells hold.

It reads the configuration and the source, and writes into a temporary folder. It speaks to no service and no
ledger, and needs no Airflow.
"""
