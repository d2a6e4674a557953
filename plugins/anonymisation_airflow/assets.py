"""What other DAGs can follow: a folder is masked, a folder's rows are in the database.

A DAG with `schedule=[Asset("anonymisation_masked_folders")]` runs after each folder with newly masked pictures. The
event's `extra` has `folder`, `pictures` or `rows`, and `captured`, the folder's day where its path says it.

Tasks have aliases as outlets, because an outlet that is an asset would have an event also when there was nothing to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from airflow.sdk import Asset, AssetAlias, Context

from anonymisation.workspace.shards import WorkUnit

MASKED: Final = Asset("anonymisation_masked_folders")
LOADED: Final = Asset("anonymisation_loaded_rows")


def outlet(asset: Asset) -> AssetAlias:
    """Return the outlet of the task that announces the asset."""
    return AssetAlias(f"{asset.name}_if_any")


def announce(context: Context, asset: Asset, unit: WorkUnit, counts: Mapping[str, int]) -> None:
    """Add an event of the asset to the task's outlet."""
    from anonymisation.metadata.capture_date import date_in_path

    day = date_in_path(PurePosixPath(unit.folder))
    extra: dict[str, Any] = {"folder": unit.folder, **counts, "captured": None if day is None else day.isoformat()}
    context["outlet_events"][outlet(asset)].add(asset, extra=extra)
