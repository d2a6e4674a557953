"""`python -m anonymisation`: the same as `anonymise`."""

from __future__ import annotations

from anonymisation.cli import main

if __name__ == "__main__":
    main()
