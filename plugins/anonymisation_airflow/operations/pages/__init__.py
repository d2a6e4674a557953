"""The pages: one module each for the nights, the pictures of a folder, and the review queue."""
