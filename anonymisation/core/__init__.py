"""What every room uses and that uses no room: errors, settings, text, concurrency."""
