"""The demo: a sample shop, a sandbox of the four services and a real Airflow, on one machine (`make run`)."""
