"""Orders and services. Nothing in here knows of Airflow."""
