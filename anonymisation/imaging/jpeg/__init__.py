"""JPEG files: their segments, their pixels, and the blocks that no mask touches."""
