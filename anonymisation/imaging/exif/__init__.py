"""EXIF: what is read, what may be published, and where a masked picture came from."""
