"""Pictures as files: decoding, encoding, metadata segments, masks. Imports nothing heavy; ask its modules."""
