"""Measures how much a model hides, misses and hides by mistake, on annotated pictures."""
