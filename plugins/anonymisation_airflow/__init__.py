"""Translates Airflow's connections, params, environment and context into calls of `anonymisation`."""
