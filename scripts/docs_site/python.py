"""The page of the Python modules that programs may import: signatures and docstrings as the code has them."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any, Final

from scripts.docs_site.markdown import page

# What a program may rely on, by module. Everything else may change with any version.
PUBLIC: Final[dict[str, tuple[str, ...]]] = {
    "anonymisation": ("mask_picture", "mask_folder", "read_record", "Masker", "MaskedPicture"),
    "anonymisation.reporting.run_report": ("RunReport", "FolderReport"),
    "anonymisation.core.settings": ("load_settings", "LoadedSettings"),
    "anonymisation.workspace.workspace": ("open_workspace",),
    "anonymisation.masking.models.factory": ("load_detector",),
    "anonymisation.chain.run": ("run_all", "run_folder"),
    "anonymisation.imaging.exif.read": ("read_exif",),
    "anonymisation.metadata.record": ("RecordContext", "build_record", "record_to_json", "record_from_json"),
    "anonymisation.imaging.mask_file": ("decode_mask",),
    "anonymisation.core.errors": ("AnonymisationError", "ImageError", "ConfigurationError", "UnavailableError"),
}
INTRODUCTION: Final = """\
Most programs need only the names of `anonymisation` itself; [From a program](../how-to/python.md) shows them at work.
The modules below them are for programs that call single steps. What is not on this page may change with any version.
Functions raise the errors of `anonymisation.core.errors`; no import reads the environment or a file, or loads
TensorFlow."""
_WIDTH: Final = 88  # of a line that needs no scrolling
_SECTION: Final = re.compile(r"^(Args|Returns|Raises|Yields):$", re.MULTILINE)
_EXAMPLE: Final = re.compile(r"^Example:\n((?:    .*\n?)+)", re.MULTILINE)


def python_modules() -> str:
    """The page: a section for each module, and in each its names."""
    parts = []
    for module, names in PUBLIC.items():
        loaded = importlib.import_module(module)
        parts += [f"## {module}", (inspect.getdoc(loaded) or "").split("\n\n")[0]]
        for name in names:
            parts += _entry(name, getattr(loaded, name))
    return page(
        "Python modules",
        INTRODUCTION,
        *parts,
    )


def _entry(name: str, thing: Any) -> Iterator[str]:
    kind = "class " if inspect.isclass(thing) else ""
    yield f"### {name}"
    yield f"```python\n{kind}{_signature(name, thing)}\n```"
    yield _in_markdown(inspect.getdoc(thing) or "")
    for method, function in vars(thing).items() if inspect.isclass(thing) else ():
        if inspect.isfunction(function) and not method.startswith("_") and function.__doc__:
            yield f"```python\n{name}.{_signature(method, function)}\n```"
            yield _in_markdown(inspect.getdoc(function) or "")
        elif isinstance(function, property) and not method.startswith("_"):
            yield f"- `{name}.{method}`: {_first_line(inspect.getdoc(function) or '')}"


def _first_line(text: str) -> str:
    return " ".join(text.split("\n\n")[0].split())


def _signature(name: str, thing: Any) -> str:
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return name
    signature = inspect.signature(thing)
    returns = "" if inspect.isclass(thing) else f" -> {signature.return_annotation}"
    pieces: list[str] = []
    bare = False
    for parameter in signature.parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not bare:
            pieces, bare = [*pieces, "*"], True
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        pieces.append(f"{parameter.name}: {parameter.annotation}{default}")
    whole = f"{name}({', '.join(pieces)}){returns}"
    if len(whole) <= _WIDTH:
        return whole
    return f"{name}(\n" + "".join(f"    {piece},\n" for piece in pieces) + f"){returns}"


def _in_markdown(text: str) -> str:
    """A docstring with its sections as bold words and their entries as lists."""
    text = _EXAMPLE.sub(lambda found: f"```pycon\n{inspect.cleandoc(found[1])}\n```\n", text)
    lines, listed = [], False
    for line in text.splitlines():
        if found := _SECTION.match(line):
            listed = True
            lines += [f"**{found[1]}**", ""]
        elif listed and re.match(r"    \S", line):
            name, colon, rest = line.strip().partition(": ")
            lines.append(f"- `{name}`: {rest}" if colon else f"- {line.strip()}")
        elif listed and line.strip():
            lines.append(f"  {line.strip()}")
        else:
            lines.append(line)
            listed = listed and not line.strip()
    return "\n".join(lines)
