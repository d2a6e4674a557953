"""The documentation site: its pages that are made from the code, and what it adds to Sphinx."""
