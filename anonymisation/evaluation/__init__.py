"""How much of what must be hidden a model hides, and how much it hides by mistake, on annotated pictures."""
