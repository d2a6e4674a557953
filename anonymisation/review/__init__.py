"""What people found on masked pictures, and how it is applied; never Airflow."""
