"""Order Sync's hooks, operators, retry policy and listener: all that knows Airflow, but for the DAG files."""
