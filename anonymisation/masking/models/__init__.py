"""The models of the zoo and the built-in one: found, fetched, unpacked, loaded."""
