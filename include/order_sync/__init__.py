"""The business: orders, services and the ledger. Nothing in here knows Airflow.

Imports go one way: pipeline -> delivery -> ledger -> sources -> configuration -> providers -> staging, transform ->
columns, model, errors. A test keeps this order.
"""
