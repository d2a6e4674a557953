"""`anonymise evaluate`."""
