"""The user's own formatters: table layouts may name the functions of a module that the configuration names."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Final

from anonymisation.core.errors import ConfigProblem, ConfigurationError
from anonymisation.core.settings import Settings
from anonymisation.database.layouts.formatters import FORMATTERS, Formatter
from anonymisation.database.layouts.tables import TableLayout, load_layout

KEY: Final = "db_formatters_module"


def effective_layout(settings: Settings, config_dir: Path | None = None) -> TableLayout:
    """The table layout that the settings name, with the formatters that they name.

    Raises:
        ConfigurationError: the layout has mistakes (lists all of them), or the module cannot be used.
    """
    return load_layout(settings.db_table, config_dir, load_formatters(settings.db_formatters_module))


def load_formatters(module: str) -> Mapping[str, Formatter]:
    """The shipped formatters and the functions of `module`, which replace shipped ones of the same name.

    `module` is the path of a Python file (it ends with .py), or the dotted name of an importable module; empty: none.
    Its formatters are the functions defined in it whose names do not begin with `_`.

    Raises:
        ConfigurationError: the module cannot be found, fails when imported, or has no function.
    """
    if not module:
        return FORMATTERS
    loaded = _load(module)
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
        spec = importlib.util.spec_from_file_location(f"formatters_{Path(module).stem}", module)
        if spec is None or spec.loader is None:
            raise _refused(module, "is no Python file")
        loaded = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
    except ConfigurationError:
        raise
    except Exception as error:  # a user's module may raise anything when it is imported
        raise _refused(module, f"cannot be imported: {type(error).__name__}: {error}") from error
    return loaded


def _refused(module: str, message: str) -> ConfigurationError:
    return ConfigurationError([ConfigProblem(KEY, module, message)])
