"""The operations page in Airflow's UI: nights, folders, masked pictures, and the review queue."""
