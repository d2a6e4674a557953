"""What `make` calls: sample captures, an Airflow of one's own, one run from end to end."""
