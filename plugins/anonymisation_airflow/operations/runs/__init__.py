"""Runs as the metadata database stores them, and as the pages show them."""
