"""Several remote calls at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


def gather(calls: list[Callable[[], Future[Any]]]) -> list[Any]:
    """Begin several calls, then wait for all; raises the first error after all have ended."""
    futures = [call() for call in calls]
    errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:
        raise errors[0]
    return [future.result() for future in futures]
