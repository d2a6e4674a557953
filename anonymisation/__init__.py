"""Hides every person and vehicle in road-survey pictures, archives the originals and loads their metadata."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
