"""What Airflow says (connections, params, environment, context), translated into calls of `anonymisation`, and back."""
