"""Hooks, operators, retry policy and listener: the code that knows Airflow, beside the DAG files.

It knows of each service only its connection. The business is in include/order_sync/.
"""
