"""The configuration: the models of `order_sync.yaml`, and how the file is read.

It is imported while Airflow parses DAG files, so it may import neither pandas nor anything that connects.
"""
