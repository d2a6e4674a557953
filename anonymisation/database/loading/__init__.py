"""Loading records into a table: batches, the spool, the registry of identifiers."""
