"""The configuration: the models of `order_sync.yaml`, and how the file is read.

- loading.py, yaml12.py, mistakes.py: the file is read, with all its mistakes at once;
- models.py, dag_entry.py: the keys of destinations, and those of the whole file;
- source.py, source_entry.py, sql_source.py, query_files.py, csv_source.py, csv_values.py: the keys of sources;
- values.py: what several keys share.

It is imported while Airflow parses DAG files, so it may import neither pandas nor anything that connects.
"""
