"""Records into rows of a database table: layouts, formatters, dialects, loading."""
