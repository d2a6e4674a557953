"""The steps from a capture folder to its report: discover, mask, archive, load, check, release."""
