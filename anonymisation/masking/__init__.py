"""Detect persons and vehicles, and hide them: models, detections, mask geometry and rendering."""
