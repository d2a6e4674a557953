"""Sample captures: free photographs of people and vehicles, set into drawn roads, with the vendor's EXIF."""
