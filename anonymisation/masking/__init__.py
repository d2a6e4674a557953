"""Finding what must be hidden, and hiding it: models, detections, mask geometry and rendering."""
