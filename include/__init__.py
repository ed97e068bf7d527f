"""What Order Sync knows, apart from Airflow."""
