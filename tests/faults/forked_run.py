"""A run of the DAG's functions whose mask tasks are processes of their own, which may die, as under Airflow."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.plugins.plain_run import PlainRun

TRIES = 4  # the first one and ANONYMISATION_RETRIES, by default


@dataclass
class ForkedRun(PlainRun):
    """As `PlainRun`; a mask task whose process dies is tried again. `deaths` counts the processes that died."""

    deaths: int = 0

    def call(self, task_id: str, function: Callable[..., Any], *arguments: Any, map_index: int = -1) -> bool:
        """Run a task; whether it ended well."""
        if not task_id.endswith(".mask"):
            return super().call(task_id, function, *arguments, map_index=map_index)
        for self.try_number in range(1, TRIES + 1):
            found = self._in_process(task_id, function, arguments, map_index)
            if found is not None:
                self.xcoms, self.states, self.events, well = found
                return bool(well)
            self.deaths += 1
        self.states[f"{task_id}_{map_index}"] = "failed"
        return False

    def _in_process(self, task_id: str, function: Callable[..., Any], arguments: Any, map_index: int) -> Any:
        """What the run knows after the task; None if its process died."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(reader)
                well = PlainRun.call(self, task_id, function, *arguments, map_index=map_index)
                with os.fdopen(writer, "wb") as stream:
                    pickle.dump((self.xcoms, self.states, self.events, well), stream)
                os._exit(0)
            finally:
                os._exit(1)
        os.close(writer)
        with os.fdopen(reader, "rb") as stream:
            content = stream.read()
        _, status = os.waitpid(child, 0)
        return pickle.loads(content) if status == 0 else None
