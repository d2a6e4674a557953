"""Two models or two settings, compared on the same pictures before the roll-out; people judge only what differs."""
