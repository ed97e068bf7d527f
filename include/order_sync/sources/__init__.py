"""Extract: a source reads a window and gives raw rows, all text, as RAW_SCHEMA of raw.py.

- run_window.py: the window that a run reads;
- warehouse.py: a query; sessions.py, window_values.py, window_check.py: its database session and its window;
- postgresql_copy.py, cursor.py, answer.py, database_errors.py: the two ways to read an answer, and its errors;
- csv_drop.py: a drop; drop_files.py, drop_folders.py, hashed_content.py: the files that a run takes;
- containers.py, spreadsheets.py, damage.py: the texts in a file; csv_file.py: one text, which takes these steps:
  csv_text.py, wide_text.py (encoding), csv_header.py (delimiter and columns), csv_records.py, csv_quotes.py,
  csv_swallowed.py (where a row ends), csv_rows.py (rows and their skipped ones), csv_status.py (statuses by rules),
  csv_lines.py (several lines for one order);
- column_names.py, raw_forms.py, raw.py: canonical columns, forms of ids and times, and raw rows, for all sources.

It knows the configuration of sources, and nothing of services or of what was sent before.
"""
