"""Shared basics without dependencies on other packages: errors, settings, text, concurrency."""
