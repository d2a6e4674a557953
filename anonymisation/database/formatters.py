"""What a module of formatters of one's own may import: the formatters of the included layouts, by name."""

from anonymisation.database.layouts.formatters import (
    FORMATTERS,
    Formatter,
    Value,
    as_json,
    as_number,
    as_point,
    as_text,
    as_time,
)
from anonymisation.database.layouts.geometry import Point

__all__ = ["FORMATTERS", "Formatter", "Point", "Value", "as_json", "as_number", "as_point", "as_text", "as_time"]
