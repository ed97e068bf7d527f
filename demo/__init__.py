"""The demo: a sample shop, a sandbox of the services and a real Airflow, on one machine (`make run`)."""
