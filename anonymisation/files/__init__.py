"""Files and shares, without regard to their content: atomic writes, access with retries, the writer."""
