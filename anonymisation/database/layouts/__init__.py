"""Table layouts: columns, datatypes, formatters."""
