"""Records on their way into a table: batches, the spool, whose row stands."""
