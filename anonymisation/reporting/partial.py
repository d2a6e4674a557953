"""What a step had done before an error ended it: its report travels on the error, to whoever reports that error."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

_ATTRIBUTE: Final = "__anonymisation_partial_report__"


@contextmanager
def keeping(report: Callable[[], Any]) -> Iterator[None]:
    """Attach the step report that `report` makes to every error that leaves the block; see `partial_report`.

    An error of `report` itself is logged; it must not take the place of the first.
    """
    try:
        yield
    except Exception as error:
        try:
            setattr(error, _ATTRIBUTE, report())
        except Exception:
            logging.getLogger(__name__).exception("what was done before %s cannot be reported", type(error).__name__)
        raise


def partial_report(error: BaseException) -> Any:
    """The report of the step that this error ended, with the counts of what it had done; None if there is none."""
    return getattr(error, _ATTRIBUTE, None)
