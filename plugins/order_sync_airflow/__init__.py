"""Hooks, operators, retry policy and listener: the code that knows Airflow, beside the DAG files.

- hooks/, forms/: the services' connections; ledger_connection.py, marks.py: the ledger's, and whether it is ours;
- operators/: the tasks; run_context.py, param_rules.py: what a run is asked to do; run_figures.py: what its tasks
  count; brake.py: whether a person must approve;
- retry.py, error_block.py: what follows an error, and what the log says of it;
- log_tables.py, progress.py: the log; run_note.py, listener.py, removed_destinations.py: the note of a run;
- page/, run_link.py: the page; metrics.py, assets.py, lineage.py: what other programs get;
- alarms.py, health.py: what is wrong, for people and for a monitor; api_server.py: what a task can't get from Airflow;
- doctor.py, settings_check.py, celery_worker.py: the deployment; ledger.py, erase.py: commands.

It knows of each service only its connection. The business is in include/order_sync/.
"""
