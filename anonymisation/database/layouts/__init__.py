"""Tables as their files describe them: columns, datatypes, formatters."""
