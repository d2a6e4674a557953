"""Bytes and shares, never their meaning: atomic writes, access with retries, the writer."""
