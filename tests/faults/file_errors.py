"""The file layer of Python with a file that answers with an error, as a share does that is away or refuses."""

from __future__ import annotations

import builtins
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

_CALLS = (
    (os, "open"),
    (os, "stat"),
    (os, "lstat"),
    (os, "scandir"),
    (os, "unlink"),
    (os, "rmdir"),
    (io, "open"),
    (builtins, "open"),
)


@contextmanager
def failing(path: Path, number: int) -> Iterator[None]:
    """Let every call that opens, looks at or removes `path` fail with this errno."""

    def guarded(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(place: Any = ".", *arguments: Any, **options: Any) -> Any:
            if isinstance(place, str | os.PathLike) and os.fspath(place) == str(path):
                raise OSError(number, os.strerror(number), str(place))
            return call(place, *arguments, **options)

        return wrapper

    replaced = [mock.patch.object(module, name, guarded(getattr(module, name))) for module, name in _CALLS]
    for patch in replaced:
        patch.start()
    try:
        yield
    finally:
        for patch in reversed(replaced):
            patch.stop()
