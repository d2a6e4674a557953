"""The certificate of a night: a random sample of masked pictures, its review, and the bound that follows from it."""
