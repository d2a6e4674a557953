"""One small module per kind of database."""
