"""Paths, folder listings, state and locks of capture folders, without the logic of the steps."""
