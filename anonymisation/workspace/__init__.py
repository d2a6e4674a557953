"""Where things are and what is known of them, never what a step does."""
