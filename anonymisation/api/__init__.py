"""The functions for programs. `anonymisation` gives all of their names; this room holds them."""
