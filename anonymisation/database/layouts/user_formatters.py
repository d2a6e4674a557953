"""The user's own layouts and formatters: a folder of layouts, and a module whose functions they may name."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Final

from platformdirs import user_config_path

from anonymisation.core.errors import ConfigProblem, ConfigurationError
from anonymisation.core.settings import Settings
from anonymisation.database.layouts.formatters import FORMATTERS, Formatter, Value
from anonymisation.database.layouts.tables import TableLayout, load_layout

KEY: Final = "db_formatters_module"
FOLDER_KEY: Final = "db_tables_dir"
FOLDER_VARIABLE: Final = "ANONYMISATION_DB_TABLES_DIR"


def effective_layout(settings: Settings, config_dir: Path | None = None) -> TableLayout:
    """The table layout that the settings name, with the formatters that they name.

    Raises:
        ConfigurationError: the layout has mistakes (lists all of them), or the folder or module cannot be used.
    """
    layout = layout_of(settings.db_table, settings.db_tables_dir, settings.db_formatters_module, config_dir)
    return with_older_values(layout, {"Dataeier": settings.data_eier, "Bildetype": settings.image_type})


def with_older_values(layout: TableLayout, values: Mapping[str, str | None]) -> TableLayout:
    """The layout with `values` (formatter → value) for records of the 2020 form, which lack the keys of these
    formatters. Formatters of the user's own stay as they are.
    """
    used = {column.formatter for column in layout.columns}
    older = {
        name: _or_else(FORMATTERS[name], value)
        for name, value in values.items()
        if name in used and layout.formatters[name] is FORMATTERS[name]
    }
    return layout.model_copy(update={"formatters": {**layout.formatters, **older}}) if older else layout


def _or_else(formatter: Formatter, value: str | None) -> Formatter:
    def with_value(record: Mapping[str, Any]) -> Value:
        try:
            return formatter(record)
        except KeyError:
            return value

    return with_value


def layout_of(table: str, folder: str, module: str, config_dir: Path | None = None) -> TableLayout:
    """The layout `table` of the user's `folder` or the shipped ones, with the formatters of `module`.

    The arguments are values of the keys `db_table`, `db_tables_dir` and `db_formatters_module`.

    Raises: as `effective_layout`.
    """
    own = own_folder(folder)
    return load_layout(table, config_dir, load_formatters(module, own), own)


def own_folder(named: str, environment: Mapping[str, str] | None = None) -> Path | None:
    """The folder of the user's own layouts: `named`, else the one that ANONYMISATION_DB_TABLES_DIR names, else
    `db_tables` in the user's configuration folder if it is there; None: there is none.

    Raises:
        ConfigurationError: a folder is named that is not there.
    """
    variable = (os.environ if environment is None else environment).get(FOLDER_VARIABLE, "")
    folder = Path(named or variable).expanduser()
    if named or variable:
        if not folder.is_dir():
            raise ConfigurationError(
                [ConfigProblem(FOLDER_KEY if named else FOLDER_VARIABLE, str(folder), "there is no such folder")]
            )
        return folder
    default = user_config_path("image-anonymisation", appauthor=False) / "db_tables"
    try:
        return default if default.is_dir() else None
    except OSError:  # the home folder of another user
        return None


def load_formatters(module: str, own: Path | None = None) -> Mapping[str, Formatter]:
    """The shipped formatters and the functions of `module`, which replace shipped ones of the same name.

    `module` is the path of a Python file (it ends with .py), or the dotted name of an importable module; empty: none.
    A relative path is looked up in `own`, the folder of the user's layouts, and then in the current folder. Its
    formatters are the functions defined in it whose names do not begin with `_`.

    Raises:
        ConfigurationError: the module cannot be found, fails when imported, or has no function.
    """
    if not module:
        return FORMATTERS
    module = str(Path(module).expanduser()) if module.startswith("~") else module
    if own is not None and module.endswith(".py") and (own / module).is_file():
        module = str(own / module)
    return _with_functions(module, _load(module))


@lru_cache(maxsize=16)  # the same formatters for the same module, so that layouts with them are parsed once
def _with_functions(module: str, loaded: ModuleType) -> Mapping[str, Formatter]:
    own = {
        name: value
        for name, value in vars(loaded).items()
        if callable(value) and not name.startswith("_") and getattr(value, "__module__", None) == loaded.__name__
    }
    if not own:
        raise _refused(module, "has no function that could be a formatter")
    return MappingProxyType({**FORMATTERS, **own})


def _load(module: str) -> ModuleType:
    try:
        if not module.endswith(".py"):
            return importlib.import_module(module)
        return _load_file(module, Path(module).read_bytes())
    except ConfigurationError:
        raise
    except Exception as error:  # a user's module may raise anything when it is imported
        raise _refused(module, f"cannot be imported: {type(error).__name__}: {error}") from error


@lru_cache(maxsize=16)  # by the file's content, so that a change is seen at once
def _load_file(module: str, content: bytes) -> ModuleType:
    loaded = ModuleType(f"formatters_{Path(module).stem}")
    loaded.__file__ = module
    exec(compile(content, module, "exec"), vars(loaded))  # noqa: S102 - the configuration names the file to run
    return loaded


def _refused(module: str, message: str) -> ConfigurationError:
    return ConfigurationError([ConfigProblem(KEY, module, message)])
