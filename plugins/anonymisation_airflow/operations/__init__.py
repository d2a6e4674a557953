"""The operations page in Airflow's UI: nights, folders, masked pictures, and the queue of those to look at again."""
