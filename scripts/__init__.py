"""The programs behind `make`: sample captures, a private Airflow, one run from end to end."""
