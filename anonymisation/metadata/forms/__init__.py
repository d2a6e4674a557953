"""The forms of records: each is a table of its keys and of where their values come from."""
